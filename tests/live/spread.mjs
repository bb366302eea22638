// Twenty rooms with one sender and one receiver each, over all shards at once.
import { browser, page, scenario, check, until, health, websocket } from './driver.mjs';

const ROOMS = Array.from({ length: 20 }, (_, i) => 5000 + i);

await scenario(async () => {
  const host = await browser();
  const [sender, receiver] = [await page(host, 'sender'), await page(host, 'receiver')];
  const feeds = await sender.evaluate(async ({ websocket, ROOMS }) => {
    const session = await live.connect(websocket);
    const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 160, height: 120, frameRate: 10 } });
    return Promise.all(ROOMS.map(async room => {
      const handle = await live.attach(session, `publisher ${room}`);
      await live.create(handle, room);
      const { id } = await live.join(handle, room, 'sender');
      await live.publish(handle, { video: camera.getVideoTracks()[0].clone() });
      await handle.up;
      return id;
    }));
  }, { websocket, ROOMS });

  await receiver.evaluate(async ({ websocket, ROOMS, feeds }) => {
    const session = await live.connect(websocket);
    window.subscribers = await Promise.all(ROOMS.map((room, i) => live.subscribe(session, `subscriber ${room}`, room, [feeds[i]])));
  }, { websocket, ROOMS, feeds });

  const decoded = () => receiver.evaluate(() => Promise.all(subscribers.map(async handle =>
    (await live.stats(handle)).find(stat => stat.type === 'inbound-rtp' && stat.kind === 'video')?.framesDecoded ?? 0)));
  await until(20000, 'all twenty rooms are seen', async () => (await decoded()).every(frames => frames >= 20));
  console.log(`frames decoded: ${await decoded()}`);

  const { shards } = await health();
  const rooms = shards.map(shard => shard.gauges.rooms);
  console.log(`rooms by shard: ${rooms}`);
  check(rooms.length === 2 && rooms.every(count => count >= 3), `the rooms lie on the shards as ${rooms}`);
  check(rooms.reduce((sum, count) => sum + count) >= ROOMS.length, `${rooms} rooms are fewer than there are`);
});
