// Firefox and Chromium call each other, both ways, in every codec that Firefox sends.
import { browser, firefox, page, scenario, check, until, websocket } from './driver.mjs';

const PAIRS = [['vp8', 'opus'], ['vp9', 'pcmu'], ['av1', 'g722']];
const ROOMS = 7200;

await scenario(async () => {
  const people = await Promise.all([firefox().then(it => page(it, 'Firefox')), browser().then(it => page(it, 'Chromium'))]);
  for (const who of people) await who.evaluate(async websocket => {
    window.session = await live.connect(websocket);
    window.media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 10 } });
  }, websocket);

  for (const [index, [video, audio]] of PAIRS.entries()) {
    const room = ROOMS + index;
    await people[0].evaluate(async ({ room, video, audio }) => {
      await live.create(await live.attach(session, 'creator'), room, { videocodec: video, audiocodec: audio });
    }, { room, video, audio });
    const feeds = await Promise.all(people.map(who => who.evaluate(async ({ room }) => {
      window.publisher = await live.attach(session, 'publisher');
      const { id } = await live.join(publisher, room, 'somebody');
      const { audio_codec, video_codec } = await live.publish(publisher, {
        audio: media.getAudioTracks()[0].clone(), video: media.getVideoTracks()[0].clone() });
      await publisher.up;
      return { id, codecs: `${audio_codec},${video_codec}` };
    }, { room })));
    for (const { codecs } of feeds) check(codecs === `${audio},${video}`, `the room of ${audio} and ${video} has ${codecs}`);

    await Promise.all(people.map(async (who, at) => {
      await who.evaluate(async ({ room, feed }) => {
        window.subscriber = await live.subscribe(session, 'subscriber', room, [feed]);
        live.listen(subscriber);
      }, { room, feed: feeds[1 - at].id });
      const direction = at === 0 ? 'Chromium to Firefox' : 'Firefox to Chromium';
      let lines;
      await until(20000, `${video} and ${audio} play from ${direction}`, async () => {
        lines = await who.evaluate(() => live.lines(subscriber));
        return lines.length === 2 && lines[0].packets >= 50 && lines[0].energy > 0 && lines[1].frames >= 20;
      }).catch(error => { throw new Error(`${error.message}: ${JSON.stringify(lines)}`); });
      const { delay, moves } = await who.evaluate(async () =>
        ({ delay: subscriber.firstFrame - subscriber.startSent, moves: await live.moves(Object.values(subscriber.videos)[0]) }));
      console.log(`${direction}: ${JSON.stringify(lines)}, the first frame after ${delay} ms`);
      check(`${lines[0].codec},${lines[1].codec}` === `${audio},${video}`, `${direction}: ${lines[0].codec} and ${lines[1].codec} come`);
      check(moves, `${direction}: the picture in ${video} does not move`);
    }));
    for (const who of people) await who.evaluate(() => { publisher.detach(); subscriber.detach(); });
  }
});
