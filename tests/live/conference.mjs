// Three people in one room, each sending and each receiving all three over one subscriber handle.
import { browser, page, scenario, check, until, websocket } from './driver.mjs';

const ROOM = 1234;
const NAMES = ['A', 'B', 'C'];

await scenario(async () => {
  const host = await browser();
  const people = await Promise.all(NAMES.map(name => page(host, name)));
  const feeds = await Promise.all(people.map((person, i) => person.evaluate(async ({ websocket, ROOM, name }) => {
    window.session = await live.connect(websocket);
    const handle = await live.attach(session, 'publisher');
    const { id } = await live.join(handle, ROOM, name);
    await live.publish(handle, { audio: true, video: { width: { exact: 320 }, height: { exact: 240 }, frameRate: { exact: 15 } } });
    await handle.up;
    return id;
  }, { websocket, ROOM, name: NAMES[i] })));

  await Promise.all(people.map(person => person.evaluate(async ({ ROOM, feeds }) => {
    window.subscriber = await live.subscribe(session, 'subscriber', ROOM, feeds);
  }, { ROOM, feeds })));

  const frames = person => person.evaluate(async () => {
    const stats = await live.stats(subscriber);
    const of = (kind, field) => stats.filter(stat => stat.type === 'inbound-rtp' && stat.kind === kind).map(stat => stat[field]);
    return { video: of('video', 'framesDecoded'), audio: of('audio', 'packetsReceived') };
  });
  await Promise.all(people.map((person, i) => until(15000, `${NAMES[i]} sees and hears three people`, async () => {
    const { video, audio } = await frames(person);
    return video.length === 3 && audio.length === 3 && video.every(count => count >= 30) && audio.every(count => count >= 50);
  })));
  console.log(JSON.stringify(await Promise.all(people.map(frames))));

  // The feeds are distinct and each m-line names the one it carries.
  const attached = await people[0].evaluate(() => subscriber.attachedTo.streams.map(stream => `${stream.type} ${stream.feed_id}`));
  check(new Set(attached).size === 6, `the six m-lines carry ${attached}`);

  // One leaves; the others are told, and their offers shrink without ending.
  await people[2].evaluate(() => live.destroy(session));
  for (const person of people.slice(0, 2)) {
    await until(3000, 'the others hear that C left', () => person.evaluate(id => live.told.some(entry => entry.message?.leaving === id), feeds[2]));
  }
  const earlier = await frames(people[0]);
  await until(5000, 'A goes on seeing A and B', async () => {
    const { video } = await frames(people[0]);
    return video.filter((count, i) => count >= earlier.video[i] + 15).length >= 2;
  });
});
