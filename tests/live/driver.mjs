// What every scenario shares: browsers with fake devices, the page that carries janus.js, waiting, and the server's own figures.
import { chromium } from 'playwright-core';
import { createServer, get } from 'node:http';
import { createReadStream, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the server is, and its process. */
export const [server, pid] = [process.argv[2], Number(process.argv[3])];
/** What the scenario was started with besides. */
export const options = process.argv.slice(4);
/** For pictures and clips; under the build directory. */
export const scratch = process.env.LIVE_SCRATCH ?? '.';
export const websocket = server.replace(/^http/, 'ws');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-fake-ui-for-media-stream', '--allow-loopback-in-peer-connection',
  // The server may have made its certificate a moment ago.
  '--ignore-certificate-errors', '--autoplay-policy=no-user-gesture-required', '--disable-features=WebRtcHideLocalIpsWithMdns',
  // Neither a hidden page nor an idle one may be slowed down: that would be our fault in the figures.
  '--disable-renderer-backgrounding', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
];

const PREFERENCES = {
  'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.autoplay.default': 0,
  'media.peerconnection.ice.obfuscate_host_addresses': false, 'media.gmp-manager.updateEnabled': false,
};

/** The processes that were started, and every page that was opened. */
const [launched, pages] = [[], []];

/** A browser of its own with a fresh profile. `clip` is a file that stands in for the camera, which else gives up to `fps`. */
export async function browser({ clip, fps = 20 } = {}) {
  const host = await chromium.launchServer({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [...FLAGS, `--use-fake-device-for-media-stream=fps=${fps}`, ...(clip ? [`--use-file-for-fake-video-capture=${clip}`] : [])],
  });
  launched.push(host.process());
  return Object.assign(await chromium.connect(host.wsEndpoint()), { host });
}

/** Firefox, driven over WebDriver BiDi: only its pages differ from those of the other. */
export async function firefox() {
  const { launch } = await import('puppeteer-core');
  const userDataDir = join(scratch, 'firefox');
  rmSync(userDataDir, { recursive: true, force: true });
  const host = await launch({
    browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', userDataDir, extraPrefsFirefox: PREFERENCES });
  launched.push(host.process());
  return { newContext: () => host };
}

const FILES = {
  '/': ['text/html', null],
  '/client.js': ['text/javascript', './client.js'],
  '/janus.js': ['text/javascript', './node_modules/janus-gateway/npm/dist/janus.es.js'],
  '/favicon.ico': ['image/x-icon', null],
  '/adapter.js': ['text/javascript', './node_modules/webrtc-adapter/out/adapter.js'],
};
const PAGE = '<!doctype html><title>live</title><script src="/adapter.js"></script><script type="module" src="/client.js"></script>';

const files = createServer((request, response) => {
  const [type, file] = FILES[request.url] ?? [];
  if (!type) return response.writeHead(404).end();
  response.setHeader('content-type', type);
  if (file) createReadStream(fileURLToPath(new URL(file, import.meta.url))).pipe(response);
  else response.end(PAGE);
});
await new Promise(done => files.listen(0, '127.0.0.1', done));

/** A page with `window.live` (client.js) in it. getUserMedia needs a secure context: loopback is one. */
export async function page(browser, name) {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  pages.push(page);
  watch(page, name);
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  await page.waitForFunction('window.live');
  return page;
}

/** Prints what a page complains about: it is the first thing wanted when a scenario fails. */
export function watch(page, name) {
  page.on('pageerror', error => console.log(`[${name}] ${error.stack}`));
  page.on('console', message => { if (message.type() === 'error') console.log(`[${name}] ${message.text()}`); });
}

export const sleep = ms => new Promise(done => setTimeout(done, ms));

export function check(holds, sentence) {
  if (!holds) throw new Error(sentence);
}

/** Asks again and again until `probe` gives something true, and gives it; after `ms` it fails with the sentence. */
export async function until(ms, sentence, probe) {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await probe();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${sentence}`);
    await sleep(50);
  }
}

/** The first record of a page's clients that `matches` (a function's source runs in the page). */
export const heard = (page, ms, sentence, matches, argument) =>
  until(ms, sentence, () => page.evaluate(`(argument => window.live.told.find(entry => (${matches})(entry, argument)))(${JSON.stringify(argument)})`));

/** The server's own figures, over a connection that ends with the answer: it would be counted in the next one. */
export const health = () => new Promise((resolve, reject) => {
  get(`${server}/healthz`, { agent: false }, async response => {
    let body = '';
    for await (const chunk of response.setEncoding('utf8')) body += chunk;
    if (response.statusCode === 200) resolve(JSON.parse(body));
    else reject(new Error(`/healthz answered ${response.statusCode}`));
  }).on('error', reject);
});

export const openDescriptors = () => readdirSync(`/proc/${pid}/fd`).length;
export const residentKiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

async function overdue() {
  for (const page of pages) {
    const told = await Promise.race([page.evaluate('window.live?.told').catch(() => null), sleep(1000)]);
    console.log(JSON.stringify(told, null, 1)?.slice(0, 8000));
  }
  throw new Error('the scenario did not end');
}

/** A process and everything that descends from it. */
export function family(root) {
  const children = new Map();
  for (const entry of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch { /* it has just ended */ }
  }
  const all = [root];
  for (const one of all) all.push(...(children.get(one) ?? []));
  return all;
}

/** Runs the scenario, at most for a minute and a half or for `ms`; whatever happens, the browsers it started are gone afterwards. */
export async function scenario(body, ms = 90_000) {
  let code = 0;
  try {
    await Promise.race([body(), sleep(ms).then(overdue)]);
    console.log('ok');
  } catch (error) {
    console.log(error.stack);
    code = 1;
  }
  for (const { pid } of launched) {
    for (const one of family(pid)) try { process.kill(one, 'SIGKILL'); } catch { /* already gone */ }
  }
  process.exit(code);
}
