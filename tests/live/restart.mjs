// ICE restarts from both sides while media flow, and a publisher whose m-lines come, go and come again.
import { browser, page, scenario, check, until, heard, sleep, websocket } from './driver.mjs';

const ROOM = 1234;
const VIDEO = { width: { exact: 320 }, height: { exact: 240 }, frameRate: { exact: 10 } };

const credentials = (who, name) => who.evaluate(name => {
  const { localDescription, remoteDescription, iceConnectionState, connectionState } = window[name].webrtcStuff.pc;
  const ufrag = description => /a=ice-ufrag:(\S+)/.exec(description.sdp)[1];
  return { local: ufrag(localDescription), remote: ufrag(remoteDescription), states: `${iceConnectionState} ${connectionState}` };
}, name);
const frames = (viewer, name = 'subscriber') => viewer.evaluate(async name => (await live.stats(window[name]))
  .filter(stat => stat.type === 'inbound-rtp' && stat.kind === 'video').sort((a, b) => a.mid - b.mid).map(stat => stat.framesDecoded), name);

async function goes_on(viewer, sentence) {
  const [before] = await frames(viewer);
  await until(5000, sentence, async () => (await frames(viewer))[0] >= before + 15);
}

await scenario(async () => {
  const [a, b] = await Promise.all([browser().then(it => page(it, 'A')), browser().then(it => page(it, 'B'))]);
  const feed = await a.evaluate(async ({ websocket, ROOM, VIDEO }) => {
    window.publisher = await live.attach(await live.connect(websocket), 'publisher');
    const { id } = await live.join(publisher, ROOM, 'A');
    await live.publish(publisher, { audio: true, video: VIDEO });
    await publisher.up;
    window.call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    window.renegotiate = async (params, more) => {
      const offer = await call(publisher, 'createOffer', params);
      const { message, jsep } = await publisher.ask({ request: 'configure', ...more }, offer, m => m.configured === 'ok');
      await call(publisher, 'handleRemoteJsep', { jsep });
      return message.streams;
    };
    return id;
  }, { websocket, ROOM, VIDEO });
  await b.evaluate(async ({ websocket, ROOM, feed }) => {
    window.session = await live.connect(websocket);
    window.member = await live.attach(session, 'member');
    await live.join(member, ROOM, 'B');
    window.call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    window.take = async (handle, jsep) => {
      const answer = await call(handle, 'createAnswer', { jsep, tracks: [{ type: 'audio', recv: true }, { type: 'video', recv: true }] });
      await handle.ask({ request: 'start' }, answer, m => m.started === 'ok');
    };
    /** A subscription that answers whatever it is offered later. */
    window.watch = async name => {
      const handle = window[name] = await live.attach(session, name, { onoffer: jsep => take(handle, jsep).then(() => { handle.taken = (handle.taken ?? 0) + 1; }) });
      const join = { request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed }] };
      const { jsep } = await handle.ask(join, undefined, m => m.videoroom === 'attached');
      await take(handle, jsep);
    };
    await watch('subscriber');
  }, { websocket, ROOM, feed });
  await until(10000, 'B sees A', async () => (await frames(b))[0] >= 10);

  // The publisher restarts: both sides have new credentials, and what B sees goes on.
  const [first, firstOfB] = [await credentials(a, 'publisher'), await credentials(b, 'subscriber')];
  await a.evaluate(() => renegotiate({ iceRestart: true, tracks: [] }));
  const second = await credentials(a, 'publisher');
  check(first.local !== second.local && first.remote !== second.remote, `${JSON.stringify([first, second])} is no restart`);
  await goes_on(b, 'what A sends goes on after its restart');
  await until(3000, 'A is connected with the new credentials', async () => (await credentials(a, 'publisher')).states === 'connected connected');

  // The subscriber asks for a restart, and gets an offer with new credentials.
  await b.evaluate(async () => {
    const { jsep } = await subscriber.ask({ request: 'configure', restart: true }, undefined, m => m.configured === 'ok');
    await take(subscriber, jsep);
  });
  const secondOfB = await credentials(b, 'subscriber');
  check(firstOfB.local !== secondOfB.local && firstOfB.remote !== secondOfB.remote, `${JSON.stringify([firstOfB, secondOfB])} is no restart`);
  await goes_on(b, 'what B receives goes on after its restart');
  // Longer than the timeout of a path that is not checked any more.
  await sleep(6000);
  await goes_on(b, 'it still goes on');
  for (const [who, name] of [[a, 'publisher'], [b, 'subscriber']]) {
    const { states } = await credentials(who, name);
    check(states === 'connected connected', `the ${name} is ${states}`);
  }

  // The publisher adds a screen: everybody hears of three streams.
  const streams = await a.evaluate(() => {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 320, height: 240 });
    const context = canvas.getContext('2d');
    setInterval(() => { context.fillStyle = `hsl(${Date.now() / 20 % 360} 80% 50%)`; context.fillRect(0, 0, 320, 240); }, 100);
    window.screen_track = () => canvas.captureStream(10).getVideoTracks()[0];
    return renegotiate({ tracks: [{ type: 'screen', capture: screen_track(), recv: false, add: true }] }, { descriptions: [{ mid: '2', description: 'screen' }] });
  });
  check(streams.length === 3 && streams[2].description === 'screen' && streams[2].codec === 'vp8', `A has ${JSON.stringify(streams)}`);
  const ofA = (entry, [feed, codecs]) => entry.handle === 'member' && entry.message?.publishers?.some(publisher => publisher.id === feed
    && String(publisher.streams.map(stream => (stream.disabled ? 'disabled' : stream.codec))) === codecs);
  await heard(b, 3000, 'B hears of the screen', ofA, [feed, 'opus,vp8,vp8']);
  await b.evaluate(() => watch('both'));
  await until(10000, 'B sees camera and screen', async () => { const seen = await frames(b, 'both'); return seen.length === 2 && seen.every(count => count >= 10); });

  // It stops sharing: the line is disabled, and who watched it is offered one without source.
  await a.evaluate(() => renegotiate({ tracks: [{ type: 'screen', mid: '2', remove: true }] }));
  await heard(b, 3000, 'B hears that the screen is gone', ofA, [feed, 'opus,vp8,disabled']);
  const gone = await heard(b, 3000, 'B is offered an inactive m-line', entry => entry.handle === 'both' && entry.message?.videoroom === 'updated');
  check(String(gone.message.streams.map(stream => stream.active)) === 'true,true,false', `${JSON.stringify(gone.message.streams)}`);
  await until(3000, 'B has answered that', () => b.evaluate(() => both.taken === 1));

  // It shares again on the m-line that is there.
  const again = await a.evaluate(() => renegotiate({ tracks: [{ type: 'screen', mid: '2', capture: screen_track(), recv: false, replace: true }] }));
  check(again.length === 3 && again[2].codec === 'vp8', `A has ${JSON.stringify(again)}`);
  await b.evaluate(() => watch('again'));
  await until(10000, 'B sees camera and screen again', async () => { const seen = await frames(b, 'again'); return seen.length === 2 && seen.every(count => count >= 10); });
  await goes_on(b, 'the first subscription has seen all this through');
});
