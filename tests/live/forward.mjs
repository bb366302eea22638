// Chromium publishes VP8 and Opus; forwarders take both to ffmpeg, in the clear and sealed, which decodes pictures that move and a
// tone; and when they are told to stop, nothing comes any more.
import { browser, page, scenario, check, until, health, sleep, scratch, websocket } from './driver.mjs';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOM = 7400;
const SECONDS = 4;
const started = [];

/** An even UDP port that is free, and the next one: ffmpeg takes both. */
async function ports() {
  const bind = port => new Promise((done, failed) => {
    const socket = createSocket('udp4').once('error', failed);
    socket.bind(port, '127.0.0.1', () => done(socket));
  });
  for (;;) {
    const first = await bind(0);
    const { port } = first.address();
    const second = port % 2 === 0 ? await bind(port + 1).catch(() => null) : null;
    await new Promise(done => first.close(done));
    if (second) {
      await new Promise(done => second.close(done));
      return port;
    }
  }
}

const bound = port => readFileSync('/proc/net/udp', 'utf8').includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} `);

/** ffmpeg, which takes what an SDP file says: decoded() is what it has made of it. */
async function ffmpeg(name, crypto) {
  const [audio, video] = [await ports(), await ports()];
  const [sdp, md5, raw] = ['sdp', 'md5', 'raw'].map(kind => join(scratch, `forward-${name}.${kind}`));
  for (const file of [md5, raw]) rmSync(file, { force: true });
  const profile = crypto ? 'RTP/SAVP' : 'RTP/AVP';
  const key = crypto ? [`a=crypto:1 ${crypto.name} inline:${crypto.key}`] : [];
  writeFileSync(sdp, ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=forwarded', 'c=IN IP4 127.0.0.1', 't=0 0',
    `m=audio ${audio} ${profile} 111`, 'a=rtpmap:111 opus/48000/2', ...key,
    `m=video ${video} ${profile} 96`, 'a=rtpmap:96 VP8/90000', ...key, ''].join('\r\n'));
  const child = spawn('ffmpeg', ['-nostdin', '-hide_banner', '-loglevel', 'warning', '-protocol_whitelist', 'file,rtp,srtp,udp', '-i', sdp,
    '-map', '0:v', '-t', `${SECONDS}`, '-f', 'framemd5', md5, '-map', '0:a', '-t', `${SECONDS}`, '-ac', '1', '-ar', '48000', '-f', 's16le', raw]);
  started.push(child);
  let [said, code] = ['', null];
  child.stderr.setEncoding('utf8').on('data', text => { said += text; });
  child.on('error', error => { said += error; code = -1; });
  child.on('close', status => { code = status; });
  await until(10000, `ffmpeg listens (${said})`, () => bound(audio) && bound(video) || code !== null);
  return {
    audio, video,
    async decoded() {
      await until(30000, `ffmpeg has enough`, () => code !== null).catch(error => { throw new Error(`${error.message}\n${said}`); });
      check(code === 0 && existsSync(md5), `ffmpeg ended with ${code}:\n${said}`);
      const frames = readFileSync(md5, 'utf8').split('\n').filter(line => line && !line.startsWith('#')).map(line => line.split(',').map(part => part.trim()));
      const samples = readFileSync(raw);
      let peak = 0;
      for (let at = 0; at + 1 < samples.length; at += 2) peak = Math.max(peak, Math.abs(samples.readInt16LE(at)));
      return { frames: frames.length, different: new Set(frames.map(frame => frame.at(-1))).size, bytes: Number(frames[0]?.[4]), samples: samples.length / 2, peak };
    },
  };
}

await scenario(async () => {
  process.on('exit', () => { for (const child of started) child.kill('SIGKILL'); });
  const publisher = await page(await browser(), 'Chromium');
  const feed = await publisher.evaluate(async ({ websocket, ROOM }) => {
    window.session = await live.connect(websocket);
    window.member = await live.attach(session, 'member');
    await live.create(member, ROOM, { videocodec: 'vp8' });
    const { id } = await live.join(member, ROOM, 'Chromium');
    await live.publish(member, { audio: true, video: { width: { exact: 640 }, height: { exact: 480 }, frameRate: { ideal: 30 } } });
    await member.up;
    return id;
  }, { websocket, ROOM });
  const ask = body => publisher.evaluate(async body => (await member.ask(body, undefined, () => true)).message, body);
  const about = { room: ROOM, publisher_id: feed };
  const forwarded = async () => (await health()).shards.reduce((sum, shard) => sum + shard.counters.packets_forwarded, 0);

  for (const [name, suite] of [['plain', null], ['sealed', 80], ['short', 32]]) {
    const key = randomBytes(30).toString('base64');
    const crypto = suite && { name: `AES_CM_128_HMAC_SHA1_${suite}`, key };
    const more = suite ? { srtp_suite: suite, srtp_crypto: key } : {};
    const receiver = await ffmpeg(name, crypto);
    const { forwarders } = await ask({ request: 'rtp_forward', ...about, host: '127.0.0.1', ...more,
      streams: [{ mid: '0', port: receiver.audio }, { mid: '1', port: receiver.video }] });
    check(forwarders.length === 2 && forwarders.every(forwarder => Boolean(forwarder.srtp) === Boolean(crypto)), `forwarders are ${JSON.stringify(forwarders)}`);
    const { frames, different, bytes, samples, peak } = await receiver.decoded();
    console.log(`${name}: ${JSON.stringify({ frames, different, bytes, samples, peak })}`);
    check(different >= 30, `${different} different pictures of ${frames} in ${SECONDS} s`);
    check(bytes === 640 * 480 * 3 / 2, `a picture has ${bytes} bytes`);
    check(samples >= 2 * 48000 && peak > 500, `${samples} samples of sound, the loudest ${peak}`);
    const listed = await ask({ request: 'listforwarders', room: ROOM });
    check(listed.publishers[0].forwarders.length === 2, `listed are ${JSON.stringify(listed)}`);
    for (const { stream_id } of forwarders) await ask({ request: 'stop_rtp_forward', ...about, stream_id });
    await sleep(100);
    const before = await forwarded();
    await sleep(1000);
    check(await forwarded() === before, 'what was stopped goes on');
  }
  await publisher.evaluate(() => live.destroy(session));
  await until(5000, 'nothing is held', async () => (await health()).shards.every(({ gauges }) => gauges.forwarders === 0 && gauges.streams === 0));
});
