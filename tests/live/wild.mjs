// minijanus and typed_janus_js, unchanged, each in a page: both publish, and each plays what the other publishes.
import { browser, page, scenario, check, until, websocket } from './driver.mjs';

const ROOM = 1234;

/** minijanus leaves peer connections to who uses it. Gives the page `publish` and `play`. */
const mini = page => page.evaluate(async ({ websocket, ROOM }) => {
  const socket = new WebSocket(websocket, 'janus-protocol');
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });
  const session = new Minijanus.JanusSession(socket.send.bind(socket), { timeoutMs: 10000 });
  session.isError = signal => signal.janus === 'error' || signal.plugindata?.data.error_code;
  socket.onmessage = event => session.receive(JSON.parse(event.data));
  await session.create();
  const data = signal => signal.plugindata.data;

  async function attached() {
    const handle = new Minijanus.JanusPluginHandle(session);
    await handle.attach('janus.plugin.videoroom');
    const pc = new RTCPeerConnection();
    pc.onicecandidate = event => handle.sendTrickle(event.candidate ?? null);
    const up = new Promise(done => handle.on('webrtcup', done));
    return { handle, pc, up };
  }

  window.publish = async () => {
    const { handle, pc, up } = await attached();
    const joined = data(await handle.sendMessage({ request: 'join', ptype: 'publisher', room: ROOM, display: 'minijanus' }));
    handle.on('event', signal => { if (data(signal).unpublished) window.gone = data(signal).unpublished; });
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    for (const track of stream.getTracks()) pc.addTrack(track, stream);
    await pc.setLocalDescription();
    // What minijanus calls sendJsep has no request in it, as for its own plugin.
    const configured = await handle.send('message', { body: { request: 'publish' }, jsep: pc.localDescription });
    await pc.setRemoteDescription(configured.jsep);
    await up;
    window.leave = () => handle.sendMessage({ request: 'unpublish' }).then(data);
    return joined.id;
  };
  window.play = async feed => {
    const { handle, pc, up } = await attached();
    window.playing = pc;
    const offered = await handle.sendMessage({ request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed }] });
    await pc.setRemoteDescription(offered.jsep);
    await pc.setLocalDescription();
    await handle.send('message', { body: { request: 'start' }, jsep: pc.localDescription });
    await up;
  };
  window.end = () => session.destroy();
}, { websocket, ROOM });

/** typed_janus_js is a janus.js of its own behind promises. */
const typed = page => page.evaluate(async ({ websocket, ROOM }) => {
  const janus = new JanusJs.JanusJs({ server: websocket, iceServers: [] });
  await janus.init({ debug: ['error'] });
  const session = await janus.createSession();
  // Its replies to asynchronous requests come as messages.
  const next = (handle, answers) => new Promise(done => {
    const subscription = handle.onMessage.subscribe(told => {
      if (told?.message && answers(told.message)) { subscription.unsubscribe(); done(told); }
    });
  });
  const isUp = handle => new Promise(done => handle.onWebRTCState.subscribe(on => { if (on) done(); }));

  window.info = () => session.getInfo();
  window.publish = async () => {
    const handle = await session.attach(JanusJs.JanusVideoRoomPlugin, {});
    const [up, joining] = [isUp(handle), next(handle, message => message.videoroom === 'joined')];
    handle.onMessage.subscribe(told => { if (told?.message?.unpublished) window.gone = told.message.unpublished; });
    await handle.joinRoomAsPublisher(ROOM, { display: 'typed' });
    const joined = (await joining).message;
    const configuring = next(handle, message => message.configured === 'ok');
    const offer = await handle.createOffer({ tracks: [{ type: 'audio', capture: true, recv: false }, { type: 'video', capture: true, recv: false }] });
    await handle.publishAsPublisher(offer, { bitrate: 500000 });
    await handle.handleRemoteJsep({ jsep: (await configuring).jsep });
    await up;
    window.participants = () => handle.listParticipants(ROOM);
    window.leave = async () => {
      const leaving = next(handle, message => message.unpublished === 'ok');
      await handle.unpublishAsPublisher();
      return (await leaving).message;
    };
    return joined.id;
  };
  window.play = async feed => {
    const handle = await session.attach(JanusJs.JanusVideoRoomPlugin, {});
    const [up, attaching] = [isUp(handle), next(handle, message => message.videoroom === 'attached')];
    await handle.joinRoomAsSubscriber(ROOM, { streams: [{ feed }] });
    const answer = await handle.createAnswer({ jsep: (await attaching).jsep, tracks: [{ type: 'data' }] });
    await handle.startAsSubscriber(answer);
    await up;
    window.playing = handle.webrtcStuff.pc;
  };
  window.end = () => session.destroy({});
}, { websocket, ROOM });

const played = page => page.evaluate(async () => {
  const stats = [...(await playing.getStats()).values()].filter(stat => stat.type === 'inbound-rtp');
  const of = kind => stats.find(stat => stat.kind === kind) ?? {};
  return { frames: of('video').framesDecoded ?? 0, packets: of('audio').packetsReceived ?? 0 };
});

await scenario(async () => {
  const host = await browser();
  const [one, other] = [await page(host, 'minijanus'), await page(host, 'typed_janus_js')];
  await one.addScriptTag({ url: '/minijanus.js' });
  await other.addScriptTag({ url: '/typed_janus.js' });
  await mini(one);
  await typed(other);
  const info = await other.evaluate(() => info());
  check(info.janus === 'server_info' && info.plugins['janus.plugin.videoroom'], `the server is ${JSON.stringify(info)}`);
  const feeds = [await one.evaluate(() => publish()), await other.evaluate(() => publish())];
  const { participants } = await other.evaluate(() => participants());
  check(String(participants.map(one => one.id).sort()) === String([...feeds].sort()), `the room has ${JSON.stringify(participants)}`);
  await one.evaluate(feed => play(feed), feeds[1]);
  await other.evaluate(feed => play(feed), feeds[0]);
  for (const [page, name] of [[one, 'minijanus'], [other, 'typed_janus_js']]) {
    await until(15000, `${name} plays what the other publishes`, async () => { const { frames, packets } = await played(page); return frames >= 20 && packets >= 50; });
    console.log(name, JSON.stringify(await played(page)));
  }
  for (const [leaver, left, feed] of [[one, other, feeds[0]], [other, one, feeds[1]]]) {
    check((await leaver.evaluate(() => leave())).unpublished === 'ok', 'unpublish is not answered');
    await until(5000, 'the other is told', () => left.evaluate(() => window.gone).then(gone => gone === feed));
  }
  await one.evaluate(() => end());
  await other.evaluate(() => end());
});
