// Firefox publishes and watches itself, in every codec that it sends. It has no driver: its page plays by itself and
// tells the scenario what it saw. `FIREFOX` names another than /usr/bin/firefox-esr.
import { scenario, check, server, websocket, scratch } from './driver.mjs';
import { createServer } from 'node:http';
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const PAIRS = [['vp8', 'opus'], ['vp9', 'pcmu'], ['av1', 'g722']];
const PREFERENCES = {
  'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false, 'media.autoplay.default': 0, 'browser.shell.checkDefaultBrowser': false,
  'app.update.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false, 'media.gmp-manager.updateEnabled': false,
};

/** Runs in Firefox: one room per pair of codecs; what its receiver has after a while, or what went wrong. */
async function play(websocket, pairs) {
  const sleep = ms => new Promise(done => setTimeout(done, ms));
  const session = await live.connect(websocket);
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 10 } });
  const rooms = [];
  for (const [index, [videocodec, audiocodec]] of pairs.entries()) {
    const room = 7200 + index;
    const handle = await live.attach(session, videocodec);
    await live.create(handle, room, { videocodec, audiocodec });
    const { id } = await live.join(handle, room, 'firefox');
    const configured = await live.publish(handle, { audio: media.getAudioTracks()[0].clone(), video: media.getVideoTracks()[0].clone() });
    await handle.up;
    const subscriber = await live.subscribe(session, `${videocodec} back`, room, [id]);
    for (const { track } of subscriber.webrtcStuff.pc.getReceivers()) {
      if (track.kind === 'audio') Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream([track]) });
    }
    let lines;
    for (let tries = 0; tries < 60; tries++) {
      const stats = await live.stats(subscriber);
      const codec = id => stats.find(stat => stat.id === id)?.mimeType.split('/')[1].toLowerCase();
      lines = stats.filter(stat => stat.type === 'inbound-rtp').map(({ kind, codecId, framesDecoded, packetsReceived, packetsLost, totalSamplesReceived }) =>
        ({ kind, codec: codec(codecId), framesDecoded, packetsReceived, packetsLost, totalSamplesReceived }));
      if (lines.length === 2 && lines.every(line => (line.kind === 'video' ? line.framesDecoded >= 20 : line.packetsReceived >= 50))) break;
      await sleep(250);
    }
    const delay = subscriber.firstFrame - subscriber.startSent;
    rooms.push({ configured: [configured.video_codec, configured.audio_codec], lines, delay });
    handle.detach();
    subscriber.detach();
  }
  return rooms;
}

await scenario(async () => {
  const files = { '/client.js': './client.js', '/janus.js': './node_modules/janus-gateway/npm/dist/janus.es.js', '/adapter.js': './node_modules/webrtc-adapter/out/adapter.js' };
  const html = `<!doctype html><script src="/adapter.js"></script><script type="module">
    import '/client.js';
    let report;
    try { report = { rooms: await (${play})(${JSON.stringify(websocket)}, ${JSON.stringify(PAIRS)}) }; }
    catch (error) { report = { error: error + error.stack, told: live.told }; }
    await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
  </script>`;
  let tell;
  const told = new Promise(done => { tell = done; });
  const host = createServer(async (request, response) => {
    if (request.url === '/report') {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      response.end();
      return tell(JSON.parse(body));
    }
    response.setHeader('content-type', request.url === '/' ? 'text/html' : 'text/javascript');
    if (files[request.url]) createReadStream(fileURLToPath(new URL(files[request.url], import.meta.url))).pipe(response);
    else response.end(request.url === '/' ? html : '');
  });
  await new Promise(done => host.listen(0, '127.0.0.1', done));

  const profile = join(scratch, 'firefox');
  rmSync(profile, { recursive: true, force: true });
  mkdirSync(profile, { recursive: true });
  writeFileSync(join(profile, 'user.js'), Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});\n`).join(''));
  const firefox = spawn(process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    ['--headless', '--no-remote', '--profile', profile, `http://127.0.0.1:${host.address().port}/`],
    { stdio: 'ignore', detached: true, env: { ...process.env, HOME: profile } });
  const { rooms, ...failure } = await Promise.race([told, new Promise(done => setTimeout(done, 80_000, { error: 'Firefox did not report' }))]);
  // The whole group: Firefox is many processes.
  try { process.kill(-firefox.pid, 'SIGKILL'); } catch { /* already gone */ }
  check(rooms, `${server}: ${JSON.stringify(failure, null, 1)?.slice(0, 8000)}`);
  for (const [index, [video, audio]] of PAIRS.entries()) {
    const { configured, lines, delay } = rooms[index];
    console.log(`${video} and ${audio}: ${JSON.stringify(lines)}, the first frame after ${delay} ms`);
    check(String(configured) === `${video},${audio}`, `the room of ${video} and ${audio} has ${configured}`);
    const of = kind => lines.find(line => line.kind === kind) ?? {};
    check(of('video').codec === video && of('video').framesDecoded >= 20, `${video} does not play: ${JSON.stringify(lines)}`);
    check(of('audio').codec === audio && of('audio').packetsReceived >= 50, `${audio} does not play: ${JSON.stringify(lines)}`);
  }
});
