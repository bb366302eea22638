"""janus-client of PyPI: `client.py call SERVER` publishes over a WebSocket and plays that over HTTP, `client.py operate SERVER`
asks and sets what operators may.

It ends with success when all of that is as it should be; any error ends it otherwise.
"""

import asyncio
import sys
import types

import aioice.ice
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from janus_client import JanusSession, JanusVideoRoomPlugin
from janus_client.admin_monitor import JanusAdminMonitorClient
from janus_client.plugin_video_room import VideoRoomError, VideoRoomEventType

ROOM = 7500
PATIENCE = 20  # seconds for anything that is waited for
ENOUGH = 50  # frames of either kind
ADMIN_SECRET = "live-admin-secret"

# aioice leaves loopback out, where this server lives.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Counting:
    """In the place of a recorder: it counts the frames of each track."""

    def __init__(self):
        self.frames, self.tasks, self.enough = {}, [], asyncio.Event()

    def addTrack(self, track):
        self.frames[track.kind] = 0
        self.tasks.append(asyncio.create_task(self.count(track)))

    async def count(self, track):
        while True:
            await track.recv()
            self.frames[track.kind] += 1
            if min(self.frames.get(kind, 0) for kind in ("audio", "video")) >= ENOUGH:
                self.enough.set()

    async def start(self):
        pass

    async def stop(self):
        for task in self.tasks:
            task.cancel()


def expect(holds, sentence):
    if not holds:
        raise AssertionError(sentence)


async def call(server):
    sending, receiving = JanusSession(base_url=server.replace("http", "ws")), JanusSession(base_url=f"{server}/janus")
    publisher, subscriber, watcher = JanusVideoRoomPlugin(), JanusVideoRoomPlugin(), JanusVideoRoomPlugin()
    async with sending, receiving:
        for session in (sending, receiving):
            info = await session.transport.info()
            expect("janus.plugin.videoroom" in info["plugins"], f"the server is {info}")
        await publisher.attach(sending)
        await subscriber.attach(receiving)
        await watcher.attach(receiving)
        expect(await publisher.create_room(ROOM, description="Python", publishers=4, audiocodec="opus", videocodec="vp8") == ROOM, "the room")
        expect(await publisher.exists(ROOM) and not await publisher.exists(ROOM + 1), "rooms exist or not")
        expect(ROOM in [room["room"] for room in await publisher.list_rooms()], "the room is not listed")
        try:
            await publisher.create_room(ROOM)
            expect(False, "the room is made again")
        except VideoRoomError as error:
            expect(error.error_code == 427, f"the error is {error}")

        told = {event: asyncio.Event() for event in (VideoRoomEventType.PUBLISHERS, VideoRoomEventType.UNPUBLISHED)}
        for event, happened in told.items():
            watcher.on_event(event, lambda _, happened=happened: happened.set())
        await watcher.join_as_publisher(ROOM, display="watcher")
        joined = await publisher.join_as_publisher(ROOM, display="Python")
        expect(joined["room"] == ROOM and publisher.publisher_id, f"joined: {joined}")
        configured = await publisher.publish(types.SimpleNamespace(audio=AudioStreamTrack(), video=VideoStreamTrack()), bitrate=300000)
        expect((configured["audio_codec"], configured["video_codec"]) == ("opus", "vp8"), f"configured: {configured}")
        await asyncio.wait_for(publisher.webrtcup_event.wait(), PATIENCE)
        await asyncio.wait_for(told[VideoRoomEventType.PUBLISHERS].wait(), PATIENCE)
        present = {one["id"]: one["publisher"] for one in await subscriber.list_participants(ROOM)}
        expect(present == {publisher.publisher_id: True, watcher.publisher_id: False}, f"participants: {present}")

        counting = Counting()
        attached = await subscriber.subscribe_to_publisher(ROOM, [{"feed": publisher.publisher_id}], counting)
        expect([stream["type"] for stream in attached["streams"]] == ["audio", "video"], f"attached: {attached}")
        try:
            await asyncio.wait_for(counting.enough.wait(), PATIENCE)
        finally:
            print(f"played: {counting.frames}", flush=True)

        await publisher.unpublish()
        await asyncio.wait_for(told[VideoRoomEventType.UNPUBLISHED].wait(), PATIENCE)
        await publisher.leave()
        await publisher.destroy_room(ROOM)
        expect(not await watcher.exists(ROOM), "the room is still there")
        for plugin in (subscriber, watcher, publisher):
            await plugin.destroy()


async def operate(server):
    for url in (f"{server}/admin", server.replace("http", "ws")):
        admin = JanusAdminMonitorClient(base_url=url, admin_secret=ADMIN_SECRET)
        await admin.connect()
        await admin.ping()
        expect((await admin.info())["janus"] == "server_info", "info")
        expect(isinstance(await admin.loops_info(), list), "loops_info")
        settings = await admin.get_settings()
        for name, other in [("session_timeout", 61), ("log_level", 5), ("log_timestamps", False), ("log_colors", True),
                            ("locking_debug", True), ("refcount_debug", True), ("min_nack_queue", 300),
                            ("no_media_timer", 2), ("slowlink_threshold", 3)]:
            expect(name in settings, f"{name} is not among {settings}")
            for value in (other, settings[name]):
                expect(await getattr(admin, f"set_{name}")(value) == value, f"{name} is not set to {value}")
        expect(await admin.get_settings() == settings, "the settings are not as before")
        await admin.disconnect()


asyncio.run({"call": call, "operate": operate}[sys.argv[1]](sys.argv[2]))
