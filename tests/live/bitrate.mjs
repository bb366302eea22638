// A camera that can fill its bitrate: free rooms let it ramp up, a capped room holds it down.
import { browser, page, scenario, check, sleep, until, websocket, scratch } from './driver.mjs';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [WIDTH, HEIGHT, FRAMES] = [1280, 720, 30];
const FREE = 6001;
const CAPPED = 6002;
const CAP = 300_000;

/** One second of a panning texture with noise on it, as YUV4MPEG2: the browser plays it round and round. */
function noisyClip() {
  const path = join(scratch, 'noisy.y4m');
  const file = openSync(path, 'w');
  let seed = 0x2545f491;
  const random = () => { seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5; return seed >>> 0; };
  const texture = Uint8Array.from({ length: 512 * 256 }, () => 48 + random() % 160);
  const noise = Uint8Array.from({ length: 1 << 16 }, () => random() % 24);
  writeSync(file, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F30:1 Ip A1:1 C420jpeg\n`);
  const frame = Buffer.alloc(WIDTH * HEIGHT * 3 / 2, 128);
  for (let n = 0; n < FRAMES; n++) {
    let grain = random() % noise.length;
    for (let y = 0, at = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        frame[at++] = texture[(y >> 2) % 256 * 512 + ((x + n * 8) >> 2) % 512] + noise[grain++ & 0xffff];
      }
    }
    writeSync(file, 'FRAME\n');
    writeSync(file, frame);
  }
  closeSync(file);
  return path;
}

await scenario(async () => {
  const clip = noisyClip();
  const people = await Promise.all([FREE, CAPPED].map(async room => page(await browser({ clip }), `room ${room}`)));

  const run = async (person, room, bitrate, judge) => {
    await person.evaluate(async ({ websocket, room, bitrate }) => {
      const session = await live.connect(websocket);
      window.publisher = await live.attach(session, 'publisher');
      await live.create(publisher, room, { bitrate });
      const { id } = await live.join(publisher, room, 'sender');
      await live.publish(publisher, { video: { width: { exact: 1280 }, height: { exact: 720 }, frameRate: { ideal: 30 } } });
      // The browser would rather shrink a picture than fill its bitrate, and a small one cannot: not what is asked here.
      const [sender] = publisher.webrtcStuff.pc.getSenders().filter(sender => sender.track);
      await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-resolution' });
      await publisher.up;
      window.subscriber = await live.subscribe(session, 'subscriber', room, [id]);
    }, { websocket, room, bitrate });
    const sent = async () => {
      const stats = await person.evaluate(() => live.stats(publisher));
      const video = stats.filter(stat => stat.type === 'outbound-rtp' && stat.kind === 'video');
      return { bytes: video.reduce((sum, stat) => sum + stat.bytesSent + stat.headerBytesSent, 0), at: video[0].timestamp };
    };
    const begin = Date.now();
    let last = await sent();
    const rate = async ms => {
      await sleep(ms);
      const now = await sent();
      const kbit = (now.bytes - last.bytes) * 8 / (now.at - last.at);
      last = now;
      return kbit;
    };
    await judge(rate, () => Date.now() - begin);
    await person.evaluate(() => publisher.webrtcStuff.pc.close());
  };

  // One after the other: two encoders of this size would compete for the processors.
  await run(people[0], FREE, 0, async (rate, elapsed) => {
    await until(10_000 - elapsed(), 'the sender ramps past 1.5 Mbit/s', async () => {
      const kbit = await rate(1000);
      console.log(`free: ${Math.round(kbit)} kbit/s after ${elapsed()} ms`);
      return kbit > 1500;
    });
  });
  await run(people[1], CAPPED, CAP, async (rate, elapsed) => {
    await rate(10_000 - elapsed());
    const kbit = await rate(4000);
    console.log(`capped: ${Math.round(kbit)} kbit/s`);
    check(kbit <= CAP / 1000 * 1.15, `a cap of ${CAP / 1000} kbit/s lets ${Math.round(kbit)} pass`);
    check(kbit >= CAP / 1000 * 0.4, `only ${Math.round(kbit)} kbit/s are sent under the cap`);
  });
});
