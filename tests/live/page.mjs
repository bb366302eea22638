// Two browsers at the server's own page see each other.
import { browser, scenario, check, until, heard, watch, server, scratch, sleep } from './driver.mjs';
import { join } from 'node:path';

const open = async (name, viewport, query) => {
  const context = await (await browser()).newContext({ viewport, permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  watch(page, name);
  await page.goto(`${server}/?room=1234&name=${encodeURIComponent(name)}${query}`);
  return page;
};
const tiles = page => page.evaluate(() => [...document.querySelectorAll('.tile')].map(tile => ({
  name: tile.dataset.name, mine: 'self' in tile.dataset, width: tile.querySelector('video').videoWidth,
  frames: Number(tile.dataset.frames), dark: tile.classList.contains('dark'), figures: tile.querySelector('.figures').textContent })));

/** Whether new frames of somebody are decoded; the page counts them once a second. */
const moves = async (page, name) => {
  const frames = async () => (await tiles(page)).find(tile => tile.name === name && !tile.mine && !tile.dark)?.frames;
  const before = await frames();
  await sleep(1500);
  return await frames() > before;
};

await scenario(async () => {
  const [ana, bram] = await Promise.all([
    open('Ana', { width: 1280, height: 800 }, '').then(async page => { await page.click('#join'); return page; }),
    open('Bram', { width: 360, height: 740 }, '&join')]);
  for (const [page, other] of [[ana, 'Bram'], [bram, 'Ana']]) {
    await until(15000, `${other} is seen`, async () =>
      (await tiles(page)).find(tile => tile.name === other && !tile.mine && tile.width > 0 && !tile.dark && /×.*bit/.test(tile.figures)));
    await until(5000, `${other} moves`, () => moves(page, other));
    check((await tiles(page)).length === 2, 'there are more tiles than people');
  }
  await sleep(1000);
  await ana.screenshot({ path: join(scratch, 'page-desktop.png') });
  await bram.screenshot({ path: join(scratch, 'page-phone.png') });

  await bram.click('#blind');
  await until(8000, 'Ana sees that Bram has no picture', async () => (await tiles(ana)).some(tile => tile.name === 'Bram' && tile.dark));
  await bram.click('#blind');
  await until(8000, 'Ana sees Bram again', async () => (await tiles(ana)).some(tile => tile.name === 'Bram' && !tile.dark));

  // What breaks is mended: Bram's own sending, then his way to Ana.
  for (const close of ['room.handle.pc.close()', '[...room.feeds.values()][0].handle.pc.close()']) {
    await bram.evaluate(close);
    await sleep(1000);
    for (const [page, other] of [[ana, 'Bram'], [bram, 'Ana']]) await until(8000, `${other} moves again after ${close}`, () => moves(page, other));
    check(await bram.isHidden('#banner'), `Bram is left with: ${await bram.textContent('#banner')}`);
  }

  await bram.click('#leave');
  await until(3000, 'Bram is gone from Ana’s page', async () => (await tiles(ana)).length === 1);
  await until(3000, 'Bram is back at the door', () => bram.isVisible('#join'));

  await bram.fill('#place', '99999');
  await bram.press('#place', 'Enter');
  await until(3000, 'a room that is not there is said so', async () => /no such room/.test(await bram.textContent('#refusal')));

  await ana.evaluate(() => room.handle.ask({ request: 'create', room: 7001 }));
  await bram.fill('#place', '7001');
  await bram.press('#place', 'Enter');
  await until(3000, 'Bram is in the new room', () => bram.isVisible('#leave'));
  await ana.evaluate(() => room.handle.ask({ request: 'destroy', room: 7001 }));
  await until(3000, 'Bram is told that the room was closed', async () => /was closed/.test(await bram.textContent('#banner')));
});
