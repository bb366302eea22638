"""A peer connection under a description that is given: ICE and DTLS of aiortc without its own offers and answers, and RTP
packets all the while, so that the server has something to announce."""

import asyncio
import re
import struct

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceParameters, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

INTERVAL = 0.02


class Peer:
    def __init__(self):
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.dtls = RTCDtlsTransport(self.ice, [RTCCertificate.generateCertificate()])
        self.streams, self.task = [], None

    async def describe(self, sdp):
        """Puts this peer's transport into a description."""
        await self.gatherer.gather()
        mine = self.gatherer.getLocalParameters()
        [fingerprint] = [each for each in self.dtls.getLocalParameters().fingerprints if each.algorithm == "sha-256"]
        candidates = []
        for candidate in self.gatherer.getLocalCandidates():
            candidates.append(f"a=candidate:{candidate_to_sdp(candidate)}\r\n")
        out, self.streams = [], []
        for line in sdp.replace("\r\n", "\n").split("\n"):
            name = line.split(":")[0]
            if name in ("a=candidate", "a=end-of-candidates", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=ssrc", "a=ssrc-group"):
                continue
            out.append(line + "\r\n" if line else "")
            if line.startswith("c="):
                out.append(f"a=ice-ufrag:{mine.usernameFragment}\r\na=ice-pwd:{mine.password}\r\n")
                out.append(f"a=fingerprint:sha-256 {fingerprint.value}\r\n" + "".join(candidates))
            if line.startswith("m="):
                payload_type = int(line.split()[3])
            if line == "a=sendonly":
                ssrc = 0x5000 + len(self.streams)
                self.streams.append((payload_type, ssrc))
                out.append(f"a=ssrc:{ssrc} cname:peer\r\n")
        return "".join(out)

    def begin(self, sdp, controlling):
        """Connects to whoever made this description; a description for a connection that is there changes nothing."""
        if self.task is None:
            self.task = asyncio.create_task(self.connect(sdp, controlling))

    async def connect(self, sdp, controlling):
        find = lambda name: re.search(rf"^a={name}:(.*?)\r?$", sdp, re.M).group(1)
        for found in re.findall(r"^a=candidate:(.*?)\r?$", sdp.split("m=")[1], re.M):
            await self.ice.addRemoteCandidate(candidate_from_sdp(found))
        await self.ice.addRemoteCandidate(None)
        self.ice._connection.ice_controlling = controlling
        self.ice._role_set = True
        await self.ice.start(RTCIceParameters(usernameFragment=find("ice-ufrag"), password=find("ice-pwd")))
        self.dtls._set_role("server" if find("setup") == "active" else "client")
        algorithm, value = find("fingerprint").split()
        await self.dtls.start(RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(algorithm, value)]))
        for number in range(1 << 16):
            for payload_type, ssrc in self.streams:
                # A keyframe of VP8, or Opus that is silent.
                payload = b"\x10\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00" if payload_type == 96 else b"\xf8\xff\xfe"
                header = struct.pack("!BBHII", 0x80, 0x80 | payload_type, number, number * 960, ssrc)
                await self.dtls._send_rtp(header + payload)
            await asyncio.sleep(INTERVAL)

    async def stop(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.dtls.stop()
        await self.ice.stop()
