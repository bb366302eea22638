// Streams that are added, given up, taken again and exchanged under a viewer; publishers that are muted and thrown out.
import { browser, page, scenario, check, until, heard, sleep, websocket } from './driver.mjs';

const ROOM = 1234;

await scenario(async () => {
  const [a, b] = await Promise.all([browser().then(it => page(it, 'A')), browser().then(it => page(it, 'B'))]);
  const feeds = await a.evaluate(async ({ websocket, ROOM }) => {
    const session = await live.connect(websocket);
    const paint = hue => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
      const context = canvas.getContext('2d');
      let light = 40;
      setInterval(() => { light = 90 - light; context.fillStyle = `hsl(${hue} 100% ${light}%)`; context.fillRect(0, 0, 320, 240); }, 100);
      return canvas.captureStream(10).getVideoTracks()[0];
    };
    const feeds = [];
    for (const [name, hue] of [['red', 0], ['blue', 240]]) {
      const handle = window[name] = await live.attach(session, name);
      const { id } = await live.join(handle, ROOM, name);
      await live.publish(handle, { audio: true, video: paint(hue) });
      await handle.up;
      feeds.push(id);
    }
    return feeds;
  }, { websocket, ROOM });
  const [red, blue] = feeds;
  await b.evaluate(async ({ websocket, ROOM, red }) => {
    window.session = await live.connect(websocket);
    window.admin = await live.attach(session, 'admin');
    window.call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    window.take = async jsep => {
      const answer = await call(viewer, 'createAnswer', { jsep, tracks: [{ type: 'audio', recv: true }, { type: 'video', recv: true }] });
      await viewer.ask({ request: 'start' }, answer, m => m.started === 'ok');
      viewer.taken = (viewer.taken ?? 0) + 1;
      for (const mid of Object.keys(window.shown ?? {})) { shown[mid].remove(); delete shown[mid]; }
    };
    window.viewer = await live.attach(session, 'viewer', { onoffer: jsep => take(jsep) });
    const { jsep } = await viewer.ask({ request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed: red }] }, undefined, m => m.videoroom === 'attached');
    await take(jsep);
    window.ask = async (request, answers) => {
      const { message, jsep } = await viewer.ask(request, undefined, answers ?? (m => m.videoroom === 'updated' || m.videoroom === 'updating'));
      if (jsep) await take(jsep);
      return message;
    };
    window.shown = {};
    window.video = mid => {
      const track = viewer.webrtcStuff.pc.getTransceivers().find(it => it.mid === mid)?.receiver.track;
      if (!track) return null;
      const video = shown[mid] ??= document.body.appendChild(Object.assign(document.createElement('video'), { autoplay: true, muted: true }));
      if (video.srcObject?.getTracks()[0] !== track) { video.srcObject = new MediaStream([track]); video.play().catch(() => {}); }
      return video;
    };
    window.colour = mid => {
      const it = video(mid);
      if (!it || !it.videoWidth) return 'none';
      const [r, , bl] = live.pixels(it).slice(4 * 64 * 20, 4 * 64 * 20 + 4);
      return r > 2 * bl ? 'red' : bl > 2 * r ? 'blue' : `${r},${bl}`;
    };
    window.inbound = async () => Object.fromEntries((await live.stats(viewer)).filter(it => it.type === 'inbound-rtp')
      .map(it => [it.mid, { kind: it.kind, ssrc: it.ssrc, frames: it.framesDecoded, packets: it.packetsReceived, lost: it.packetsLost, pli: it.pliCount }]));
  }, { websocket, ROOM, red });
  const colour = (mid, wanted, sentence) => until(8000, sentence, async () => (await b.evaluate(mid => colour(mid), mid)) === wanted);
  const inbound = () => b.evaluate(() => inbound());
  const flows = async (mid, sentence) => {
    const { [mid]: before } = await inbound();
    const floor = before?.frames ?? 0;
    await until(15000, sentence, async () => ((await inbound())[mid]?.frames ?? 0) >= floor + 8);
  };
  const stops = async (mid, sentence) => {
    await sleep(400);
    const { [mid]: before } = await inbound();
    await sleep(800);
    const { [mid]: after } = await inbound();
    check(after?.packets === before?.packets, `${sentence}: ${JSON.stringify([before, after])}`);
  };
  const ask = (request, answers) => b.evaluate(({ request }) => ask(request, request.request === 'switch' ? m => m.switched === 'ok' : undefined), { request });

  await colour('1', 'red', 'red is seen');
  const first = await inbound();
  const switched = await ask({ request: 'switch', streams: [{ feed: blue, mid: '1', sub_mid: '1' }, { feed: blue, mid: '0', sub_mid: '0' }] });
  check(switched.changes === 2, JSON.stringify(switched));
  await colour('1', 'blue', 'blue is seen after the switch');
  await flows('1', 'blue flows');
  const second = await inbound();
  check(first['1'].ssrc === second['1'].ssrc && second['1'].lost <= first['1'].lost + 1, `${JSON.stringify([first, second])}`);

  // More lines.
  const more = await ask({ request: 'subscribe', streams: [{ feed: red }] });
  check(more.streams.length === 4, JSON.stringify(more));
  await colour('3', 'red', 'red is seen on the new line');
  await colour('1', 'blue', 'blue still');

  // Given up, and taken again.
  await ask({ request: 'unsubscribe', streams: [{ feed: blue }] });
  await stops('1', 'nothing comes on a line that was given up');
  const again = await ask({ request: 'subscribe', streams: [{ feed: blue, mid: '1' }] });
  check(again.streams.length === 4 && again.streams[1].feed_id === blue, JSON.stringify(again));
  await colour('1', 'blue', 'blue is seen on the line that was taken again');
  await flows('1', 'blue flows again');
  const third = await inbound();
  check(third['1'].ssrc === first['1'].ssrc, `${JSON.stringify([first, third])}`);

  // Replaced in one go.
  const replaced = await ask({ request: 'update', unsubscribe: [{ sub_mid: '1' }, { sub_mid: '3' }], subscribe: [{ feed: red, mid: '1' }, { feed: blue, mid: '1' }] });
  check(replaced.streams.length === 4, JSON.stringify(replaced));
  await colour('1', 'red', 'red has taken the place of blue');
  await colour('3', 'blue', 'and blue that of red');

  // Several at once: one offer follows.
  const taken = await b.evaluate(async ({ red, blue }) => {
    const before = viewer.taken;
    const answers = await Promise.all([
      ask({ request: 'subscribe', streams: [{ feed: red, mid: '1' }] }),
      ask({ request: 'subscribe', streams: [{ feed: blue, mid: '1' }] }),
      ask({ request: 'unsubscribe', streams: [{ sub_mid: '1' }] }),
    ]);
    return { before, answers: answers.map(answer => answer.videoroom) };
  }, { red, blue });
  check(String(taken.answers) === 'updated,updating,updating', JSON.stringify(taken));
  await until(5000, 'the second offer is answered', () => b.evaluate(before => viewer.taken === before + 2, taken.before));
  await colour('4', 'red', 'red on the first added line');
  await colour('5', 'blue', 'blue on the second added line');
  await colour('3', 'blue', 'blue where it was');

  // A switch on a line that is inactive wakes it.
  const woken = await ask({ request: 'switch', streams: [{ feed: blue, mid: '1', sub_mid: '1' }] });
  check(woken.changes === 1, JSON.stringify(woken));
  await colour('1', 'blue', 'a switch has woken the line');

  // Muted.
  const admin = request => b.evaluate(request => admin.ask(request, undefined, () => true).then(({ message }) => message), { room: ROOM, ...request });
  await admin({ request: 'moderate', id: blue, mid: '1', mute: true });
  await heard(a, 3000, 'the one who is muted hears it', (entry, id) => entry.handle === 'blue' && entry.message?.moderation === 'muted' && entry.message.id === id, blue);
  await stops('3', 'nothing of a muted stream comes');
  await flows('4', 'red goes on');
  await admin({ request: 'moderate', id: blue, mid: '1', mute: false });
  await flows('3', 'blue flows again');

  // Thrown out.
  await admin({ request: 'kick', id: red });
  await heard(a, 3000, 'the one who is thrown out hears it', entry => entry.handle === 'red' && entry.message?.leaving === 'ok' && entry.message.reason === 'kicked');
  await heard(a, 3000, 'its connection ends', entry => entry.handle === 'red' && entry.webrtc === false);
  await heard(a, 3000, 'the other hears it', (entry, id) => entry.handle === 'blue' && entry.message?.kicked === id, red);
  await heard(b, 3000, 'the viewer is offered the loss', entry => entry.handle === 'viewer' && entry.message?.videoroom === 'updated'
    && entry.message.streams?.filter(stream => stream.active).length >= 2 && entry.message.streams.some(stream => !stream.active));
  await stops('4', 'nothing of it comes any more');
  await flows('3', 'blue goes on');
  const dropped = await ask({ request: 'unsubscribe', streams: [{ feed: red }] });
  check(dropped.videoroom === 'updated' && !dropped.streams, `nothing is left to drop: ${JSON.stringify(dropped)}`);
  await flows('3', 'blue goes on');
});
