// The demo pages of Debian's janus-demos, unchanged: `demos.mjs SERVER PID PAGE TRANSPORT`. Three people each; none may
// ever be shown an error box. settings.js and adminconfig.js are what operators edit, and so end with our own lines.
import { browser, scenario, check, until, sleep, watch, server, websocket, options, scratch } from './driver.mjs';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';

const DEMOS = '/usr/share/janus/demos';
const UNPUBLISHES = 20;
const NAMES = ['Ann', 'Ben', 'Cem'];
const [demo, transport] = options;
const API_SECRET = 'live-api-secret';
const ADMIN_SECRET = 'live-admin-secret';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.png': 'image/png', '.ico': 'image/x-icon' };
const SETTINGS = {
  '/settings.js': `
server = "${transport === 'websocket' ? websocket : `${server}/janus`}";
iceServers = [];
var token = "";
var apisecret = "${API_SECRET}";
`,
  '/adminconfig.js': `
server = "${server}/admin";
secret = "${ADMIN_SECRET}";
`,
};

/** The pages under an origin of their own, as behind Debian's web servers. */
const files = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, server).pathname);
  try {
    const text = await readFile(join(DEMOS, path));
    response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
    response.end(SETTINGS[path] ? text + SETTINGS[path] : text);
  } catch {
    response.writeHead(404).end();
  }
});

/** Every page that was opened, by the name of who sits before it. */
const seats = new Map();
/** What no page may have said. Two errors are the pages' own: janus.js asks for the bitrate of a feed that has just been
 * let go, and the screen's page plays a video before it has its source. */
const faults = [];
const OWN_FAULTS = /setting 'bsnow'|play\(\) request was interrupted/;

/** Opens a page of the demos; the settings are those of three people, unless another page is named. */
async function open(host, name, page = demo) {
  const context = await host.newContext({ permissions: ['camera', 'microphone'], viewport: { width: 1280, height: 1000 } });
  const seat = await context.newPage();
  seats.set(name, seat);
  watch(seat, name);
  seat.on('pageerror', error => { if (!OWN_FAULTS.test(error.message)) faults.push(`${name}: ${error.message}`); });
  await seat.goto(`http://127.0.0.1:${files.address().port}/${page}.html`);
  return seat;
}

/** Whatever box is open anywhere, in words. */
async function boxes() {
  const shown = await Promise.all([...seats].map(async ([name, seat]) => {
    const texts = await seat.locator('.bootbox-alert .bootbox-body, .toast-error, .toast-warning').allInnerTexts();
    return texts.map(text => `${name}: ${text}`);
  }));
  return shown.flat();
}

async function undisturbed(when) {
  const shown = [...await boxes(), ...faults];
  check(shown.length === 0, `${when}: ${shown.join('; ')}`);
}

/** until(), and no box meanwhile. */
const calmly = (ms, sentence, probe) => until(ms, sentence, async () => {
  await undisturbed(sentence);
  return probe();
});

/** A box fades for a while, and longer where pictures are many. */
const closed = seat => until(20_000, 'the box is closed', async () => {
  const alerts = await boxes();
  check(alerts.every(alert => /just started/.test(alert)), alerts.join('; '));
  return await seat.locator('.bootbox').count() === 0;
});

const picture = name => seats.get(name).screenshot({ path: join(scratch, `demo-${demo}-${transport}-${name}.png`) });

/** The pictures of others that move: their videos are further on than they were half a second ago. */
const moving = (seat, where) => seat.evaluate(async where => {
  const videos = () => [...document.querySelectorAll(where)].filter(video => video.videoWidth > 0);
  const before = new Map(videos().map(video => [video.id, video.currentTime]));
  await new Promise(done => setTimeout(done, 500));
  return videos().filter(video => video.currentTime > before.get(video.id)).length;
}, where);

const begin = async seat => {
  await seat.click('#start');
  await seat.waitForFunction(() => document.querySelector('#start').textContent === 'Stop');
};

/** Joins, and is on the air when the button for stopping that is there and nothing says "Publishing..." any longer. */
async function join_room(seat, name) {
  await begin(seat);
  await seat.fill('#username', name);
  await seat.click('#register');
}

const onAir = seat => seat.evaluate(() => !!document.querySelector('#unpublish') && !document.querySelector('.blockUI'));
const OTHERS = '[id^="videoremote"] video';

async function rooms(host) {
  for (const name of NAMES) await join_room(await open(host, name), name);
  const complete = async but => {
    const seen = await Promise.all(NAMES.map(name => moving(seats.get(name), OTHERS)));
    const expected = NAMES.map(name => NAMES.filter(other => other !== name && other !== but).length);
    return String(seen) === String(expected);
  };
  const allOnAir = async but => (await Promise.all(NAMES.map(async name => name === but || onAir(seats.get(name))))).every(Boolean);
  await calmly(20_000, 'all three are on the air', () => allOnAir());
  await calmly(20_000, 'each sees the two others move', () => complete());
  for (const name of NAMES) await picture(name);

  for (let turn = 0; turn < UNPUBLISHES; turn++) {
    const [name, seat] = [...seats][turn % NAMES.length];
    await seat.click('#unpublish');
    await calmly(20_000, `unpublish ${turn + 1}: ${name} is off the air`, () => seat.locator('#publish').count());
    const others = NAMES.filter(other => other !== name).map(other => seats.get(other));
    await calmly(20_000, `unpublish ${turn + 1}: the others have lost the picture of ${name}`,
      async () => (await Promise.all(others.map(other => other.locator(OTHERS).count()))).every(count => count === 1));
    // Every other time the button is pressed as fast as people do.
    if (turn % 2) await sleep(300);
    await seat.click('#publish');
    await calmly(20_000, `unpublish ${turn + 1}: the others have a picture of ${name} again`,
      async () => (await Promise.all(others.map(other => other.locator(OTHERS).count()))).every(count => count === 2));
  }
  await calmly(20_000, 'each sees the two others move in the end', () => complete());
  console.log(`${UNPUBLISHES} unpublishes after ${Math.round(performance.now() / 1000)} s`);
  // What is asked of the page's other buttons.
  const ann = seats.get('Ann');
  await ann.click('#mute');
  check(await ann.locator('#mute').innerText() === 'Unmute', 'the button still says Mute');
  await ann.click('#bitrateset');
  await ann.click('#bitrate a[id="256"]');
  await sleep(500);
  await picture('Ann');
  // One leaves for good, by closing the session.
  const cem = seats.get('Cem');
  await Promise.all([cem.waitForEvent('load'), cem.click('#start')]); // the page begins anew
  await calmly(20_000, 'the others see each other alone', () => complete('Cem').then(async () =>
    (await Promise.all(['Ann', 'Ben'].map(name => seats.get(name).locator(OTHERS).count()))).every(count => count === 1)));
  await undisturbed('in the end');
}

const SCREEN = '#screencapture video';

async function screensharing(host) {
  const ann = await open(host, 'Ann');
  await begin(ann);
  await ann.fill('#desc', 'The figures of May');
  await ann.click('#create');
  // It is no fault when it tells how to find it.
  const told = await until(15000, 'Ann is told the number of her session', async () => {
    check(faults.length === 0, faults.join('; '));
    return /just started: pass the (\d+) session identifier/.exec((await boxes()).join())?.[1];
  });
  check(await ann.locator('#session').innerText() === told, `the page shows ${await ann.locator('#session').innerText()} and not ${told}`);
  await picture('Ann');
  await ann.click('.bootbox .btn-primary');
  await closed(ann);
  for (const name of NAMES.slice(1)) {
    const seat = await open(host, name);
    await begin(seat);
    await seat.fill('#roomid', told);
    await seat.click('#join');
  }
  const viewers = NAMES.slice(1).map(name => seats.get(name));
  await calmly(20_000, 'both see a screen that moves', async () => (await Promise.all(viewers.map(seat => moving(seat, SCREEN)))).every(count => count === 1));
  check(await viewers[0].locator('#title').innerText() === 'The figures of May', 'the viewers see what is shared');
  await picture('Ben');
  await ann.click('#start');
  for (const seat of viewers) {
    await until(8000, 'who watches is told that it is over', async () => /publisher left/.test(await seat.locator('.bootbox').innerText({ timeout: 8000 })));
  }
  check(faults.length === 0, faults.join('; '));
}

/** A table of the admin page as it stands: what is in the first column names what is in the second. */
const table = (seat, where) => seat.locator(`${where} tr`).evaluateAll(rows =>
  Object.fromEntries(rows.filter(row => row.cells.length > 1).map(row => [row.cells[0].innerText.trim().replace(/:$/, ''), row.cells[1].innerText.trim()])));

const tab = (seat, name) => seat.click(`#admintabs a[href="#${name}"]`);

/** Presses a setting's button and says yes; the page then asks for the settings again. */
async function set(seat, name, value) {
  await seat.click(`#${name}_button`);
  const box = seat.locator('.bootbox.in');
  if (value !== undefined) await box.locator('input').fill(String(value));
  const again = seat.waitForResponse(response => response.request().postData()?.includes('get_status'), { timeout: 10_000 }).catch(() => null);
  await box.locator('.btn-primary').click();
  const asked = await again;
  await undisturbed(`${name} is set`);
  check(asked, `${name} is set, and the page has no answer`);
  await closed(seat);
}

const NUMBERS = ['session_timeout', 'log_level', 'no_media_timer', 'slowlink_threshold'];
/** They are taken as Janus takes them, and have no effect here: what is shown stays. */
const INERT = { min_nack_queue: 300, log_timestamps: undefined, log_colors: undefined, locking_debug: undefined, refcount_debug: undefined };

async function admin(host) {
  for (const name of NAMES) await join_room(await open(host, name, 'videoroomtest'), name);
  await calmly(20_000, 'each of the three sees the two others', async () =>
    (await Promise.all(NAMES.map(name => moving(seats.get(name), OTHERS)))).every(count => count === 2));
  const seat = await open(host, 'Operator');
  await calmly(10_000, 'the page knows the server', () => seat.locator('#admintabs li.disabled').count().then(count => count === 0));

  await tab(seat, 'serverinfo');
  const info = await table(seat, '#server-details');
  check(info.name && info.version && info['session-timeout'] > 0, `the server shows ${JSON.stringify(info)}`);
  delete info.loggers; // an object, which the page shows of Janus as badly
  check(!Object.values(info).some(value => /undefined|\[object/.test(value)), `the page cannot show all of ${JSON.stringify(info)}`);
  const plugins = await table(seat, '#server-plugins');
  check(Object.keys(plugins).length === 2, `the plugins are ${JSON.stringify(plugins)}`);
  check(Object.keys(await table(seat, '#server-transports')).length > 1, 'no transport is shown');
  await picture('Operator');

  await tab(seat, 'settings');
  const shown = await table(seat, '#server-settings');
  for (const name of [...NUMBERS, ...Object.keys(INERT)]) check(name in shown, `${name} is not among the settings: ${JSON.stringify(shown)}`);
  for (const name of NUMBERS) {
    const now = Number(shown[name]);
    for (const value of [now > 0 ? now - 1 : 1, now]) {
      await set(seat, name, value);
      await calmly(10_000, `${name} is ${value}`, async () => (await table(seat, '#server-settings'))[name] === String(value));
    }
  }
  for (const [name, value] of Object.entries(INERT)) await set(seat, name, value);

  // A message to the plugin, by hand.
  await tab(seat, 'plugins');
  await seat.click('#plugins-list a');
  await seat.fill('#attrname0', 'request');
  await seat.fill('#attrvalue0', 'list');
  await seat.click('#sendmsg');
  await calmly(10_000, 'the plugin answers with its rooms', async () => /"room": 1234/.test(await seat.locator('#plugin-response').innerText()));

  // Every handle of every session can be looked into: three of publishers, and two subscriptions of each.
  await tab(seat, 'handlesinfo');
  await seat.click('#update-sessions');
  const sessions = await seat.locator('#sessions-list a').allInnerTexts();
  check(sessions.length === 3, `there are ${sessions.length} sessions`);
  let looked = 0;
  for (const session of sessions) {
    await seat.click(`#session-${session}`);
    await calmly(10_000, 'its handles are listed', () => seat.locator('#handles-list a').count());
    for (const handle of await seat.locator('#handles-list a').allInnerTexts()) {
      await seat.click(`#handle-${handle}`);
      await calmly(10_000, 'the handle is shown', async () => {
        const text = await seat.locator('#handle-info').innerText();
        return text.includes(handle) && text.includes('plugin_specific');
      });
      looked += 1;
    }
  }
  check(looked === 9, `${looked} handles were looked into`);
  await seat.check('#prettify');
  await calmly(10_000, 'it is shown in tables', async () => {
    const [flags, specific] = [await table(seat, '#flags'), await table(seat, '#plugin-specific')];
    return flags.ready === 'true' && specific.type;
  });
  await picture('Operator');
  // A capture, begun and ended.
  await seat.check('#capture');
  await seat.locator('.bootbox.in #filename').fill('demo.pcap');
  await seat.locator('.bootbox.in .btn-primary').click();
  await closed(seat);
  await sleep(500);
  await undisturbed('the capture begins');
  await seat.uncheck('#capture');
  await sleep(500);
  await undisturbed('the capture ends');

  await tab(seat, 'tokens');
  await seat.fill('#token', 'guest-1');
  await seat.click('#addtoken');
  await seat.locator('.bootbox.in .btn-primary').click();
  await calmly(10_000, 'the token is listed', async () => 'guest-1' in await table(seat, '#auth-tokens'));
  await closed(seat);
  await seat.click('#guest-1');
  await seat.locator('.bootbox.in .btn-primary').click();
  await calmly(10_000, 'the token is gone', async () => !('guest-1' in await table(seat, '#auth-tokens')));
  await undisturbed('in the end');
}

await new Promise(done => files.listen(0, '127.0.0.1', done));
await scenario(async () => {
  check(existsSync(join(DEMOS, `${demo}.html`)), `there is no ${DEMOS}: tests/run installs janus-demos`);
  const host = await browser({ flags: ['--auto-accept-this-tab-capture', '--auto-select-desktop-capture-source=Entire screen'] });
  await { videoroomtest: rooms, mvideoroomtest: rooms, screensharingtest: screensharing, admin }[demo](host).catch(async error => {
    for (const name of seats.keys()) await picture(name).catch(() => {});
    throw error;
  });
}, 240_000);
