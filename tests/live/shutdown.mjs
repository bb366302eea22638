// SIGTERM while two people talk: both are told before their connections end.
import { browser, page, scenario, until, websocket, pid } from './driver.mjs';

await scenario(async () => {
  const host = await browser();
  const people = await Promise.all(['A', 'B'].map(name => page(host, name)));
  for (const person of people) await person.evaluate(async websocket => {
    const session = await live.connect(websocket);
    const handle = await live.attach(session, 'publisher');
    await live.join(handle, 1234, 'somebody');
    await live.publish(handle, { audio: true, video: { width: 160, height: 120 } });
    await handle.up;
  }, websocket);
  process.kill(pid, 'SIGTERM');
  for (const person of people) {
    await until(5000, 'the PeerConnection is hung up by a Janus event', () =>
      person.evaluate(() => live.told.some(entry => entry.handle === 'publisher' && entry.webrtc === false)));
    await until(5000, 'the session ends', () => person.evaluate(() => live.told.some(entry => entry.handle === 'session')));
  }
});
