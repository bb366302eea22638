// Descriptions that grow. A camera is switched off and on by removeTrack and addTrack, each time on an m-line of its own, and
// is seen after the 26th and the 60th time; then the most m-lines that there may be, offered and answered by either side.
import { browser, page, scenario, check, websocket } from './driver.mjs';

const [ROOM, TOGGLES, LINES] = [4413, 60, 256];

await scenario(async () => {
  const a = await browser().then(it => page(it, 'A'));
  await a.evaluate(async ({ websocket, ROOM }) => {
    window.session = await live.connect(websocket);
    window.call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));
    window.paint = () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
      const context = canvas.getContext('2d');
      const timer = setInterval(() => { context.fillStyle = `hsl(${Date.now() % 360} 100% 50%)`; context.fillRect(0, 0, 160, 120); }, 100);
      const track = canvas.captureStream(10).getVideoTracks()[0];
      return { track, stop() { clearInterval(timer); track.stop(); } };
    };
    window.person = await live.attach(session, 'person');
    await live.create(person, ROOM, { publishers: 4 });
    window.me = (await live.join(person, ROOM, 'person')).id;
    window.camera = paint();
    await live.publish(person, { video: camera.track });
    await person.up;
    window.toggle = async () => {
      const pc = person.webrtcStuff.pc;
      pc.removeTrack(pc.getSenders().find(it => it.track === camera.track));
      camera.stop();
      camera = paint();
      pc.addTrack(camera.track, new MediaStream([camera.track]));
      await pc.setLocalDescription(await pc.createOffer());
      const { type, sdp } = pc.localDescription;
      const { message, jsep } = await person.ask({ request: 'configure' }, { type, sdp }, m => m.configured === 'ok');
      await pc.setRemoteDescription(jsep);
      return { bytes: sdp.length, lines: message.streams.length, on: message.streams.filter(it => !it.disabled).map(it => it.mindex) };
    };
    /** Somebody new sees the camera. */
    window.look = async () => {
      const viewer = await live.subscribe(session, 'viewer', ROOM, [me]);
      const [video] = await new Promise(done => { const poll = setInterval(() => {
        const videos = Object.values(viewer.videos);
        if (videos.some(it => it.videoWidth)) { clearInterval(poll); done(videos); } }, 50); });
      const moves = await live.moves(video);
      await new Promise(success => viewer.detach({ success }));
      return moves;
    };
  }, { websocket, ROOM });

  for (let count = 1; count <= TOGGLES; count++) {
    const { bytes, lines, on } = await a.evaluate(() => toggle());
    check(lines === count + 1 && on.length === 1 && on[0] === count, `toggle ${count}: ${lines} m-lines, ${on} on`);
    if (count !== 26 && count !== TOGGLES) continue;
    console.log(`toggle ${count}: ${lines} m-lines in ${bytes} bytes`);
    check(await a.evaluate(() => look()), `the camera is seen after toggle ${count}`);
  }

  const most = await a.evaluate(async ({ ROOM, LINES }) => {
    const connected = pc => new Promise((done, fail) => {
      const look = () => pc.connectionState === 'connected' ? done() : pc.connectionState === 'failed' && fail(new Error('failed'));
      pc.onconnectionstatechange = look;
      look();
    });
    const crowd = await live.attach(session, 'crowd');
    const { id } = await live.join(crowd, ROOM, 'crowd');
    const sender = new RTCPeerConnection();
    for (let line = 0; line < LINES; line++) sender.addTransceiver('video', { direction: 'sendonly' });
    await sender.setLocalDescription(await sender.createOffer());
    const offer = { type: 'offer', sdp: sender.localDescription.sdp };
    const published = await crowd.ask({ request: 'publish' }, offer, m => m.configured === 'ok');
    await sender.setRemoteDescription(published.jsep);
    await connected(sender);

    const viewer = await live.attach(session, 'viewer of all');
    const join = { request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed: id }] };
    const attached = await viewer.ask(join, undefined, m => m.videoroom === 'attached');
    const receiver = new RTCPeerConnection();
    await receiver.setRemoteDescription(attached.jsep);
    await receiver.setLocalDescription(await receiver.createAnswer());
    const answer = { type: 'answer', sdp: receiver.localDescription.sdp };
    await viewer.ask({ request: 'start' }, answer, m => m.started === 'ok');
    await connected(receiver);
    const lines = text => text.match(/^m=video 9 /gm)?.length;
    return {
      bytes: [offer.sdp, published.jsep.sdp, attached.jsep.sdp, answer.sdp].map(it => it.length),
      lines: [offer.sdp, published.jsep.sdp, attached.jsep.sdp, answer.sdp].map(lines),
    };
  }, { ROOM, LINES });
  console.log(`offer, answer, offer, answer of ${LINES} m-lines: ${most.bytes} bytes`);
  check(most.lines.every(count => count === LINES), `m-lines that are used: ${most.lines}`);
}, 180_000);
