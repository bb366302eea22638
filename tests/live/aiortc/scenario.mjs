// aiortc, which is not a browser, and Chromium: each publishes what the other subscribes to, in VP8 and in H.264.
import { browser, page, scenario, check, until, heard, health, sleep, websocket } from '../driver.mjs';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

const ROOM = 7300;
const python = fileURLToPath(new URL('../../../target/aiortc/bin/python', import.meta.url));
const started = [];

/** A client.py in a role: report() is what it says next, left() its end. */
function aiortc(...role) {
  const child = spawn(python, [fileURLToPath(new URL('client.py', import.meta.url)), websocket, ...role], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  let [said, code] = ['', null];
  child.stdout.setEncoding('utf8').on('data', text => { said += text; });
  child.on('close', (status, signal) => { code = status ?? signal; });
  return {
    async report() {
      const line = await until(30000, `aiortc reports as it is to ${role[0]}`, () => {
        const end = said.indexOf('\n') + 1;
        check(end || code === null, `aiortc was to ${role[0]} and ended with ${code}`);
        return said.slice(0, end);
      });
      said = said.slice(line.length);
      console.log(`aiortc: ${line.trim()}`);
      return JSON.parse(line);
    },
    finish: () => child.stdin.end(),
    async left() {
      await until(10000, 'aiortc has left', () => code !== null);
      check(code === 0, `aiortc was to ${role[0]} and ended with ${code}`);
    },
  };
}

const gauges = async () => {
  const { signalling, shards } = await health();
  return { signalling: signalling.gauges, shards: shards.map(shard => shard.gauges) };
};

/** What Chromium has received so far. */
const inbound = viewer => viewer.evaluate(async () => {
  const stats = await live.stats(subscriber);
  const of = kind => stats.find(stat => stat.type === 'inbound-rtp' && stat.kind === kind) ?? {};
  const [video, audio] = [of('video'), of('audio')];
  return { frames: video.framesDecoded, width: video.frameWidth, height: video.frameHeight, lost: video.packetsLost, plis: video.pliCount,
    packets: audio.packetsReceived, energy: audio.totalAudioEnergy };
});

/** Chromium subscribes to what aiortc publishes. */
async function seen_by_chromium(chromium, room, codec) {
  const publisher = aiortc('publish', room);
  const { feed, codecs } = await publisher.report();
  check(String(codecs) === `opus,${codec}`, `the codecs are ${codecs}`);
  await chromium.evaluate(async ({ room, feed }) => {
    window.subscriber = await live.subscribe(session, 'subscriber', room, [feed]);
    for (const { track } of subscriber.webrtcStuff.pc.getReceivers()) {
      if (track.kind === 'audio') Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream([track]) });
    }
  }, { room, feed });
  await until(10000, 'Chromium decodes and hears', async () => { const { frames, energy } = await inbound(chromium); return frames > 0 && energy > 0; });
  const before = await inbound(chromium);
  await sleep(2000);
  const after = await inbound(chromium);
  console.log(`Chromium in ${codec}: ${JSON.stringify({ before, after })}`);
  check(after.frames >= before.frames + 40, `frames decoded went from ${before.frames} to ${after.frames} in 2 s`);
  check(after.packets >= before.packets + 80, `audio packets went from ${before.packets} to ${after.packets} in 2 s`);
  check(after.energy > before.energy, 'the tone is not heard');
  check(after.width === 320 && after.height === 240, `the picture is ${after.width}x${after.height}`);
  const pixels = () => chromium.evaluate(() => live.pixels(Object.values(subscriber.videos)[0]));
  const [first, second] = [await pixels(), (await sleep(500), await pixels())];
  check(first.some((value, at) => at % 4 !== 3 && value > 40), 'the picture is black');
  // A mean over all colours: what an encoder does to a still picture is less than one.
  const change = first.reduce((sum, value, at) => sum + Math.abs(value - second[at]), 0) / (first.length * 3 / 4);
  check(change > 10, `the picture does not move: ${change}`);

  publisher.finish();
  const reported = await publisher.report();
  check(['audio', 'video'].every(kind => reported[kind]?.received > 0), 'aiortc has no receiver reports');
  await publisher.left();
  await heard(chromium, 3000, 'Chromium hears that aiortc has gone', (entry, feed) => entry.handle === 'member' && entry.message?.leaving === feed, feed);
  await chromium.evaluate(() => subscriber.detach());
}

/** aiortc subscribes to what Chromium publishes. */
async function seen_by_aiortc(chromium, room, feed, codec) {
  const configured = await chromium.evaluate(async () => {
    const configured = await live.publish(member, { audio: true, video: { width: { exact: 640 }, height: { exact: 480 }, frameRate: { ideal: 30 } } });
    await member.up;
    return configured;
  });
  check(configured.audio_codec === 'opus' && configured.video_codec === codec, `the codecs are ${configured.audio_codec} and ${configured.video_codec}`);
  const subscriber = aiortc('subscribe', room, feed);
  const { kinds, sizes, moved, audio, loudest } = await subscriber.report();
  check(String(kinds) === 'audio,video', `aiortc has ${kinds}`);
  check(sizes['640x480'] >= 40, `aiortc has decoded ${JSON.stringify(sizes)}`);
  check(moved >= 30, `the picture moved ${moved} times only`);
  check(audio >= 50 && loudest >= 500, `${audio} frames of audio with a peak of ${loudest}`);
  await subscriber.left();
}

await scenario(async () => {
  check(existsSync(python), `there is no ${python}: tests/run installs aiortc there`);
  process.on('exit', () => { for (const child of started) child.kill('SIGKILL'); });
  const chromium = await page(await browser(), 'Chromium');
  const before = await gauges();
  for (const [index, codec] of ['vp8', 'h264'].entries()) {
    const room = ROOM + index;
    const feed = await chromium.evaluate(async ({ websocket, room, codec }) => {
      window.session = await live.connect(websocket);
      window.member = await live.attach(session, 'member');
      await live.create(member, room, { videocodec: codec });
      return (await live.join(member, room, 'Chromium')).id;
    }, { websocket, room, codec });
    await seen_by_chromium(chromium, room, codec);
    await seen_by_aiortc(chromium, room, feed, codec);
    await chromium.evaluate(async room => {
      await member.ask({ request: 'destroy', room }, undefined, message => message.videoroom === 'destroyed');
      await live.destroy(session);
    }, room);
  }
  let after;
  await until(5000, 'nothing of them stays', async () => isDeepStrictEqual(after = await gauges(), before))
    .catch(error => { throw new Error(`${error.message}\nbefore ${JSON.stringify(before)}\nafter  ${JSON.stringify(after)}`); });
  console.log(`gauges: ${JSON.stringify(after)}`);
});
