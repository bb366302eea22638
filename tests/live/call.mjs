// A publishes camera and microphone with janus.js, B receives them; then A's PeerConnection is closed. Option: the SRTP profile expected.
import { browser, page, scenario, check, until, heard, sleep, websocket, options } from './driver.mjs';

const ROOM = 1234;
const [profile] = options;

await scenario(async () => {
  const [a, b] = await Promise.all([browser().then(it => page(it, 'A')), browser().then(it => page(it, 'B'))]);

  const feed = await a.evaluate(async ({ websocket, ROOM }) => {
    const session = await live.connect(websocket);
    const handle = window.publisher = await live.attach(session, 'publisher');
    const { id } = await live.join(handle, ROOM, 'A');
    const configured = await live.publish(handle, {
      audio: true, video: { width: { exact: 640 }, height: { exact: 480 }, frameRate: { ideal: 30 } } });
    await handle.up;
    return { id, configured };
  }, { websocket, ROOM });
  check(feed.configured.video_codec === 'vp8', `the video codec is ${feed.configured.video_codec}`);
  check(feed.configured.audio_codec === 'opus', `the audio codec is ${feed.configured.audio_codec}`);
  await heard(a, 5000, 'the publisher is told that its video arrives', entry => entry.medium === 'video' && entry.receiving);
  await heard(a, 5000, 'the publisher is told that its audio arrives', entry => entry.medium === 'audio' && entry.receiving);

  const roster = await b.evaluate(async ({ websocket, ROOM }) => {
    window.session = await live.connect(websocket);
    window.member = await live.attach(session, 'member');
    return live.join(member, ROOM, 'B');
  }, { websocket, ROOM });
  const seen = roster.publishers.find(publisher => publisher.id === feed.id);
  check(seen?.display === 'A', `B does not find A among the publishers: ${JSON.stringify(roster.publishers)}`);

  await b.evaluate(async ({ ROOM, feed }) => {
    window.subscriber = await live.subscribe(session, 'subscriber', ROOM, [feed], { private_id: undefined });
  }, { ROOM, feed: feed.id });
  await until(5000, 'B sees a first frame', () => b.evaluate(() => subscriber.firstFrame));
  const delay = await b.evaluate(() => subscriber.firstFrame - subscriber.startSent);
  console.log(`first frame ${delay} ms after start`);
  check(delay <= 1000, `the first frame came ${delay} ms after start`);

  const inbound = () => b.evaluate(async () => {
    const stats = await live.stats(subscriber);
    const pick = kind => stats.find(stat => stat.type === 'inbound-rtp' && stat.kind === kind) ?? {};
    return { frames: pick('video').framesDecoded, width: pick('video').frameWidth, height: pick('video').frameHeight,
      audio: pick('audio').packetsReceived, cipher: stats.find(stat => stat.type === 'transport')?.srtpCipher,
      dtls: stats.find(stat => stat.type === 'transport')?.dtlsCipher };
  });
  const before = await inbound();
  await sleep(2000);
  const after = await inbound();
  console.log(JSON.stringify({ before, after }));
  check(after.frames >= before.frames + 20, `frames decoded went from ${before.frames} to ${after.frames} in 2 s`);
  check(after.audio >= before.audio + 60, `audio packets went from ${before.audio} to ${after.audio} in 2 s`);
  check(after.cipher === profile, `the SRTP profile is ${after.cipher} and not ${profile}`);
  await until(10000, 'the picture is 640x480', async () => { const { width, height } = await inbound(); return width === 640 && height === 480; });

  const pixels = () => b.evaluate(() => live.pixels(Object.values(subscriber.videos)[0]));
  const [first, second] = [await pixels(), (await sleep(700), await pixels())];
  check(first.some((value, at) => at % 4 !== 3 && value > 40), 'the picture is black');
  check(first.some((value, at) => value !== second[at]), 'the picture does not move');

  const closed = await a.evaluate(() => { const now = Date.now(); publisher.webrtcStuff.pc.close(); return now; });
  const gone = await heard(b, 3000, 'B hears that A has unpublished', (entry, id) => entry.handle === 'member' && entry.message?.unpublished === id, feed.id);
  console.log(`unpublished ${gone.at - closed} ms after pc.close()`);
  check(gone.at - closed <= 1000, `unpublished came ${gone.at - closed} ms after pc.close()`);
  await heard(a, 1000, 'A hears its own hangup', entry => entry.handle === 'publisher' && entry.webrtc === false);
});
