// Two publishers on one viewer's connection, while everything that can be negotiated anew is: feeds come and go by `update`,
// also while offers wait; ICE begins again on either side; tracks are replaced and m-lines added. What is not concerned plays on.
import { browser, page, scenario, check, until, sleep, websocket } from './driver.mjs';

const ROOM = 4412;

await scenario(async () => {
  const [a, b] = await Promise.all([browser().then(it => page(it, 'A')), browser().then(it => page(it, 'B'))]);
  const { red, blue, dummy } = await a.evaluate(async ({ websocket, ROOM }) => {
    const session = await live.connect(websocket);
    window.call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    window.paint = (hue, width = 320, height = 240) => {
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      const context = canvas.getContext('2d');
      let light = 40;
      setInterval(() => { light = 90 - light; context.fillStyle = `hsl(${hue} 100% ${light}%)`; context.fillRect(0, 0, width, height); }, 100);
      return canvas.captureStream(10).getVideoTracks()[0];
    };
    window.renegotiate = async (handle, params, more) => {
      const offer = await call(handle, 'createOffer', params);
      const { message, jsep } = await handle.ask({ request: 'configure', ...more }, offer, m => m.configured === 'ok');
      await call(handle, 'handleRemoteJsep', { jsep });
      return message.streams;
    };
    window.ufrag = handle => /a=ice-ufrag:(\S+)/.exec(handle.webrtcStuff.pc.currentLocalDescription.sdp)[1];
    const feeds = {};
    for (const [name, hue] of [['red', 0], ['blue', 240]]) {
      const handle = window[name] = await live.attach(session, name);
      if (name === 'red') await live.create(handle, ROOM, { publishers: 2, dummy_publisher: true });
      const { id, publishers } = await live.join(handle, ROOM, name);
      feeds.dummy ??= publishers.find(it => it.dummy)?.id;
      await live.publish(handle, { audio: true, video: paint(hue) });
      await handle.up;
      feeds[name] = id;
    }
    return feeds;
  }, { websocket, ROOM });
  check(dummy, 'the room has a dummy');

  await b.evaluate(async ({ websocket, ROOM, dummy }) => {
    const session = await live.connect(websocket);
    const call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    /** Offers that came unasked and are not answered yet; answered at once unless `held`. */
    window.offers = [];
    window.held = false;
    window.viewer = await live.attach(session, 'viewer', { onoffer: jsep => { offers.push(jsep); if (!held) settle(); } });
    window.take = async (jsep, request = { request: 'start' }, answers = m => m.started === 'ok') => {
      const answer = await call(viewer, 'createAnswer', { jsep, tracks: [{ type: 'audio', recv: true }, { type: 'video', recv: true }] });
      return (await viewer.ask(request, answer, answers)).message;
    };
    let settling = Promise.resolve();
    window.settle = () => settling = settling.then(async () => { while (offers.length) await take(offers.shift()); });
    window.ask = async (request, later) => {
      const answers = request.request === 'configure' ? m => m.configured === 'ok' : m => ['updated', 'updating'].includes(m.videoroom) || m.switched === 'ok';
      const { message, jsep } = await viewer.ask(request, undefined, answers);
      if (jsep && later) window.waiting = jsep;
      else if (jsep) await take(jsep);
      return message;
    };
    window.ufrags = () => ['currentLocalDescription', 'currentRemoteDescription'].map(it => /a=ice-ufrag:(\S+)/.exec(viewer.webrtcStuff.pc[it].sdp)[1]);
    window.inbound = async () => Object.fromEntries((await live.stats(viewer)).filter(it => it.type === 'inbound-rtp')
      .map(it => [it.mid, it.kind === 'video' ? it.framesDecoded : it.packetsReceived]));
    window.videos = {};
    window.colour = mid => {
      const track = viewer.webrtcStuff.pc.getTransceivers().find(it => it.mid === mid)?.receiver.track;
      const video = videos[mid] ??= document.body.appendChild(Object.assign(document.createElement('video'), { autoplay: true, muted: true }));
      if (track && video.srcObject?.getTracks()[0] !== track) { video.srcObject = new MediaStream([track]); video.play().catch(() => {}); }
      if (!video.videoWidth) return 'none';
      const [r, g, bl] = live.pixels(video).slice(4 * 64 * 20, 4 * 64 * 20 + 4);
      return r > 2 * bl && r > 2 * g ? 'red' : bl > 2 * r && bl > 2 * g ? 'blue' : g > 2 * r && g > 2 * bl ? 'green' : `${r},${g},${bl}`;
    };
    const join = { request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed: dummy }] };
    const { jsep } = await viewer.ask(join, undefined, m => m.videoroom === 'attached');
    await take(jsep);
    await viewer.up;
  }, { websocket, ROOM, dummy });

  const ask = (request, later) => b.evaluate(([request, later]) => ask(request, later), [request, later]);
  const inbound = () => b.evaluate(() => inbound());
  const seen = (mid, wanted, sentence) => until(10000, sentence, async () => (await b.evaluate(mid => colour(mid), mid)) === wanted);
  const flows = async (mids, sentence) => {
    const before = await inbound();
    await until(10000, sentence, async () => {
      const now = await inbound();
      return mids.every(mid => now[mid] >= (before[mid] ?? 0) + 8);
    });
  };
  /** Does something that must not interrupt these m-lines: while it lasts, none of them pauses for a second. */
  const unharmed = async (mids, sentence, body) => {
    let [busy, last, longest, since] = [true, await inbound(), 0, Date.now()];
    const watch = (async () => {
      const stamps = Object.fromEntries(mids.map(mid => [mid, since]));
      while (busy) {
        await sleep(100);
        const now = await inbound();
        for (const mid of mids) {
          if (now[mid] > last[mid]) stamps[mid] = Date.now();
          longest = Math.max(longest, Date.now() - stamps[mid]);
        }
        last = now;
      }
    })();
    const result = await body();
    await flows(mids, sentence);
    busy = false;
    await watch;
    check(longest < 2000, `${sentence}: it paused for ${longest} ms`);
    return result;
  };

  // From nothing to a picture without an offer.
  await sleep(300);
  check(Object.values(await inbound()).every(count => count === 0), 'a dummy sends nothing');
  check((await ask({ request: 'switch', streams: [{ feed: red, mid: '0', sub_mid: '0' }, { feed: red, mid: '1', sub_mid: '1' }] })).changes === 2, 'switched');
  await seen('1', 'red', 'red is seen where the dummy was');
  await flows(['0', '1'], 'red flows');

  // Another feed comes and goes and comes again.
  const both = await unharmed(['0', '1'], 'red plays on while blue comes', () => ask({ request: 'update', subscribe: [{ feed: blue }] }));
  check(both.streams.length === 4, JSON.stringify(both));
  await seen('3', 'blue', 'blue is seen');
  await unharmed(['0', '1'], 'red plays on while blue goes', () => ask({ request: 'update', unsubscribe: [{ feed: blue }] }));
  await unharmed(['0', '1'], 'and while it comes again', () => ask({ request: 'update', subscribe: [{ feed: blue }] }));
  await seen('3', 'blue', 'blue is seen again');

  // Updates and a restart that find an offer unanswered: one offer for all of them follows the answer, which rides on a pause.
  await unharmed(['0', '1', '3'], 'they play on through what piles up', async () => {
    const [mine, theirs] = await b.evaluate(() => ufrags());
    await ask({ request: 'update', subscribe: [{ feed: red, mid: '1' }] }, true);
    check((await ask({ request: 'update', subscribe: [{ feed: blue, mid: '1' }] })).videoroom === 'updating', 'updating');
    await b.evaluate(() => { held = true; viewer.send({ message: { request: 'configure', restart: true } }); });
    check((await ask({ request: 'update', unsubscribe: [{ sub_mid: '4' }] })).videoroom === 'updating', 'updating');
    check(await b.evaluate(() => offers.length) === 0, 'no offer before the answer');
    const paused = await b.evaluate(() => take(waiting, { request: 'configure', streams: [{ mid: '0', send: true }] }, m => m.configured === 'ok'));
    check(paused.configured === 'ok', JSON.stringify(paused));
    await until(5000, 'the offer behind it', () => b.evaluate(() => offers.length === 1));
    await b.evaluate(() => { held = false; return settle(); });
    const [mine2, theirs2] = await b.evaluate(() => ufrags());
    check(mine !== mine2 && theirs !== theirs2, 'ICE began again');
  });
  await seen('5', 'blue', 'blue is on the m-line that it was to have');

  // ICE begins again for a publisher, and for the viewer at the same time.
  await unharmed(['0', '1', '3'], 'both play on through restarts on both sides', async () => {
    const before = await a.evaluate(() => ufrag(red));
    await Promise.all([a.evaluate(() => renegotiate(red, { iceRestart: true, tracks: [] })), ask({ request: 'configure', restart: true })]);
    check(before !== await a.evaluate(() => ufrag(red)), 'ICE began again');
  });
  // Longer than a path lives that is not checked any more.
  await sleep(5000);
  await flows(['0', '1', '3'], 'they still play');

  // Another track without negotiation, of another size; the frames of the other feed go on.
  await unharmed(['0', '1', '3'], 'they play on while a track is replaced', () => a.evaluate(async () => {
    const sender = red.webrtcStuff.pc.getSenders().find(it => it.track?.kind === 'video');
    await sender.replaceTrack(paint(120, 640, 480));
  }));
  await seen('1', 'green', 'the new track is seen');
  check(await b.evaluate(() => videos['1'].videoWidth) === 640, 'in its own size');

  // A publisher's m-lines come and go.
  await unharmed(['0', '1', '3'], 'they play on while a publisher has more m-lines', async () => {
    const streams = await a.evaluate(() => renegotiate(blue, { tracks: [{ type: 'video', capture: paint(0), recv: false, add: true }] }));
    check(streams.length === 3 && streams[2].codec === 'vp8', JSON.stringify(streams));
    const { streams: lines } = await ask({ request: 'subscribe', streams: [{ feed: blue, mid: streams[2].mid }] });
    await seen(lines.find(it => it.feed_id === blue && it.feed_mid === streams[2].mid).mid, 'red', 'the new m-line is seen');
  });
  await unharmed(['0', '1'], 'red plays on while blue gives up its first video', async () => {
    const { mid } = await a.evaluate(async () => {
      const [first] = blue.webrtcStuff.pc.getTransceivers().filter(it => it.sender.track?.kind === 'video');
      await renegotiate(blue, { tracks: [{ type: 'video', mid: first.mid, remove: true }] });
      return { mid: first.mid };
    });
    await until(8000, 'the viewer is offered less', () => b.evaluate(mid => live.told.some(it => it.message?.videoroom === 'updated'
      && it.message.streams?.some(line => line.mid === '3' && !line.active)), mid));
  });
  await seen('1', 'green', 'what stays is seen');
  await flows(['0', '1', '2'], 'it flows at the end');
});
