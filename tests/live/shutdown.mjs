// SIGTERM while two people talk: their PeerConnections and their WebSockets are closed in good order, at once.
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
    window.dtls = handle.webrtcStuff.pc.getSenders().find(sender => sender.track).transport;
  }, websocket);
  process.kill(pid, 'SIGTERM');
  for (const person of people) {
    await until(2000, 'the DTLS association is closed by an alert', () => person.evaluate(() => dtls.state === 'closed'));
    await until(2000, 'janus.js sees its WebSocket closed', () => person.evaluate(() => live.told.some(entry => entry.handle === 'session')));
  }
});
