"""A VideoRoom client made of GStreamer's webrtcbin, as Debian has it: it publishes a moving picture and a tone, or plays feeds.

`client.py SERVER publish ROOM POLICY CODEC` sends until standard input ends, `client.py SERVER subscribe ROOM POLICY FEED...`
plays as long. POLICY is the bundle policy, or `default`, which leaves it to GStreamer. What there is to know goes to
standard output, a line of JSON at a time; the verdict is scenario.mjs', which starts all of them. Any error ends it.
"""

import collections
import json
import os
import queue
import sys
import threading
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC

PATIENCE = 20  # seconds for anything that is waited for
ENCODERS = {
    "vp8": "vp8enc deadline=1 cpu-used=8 target-bitrate=300000 keyframe-max-dist=300 ! rtpvp8pay pt=96",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=300 ! video/x-h264,profile=baseline"
    " ! rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency",
}
PLAYERS = {
    "OPUS": "rtpopusdepay ! opusdec",
    "VP8": "rtpvp8depay ! vp8dec",
    # Pictures that know their size, and so have their parameter sets, are counted as they are.
    "H264": "rtph264depay ! h264parse",
}


def tell(**what):
    print(json.dumps(what), flush=True)


def fail(reason):
    """From whichever thread: what is printed is the last thing."""
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)


class Janus:
    """One session with one handle over HTTP: requests in turn, and a long poll beside them."""

    def __init__(self, server):
        self.url, self.answers, self.up = f"{server}/janus", queue.Queue(), threading.Event()
        self.url += f"/{self.post(janus='create')['data']['id']}"
        threading.Thread(target=self.listen, args=[self.url], daemon=True).start()
        self.url += f"/{self.post(janus='attach', plugin='janus.plugin.videoroom')['data']['id']}"

    def post(self, **message):
        content = json.dumps({"transaction": "live", **message}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url, content), timeout=PATIENCE) as reply:
            answer = json.load(reply)
        if answer["janus"] not in ("ack", "success"):
            fail(f"{message} is answered with {answer}")
        return answer

    def listen(self, url):
        while True:
            with urllib.request.urlopen(f"{url}?maxev=10", timeout=60) as reply:
                events = json.load(reply)
            for event in events if isinstance(events, list) else [events]:
                if event["janus"] == "event":
                    if "error" in event["plugindata"]["data"]:
                        fail(event["plugindata"]["data"])
                    if "transaction" in event:
                        self.answers.put(event)
                elif event["janus"] == "webrtcup":
                    self.up.set()
                elif event["janus"] in ("hangup", "timeout", "detached"):
                    fail(f"{event['janus']}: {event.get('reason')}")

    def request(self, request, jsep=None, **more):
        """What the room answers, and the session description that comes with it."""
        self.post(janus="message", body={"request": request, **more}, **({"jsep": jsep} if jsep else {}))
        answer = self.answers.get(timeout=PATIENCE)
        return answer["plugindata"]["data"], answer.get("jsep")


kept = []  # what is in a reply is gone with it, and a reply with its promise: Python knows neither


def asked(bin, signal, *arguments):
    """What a promise brings."""
    replied = queue.Queue()
    promise = Gst.Promise.new_with_change_func(lambda promise, *_: replied.put(True))
    bin.emit(signal, *arguments, promise)
    replied.get(timeout=PATIENCE)
    reply = promise.get_reply()
    kept.extend([promise, reply])
    if reply and reply.has_field("error"):
        fail(f"{signal}: {reply.get_value('error').message}")
    return reply


def of_text(kind, text):
    _, message = GstSdp.SDPMessage.new_from_text(text)
    kept.append(message)
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


def described(bin, kind):
    """Makes our offer or answer, sets it, and gives its text."""
    ours = asked(bin, f"create-{kind}", None).get_value(kind)
    asked(bin, "set-local-description", ours)
    return {"type": kind, "sdp": ours.sdp.as_text()}


def trickling(bin, janus):
    """Candidates go to the server as they are found, from a thread of their own."""
    found = queue.Queue()
    bin.connect("on-ice-candidate", lambda _, index, text: found.put({"sdpMLineIndex": index, "candidate": text}))

    def trickle():
        while True:
            janus.post(janus="trickle", candidate=found.get())

    return threading.Thread(target=trickle, daemon=True)


def pipeline(description, policy):
    """A pipeline with a webrtcbin, whose errors are ours."""
    bundling = "" if policy == "default" else f"bundle-policy={policy}"
    pipeline = Gst.parse_launch(f"pipeline.( webrtcbin name=peer {bundling} {description} )")
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::error", lambda _, message: fail(message.parse_error()))
    return pipeline, pipeline.get_by_name("peer")


def publish(janus, room, policy, codec):
    joined, _ = janus.request("join", ptype="publisher", room=int(room), display=f"GStreamer {policy}")
    sending, bin = pipeline(
        "audiotestsrc is-live=true wave=sine freq=500 ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=97"
        " ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer. "
        "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! queue"
        f" ! {ENCODERS[codec]} ! application/x-rtp,media=video,encoding-name={codec.upper()},payload=96 ! peer.",
        policy,
    )
    needed = threading.Event()
    bin.connect("on-negotiation-needed", lambda _: needed.set())
    trickle = trickling(bin, janus)
    sending.set_state(Gst.State.PLAYING)
    if not needed.wait(PATIENCE):
        fail("GStreamer does not ask for an offer")
    offer = described(bin, "offer")
    configured, jsep = janus.request("publish", offer)
    trickle.start()
    asked(bin, "set-remote-description", of_text(GstWebRTC.WebRTCSDPType.ANSWER, jsep["sdp"]))
    if not janus.up.wait(PATIENCE):
        fail("the server knows of no connection")
    streams = [(stream["type"], stream.get("codec")) for stream in configured["streams"] if not stream.get("disabled")]
    tell(feed=joined["id"], streams=streams, offered="a=group:BUNDLE" in offer["sdp"], answered="a=group:BUNDLE" in jsep["sdp"],
         rejected=jsep["sdp"].count("\r\nm=audio 0 ") + jsep["sdp"].count("\r\nm=video 0 "))
    return sending


def subscribe(janus, room, policy, *feeds):
    playing, bin = pipeline("", policy)
    played = collections.Counter()

    def count(_, buffer, pad, name):
        played[name] += 1

    def play(_, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        codec = pad.get_current_caps().get_structure(0).get_string("encoding-name")
        # The m-line, as pads are named after it.
        name = f"{pad.get_property('transceiver').get_property('mlineindex')} {codec.lower()}"
        player = Gst.parse_bin_from_description(f"queue ! {PLAYERS[codec]} ! fakesink name=sink sync=false signal-handoffs=true", True)
        player.get_by_name("sink").connect("handoff", count, name)
        playing.add(player)
        player.sync_state_with_parent()
        pad.link(player.get_static_pad("sink"))

    bin.connect("pad-added", play)
    trickle = trickling(bin, janus)
    playing.set_state(Gst.State.PLAYING)
    _, jsep = janus.request("join", ptype="subscriber", room=int(room), streams=[{"feed": int(feed)} for feed in feeds])
    asked(bin, "set-remote-description", of_text(GstWebRTC.WebRTCSDPType.OFFER, jsep["sdp"]))
    answer = described(bin, "answer")
    janus.request("start", answer)
    trickle.start()
    tell(answered="a=group:BUNDLE" in answer["sdp"])

    def report():
        tell(played=played)
        played.clear()
        return True

    GLib.timeout_add(1000, report)
    return playing


def main(server, role, *arguments):
    Gst.init(None)
    loop = GLib.MainLoop()
    # Signals and promises come from GStreamer's threads; the bus and the reports from this loop's.
    threading.Thread(target=loop.run, daemon=True).start()
    janus = Janus(server)
    running = {"publish": publish, "subscribe": subscribe}[role](janus, *arguments)
    sys.stdin.read()
    tell(ended=True)
    running.set_state(Gst.State.NULL)
    os._exit(0)


main(*sys.argv[1:])
