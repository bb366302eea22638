// Every codec that Chromium sends: in a room of its own, for a viewer who comes later, and all of them in one PeerConnection.
import { browser, page, scenario, check, until, websocket } from './driver.mjs';

const PAIRS = [['vp8', 'opus'], ['vp9', 'pcmu'], ['h264', 'pcma'], ['av1', 'g722']];
const MIXED = 7100;

const decoded = viewer => viewer.evaluate(() => live.lines(subscriber));
const plays = line => (line.kind === 'video' ? line.frames >= 20 : line.energy > 0 && line.samples > 24000);

/** Waits until every m-line of the viewer plays in the codec that its feed has. */
async function plays_in(viewer, codecs) {
  const lines = await until(30000, `${codecs} all play`, async () => {
    const lines = await decoded(viewer);
    return lines.length === codecs.length && lines.every(plays) && lines;
  }).catch(async error => { console.log(JSON.stringify(await decoded(viewer))); throw error; });
  check(String(lines.map(line => line.codec)) === String(codecs), `the codecs are ${lines.map(line => line.codec)} and not ${codecs}`);
  return lines;
}

await scenario(async () => {
  const host = await browser();
  const [sender, viewer] = [await page(host, 'sender'), await page(host, 'viewer')];
  await sender.evaluate(async websocket => {
    window.session = await live.connect(websocket);
    window.media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 10 } });
    window.sends = async (room, display, more) => {
      const handle = await live.attach(session, display);
      const { id } = await live.join(handle, room, display);
      const [audio, video] = [media.getAudioTracks()[0].clone(), media.getVideoTracks()[0].clone()];
      const configured = await live.publish(handle, { audio, video }, more);
      await handle.up;
      return { id, configured, leave: () => handle.detach() };
    };
  }, websocket);
  await viewer.evaluate(async websocket => {
    window.session = await live.connect(websocket);
    window.receives = async (name, room, feeds) => {
      window.subscriber = await live.subscribe(session, name, room, feeds);
      live.listen(subscriber);
    };
  }, websocket);

  for (const [index, [video, audio]] of PAIRS.entries()) {
    const room = MIXED + 1 + index;
    const { id, configured } = await sender.evaluate(async ({ room, video, audio }) => {
      await live.create(await live.attach(session, 'creator'), room, { videocodec: video, audiocodec: audio });
      window.sent = await sends(room, video, {});
      return sent;
    }, { room, video, audio });
    check(configured.video_codec === video && configured.audio_codec === audio,
      `the room of ${video} and ${audio} has ${configured.video_codec} and ${configured.audio_codec}`);
    await viewer.evaluate(({ room, id }) => receives('subscriber', room, [id]), { room, id });
    await plays_in(viewer, [audio, video]);

    // Whoever comes while the call goes on needs a keyframe, and gets one.
    await viewer.evaluate(async ({ room, id }) => {
      subscriber.detach();
      await receives('latecomer', room, [id]);
    }, { room, id });
    const lines = await plays_in(viewer, [audio, video]);
    const delay = await viewer.evaluate(() => subscriber.firstFrame - subscriber.startSent);
    console.log(`${video} and ${audio}: ${JSON.stringify(lines)}, the latecomer's first frame after ${delay} ms`);
    check(delay < 3000, `the first frame of ${video} came ${delay} ms after start`);
    await viewer.evaluate(() => { subscriber.detach(); });
    await sender.evaluate(() => { sent.leave(); });
  }

  // One room of all: each sender names what it wants, and no payload type means two things.
  const feeds = await sender.evaluate(async ({ MIXED, PAIRS }) => {
    const codecs = { videocodec: PAIRS.map(([video]) => video).join(), audiocodec: PAIRS.map(([, audio]) => audio).join() };
    await live.create(await live.attach(session, 'creator'), MIXED, { publishers: 4, ...codecs });
    const feeds = [];
    for (const [videocodec, audiocodec] of PAIRS) feeds.push((await sends(MIXED, videocodec, { videocodec, audiocodec })).id);
    return feeds;
  }, { MIXED, PAIRS });
  await viewer.evaluate(({ MIXED, feeds }) => receives('all', MIXED, feeds), { MIXED, feeds });
  const lines = await plays_in(viewer, PAIRS.flatMap(([video, audio]) => [audio, video]));
  check(new Set(lines.map(line => line.pt)).size === lines.length, `the payload types are ${lines.map(line => line.pt)}`);
});
