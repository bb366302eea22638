//! Publishers of other servers: what they send is brought to their streams, and keyframes are asked of whoever sends. Which
//! m-line a packet is of is in its SSRC.

use super::HostedRoom;
use super::receive::unopened;
use crate::control::error::RoomError;
use crate::control::forward::SrtpKey;
use crate::control::remote::{FIRST_SSRC, SSRCS_PER_LINE};
use crate::control::request::Administration;
use crate::id::{FourTuple, MemberId, StreamId};
use crate::media::ports::Remote;
use crate::media::turn::Turn;
use crate::media::verdict::{DropReason, Verdict};
use crate::time::Mono;
use crate::wire::demux::Protocol;
use crate::wire::rtcp::Pli;
use crate::wire::rtp::Packet;
use crate::wire::sdp::MediaKind;

/// RTP without anything: the other server opens the way for our wishes with it.
const OPENER_LEN: usize = 12;

impl HostedRoom {
    /// Finds a port for a publisher that is to be added; the room may refuse it still.
    pub(super) fn find_port(turn: &Turn<'_>, request: &mut Administration) -> Result<(), RoomError> {
        if let Administration::AddRemote(add) = request {
            let wish = Some(add.port).filter(|port| *port > 0);
            add.port = turn.state.remote_ports.free(wish).ok_or(RoomError::Exhausted("remote_ports"))?;
        }
        Ok(())
    }

    pub(super) fn open_remote(&mut self, turn: &mut Turn<'_>, member: MemberId, port: u16, srtp: Option<&SrtpKey>) {
        let key = self.key(member);
        turn.state.remote_ports.claim(port, key);
        let remote = Remote::new(key, srtp).expect("a key of 30 bytes is one for the profiles of RFC 3711");
        self.remotes.put(member.0, remote);
    }

    /// Its port is free again.
    pub(super) fn close_remote(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if let Some(remote) = self.remotes.take(member.0) {
            turn.state.remote_ports.release(remote.key);
        }
    }

    /// A datagram at the port of a publisher of another server.
    pub fn accept_remote(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        at: FourTuple,
        received: Mono,
        protocol: Protocol,
        datagram: &mut [u8],
    ) -> Verdict {
        let Some(remote) = self.remotes.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        let opens = protocol == Protocol::Rtcp || datagram.len() == OPENER_LEN && datagram[1..].iter().all(|&b| b == 0);
        match protocol {
            _ if opens && remote.opened(at, received) => return Verdict::Consumed,
            _ if opens => return Verdict::Drop(DropReason::UnknownSource),
            Protocol::Rtp => {}
            _ => return Verdict::Drop(DropReason::UnknownSource),
        }
        let takes = remote.takes(at, received);
        let len = match &mut remote.inbound {
            Some(inbound) => match inbound.unprotect_rtp(datagram) {
                Ok(opened) => opened.len,
                Err(error) => return Verdict::Drop(unopened(error)),
            },
            // What proves nothing must at least come from one place.
            None if !takes => return Verdict::Drop(DropReason::UnknownSource),
            None => datagram.len(),
        };
        let Ok(packet) = Packet::parse(&datagram[..len]) else { return Verdict::Drop(DropReason::RtpMalformed) };
        let Some(place) = packet.header.ssrc.checked_sub(FIRST_SSRC) else {
            return Verdict::Drop(DropReason::RtpUnknownSource);
        };
        let (mindex, substream) = (place / SSRCS_PER_LINE, place % SSRCS_PER_LINE);
        let is_meant = |id: &StreamId| {
            let stream = self.streams.get(id.0);
            stream.is_some_and(|stream| u32::try_from(stream.media.mindex) == Ok(mindex))
        };
        let found = remote.streams.iter().copied().find(is_meant);
        // One encoding is all that is understood.
        let Some(id) = found.filter(|_| substream == 0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        let verdict = self.keep(turn, (id, 0), received, &packet);
        // Only what is taken counts as heard: otherwise one stray packet would keep the other server out.
        if let (Verdict::Accepted, Some(remote)) = (verdict, self.remotes.get_mut(member.0)) {
            remote.heard(at, received);
        }
        // There is no timer of its own: what is asked for too soon is asked again when something comes.
        if self.streams.get(id.0).is_some_and(|stream| stream.keyframes.due() <= turn.now.mono) {
            self.ask_remote(turn, id);
        }
        verdict
    }

    /// A PLI to the other server, if the stream's pace allows one now. True when the stream is of another server.
    pub(super) fn ask_remote(&mut self, turn: &mut Turn<'_>, id: StreamId) -> bool {
        let Some(stream) = self.streams.get_mut(id.0) else { return false };
        let Some(remote) = self.remotes.get(stream.member.0) else { return false };
        let (Some(to), Some(media_ssrc)) = (remote.feedback(), stream.ssrc()) else { return true };
        if stream.media.kind == MediaKind::Video && stream.keyframes.take(turn.now.mono) {
            let pli = Pli { sender_ssrc: 1, media_ssrc };
            if turn.send_control(to, |out| pli.write(out).ok()).is_some() {
                turn.state.counters.keyframe_requests_sent += 1;
            }
        }
        true
    }
}
