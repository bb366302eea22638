// A's whole browser is stopped: its WebSocket stays open, its ICE checks end. Option: the server's peer timeout in seconds.
import { browser, page, scenario, check, heard, sleep, websocket, options, family } from './driver.mjs';

const ROOM = 1234;
const timeout = Number(options[0]) * 1000;

await scenario(async () => {
  const doomed = await browser();
  const [a, b] = await Promise.all([page(doomed, 'A'), browser().then(it => page(it, 'B'))]);
  await b.evaluate(async ({ websocket, ROOM }) => {
    window.session = await live.connect(websocket);
    await live.join(await live.attach(session, 'member'), ROOM, 'B');
  }, { websocket, ROOM });
  const feed = await a.evaluate(async ({ websocket, ROOM }) => {
    const handle = await live.attach(await live.connect(websocket), 'publisher');
    const { id } = await live.join(handle, ROOM, 'A');
    await live.publish(handle, { audio: true, video: { width: 320, height: 240 } });
    await handle.up;
    return id;
  }, { websocket, ROOM });
  await heard(b, 3000, 'B hears of A', (entry, id) => entry.message?.publishers?.some(one => one.id === id), feed);
  await sleep(3000);                      // past the quick checks of the beginning

  const stopped = Date.now();
  for (const one of family(doomed.host.process().pid)) process.kill(one, 'SIGSTOP');
  const gone = await heard(b, timeout + 5000, 'B hears that A is gone', (entry, id) => entry.message?.unpublished === id, feed);
  const after = gone.at - stopped;
  console.log(`unpublished ${after} ms after the last sign of life`);
  // A check may be up to 2.6 s old when the browser stops; the server's own timers add a little at the other end.
  check(after >= timeout - 3000, `given up after ${after} ms already`);
  check(after <= timeout + 1500, `given up only after ${after} ms`);
});
