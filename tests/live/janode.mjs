// The unchanged janode: its management calls, and a call whose signalling it carries for peer connections in a browser.
import { createSocket } from 'node:dgram';
import Janode from 'janode';
import VideoRoom from 'janode/plugins/videoroom';
import { browser, page, scenario, check, until, sleep, websocket } from './driver.mjs';

Janode.Logger.setLevel('error');
const ROOM = 4411;
const SECRET = 's3';
const { HANDLE_WEBRTCUP, HANDLE_MEDIA, HANDLE_HANGUP, HANDLE_DETACHED } = Janode.EVENT;
const EVENT = VideoRoom.EVENT;

/** What each handle was told unasked: { name, event, data }. */
const told = [];
const CORE = { HANDLE_WEBRTCUP, HANDLE_MEDIA, HANDLE_HANGUP, HANDLE_DETACHED };
async function attach(session, name) {
  const handle = await session.attach(VideoRoom);
  for (const [key, event] of Object.entries({ ...CORE, ...EVENT })) handle.on(event, data => told.push({ name, event: key, data }));
  return handle;
}
const heard = (name, event, matches = () => true) => until(8000, `${name} hears ${event}`,
  () => told.find(it => it.name === name && it.event === event && matches(it.data)));
const same = (one, other) => check(JSON.stringify(one) === JSON.stringify(other), `${JSON.stringify(one)} is not ${JSON.stringify(other)}`);
const refused = async (code, promise) => {
  const error = await promise.then(data => new Error(`taken: ${JSON.stringify(data)}`), error => error);
  check(error._code === code, `${error.message} instead of ${code}`);
};

// In the browser: peer connections by name, plain ones.
const inPage = () => {
  const peers = window.peers = {};
  const colour = hue => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
    const context = canvas.getContext('2d');
    let light = 40;
    setInterval(() => { light = 90 - light; context.fillStyle = `hsl(${hue} 100% ${light}%)`; context.fillRect(0, 0, 320, 240); }, 100);
    return canvas.captureStream(10).getVideoTracks()[0];
  };
  window.offer = async (name, hue) => {
    const peer = peers[name] ??= new RTCPeerConnection();
    if (hue !== undefined) {
      if (!peer.getSenders().length) peer.addTransceiver((await navigator.mediaDevices.getUserMedia({ audio: true })).getTracks()[0], { direction: 'sendonly' });
      peer.addTransceiver(colour(hue), { direction: 'sendonly' });
    }
    await peer.setLocalDescription();
    return { type: 'offer', sdp: peer.localDescription.sdp };
  };
  window.take = (name, answer) => peers[name].setRemoteDescription(answer);
  window.answer = async (name, offer) => {
    const peer = peers[name] ??= new RTCPeerConnection();
    await peer.setRemoteDescription(offer);
    await peer.setLocalDescription();
    return { type: 'answer', sdp: peer.localDescription.sdp };
  };
  window.inbound = async name => Object.fromEntries([...(await peers[name].getStats()).values()].filter(it => it.type === 'inbound-rtp')
    .map(it => [it.mid, it.kind === 'video' ? it.framesDecoded : it.packetsReceived]));
};

await scenario(async () => {
  const tab = await browser().then(it => page(it, 'peers'));
  await tab.evaluate(inPage);
  const offer = (name, hue) => tab.evaluate(([name, hue]) => offer(name, hue), [name, hue]);
  const take = (name, jsep) => tab.evaluate(([name, jsep]) => take(name, jsep), [name, jsep]);
  const answer = (name, jsep) => tab.evaluate(([name, jsep]) => answer(name, jsep), [name, jsep]);
  const flows = async (mids, sentence) => {
    const inbound = () => tab.evaluate(() => inbound('viewer'));
    const before = await inbound();
    await until(10000, sentence, async () => {
      const now = await inbound();
      return mids.every(mid => now[mid] > (before[mid] ?? 0) + 5);
    });
  };

  const connection = await Janode.connect({ address: { url: websocket } });
  const session = await connection.create();
  const admin = await attach(session, 'admin');

  // Rooms.
  const options = { description: 'standup', max_publishers: 3, secret: SECRET, pin: 'p', notify_joining: true, talking_events: true, talking_packets_threshold: 10, talking_level_threshold: 120 };
  same(await admin.create({ room: ROOM, ...options }), { room: ROOM, permanent: false });
  await refused(427, admin.create({ room: ROOM }));
  await refused(499, admin.create({ room: ROOM + 1, permanent: true }));
  check((await admin.exists({ room: ROOM })).exists === true, 'it exists');
  check((await admin.exists({ room: ROOM + 1 })).exists === false, 'the other does not');
  const listed = async () => (await admin.list()).list.find(it => it.room === ROOM);
  const { description, max_publishers, pin_required, num_participants } = await listed();
  same([description, max_publishers, pin_required, num_participants], ['standup', 3, true, 0]);
  // janode has no call for `edit`; the request itself passes through it.
  const edited = await admin.message({ request: 'edit', room: ROOM, secret: SECRET, new_description: 'sit down' });
  same(edited.plugindata.data, { videoroom: 'edited', room: ROOM, permanent: false });
  check((await listed()).description === 'sit down', 'it is edited');
  await refused(433, admin.destroy({ room: ROOM, secret: 'wrong' }));
  await refused(426, admin.listParticipants({ room: ROOM + 1 }));
  same((await admin.allow({ room: ROOM, secret: SECRET, action: 'enable', list: [] })).list, []);
  same((await admin.allow({ room: ROOM, secret: SECRET, action: 'add', list: ['t'] })).list, ['t']);
  same((await admin.listForward({ room: ROOM, secret: SECRET })).forwarders, []);

  // Two publishers; the first renames itself and adds a stream.
  const red = await attach(session, 'red');
  await refused(433, red.joinPublisher({ room: ROOM, display: 'red', pin: 'wrong' }));
  await refused(433, red.joinPublisher({ room: ROOM, display: 'red', pin: 'p' }));
  const joined = await red.joinPublisher({ room: ROOM, feed: 11, display: 'red', pin: 'p', token: 't' });
  same([joined.feed, joined.description, joined.publishers], [11, 'sit down', []]);
  await refused(425, red.joinPublisher({ room: ROOM, pin: 'p', token: 't' }));
  const watcher = await attach(session, 'watcher');
  same((await watcher.joinPublisher({ room: ROOM, feed: 13, pin: 'p', token: 't' })).publishers, []);
  await heard('red', 'VIDEOROOM_PUB_PEER_JOINED', data => data.feed === 13);
  const published = await red.publish({ jsep: await offer('red', 0), bitrate: 0 });
  check(published.configured === 'ok' && published.streams.length === 2, JSON.stringify(published));
  await take('red', published.jsep);
  await heard('red', 'HANDLE_WEBRTCUP');
  await heard('red', 'HANDLE_MEDIA', data => data.type === 'video' && data.receiving === true);
  const { data: { publishers: [feed] } } = await heard('watcher', 'VIDEOROOM_PUB_LIST');
  same([feed.feed, feed.display, feed.audiocodec, feed.videocodec, feed.streams.length], [11, 'red', 'opus', 'vp8', 2]);
  await refused(434, red.publish({ jsep: await tab.evaluate(() => peers.red.localDescription.toJSON()) }));
  await red.configure({ display: 'crimson' });
  await heard('watcher', 'VIDEOROOM_DISPLAY', data => data.feed === 11 && data.display === 'crimson');
  await heard('watcher', 'VIDEOROOM_TALKING', data => data.feed === 11 && data.talking === true);

  const blue = await attach(session, 'blue');
  const second = await blue.joinConfigurePublisher({ room: ROOM, feed: 12, display: 'blue', pin: 'p', token: 't', jsep: await offer('blue', 240) });
  same(second.publishers.map(it => it.feed), [11]);
  await take('blue', second.jsep);
  await heard('blue', 'HANDLE_WEBRTCUP');
  await heard('red', 'VIDEOROOM_PUB_LIST', data => data.publishers[0].feed === 12);

  // A viewer of one, of both, of the other.
  const viewer = await attach(session, 'viewer');
  await refused(428, viewer.joinSubscriber({ room: ROOM, pin: 'p', streams: [{ feed: 99 }] }));
  const attached = await viewer.joinSubscriber({ room: ROOM, pin: 'p', streams: [{ feed: 11 }] });
  same(attached.streams.map(it => [it.feed_id, it.feed_mid, it.mid, it.type]), [[11, '0', '0', 'audio'], [11, '1', '1', 'video']]);
  const start = async jsep => check((await viewer.start({ jsep: await answer('viewer', jsep) })).started === 'ok', 'started');
  await start(attached.jsep);
  await heard('viewer', 'HANDLE_WEBRTCUP');
  await flows(['0', '1'], 'red flows');
  const both = await viewer.update({ subscribe: [{ feed: 12 }] });
  check(both.streams.length === 4 && both.jsep.type === 'offer', JSON.stringify(both));
  check((await viewer.update({ unsubscribe: [{ feed: 12, mid: '0' }] })).jsep === undefined, 'an offer is not answered');
  await start(both.jsep);
  const { data: late } = await heard('viewer', 'VIDEOROOM_UPDATED', data => data.jsep);
  same(late.streams.map(it => it.active), [true, true, false, true]);
  await start(late.jsep);
  await flows(['0', '1', '3'], 'red and blue flow');
  const switched = await viewer.switch({ streams: [{ feed: 12, mid: '1', sub_mid: '1' }] });
  same(switched.streams.map(it => it.feed_id), [11, 12, undefined, 12]);
  await flows(['0', '1', '3'], 'red is heard and blue is seen twice');
  check((await viewer.pause()).paused === 'ok', 'paused');
  check((await viewer.start({})).started === 'ok', 'started again');
  await flows(['0', '1', '3'], 'they go on');
  const again = await viewer.configure({ restart: true });
  check(again.configured === 'ok' && again.jsep.type === 'offer', JSON.stringify(again));
  await start(again.jsep);
  await flows(['0', '1', '3'], 'they go on after a restart of ICE');
  same((await viewer.update({ unsubscribe: [{ feed: 99 }] })).jsep, undefined);

  // One more stream of the first, which others hear of.
  const wider = await red.configure({ jsep: await offer('red', 60), descriptions: [{ mid: '2', description: 'screen' }] });
  same(wider.streams.map(it => it.description), [undefined, undefined, 'screen']);
  await take('red', wider.jsep);
  await heard('watcher', 'VIDEOROOM_PUB_LIST', data => data.publishers[0].streams.length === 3);

  // Forwarded to a port.
  const receiver = createSocket('udp4');
  const arrived = [];
  receiver.on('message', packet => arrived.push(packet[1] & 0x7f));
  await new Promise(done => receiver.bind(0, '127.0.0.1', done));
  const { port } = receiver.address();
  const forward = { room: ROOM, feed: 11, secret: SECRET };
  await refused(433, admin.startForward({ ...forward, secret: 'wrong', host: '127.0.0.1', streams: [{ mid: '1', port }] }));
  const { forwarders: [forwarded] } = await admin.startForward({ ...forward, host: '127.0.0.1', streams: [{ mid: '1', port, pt: 100 }] });
  same([forwarded.host, forwarded.video_port, forwarded.pt], ['127.0.0.1', port, 100]);
  await until(5000, 'packets are forwarded', () => arrived.length > 20);
  check(arrived.every(type => type === 100), `payload types ${arrived.slice(0, 20)}`);
  const { forwarders: [lists] } = await admin.listForward({ room: ROOM, secret: SECRET });
  same([lists.feed, lists.forwarders[0].video_stream], [11, forwarded.video_stream]);
  same((await admin.stopForward({ ...forward, stream: forwarded.video_stream })).stream, forwarded.video_stream);
  same((await admin.listForward({ room: ROOM, secret: SECRET })).forwarders, []);
  receiver.close();

  // Shown in another room as a publisher of another server; janode passes these requests through.
  const ask = async body => (await admin.message({ secret: SECRET, ...body })).plugindata.data;
  same((await admin.create({ room: ROOM + 2, secret: SECRET })).room, ROOM + 2);
  const lines = [{ type: 'audio', mindex: 0, mid: '0', codec: 'opus' }, { type: 'video', mindex: 1, mid: '1', codec: 'vp8' }];
  const far = await ask({ request: 'add_remote_publisher', room: ROOM + 2, id: 21, display: 'far', streams: lines });
  const shown = { request: 'publish_remotely', room: ROOM, publisher_id: 11, remote_id: 'r', host: '127.0.0.1', port: far.port, rtcp_port: far.rtcp_port };
  same(await ask(shown), { videoroom: 'success', room: ROOM, id: 11, remote_id: 'r' });
  same((await ask({ request: 'listremotes', room: ROOM, publisher_id: 11 })).list.map(it => it.remote_id), ['r']);
  const distant = await attach(session, 'distant');
  const seen = await distant.joinSubscriber({ room: ROOM + 2, streams: [{ feed: 21 }] });
  check((await distant.start({ jsep: await answer('distant', seen.jsep) })).started === 'ok', 'started');
  const frames = () => tab.evaluate(() => inbound('distant'));
  await until(10000, 'the far publisher is seen and heard', async () => {
    const { 0: heardPackets, 1: decoded } = await frames();
    return heardPackets > 20 && decoded > 5;
  });
  same((await ask({ request: 'update_remote_publisher', room: ROOM + 2, id: 21, display: 'farther', streams: [] })).videoroom, 'success');
  same((await ask({ request: 'unpublish_remotely', room: ROOM, publisher_id: 11, remote_id: 'r' })).videoroom, 'success');
  same((await ask({ request: 'remove_remote_publisher', room: ROOM + 2, id: 21 })).videoroom, 'success');
  await heard('distant', 'VIDEOROOM_UPDATED', data => data.streams.every(it => !it.active));
  await distant.leave();

  // Moderated, unpublished, kicked and gone.
  const participants = async () => (await admin.listParticipants({ room: ROOM })).participants;
  same((await participants()).map(it => [it.feed, it.display, it.publisher]), [[11, 'crimson', true], [13, undefined, false], [12, 'blue', true]]);
  const moderated = await admin.message({ request: 'moderate', room: ROOM, secret: SECRET, id: 12, mid: '1', mute: true });
  same(moderated.plugindata.data, { videoroom: 'success' });
  await refused(428, admin.kick({ room: ROOM, secret: SECRET, feed: 99 }));
  same((await red.unpublish()).feed, 11);
  await heard('watcher', 'VIDEOROOM_UNPUBLISHED', data => data.feed === 11);
  await heard('red', 'HANDLE_HANGUP');
  const { data: less } = await heard('viewer', 'VIDEOROOM_UPDATED', data => data.jsep && !data.streams[0].active);
  await start(less.jsep);
  await admin.kick({ room: ROOM, secret: SECRET, feed: 12 });
  await heard('watcher', 'VIDEOROOM_KICKED', data => data.feed === 12);
  await heard('blue', 'VIDEOROOM_LEAVING', data => data.feed === 12 && data.reason === 'kicked');
  await heard('blue', 'HANDLE_HANGUP');
  check(!told.some(it => it.name === 'watcher' && it.event === 'VIDEOROOM_DISPLAY' && it.data.feed === 12), 'a kick is no new name');
  await refused(425, blue.joinPublisher({ room: ROOM, pin: 'p', token: 't' }));
  same((await red.leave()).feed, 11);
  await heard('watcher', 'VIDEOROOM_LEAVING', data => data.feed === 11);
  await viewer.leave();
  await heard('viewer', 'HANDLE_HANGUP');
  same((await admin.destroy({ room: ROOM, secret: SECRET })), { room: ROOM });
  await heard('watcher', 'VIDEOROOM_DESTROYED');
  await watcher.detach();
  await heard('watcher', 'HANDLE_DETACHED');
  await sleep(100);
  check(!told.some(it => it.event === 'VIDEOROOM_ERROR'), JSON.stringify(told.filter(it => it.event === 'VIDEOROOM_ERROR')));
  await session.destroy();
  await connection.close();
});
