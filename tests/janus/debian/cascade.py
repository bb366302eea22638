"""A publisher of ours is watched on Debian's Janus, and one of its on ours, by the requests for remote publishers: real
peers at both ends, counted packets. Started by `compare --cascade`, in a network namespace of its own."""

import asyncio
import itertools
import json
import pathlib
import struct
import sys

import websockets

from peer import Peer
from player import WEBSOCKET, Janus, template

ROOM, FEED, HERE = 4411, 7, "192.0.2.1"
PACKETS = 100  # of each m-line: two seconds
PATIENCE = 15


class Api:
    """One session with handles, over a WebSocket."""

    def __init__(self, socket):
        self.socket, self.numbers, self.waiting, self.events = socket, itertools.count(), {}, asyncio.Queue()
        self.task = asyncio.create_task(self.read())

    @classmethod
    async def connect(cls, port):
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/", subprotocols=["janus-protocol"], compression=None)
        api = cls(socket)
        api.session = (await api.ask(janus="create"))["data"]["id"]
        return api

    async def read(self):
        async for text in self.socket:
            message = json.loads(text)
            waiting = self.waiting.get(message.get("transaction"))
            if waiting and message["janus"] != "ack" and not waiting.done():
                waiting.set_result(message)
            elif "jsep" in message:
                await self.events.put(message)

    async def close(self):
        self.task.cancel()
        await self.socket.close()

    async def ask(self, **request):
        request["transaction"] = f"t{next(self.numbers)}"
        if request["janus"] != "create":
            request["session_id"] = self.session
        answer = self.waiting[request["transaction"]] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps(request))
        return await asyncio.wait_for(answer, PATIENCE)

    async def attach(self):
        return (await self.ask(janus="attach", plugin="janus.plugin.videoroom"))["data"]["id"]

    async def say(self, handle, jsep=None, **body):
        request = {"janus": "message", "handle_id": handle, "body": body} | ({"jsep": jsep} if jsep else {})
        answer = await self.ask(**request)
        data = answer["plugindata"]["data"]
        assert "error" not in data, f"{body}: {data}"
        return data, answer.get("jsep")


async def publish(api):
    """Somebody who sends audio and video."""
    peer, handle = Peer(), await api.attach()
    await api.say(handle, request="join", ptype="publisher", room=ROOM, id=FEED)
    offer = {"type": "offer", "sdp": await peer.describe(template()["OFFER"])}
    _, answer = await api.say(handle, offer, request="publish")
    peer.begin(answer["sdp"], controlling=True)
    return peer


async def watch(api, feed):
    """Somebody who hears all of a feed; what arrives is in `packets`, by payload type."""
    peer, handle = Peer(), await api.attach()
    peer.packets = {}

    async def count(data, arrival_time_ms):
        kind, number = data[1] & 0x7F, struct.unpack("!H", data[2:4])[0]
        peer.packets.setdefault(kind, []).append(number)

    peer.dtls._handle_rtp_data = count
    _, offer = await api.say(handle, request="join", ptype="subscriber", room=ROOM, streams=[{"feed": feed}])
    answer = offer["sdp"].replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
    jsep = {"type": "answer", "sdp": await peer.describe(answer)}
    peer.begin(offer["sdp"], controlling=False)
    await api.say(handle, jsep, request="start")
    return peer


async def cascade(origin, target):
    """From one server to the other."""
    peers = [await publish(origin)]
    away, home = await target.attach(), await origin.attach()
    streams = [{"type": "audio", "mindex": 0, "mid": "0", "codec": "opus"}, {"type": "video", "mindex": 1, "mid": "1", "codec": "vp8"}]
    taken, _ = await target.say(away, request="add_remote_publisher", room=ROOM, secret="s", id=FEED + 1, display="far", streams=streams)
    to = {"host": HERE, "port": taken["port"], "rtcp_port": taken["rtcp_port"]}
    await origin.say(home, request="publish_remotely", room=ROOM, secret="s", publisher_id=FEED, remote_id="r", **to)
    listed, _ = await origin.say(home, request="listremotes", room=ROOM, secret="s", publisher_id=FEED)
    assert [each["remote_id"] for each in listed["list"]] == ["r"], listed
    peers.append(await watch(target, FEED + 1))
    packets = peers[1].packets
    async with asyncio.timeout(PATIENCE):
        while len(packets) < 2 or min(map(len, packets.values())) < PACKETS:
            await asyncio.sleep(0.1)
    for kind, numbers in packets.items():
        steps = {(after - before) & 0xFFFF for before, after in zip(numbers, numbers[1:])}
        assert steps == {1}, f"payload type {kind}: steps of {steps}"
    await origin.say(home, request="unpublish_remotely", room=ROOM, secret="s", publisher_id=FEED, remote_id="r")
    await target.say(away, request="remove_remote_publisher", room=ROOM, secret="s", id=FEED + 1)
    for peer in peers:
        await peer.stop()
    return {kind: len(numbers) for kind, numbers in packets.items()}


async def main():
    janus = Janus([])
    ours = await asyncio.create_subprocess_exec(
        sys.argv[1], "--listen", "127.0.0.1:18188", "--media-ip", HERE, "--forward-allow", HERE, "--remote-ports", "2",
        "--shards", "1", "--log", "warn",
    )
    try:
        await janus.start()
        for _ in range(100):
            try:
                near = await Api.connect(18188)
                break
            except OSError:
                await asyncio.sleep(0.1)
        far = await Api.connect(WEBSOCKET)
        for api in (near, far):
            await api.say(await api.attach(), request="create", room=ROOM, secret="s", publishers=6)
        print("ours, watched on Janus: packets by payload type", await cascade(near, far), flush=True)
        print("Janus', watched on ours: packets by payload type", await cascade(far, near), flush=True)
        await near.close()
        await far.close()
    finally:
        ours.terminate()
        await ours.wait()
        await janus.stop()


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    asyncio.run(main())
