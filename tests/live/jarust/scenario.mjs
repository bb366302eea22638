// jarust carries the signalling, a page has the peer connections: `jarust/scenario.mjs SERVER PID PROGRAM`, over both transports.
import { browser, page, scenario, check, until, server, websocket, options } from '../driver.mjs';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [program] = options;
const started = [];

async function call(tab, transport, url) {
  const client = spawn(program, [transport, url], { stdio: ['pipe', 'pipe', 'pipe'] });
  started.push(client);
  let [code, errors] = [null, ''];
  client.stderr.setEncoding('utf8').on('data', more => { errors += more; });
  client.on('close', (status, signal) => { code = status ?? signal; });
  const said = [];
  createInterface({ input: client.stdout }).on('line', line => said.push(JSON.parse(line)));
  const next = what => until(25_000, `jarust over ${transport} gives ${what}`, () => {
    check(said.length || code === null, `jarust over ${transport} ended with ${code} and no ${what}: ${errors}`);
    return said.shift();
  });
  const give = what => client.stdin.write(`${JSON.stringify(what)}\n`);

  check((await next('who it is')).joined > 0, 'it has not joined');
  give(await tab.evaluate(async () => {
    window.sending = new RTCPeerConnection();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    for (const track of stream.getTracks()) sending.addTransceiver(track, { direction: 'sendonly' });
    await sending.setLocalDescription();
    return { type: 'offer', sdp: sending.localDescription.sdp };
  }));
  const answer = await next('an answer');
  await tab.evaluate(answer => sending.setRemoteDescription(answer), answer);
  const offer = await next('an offer');
  give(await tab.evaluate(async offer => {
    window.playing = new RTCPeerConnection();
    await playing.setRemoteDescription(offer);
    await playing.setLocalDescription();
    return { type: 'answer', sdp: playing.localDescription.sdp };
  }, offer));
  check((await next('word that all is up')).up, 'it is not up');
  const played = () => tab.evaluate(async () => {
    const stats = [...(await playing.getStats()).values()].filter(stat => stat.type === 'inbound-rtp');
    const of = kind => stats.find(stat => stat.kind === kind) ?? {};
    return { frames: of('video').framesDecoded ?? 0, packets: of('audio').packetsReceived ?? 0 };
  });
  await until(10_000, 'the page plays what it sends', async () => { const { frames, packets } = await played(); return frames >= 20 && packets >= 50; });
  console.log(`jarust over ${transport}: ${JSON.stringify(await played())}`);
  give('enough');
  check((await next('its end')).ended, 'it has not ended');
  await until(5000, 'jarust is gone', () => code !== null);
  check(code === 0, `jarust ended with ${code}: ${errors}`);
}

await scenario(async () => {
  process.on('exit', () => { for (const client of started) client.kill('SIGKILL'); });
  const tab = await page(await browser(), 'peers');
  await call(tab, 'http', server);
  await call(tab, 'websocket', websocket);
});
