// Records what Chromium sends in a call, for the load generator to send again: who, when, audio or video, how long, last of
// its frame. Three publishers send noise at three resolutions, and a tone each.
//   node perf/trace/record.mjs SERVER PID FILE     (tcpdump sees the datagrams; SERVER as http://127.0.0.1:8188)
import { browser, page, scenario, sleep, websocket, scratch, options, check } from '../../tests/live/driver.mjs';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const ROOM = 7001;
const SIZES = [[320, 180], [640, 360], [1280, 720]];
const RAMP_MS = 15_000;
const RECORD_MS = 10_000;

/** One second of a picture that no codec can guess, as YUV4MPEG2. */
function noisyClip([width, height]) {
  const path = join(scratch, 'trace.y4m');
  const file = openSync(path, 'w');
  let seed = 0x2545f491;
  const random = () => { seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5; return seed >>> 0; };
  const texture = Uint8Array.from({ length: 512 * 256 }, () => 48 + random() % 160);
  const grains = Uint8Array.from({ length: 1 << 16 }, () => random() % 12);
  writeSync(file, `YUV4MPEG2 W${width} H${height} F30:1 Ip A1:1 C420jpeg\n`);
  const frame = Buffer.alloc(width * height * 3 / 2, 128);
  for (let n = 0; n < 30; n++) {
    let grain = random() % grains.length;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        frame[at++] = texture[(y >> 2) % 256 * 512 + ((x + n * 8) >> 2) % 512] + grains[grain++ & 0xffff];
      }
    }
    writeSync(file, 'FRAME\n');
    writeSync(file, frame);
  }
  closeSync(file);
  return path;
}

/** The UDP datagrams of a capture on loopback (pcap, little-endian, microseconds, Ethernet, IPv4). */
function* datagrams(capture) {
  for (let at = 24; at + 16 <= capture.length;) {
    const [seconds, micros, len] = [0, 4, 8].map(offset => capture.readUInt32LE(at + offset));
    const packet = capture.subarray(at + 16, at + 16 + len);
    at += 16 + len;
    if (packet.readUInt16BE(12) !== 0x0800 || packet[23] !== 17) continue;
    const udp = packet.subarray(14 + (packet[14] & 15) * 4);
    // What the header says: the capture keeps only the beginning.
    yield { micros: seconds * 1e6 + micros, len: udp.readUInt16BE(4) - 8, bytes: udp.subarray(8) };
  }
}

await scenario(async () => {
  const [file] = options;
  const clip = noisyClip(SIZES.at(-1));
  const host = await browser({ clip, fps: 30 });
  const ports = [];
  const sources = [];
  for (const [at, [width, height]] of SIZES.entries()) {
    const person = await page(host, `${width}x${height}`);
    sources.push(await person.evaluate(async ({ websocket, room, first, width, height }) => {
      const session = await live.connect(websocket);
      window.publisher = await live.attach(session, 'publisher');
      if (first) await live.create(publisher, room, { bitrate: 0, publishers: 9 });
      await live.join(publisher, room, `${width}x${height}`);
      await live.publish(publisher, { audio: true, video: { width: { exact: width }, height: { exact: height }, frameRate: { ideal: 30 } } });
      const [sender] = publisher.webrtcStuff.pc.getSenders().filter(sender => sender.track?.kind === 'video');
      await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-resolution' });
      await publisher.up;
      const all = await live.stats(publisher);
      const remote = all.find(stat => stat.type === 'remote-candidate');
      return { port: remote.port, ssrcs: Object.fromEntries(all.filter(stat => stat.type === 'outbound-rtp').map(stat => [stat.ssrc, stat.kind[0]])) };
    }, { websocket, room: ROOM, first: at === 0, width, height }));
    ports.push(sources.at(-1).port);
  }
  await sleep(RAMP_MS);
  const pcap = join(scratch, 'trace.pcap');
  const filter = ports.map(port => `udp dst port ${port}`).join(' or ');
  const capture = spawn('tcpdump', ['-i', 'lo', '-n', '-s', '64', '-w', pcap, filter], { stdio: 'ignore' });
  await sleep(RECORD_MS);
  capture.kill('SIGINT');
  await new Promise(done => capture.once('exit', done));

  const lines = [];
  let begin;
  for (const { micros, bytes, len } of datagrams(readFileSync(pcap))) {
    if (len < 12 || bytes[0] >> 6 !== 2 || (bytes[1] >= 192 && bytes[1] < 224)) continue;
    const publisher = sources.findIndex(({ ssrcs }) => bytes.readUInt32BE(8) in ssrcs);
    if (publisher < 0) continue; // resent, or padding
    begin ??= micros;
    // Without the tag of AES-GCM: what the engine is given.
    lines.push([micros - begin, publisher, sources[publisher].ssrcs[bytes.readUInt32BE(8)], len - 16, bytes[1] >> 7].join(' '));
  }
  check(lines.length > 1000, `only ${lines.length} packets were seen`);
  writeFileSync(file, `# microseconds, publisher (${SIZES.map(size => size.join('x')).join(', ')}), kind, RTP bytes, marker\n${lines.join('\n')}\n`);
});
