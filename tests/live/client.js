// Runs in the browser: janus.js, unchanged, with promises around its callbacks and a record of what it was told.
import Janus from '/janus.js';

const PLUGIN = 'janus.plugin.videoroom';
const told = [];            // every plugin event and state change: { at, handle, ... }; `at` is wall-clock ms
const note = (handle, entry) => told.push({ at: Date.now(), handle, ...entry });

const ready = new Promise(done => Janus.init({
  debug: ['warn', 'error'],
  dependencies: Janus.useDefaultDependencies({ adapter: window.adapter }),
  callback: done,
}));

/** One Janus session; `name` is how its handles are called in the record. */
export async function connect(server) {
  await ready;
  return new Promise((resolve, reject) => {
    const session = new Janus({
      server,
      iceServers: [],
      destroyOnUnload: false,
      success: () => resolve(session),
      error: error => { note('session', { error: String(error) }); reject(new Error(String(error))); },
      destroyed: () => note('session', { destroyed: true }),
    });
  });
}

export const destroy = session => new Promise((success, error) => session.destroy({ success, error }));

/** A handle with ask(): the reply is the next plugin event that `answers`. */
export function attach(session, name, more = {}) {
  return new Promise((resolve, reject) => {
    const waiting = [];
    let isUp;
    const up = new Promise(done => { isUp = done; });
    session.attach({
      plugin: PLUGIN,
      success(handle) {
        handle.label = name;
        handle.up = up;
        handle.ask = (message, jsep, answers) => new Promise((resolve, reject) => {
          const turn = { answers, resolve, reject };
          waiting.push(turn);
          handle.send({
            message, jsep,
            success: data => { if (data) { waiting.splice(waiting.indexOf(turn), 1); settle(turn, data); } },
            error: reason => reject(new Error(reason)),
          });
        });
        resolve(handle);
      },
      error: reason => reject(new Error(String(reason))),
      webrtcState(on, reason) { note(name, { webrtc: on, reason }); if (on) isUp(); },
      mediaState(medium, receiving, mid) { note(name, { medium, receiving, mid }); },
      oncleanup() { note(name, { cleanup: true }); },
      ondetached() { note(name, { detached: true }); },
      onmessage(message, jsep) {
        note(name, { message });
        const at = waiting.findIndex(turn => message.error_code || turn.answers(message));
        if (at >= 0) settle(waiting.splice(at, 1)[0], message, jsep);
        else if (jsep) more.onoffer?.(jsep);
      },
      ...more,
    });
  });
}

function settle(turn, message, jsep) {
  if (message.error_code) turn.reject(Object.assign(new Error(message.error), { code: message.error_code }));
  else turn.resolve({ message, jsep });
}

/** A scenario may put something on the way: its `detour(port)` says where the server's port is reached instead. */
async function detoured(jsep) {
  const [, port] = window.detour ? /^a=candidate:(?:\S+ ){5}(\d+) typ/m.exec(jsep.sdp) : [];
  return port ? { ...jsep, sdp: jsep.sdp.replaceAll(` ${port} typ `, ` ${await detour(Number(port))} typ `) } : jsep;
}

const call = (handle, method, params) => new Promise((success, error) => handle[method]({ ...params, success, error }));

export const create = async (handle, room, spec = {}) =>
  (await handle.ask({ request: 'create', room, ...spec }, undefined, () => true)).message;

export async function join(handle, room, display) {
  const { message } = await handle.ask({ request: 'join', ptype: 'publisher', room, display }, undefined, m => m.videoroom === 'joined');
  return message;
}

/** Sends what `capture` names: constraints, tracks, or true; answers once the server has taken it. */
export async function publish(handle, { audio, video }, spec = {}) {
  const tracks = [];
  if (audio) tracks.push({ type: 'audio', capture: audio, recv: false });
  if (video) tracks.push({ type: 'video', capture: video, recv: false });
  const offer = await call(handle, 'createOffer', { tracks });
  const { message, jsep } = await handle.ask({ request: 'publish', ...spec }, offer, m => m.configured === 'ok');
  await call(handle, 'handleRemoteJsep', { jsep: await detoured(jsep) });
  return message;
}

/** Receives `feeds` on one handle; each m-line's track gets a playing <video> of its own. */
export async function subscribe(session, name, room, feeds, more = {}) {
  const videos = {};
  const handle = await attach(session, name, {
    onremotetrack(track, mid, on) {
      if (!on || videos[mid] || track.kind !== 'video') return;
      const video = videos[mid] = document.body.appendChild(document.createElement('video'));
      Object.assign(video, { autoplay: true, muted: true, playsInline: true, srcObject: new MediaStream([track]) });
      video.requestVideoFrameCallback(() => { handle.firstFrame ??= Date.now(); });
      video.play().catch(() => {});
    },
  });
  handle.videos = videos;
  const { message, jsep } = await handle.ask(
    { request: 'join', ptype: 'subscriber', room, streams: feeds.map(feed => ({ feed })), ...more }, undefined, m => m.videoroom === 'attached');
  handle.attachedTo = message;
  const answer = await call(handle, 'createAnswer', {
    jsep: await detoured(jsep), tracks: [{ type: 'audio', capture: false, recv: true }, { type: 'video', capture: false, recv: true }] });
  handle.startSent = Date.now();
  await handle.ask({ request: 'start' }, answer, m => m.started === 'ok');
  return handle;
}

export async function stats(handle) {
  return [...(await handle.webrtcStuff.pc.getStats()).values()];
}

/** Plays what a subscriber hears: nothing is decoded of what nobody listens to. */
export function listen(handle) {
  for (const { track } of handle.webrtcStuff.pc.getReceivers()) {
    if (track.kind === 'audio') Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream([track]) });
  }
}

/** What each m-line of a subscriber has received so far, in order. */
export async function lines(handle) {
  const all = await stats(handle);
  const codecs = Object.fromEntries(all.filter(stat => stat.type === 'codec').map(stat => [stat.id, stat]));
  return all.filter(stat => stat.type === 'inbound-rtp').sort((a, b) => a.mid - b.mid).map(stat => ({
    mid: stat.mid, kind: stat.kind, codec: codecs[stat.codecId]?.mimeType.split('/')[1].toLowerCase(), pt: codecs[stat.codecId]?.payloadType,
    packets: stat.packetsReceived, frames: stat.framesDecoded, samples: stat.totalSamplesReceived, energy: stat.totalAudioEnergy }));
}

/** Whether other pixels come within a second. */
export async function moves(video) {
  const first = pixels(video);
  for (let tries = 0; tries < 10; tries++) {
    await new Promise(done => setTimeout(done, 100));
    if (pixels(video).some((value, at) => value !== first[at])) return true;
  }
  return false;
}

/** The visible pixels of a video, small enough to compare. */
export function pixels(video) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 64, 48);
  return [...context.getImageData(0, 0, 64, 48).data];
}

window.live = { connect, destroy, attach, create, join, publish, subscribe, stats, listen, lines, moves, pixels, told };
