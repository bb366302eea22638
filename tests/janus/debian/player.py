"""Plays transcripts (../transcript.rs has the format) to Debian's Janus and compares what it says with what they expect
of us. Started by `compare`, in a network namespace of its own. A transcript is left where only our own machine can go on,
and is told so; every difference must be explained in differences.txt."""

import asyncio
import json
import pathlib
import re
import signal
import sys
import tempfile
import time

import websockets

from peer import Peer

HERE = pathlib.Path(__file__).parent
TRANSCRIPTS = HERE.parent
WEBSOCKET, HTTP, ADMIN = 8188, 8088, 7088
PATIENCE, PEER_PATIENCE, QUIET = 1.0, 6.0, 0.03  # seconds: for what is expected, with peers, and for what is not
WAIT_MAX = 12  # seconds that a transcript may pass
COUNTS = ("gauge", "drops", "counter", "written")  # what only our own machine can tell
TEMPLATES = ("OFFER", "LEVELS")


class Left(Exception):
    """The transcript goes no further here: why."""


def template():
    """The offer of transcript.rs and the line put into it."""
    source = (TRANSCRIPTS / "transcript.rs").read_text()
    texts = [re.search(rf'const {name}: &str = "(.*?)";', source, re.S).group(1) for name in TEMPLATES]
    offer, levels = (re.sub(r"\\\n\s*", "", text).replace(r"\r\n", "\r\n") for text in texts)
    return {"OFFER": offer, "LEVELS": offer.replace("a=mid:0\r\n", levels), "LONG": "x" * (1 << 19)}


class Janus:
    """The process, with a configuration of its own."""

    def __init__(self, settings):
        self.folder = tempfile.TemporaryDirectory()
        general, videoroom, rooms = [], [], []
        for setting in settings:
            key, value = setting.split("=", 1)
            if key in ("api_secret", "session_timeout", "reclaim_session_timeout", "admin_secret", "token_auth", "token_auth_secret"):
                general.append(f'{key} = "{value}"')
            elif key in ("admin_key", "string_ids", "lock_rtp_forward"):
                videoroom.append(f'{key} = "{value}"')
            elif key == "room":
                rooms.append(f'room-{value}: {{ description = "Room {value}" }}\n')
            elif key not in ("shards", "rooms_file", "forward_allow"):  # Janus keeps rooms and forwards anywhere unasked
                raise Left(f"it is configured with {key}")
        path = pathlib.Path(self.folder.name)
        others = "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail".split()
        plugins = ",".join(f"libjanus_{name}.so" for name in others)
        transports = ",".join(f"libjanus_{name}.so" for name in "mqtt nanomsg pfunix rabbitmq".split())
        (path / "janus.jcfg").write_text(
            "general: { " + " ".join(general) + " }\n"
            f'plugins: {{ disable = "{plugins}" }}\ntransports: {{ disable = "{transports}" }}\n'
        )
        (path / "janus.plugin.videoroom.jcfg").write_text(f"general: {{ {' '.join(videoroom)} }}\n" + "".join(rooms))
        (path / "janus.transport.websockets.jcfg").write_text(f"general: {{ ws = true ws_port = {WEBSOCKET} }}\n")
        admin = f'admin: {{ admin_base_path = "/admin" admin_http = true admin_port = {ADMIN} }}\n'
        (path / "janus.transport.http.jcfg").write_text(f'general: {{ base_path = "/janus" http = true port = {HTTP} }}\n' + admin)
        self.process = None

    async def start(self):
        log = open(pathlib.Path(self.folder.name) / "log", "w")
        arguments = ["-F", self.folder.name, "-d", "3", "--disable-colors"]
        self.process = await asyncio.create_subprocess_exec(
            "janus", *arguments, stdout=log, stderr=log, cwd=self.folder.name
        )
        for _ in range(200):
            try:
                for port in (WEBSOCKET, HTTP, ADMIN):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                return
            except OSError:
                await asyncio.sleep(0.05)
        raise Left("Janus did not start")

    def has_ended(self):
        return self.process.returncode is not None

    async def stop(self):
        if self.process is not None and not self.has_ended():
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()
        self.folder.cleanup()


class Client:
    """One letter: a WebSocket or an HTTP connection, whichever is spoken first."""

    def __init__(self):
        self.socket = self.reader = self.writer = self.port = None

    async def say(self, text):
        if self.socket is None:
            url = f"ws://127.0.0.1:{WEBSOCKET}/"
            self.socket = await websockets.connect(
                url, subprotocols=["janus-protocol"], compression=None, ping_interval=None, max_size=None
            )
        await self.socket.send(text)

    async def hear(self, patience):
        """The next message, None for silence."""
        if self.socket is None:
            return None
        try:
            return json.loads(await asyncio.wait_for(self.socket.recv(), patience))
        except (asyncio.TimeoutError, websockets.ConnectionClosed):
            return None

    async def request(self, request):
        method, target, *content = request.split(" ", 2)
        content = content[0].encode() if content else b""
        port = ADMIN if target.startswith("/admin") else HTTP
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof() or port != self.port:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
            self.port = port
        length = f"Content-Length: {len(content)}\r\n" if content else ""
        self.writer.write(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{length}\r\n".encode() + content)

    async def response(self, patience):
        """Status and content; None for silence."""

        async def read():
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
            content = await self.reader.readexactly(int(length.group(1))) if length else b""
            while "chunked" in head.lower() and (size := int(await self.reader.readline(), 16)) + 1:
                content += (await self.reader.readexactly(size + 2))[:-2]
                if size == 0:
                    break
            return int(head.split()[1]), content.decode()

        try:
            return await asyncio.wait_for(read(), patience)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self):
        if self.socket is not None:
            await self.socket.close()
        if self.writer is not None:
            self.writer.close()


class Transcript:
    def __init__(self, path):
        self.name = str(path.relative_to(TRANSCRIPTS).with_suffix(""))
        self.lines = list(enumerate(path.read_text().splitlines(), 1))
        self.known = template()
        self.clients, self.peers, self.past, self.offers = {}, {}, [], {}
        self.findings, self.compared, self.asked = [], 0, "nothing"

    def find(self, number, what):
        self.findings.append((f"{self.name} {self.asked} {what}", number))

    async def play(self):
        """None when it was played to the end, or why it was left, and where."""
        steps, is_ours = [], False
        for number, line in self.lines:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, line = (line[0], line[1:]) if line[0].isupper() else ("A", line)
            sign, rest = line[0], line[1:].strip()
            if sign in ">@":
                is_ours = is_ours is None
            if sign == "!" and rest == "ours":
                is_ours = None  # from the next request on
            elif not is_ours:
                steps.append((number, name, sign, rest))
        settings = [word for _, _, sign, rest in steps if sign == "!" for word in rest.split()[1:] if rest.startswith("config")]
        janus = None
        try:
            janus = Janus(settings)
            await janus.start()
            while steps:
                await self.step(steps, janus)
            return None
        except Left as left:
            return f"line {steps[0][0] if steps else 'last'}: {left}"
        finally:
            for peer in [*self.peers.values(), *self.past]:
                await peer.stop()
            for client in self.clients.values():
                await client.close()
            if janus is not None:
                await janus.stop()

    async def step(self, steps, janus):
        number, name, sign, rest = steps[0]
        client = self.clients.setdefault(name, Client())
        if sign == ">":
            text = await self.fill_in(rest)
            self.note(text)
            try:
                await client.say(text)
            except (websockets.ConnectionClosed, OSError):
                raise Left("the connection is gone" + (": the process has ended" if janus.has_ended() else ""))
        elif sign == "@":
            text = await self.fill_in(rest)
            self.asked = "-".join(text.split(" ")[0:1])
            self.note(text.partition("{")[1] + text.partition("{")[2], over=self.asked)
            await client.request(text)
        elif sign == "=":
            await self.response(number, client, rest)
        elif sign == "<":
            expected = []
            while steps and steps[0][2] == "<":
                expected.append(steps.pop(0))
            await self.hear(expected)
            if janus.has_ended():
                self.find(number, "ends the process")
                raise Left("the process has ended")
            return
        elif sign == "!":
            await self.direct(number, name, client, rest.split())
        steps.pop(0)

    def note(self, text, over=None):
        """What was asked, for the findings."""
        try:
            message, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            message = None
        words = [over] if over else []
        if isinstance(message, dict):
            words.append(str(message.get("janus")))
            body = message.get("body")
            if isinstance(body, dict) and "request" in body:
                words.append(str(body["request"]))
        elif text:
            words.append("garbage")
        self.asked = "-".join(words) or "garbage"

    async def fill_in(self, message):
        for name in sorted(self.known, key=len, reverse=True):
            message = message.replace(f"${name}", json.dumps(self.known[name]))
        if unknown := re.search(r"[$]\w+", message):
            raise Left(f"it was not told {unknown.group(0)}")
        if '"jsep"' not in message:
            return message
        try:
            request = json.loads(message)
            jsep, handle = request["jsep"], request["handle_id"]
            sdp, kind = jsep["sdp"], jsep["type"]
        except (ValueError, KeyError, TypeError):
            return message
        is_offer = kind == "offer" and sdp in [self.known[name] for name in TEMPLATES]
        is_answer = kind == "answer" and handle in self.offers and sdp == self.known.get("ANSWER")
        if is_offer or is_answer:
            peer = self.peers.setdefault(handle, Peer())
            request["jsep"]["sdp"] = await peer.describe(sdp)
            if is_answer:
                peer.begin(self.offers[handle], controlling=False)
            return json.dumps(request)
        return message

    async def hear(self, expected):
        needs_peer = any('"webrtcup"' in rest or '"media"' in rest or '"publishers"' in rest for _, _, _, rest in expected)
        names = sorted(set(self.clients) | {name for _, name, _, _ in expected})
        mine = {name: [(number, json.loads(rest)) for number, each, _, rest in expected if each == name] for name in names}

        async def listen(name):
            client, heard = self.clients.setdefault(name, Client()), []
            while len(heard) < len(mine[name]):
                message = await client.hear(PEER_PATIENCE if needs_peer else PATIENCE)
                if message is None:
                    break
                self.look_for_offers(message)
                heard.append(message)
            return heard

        heard = await asyncio.gather(*map(listen, names))
        for name, heard in zip(names, heard):
            while (message := await self.clients[name].hear(QUIET)) is not None:
                self.look_for_offers(message)
                heard.append(message)
            self.align(name, mine[name], heard, expected[-1][0])

    def look_for_offers(self, message):
        jsep, sender = message.get("jsep"), message.get("sender")
        if jsep and jsep["type"] == "offer":
            self.offers[sender] = jsep["sdp"]
            self.known["ANSWER"] = jsep["sdp"].replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
        elif jsep and sender in self.peers:
            self.peers[sender].begin(jsep["sdp"], controlling=True)
        if message["janus"] == "hangup" and sender in self.peers:
            self.past.append(self.peers.pop(sender))

    def align(self, name, expected, heard, last):
        """Each that is expected takes the first that is of its kind; then those of any kind, in order."""
        order, unlike, rest = [], [], list(enumerate(heard))
        for number, message in expected:
            found = next((each for each in rest if kind(each[1]) == kind(message)), None)
            if found is None:
                unlike.append((number, message))
            else:
                order.append((number, message, found[1]))
                rest.remove(found)
        # An ack may come behind the event that it announces: they are of two threads.
        places = [next(at for at, each in enumerate(heard) if each is found) for _, message, found in order if message["janus"] != "ack"]
        if places != sorted(places):
            self.find(last, "comes in another order")
        for number, message in unlike:
            alike = lambda each: any(message.get(key) == each[1].get(key) for key in ("transaction", "janus"))
            found = next(filter(alike, rest), None)
            if found is None:
                self.find(number, f"lacks {'-'.join(kind(message)[::2])}")
            else:
                order.append((number, message, found[1]))
                rest.remove(found)
        heard = [message for _, message in rest]
        for message in heard:
            self.find(last, f"adds {'-'.join(kind(message)[::2])}")
        for number, message, found in sorted(order, key=lambda each: each[0]):
            self.compared += 1
            self.compare(number, "", message, found)

    def compare(self, number, path, expected, heard):
        if expected == "*":
            return
        if isinstance(expected, str) and expected.startswith("$"):
            expected = self.known.setdefault(expected[1:], heard)
        if isinstance(expected, dict) and isinstance(heard, dict):
            for key in sorted(expected.keys() | heard.keys()):
                below = f"{path}.{key}".removeprefix(".plugindata.data").removeprefix(".")
                if key not in heard:
                    self.find(number, f"{below} is missing")
                elif key not in expected:
                    is_error = key in ("error", "error_code")
                    self.find(number, f"{below} is added" + f": {json.dumps(heard[key])}" * is_error)
                else:
                    self.compare(number, f"{path}.{key}", expected[key], heard[key])
        elif isinstance(expected, str) and expected.startswith("~") and isinstance(heard, str):
            parts = [part for part in expected.split("~") if part]
            for part in parts:
                if (part[1:] in heard) if part.startswith("!") else (part not in heard):
                    self.find(number, f"{path.removeprefix('.')} {'has' if part[0] == '!' else 'lacks'} {part.removeprefix('!')}")
        elif isinstance(expected, list) and isinstance(heard, list) and len(expected) == len(heard):
            # Janus' lists of rooms and of people are in the order of a hash table.
            for key in ("room", "id"):
                if all(isinstance(each, dict) and key in each for each in expected + heard):
                    expected, heard = (sorted(each, key=lambda one: str(one[key])) for each in (expected, heard))
            for one, other in zip(expected, heard):
                self.compare(number, f"{path}[]", one, other)
        elif expected != heard or type(expected) is not type(heard):
            below = path.removeprefix(".plugindata.data").removeprefix(".")
            short = lambda value: json.dumps(value)[:160]
            self.find(number, f"{below} {short(expected)} is {short(heard)}")

    async def response(self, number, client, rest):
        status, _, expected = rest.partition(" ")
        response = await client.response(PATIENCE)
        self.compared += 1
        if response is None:
            self.find(number, f"{status} is silence")
            # An answer that comes later is not that of the next request.
            client.writer.close()
            client.writer = None
            return
        if str(response[0]) != status:
            self.find(number, f"{status} is {response[0]}")
            return
        if bool(expected) != bool(response[1]):
            self.find(number, f"content is {'missing' if expected else 'added'}")
        elif expected:
            self.compare(number, "", json.loads(expected), json.loads(response[1]))

    async def direct(self, number, name, client, words):
        match words:
            case ["ours", "to", "the", "end:", *why]:
                raise Left(" ".join(why))
            case ["config", *_] | ["connect"]:
                pass
            case ["wait", seconds] if float(seconds) <= WAIT_MAX:
                await asyncio.sleep(float(seconds))
            case ["wait", seconds]:
                raise Left(f"it waits for {seconds} s")
            case ["disconnect"]:
                await client.close()
                del self.clients[name]
                await asyncio.sleep(0.1)
            case ["unanswered"]:
                if (response := await client.response(QUIET)) is not None:
                    self.find(number, f"answers {response[0]}")
            case [word, *_] if word in COUNTS:
                pass
            case [word, *_]:
                raise Left(f"`{word}` is for our own machine")


def kind(message):
    """What tells messages apart: verb, transaction, and what the plugin says."""
    if not isinstance(message, dict):
        return ("nothing", "", "")
    data = message.get("plugindata")
    data = data.get("data") if isinstance(data, dict) else None
    said = data if isinstance(data, dict) else {}
    keys = ("joining", "publishers", "unpublished", "leaving", "kicked", "moderation", "display", "metadata", "configured")
    names = [said.get("videoroom", ""), *(key for key in keys if key in said and "transaction" not in message)]
    return (str(message.get("janus")), str(message.get("transaction")), "-".join(filter(None, map(str, names))) if "error_code" not in said else "error")


def explanations():
    """The patterns of differences.txt: a sentence in lines that begin with `#`, then what it explains, `*` is anything."""
    patterns = {}
    for number, line in enumerate((HERE / "differences.txt").read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            patterns[number, line] = re.compile(".*".join(map(re.escape, line.removeprefix("? ").split("*"))))
    return patterns


async def main():
    wanted = sys.argv[1:]
    paths = [TRANSCRIPTS / f"{name}.txt" for name in wanted] or sorted(path for path in TRANSCRIPTS.glob("*/*.txt") if path.parent != HERE)
    patterns, used, unexplained, compared, explained = explanations(), set(), 0, 0, 0
    began = time.monotonic()
    for path in paths:
        transcript = Transcript(path)
        left = await transcript.play()
        compared += transcript.compared
        print(f"{transcript.name}: {transcript.compared} compared" + (f", left at {left}" if left else ""), flush=True)
        for finding, number in transcript.findings:
            matching = [key for key, pattern in patterns.items() if pattern.fullmatch(finding)]
            used.update(matching)
            explained += bool(matching)
            if not matching:
                unexplained += 1
                print(f"  line {number}: {finding}")
    idle = [line for number, line in patterns if (number, line) not in used and not line.startswith("?")] if not wanted else []
    for line in idle:
        print(f"differences.txt explains what is not there: {line}")
    print(f"{len(paths)} transcripts, {compared} messages compared in {time.monotonic() - began:.0f} s: "
          f"{explained} differences explained, {unexplained} not")
    sys.exit(bool(unexplained or idle))


if __name__ == "__main__":
    asyncio.run(main())
