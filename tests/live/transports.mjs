// Chromium to Chromium by janus.js in every video codec with Opus, over WebSocket and over HTTP with long polls; with TLS
// where the server speaks it.
import { browser, page, scenario, check, until, server, websocket, sleep } from './driver.mjs';

const CODECS = ['vp8', 'vp9', 'h264', 'av1'];
const ROOMS = 7300;

await scenario(async () => {
  const host = await browser();
  const [sender, viewer] = await Promise.all(['sender', 'viewer'].map(name => page(host, name)));
  for (const [index, way] of [websocket, `${server}/janus`].entries()) {
    const rooms = CODECS.map((codec, at) => ({ codec, room: ROOMS + 10 * index + at }));

    const feeds = await sender.evaluate(async ({ way, rooms }) => {
      window.session = await live.connect(way);
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 10 } });
      return Promise.all(rooms.map(async ({ codec, room }) => {
        const handle = await live.attach(session, codec);
        await live.create(handle, room, { videocodec: codec, audiocodec: 'opus' });
        const { id } = await live.join(handle, room, codec);
        await live.publish(handle, { audio: media.getAudioTracks()[0].clone(), video: media.getVideoTracks()[0].clone() });
        await handle.up;
        return id;
      }));
    }, { way, rooms });
    await viewer.evaluate(async ({ way, rooms, feeds }) => {
      window.session = await live.connect(way);
      window.subscribers = await Promise.all(rooms.map(({ codec, room }, at) => live.subscribe(session, codec, room, [feeds[at]])));
      subscribers.forEach(live.listen);
    }, { way, rooms, feeds });

    const received = () => viewer.evaluate(() => Promise.all(subscribers.map(live.lines)));
    const before = await until(20000, `all codecs play over ${way}`, async () => {
      const calls = await received();
      return calls.every(lines => lines.length === 2 && lines[0].energy > 0 && lines[1].frames > 0) && calls;
    });
    const [moves] = await Promise.all([
      viewer.evaluate(() => Promise.all(subscribers.map(({ videos }) => live.moves(Object.values(videos)[0])))), sleep(2000)]);
    const after = await received();
    for (const [at, { codec }] of rooms.entries()) {
      const [audio, video] = after[at];
      console.log(`${way}: ${JSON.stringify([audio, video])}`);
      check(`${audio.codec},${video.codec}` === `opus,${codec}`, `the call in ${codec} has ${audio.codec} and ${video.codec}`);
      check(video.frames >= before[at][1].frames + 10, `the frames of ${codec} go from ${before[at][1].frames} to ${video.frames} in 2 s`);
      check(audio.packets >= before[at][0].packets + 60, `the audio of ${codec} goes from ${before[at][0].packets} packets to ${audio.packets} in 2 s`);
      check(audio.energy > before[at][0].energy, `the audio beside ${codec} is silent`);
      check(moves[at], `the picture in ${codec} does not move`);
    }
    // The events came by the way that is meant.
    const polls = await viewer.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('maxev=')).length);
    check((polls > 0) === way.startsWith('http'), `${polls} long polls were used over ${way}`);
    for (const who of [sender, viewer]) await who.evaluate(() => live.destroy(session));
  }
});
