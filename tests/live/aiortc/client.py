"""A VideoRoom client made of aiortc: it publishes a moving picture and a tone, or counts what it decodes of a feed.

`client.py WEBSOCKET publish ROOM` sends until standard input ends, `client.py WEBSOCKET subscribe ROOM FEED` receives
until it has enough or loses patience. What there is to know goes to standard output, a line of JSON at a time; the
verdict is scenario.mjs', which starts both. Any error ends it.
"""

import array
import asyncio
import fractions
import itertools
import json
import math
import sys
import time

import aioice.ice
import aiortc
import av
import websockets

WIDTH, HEIGHT = 320, 240
SAMPLE_RATE, TONE, LOUDNESS = 48000, 500, 8000
PATIENCE = 20  # seconds for anything that is waited for
ENOUGH = 50  # frames of either kind

# aioice leaves loopback out, where this server and its browsers live.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def tell(**what):
    print(json.dumps(what), flush=True)


class Stripes(aiortc.VideoStreamTrack):
    """Slanted stripes that wander."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        shift = pts * 60 // 90000  # pixels: 60 in a second
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in frame.planes:
            stripes = bytes((x % 128) + 64 for x in range(plane.line_size + 128))
            rows = ((y + shift) % 128 for y in range(plane.height))
            plane.update(b"".join(stripes[begin : begin + plane.line_size] for begin in rows))
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(aiortc.AudioStreamTrack):
    """A sine. A whole number of its periods fits a frame, so that every frame is the same."""

    SAMPLES = SAMPLE_RATE // 50
    SINE = array.array("h", (int(LOUDNESS * math.sin(math.tau * TONE * n / SAMPLE_RATE)) for n in range(SAMPLES)))
    begun, sent = None, 0

    async def recv(self):
        self.begun = self.begun or time.monotonic()
        await asyncio.sleep(self.begun + self.sent / SAMPLE_RATE - time.monotonic())
        frame = av.AudioFrame("s16", "mono", self.SAMPLES)
        frame.planes[0].update(self.SINE.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self.sent, fractions.Fraction(1, SAMPLE_RATE)
        self.sent += self.SAMPLES
        return frame


class Janus:
    """One session with one handle on a WebSocket."""

    def __init__(self, socket):
        self.socket, self.path, self.waiting, self.up = socket, {}, {}, asyncio.Event()
        self.transactions = map(str, itertools.count())

    async def listen(self):
        async for text in self.socket:
            message = json.loads(text)
            if message["janus"] == "webrtcup":
                self.up.set()
            elif message["janus"] != "ack" and message.get("transaction") in self.waiting:
                self.waiting.pop(message["transaction"]).set_result(message)

    async def ask(self, verb, **more):
        transaction = next(self.transactions)
        answer = self.waiting[transaction] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"janus": verb, "transaction": transaction, **self.path, **more}))
        message = await asyncio.wait_for(answer, PATIENCE)
        if "error" in message:
            raise RuntimeError(f"{verb}: {message['error']}")
        return message

    async def attach(self):
        self.path["session_id"] = (await self.ask("create"))["data"]["id"]
        attached = await self.ask("attach", plugin="janus.plugin.videoroom")
        self.path["handle_id"] = attached["data"]["id"]

    async def request(self, request, jsep=None, **more):
        """What the room answers, and the session description that comes with it."""
        message = await self.ask("message", body={"request": request, **more}, **({"jsep": jsep} if jsep else {}))
        data = message["plugindata"]["data"]
        if "error" in data:
            raise RuntimeError(f"{request}: {data['error']}")
        return data, message.get("jsep")

    async def destroy(self):
        del self.path["handle_id"]
        await self.ask("destroy")


async def described(pc, description):
    """Sets our side of a session, and gives it as it is then, with its candidates."""
    await pc.setLocalDescription(description)
    return {"type": pc.localDescription.type, "sdp": pc.localDescription.sdp}


async def publish(janus, pc, room):
    joined, _ = await janus.request("join", ptype="publisher", room=room, display="aiortc")
    pc.addTrack(Tone())
    pc.addTrack(Stripes())
    configured, jsep = await janus.request("publish", jsep=await described(pc, await pc.createOffer()))
    await pc.setRemoteDescription(aiortc.RTCSessionDescription(**jsep))
    await asyncio.wait_for(janus.up.wait(), PATIENCE)
    tell(feed=joined["id"], codecs=[configured["audio_codec"], configured["video_codec"]])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    stats = (await pc.getStats()).values()
    reported = [stat for stat in stats if stat.type == "remote-inbound-rtp"]
    tell(**{stat.kind: {"received": stat.packetsReceived, "rtt": stat.roundTripTime} for stat in reported})


def sampled(frame):
    """The brightness of every eighth pixel of every fourth line. What pads a line may be anything, and is left out."""
    plane = frame.planes[0]
    data = bytes(plane)
    lines = range(0, plane.line_size * frame.height, 4 * plane.line_size)
    return b"".join(data[begin : begin + frame.width : 8] for begin in lines)


async def watch(track, seen):
    """How many frames a picture has of each size, and in how many something moved: encoders alone change little."""
    last = b""
    while sum(seen["sizes"].values()) < ENOUGH:
        frame = await track.recv()
        size = f"{frame.width}x{frame.height}"
        seen["sizes"][size] = seen["sizes"].get(size, 0) + 1
        now = sampled(frame)
        seen["moved"] += sum(abs(a - b) > 40 for a, b in zip(last, now)) > 50
        last = now


async def listen(track, seen):
    while seen["audio"] < ENOUGH or seen["loudest"] < LOUDNESS // 16:
        frame = await track.recv()
        seen["audio"] += 1
        samples = bytes(frame.planes[0])[: 2 * frame.samples * len(frame.layout.channels)]
        seen["loudest"] = max(seen["loudest"], *map(abs, array.array("h", samples)))


async def subscribe(janus, pc, room, feed):
    _, jsep = await janus.request("join", ptype="subscriber", room=room, streams=[{"feed": feed}])
    await pc.setRemoteDescription(aiortc.RTCSessionDescription(**jsep))
    await janus.request("start", jsep=await described(pc, await pc.createAnswer()))
    seen = {"sizes": {}, "moved": 0, "audio": 0, "loudest": 0}
    tracks = [receiver.track for receiver in pc.getReceivers()]
    counts = [(watch if track.kind == "video" else listen)(track, seen) for track in tracks]
    try:
        await asyncio.wait_for(asyncio.gather(*counts), PATIENCE)
    except asyncio.TimeoutError:
        pass  # the counts say what is missing
    tell(kinds=sorted(track.kind for track in tracks), **seen)


async def main(server, role, *numbers):
    pc = aiortc.RTCPeerConnection()
    async with websockets.connect(server, subprotocols=["janus-protocol"]) as socket:
        janus = Janus(socket)
        listening = asyncio.create_task(janus.listen())
        await janus.attach()
        await {"publish": publish, "subscribe": subscribe}[role](janus, pc, *map(int, numbers))
        await pc.close()
        await janus.destroy()
        await socket.close()
        await listening


asyncio.run(main(*sys.argv[1:]))
