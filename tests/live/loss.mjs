// A call over a bad way: 5 % of the datagrams are lost in each direction on the publisher's leg and on the subscriber's,
// and each leg's round trip is 30 ms. The picture goes on. Option: the seed of the losses.
import { browser, page, scenario, check, health, options, sleep, until, websocket } from './driver.mjs';
import { createSocket } from 'node:dgram';

const ROOM = 1234;
const LOSS = 0.05;
const DELAY = 15;               // ms each way
const [SETTLES, LASTS] = [3000, 15_000];
const FRAMES_MIN = 25;          // a second, of 30

/** Mulberry32: the same losses for the same seed and order. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A bad way to the server's `port`; each client comes out of it at an address of its own. */
async function badWay(port, seed) {
  const bound = async () => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
    await new Promise(done => socket.bind(0, '127.0.0.1', done));
    return socket;
  };
  const direction = seed => {
    const next = random(seed);
    const figures = { taken: 0, lost: 0 };
    const pass = send => {
      figures.taken += 1;
      if (next() < LOSS) figures.lost += 1;
      else setTimeout(send, DELAY);
    };
    return { figures, pass };
  };
  const [front, there, back] = [await bound(), direction(seed), direction(seed + 1)];
  const clients = new Map();
  front.on('message', (datagram, from) => {
    const client = `${from.address}:${from.port}`;
    if (!clients.has(client)) clients.set(client, bound().then(socket =>
      socket.on('message', answer => back.pass(() => front.send(answer, from.port, from.address)))));
    there.pass(async () => (await clients.get(client)).send(datagram, port, '127.0.0.1'));
  });
  return { port: front.address().port, there: there.figures, back: back.figures };
}

await scenario(async () => {
  const ways = {};
  const [a, b] = await Promise.all(['A', 'B'].map(async (name, at) => {
    const person = await page(await browser({ fps: 30 }), name);
    await person.exposeFunction('detour', async port => (ways[name] = await badWay(port, Number(options[0]) + 2 * at)).port);
    return person;
  }));
  const feed = await a.evaluate(async ({ websocket, ROOM }) => {
    window.publisher = await live.attach(await live.connect(websocket), 'publisher');
    const { id } = await live.join(publisher, ROOM, 'A');
    await live.publish(publisher, { audio: true, video: { width: { exact: 640 }, height: { exact: 480 }, frameRate: { exact: 30 } } });
    await publisher.up;
    return id;
  }, { websocket, ROOM });
  await b.evaluate(async ({ websocket, ROOM, feed }) => {
    window.subscriber = await live.subscribe(await live.connect(websocket), 'subscriber', ROOM, [feed]);
    live.listen(subscriber);
  }, { websocket, ROOM, feed });
  await until(10000, 'B sees A', () => b.evaluate(() => subscriber.firstFrame));
  await sleep(SETTLES);

  const pick = (who, name, type, fields) => who.evaluate(async ({ name, type, fields }) => {
    const stat = (await live.stats(window[name])).find(stat => stat.type === type && stat.kind === 'video');
    return Object.fromEntries(fields.map(field => [field, stat[field]]));
  }, { name, type, fields });
  const seen = () => pick(b, 'subscriber', 'inbound-rtp', ['timestamp', 'framesDecoded', 'framesDropped', 'keyFramesDecoded', 'freezeCount',
    'totalFreezesDuration', 'packetsReceived', 'packetsLost', 'nackCount', 'pliCount', 'retransmittedPacketsReceived', 'frameWidth', 'frameHeight']);
  const sent = () => pick(a, 'publisher', 'outbound-rtp', ['timestamp', 'framesEncoded', 'keyFramesEncoded', 'packetsSent', 'retransmittedPacketsSent',
    'nackCount', 'pliCount', 'targetBitrate', 'qualityLimitationReason', 'frameWidth', 'frameHeight']);
  const [before, source] = [await seen(), await sent()];
  const rates = [];
  for (let last = before; last.timestamp - before.timestamp < LASTS;) {
    await sleep(1000);
    const now = await seen();
    rates.push(Math.round((now.framesDecoded - last.framesDecoded) * 1000 / (now.timestamp - last.timestamp)));
    last = now;
  }
  const [after, end] = [await seen(), await sent()];
  const rate = (from, to, field) => ((to[field] - from[field]) * 1000 / (to.timestamp - from.timestamp)).toFixed(1);
  const [decoded, encoded] = [rate(before, after, 'framesDecoded'), rate(source, end, 'framesEncoded')];
  console.log(`${decoded} frames/s of ${encoded}, second by second ${rates}`);
  for (const [name, figures] of Object.entries({ before, after, source, end, ways })) console.log(`${name}: ${JSON.stringify(figures)}`);
  for (const { counters } of (await health()).shards.filter(({ gauges }) => gauges.legs > 0)) console.log(`the server: ${JSON.stringify(counters)}`);

  for (const { there, back } of Object.values(ways)) for (const { taken, lost } of [there, back]) {
    check(lost > taken * LOSS / 2, `only ${lost} of ${taken} datagrams were lost`);
  }
  check(decoded >= FRAMES_MIN, `${decoded} frames a second are left of ${encoded}`);
});
