// GStreamer of Debian 12, which keeps its peers alive by Binding indications alone: three publish and two play what they
// publish, for a minute. Without a bundle policy of its own it does not bundle: then its first line alone is carried.
import { scenario, check, until, sleep, server } from '../driver.mjs';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOM = 7400;
const SECONDS = 60;
const started = [];

/** A client.py in a role: `said` is all that it reports, and its end before the others' is a failure. */
function gstreamer(...role) {
  const child = spawn('/usr/bin/python3', ['-X', 'faulthandler', fileURLToPath(new URL('client.py', import.meta.url)), server, ...role.map(String)], { stdio: ['pipe', 'pipe', 'pipe'] });
  started.push(child);
  const client = { name: role.join(' '), said: [], finish: () => child.stdin.end() };
  let [text, errors, code] = ['', '', null];
  child.stderr.setEncoding('utf8').on('data', more => { errors += more; });
  child.stdout.setEncoding('utf8').on('data', more => {
    text += more;
    const lines = text.split('\n');
    text = lines.pop();
    client.said.push(...lines.map(line => JSON.parse(line)));
  });
  child.on('close', (status, signal) => { code = status ?? signal; });
  client.alive = () => check(code === null, `GStreamer was to ${client.name} and ended with ${code}: ${errors}`);
  client.report = () => until(30_000, `GStreamer reports as it is to ${client.name}`, () => { client.alive(); return client.said[0]; });
  client.left = async () => {
    await until(10_000, `GStreamer is done with ${client.name}`, () => code !== null);
    check(code === 0, `GStreamer was to ${client.name} and ended with ${code}: ${errors}`);
  };
  return client;
}

/** The room, made over HTTP; it lasts without its maker. */
async function createRoom() {
  const ask = async (path, body) => (await fetch(`${server}/janus${path}`, { method: 'POST', body: JSON.stringify({ transaction: 'live', ...body }) })).json();
  const session = (await ask('', { janus: 'create' })).data.id;
  const handle = (await ask(`/${session}`, { janus: 'attach', plugin: 'janus.plugin.videoroom' })).data.id;
  const { plugindata } = await ask(`/${session}/${handle}`, { janus: 'message', body: { request: 'create', room: ROOM, videocodec: 'vp8,h264' } });
  check(plugindata?.data.videoroom === 'created', `the room is not made: ${JSON.stringify(plugindata)}`);
  await ask(`/${session}`, { janus: 'destroy' });
}

/** The least that a line of a subscriber played in any second but the first and the last, by line. */
function least(subscriber, names) {
  const played = subscriber.said.filter(line => line.played).map(line => line.played).slice(0, -1);
  const begun = played.findIndex(counts => names.every(name => counts[name]));
  check(begun >= 0 && begun < 10, `${subscriber.name} has begun to play ${names} after ${begun} s: ${JSON.stringify(played.slice(0, 12))}`);
  const whole = played.slice(begun + 1);
  return { seconds: whole.length, ...Object.fromEntries(names.map(name => [name, Math.min(...whole.map(counts => counts[name] ?? 0))])) };
}

await scenario(async () => {
  process.on('exit', () => { for (const child of started) child.kill('SIGKILL'); });
  await createRoom();
  const publishers = [['max-bundle', 'vp8'], ['max-bundle', 'h264'], ['default', 'vp8']].map(role => gstreamer('publish', ROOM, ...role));
  const [vp8, h264, apart] = await Promise.all(publishers.map(publisher => publisher.report()));
  for (const [{ streams, offered, answered, rejected }, video] of [[vp8, 'vp8'], [h264, 'h264']]) {
    check(offered && answered && rejected === 0, `of a BUNDLE group ${answered ? 'all lines are not' : 'nothing is'} answered`);
    check(String(streams) === `audio,opus,video,${video}`, `the streams are ${streams}`);
  }
  check(!apart.offered && !apart.answered, 'a BUNDLE group is answered that was not offered');
  check(apart.rejected === 1 && String(apart.streams) === 'audio,opus', `without a BUNDLE group ${apart.rejected} lines are rejected, the streams are ${apart.streams}`);

  const bundled = gstreamer('subscribe', ROOM, 'max-bundle', vp8.feed, h264.feed, apart.feed);
  const alone = gstreamer('subscribe', ROOM, 'none', vp8.feed);
  const all = [...publishers, bundled, alone];
  check((await bundled.report()).answered && !(await alone.report()).answered, 'GStreamer bundles as it was told');
  for (let second = 0; second < SECONDS + 5; second++) {
    await sleep(1000);
    for (const client of all) client.alive();
  }
  for (const client of all) client.finish();
  for (const client of all) await client.left();

  const played = least(bundled, ['0 opus', '1 vp8', '2 opus', '3 h264', '4 opus']);
  const heard = least(alone, ['0 opus']);
  console.log(`at least a second: ${JSON.stringify(played)}, and without bundling ${JSON.stringify(heard)}`);
  for (const counts of [played, heard]) {
    check(counts.seconds >= SECONDS - 5, `played for ${counts.seconds} s`);
    // A second has 50 frames of Opus and 15 pictures; a machine that is busy may be late with some.
    for (const [name, count] of Object.entries(counts)) check(count >= (/opus/.test(name) ? 25 : 5), `${name} fell to ${count} in a second`);
  }
}, 150_000);
