// People come and go fifty times, and again: nothing of them stays behind.
import { browser, page, scenario, check, until, health, openDescriptors, residentKiB, websocket } from './driver.mjs';
import { isDeepStrictEqual } from 'node:util';

const ROOM = 1234;
const STAYS = 50;
const GROWTH_KIB = 2048;

const gauges = async () => {
  const { signalling, shards } = await health();
  return { signalling: signalling.gauges, shards: shards.map(shard => shard.gauges) };
};

await scenario(async () => {
  const visitor = await page(await browser(), 'visitor');
  await visitor.evaluate(async () => {
    window.camera = (await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 120, frameRate: 10 } }));
    window.stay = async (websocket, room) => {
      const session = await live.connect(websocket);
      const publisher = await live.attach(session, 'publisher');
      const { id } = await live.join(publisher, room, 'visitor');
      const [audio, video] = [camera.getAudioTracks()[0].clone(), camera.getVideoTracks()[0].clone()];
      await live.publish(publisher, { audio, video });
      await publisher.up;
      const subscriber = await live.subscribe(session, 'subscriber', room, [id]);
      await subscriber.up;
      for (const video of Object.values(subscriber.videos)) video.remove();
      await new Promise((success, error) => publisher.detach({ success, error }));
      await live.destroy(session);
      live.told.length = 0;
    };
  });
  const round = async () => {
    await visitor.evaluate(async ({ websocket, ROOM, STAYS }) => { for (let i = 0; i < STAYS; i++) await stay(websocket, ROOM); }, { websocket, ROOM, STAYS });
  };

  await visitor.evaluate(({ websocket, ROOM }) => stay(websocket, ROOM), { websocket, ROOM });     // first use pays for what is made once
  await until(5000, 'the first visitor is gone', async () => { const { signalling } = await gauges(); return signalling.sessions === 0 && signalling.connections === 1; });
  const before = { gauges: await gauges(), descriptors: openDescriptors() };
  const resident = [];
  for (let n = 1; n <= 2; n++) {
    const begun = Date.now();
    await round();
    let after;
    await until(5000, 'everything is as before', async () => {
      after = { gauges: await gauges(), descriptors: openDescriptors() };
      return isDeepStrictEqual(after, before);
    }).catch(error => { throw new Error(`${error.message}\nbefore ${JSON.stringify(before)}\nafter  ${JSON.stringify(after)}`); });
    resident.push(residentKiB());
    console.log(`round ${n}: ${Date.now() - begun} ms, ${resident.at(-1)} KiB resident, ${before.descriptors} descriptors`);
  }
  check(resident[1] - resident[0] <= GROWTH_KIB, `the second round cost ${resident[1] - resident[0]} KiB`);
});
