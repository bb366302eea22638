//! RTCP of a room's peers: reports, goodbyes, losses and keyframe wishes. One malformed packet of a compound is counted and
//! hides nothing of what stands behind it (RFC 3550 §6.1, RFC 4585 §6).

use super::HostedRoom;
use super::binding::end_source;
use crate::id::MemberId;
use crate::media::sources::Source;
use crate::media::turn::Turn;
use crate::media::verdict::{DropReason, Verdict};
use crate::proto::rtp::round_trip;
use crate::time::Mono;
use crate::wire::rtcp;
use crate::wire::rtcp::{ANY_SSRC, Compound};
use crate::wire::sdp::MediaKind;

impl HostedRoom {
    /// The packets of an authenticated compound: reports, keyframe wishes, goodbyes, and losses that subscribers name.
    pub(super) fn read_compound(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        received: Mono,
        compound: &[u8],
    ) -> Verdict {
        let (mut tally, mut of_any) = (Tally::default(), false);
        for packet in Compound::new(compound) {
            tally.count(packet.is_ok());
            match packet {
                Ok(rtcp::Packet::SenderReport(report)) => self.sender_report(turn, member, received, &report),
                Ok(rtcp::Packet::Pli(pli)) if pli.media_ssrc == ANY_SSRC => of_any = true,
                Ok(rtcp::Packet::Pli(pli)) => self.keyframe_wanted(turn, member, pli.media_ssrc),
                Ok(rtcp::Packet::Fir(fir)) => {
                    for ssrc in fir.targets() {
                        match ssrc {
                            ANY_SSRC => of_any = true,
                            ssrc => self.keyframe_wanted(turn, member, ssrc),
                        }
                    }
                }
                Ok(rtcp::Packet::Nack(nack)) => self.serve_nack(turn, member, &nack),
                Ok(rtcp::Packet::ReceiverReport(report)) => {
                    report.report_blocks().for_each(|block| self.reception_report(turn, member, &block));
                }
                Ok(rtcp::Packet::Bye(bye)) => bye.sources().for_each(|ssrc| self.goodbye(member, ssrc)),
                // Descriptions name nobody whom we do not know, and bandwidth estimates of subscribers change nothing yet.
                Ok(_) => {}
                // Counted; what follows it is read all the same.
                Err(_) => {}
            }
        }
        if of_any {
            // Once for the datagram, however often it says so: this looks at every leg.
            self.keyframe_wanted(turn, member, ANY_SSRC);
        }
        tally.verdict(turn)
    }

    fn sender_report(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        received: Mono,
        report: &rtcp::SenderReport<'_>,
    ) {
        report.report_blocks().for_each(|block| self.reception_report(turn, member, &block));
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let Some(Source::Media(id, layer)) = peer.sources.get(report.ssrc) else { return };
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let clock_rate = stream.clock_rate();
        peer.clock.sender_report(report.info.ntp, received, turn.now);
        let layer = &mut stream.layers[layer];
        if layer.ssrc().is_some_and(|current| current != report.ssrc) {
            // Of an SSRC that is not relayed: another one has the m-line.
            return;
        }
        stream.clock.sender_report(report.info.ntp, report.info.rtp_timestamp);
        layer.arrival_of(report.ssrc, clock_rate).sender_report(report.info.ntp, received);
    }

    /// How a subscriber receives one of its legs: the round trip, and what it has lost.
    fn reception_report(&mut self, turn: &mut Turn<'_>, member: MemberId, block: &rtcp::ReportBlock) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let mut legs = peer.legs.iter();
        let found = legs.find(|leg| self.legs.get(leg.0).is_some_and(|leg| leg.spec.ssrc == block.ssrc));
        let Some(leg) = found.and_then(|leg| self.legs.get_mut(leg.0)) else { return };
        leg.loss.report(block.cumulative_lost);
        leg.remote_jitter = block.jitter;
        if let Some(trip) = round_trip(turn.now, block.last_sr, block.delay_since_last_sr) {
            peer.round_trip = if peer.round_trip.is_zero() { trip } else { (peer.round_trip * 7 + trip) / 8 };
        }
    }

    /// RFC 3550 §6.6: the source has ended, and nothing of it is waited for any more. Its SSRC stays where it belongs,
    /// because browsers say goodbye when an encoding is switched off and go on without a MID when it comes back.
    fn goodbye(&mut self, member: MemberId, ssrc: u32) {
        let Some(peer) = self.peers.get(member.0) else { return };
        if let Some(source) = peer.sources.get(ssrc) {
            end_source(&mut self.streams, source, ssrc);
        }
    }

    /// A subscriber needs a keyframe of the m-line that it receives with this SSRC, media or RTX; without a name, of all
    /// video that it is sent.
    fn keyframe_wanted(&mut self, turn: &mut Turn<'_>, member: MemberId, ssrc: u32) {
        let legs = self.peers.get(member.0).map_or(0, |peer| peer.legs.len());
        for i in 0..legs {
            let leg = self.peers.get(member.0).and_then(|peer| self.legs.get(peer.legs.get(i)?.0));
            let Some(leg) = leg.filter(|leg| leg.spec.kind == MediaKind::Video) else { continue };
            let is_meant = ssrc == ANY_SSRC || leg.spec.ssrc == ssrc || leg.spec.rtx_ssrc == Some(ssrc);
            if let Some(stream) = leg.source.filter(|_| is_meant) {
                self.request_keyframe(turn, stream);
            }
        }
    }
}

/// The packets of one compound: those that were read, and those that were malformed.
#[derive(Default)]
pub(super) struct Tally {
    read: u64,
    malformed: u64,
}

impl Tally {
    /// One more packet.
    pub(super) fn count(&mut self, is_read: bool) {
        *(if is_read { &mut self.read } else { &mut self.malformed }) += 1;
    }

    /// Counts the malformed packets; the datagram is dropped when there was nothing else in it.
    pub(super) fn verdict(self, turn: &mut Turn<'_>) -> Verdict {
        match (self.read, self.malformed) {
            (0, 1..) => {
                turn.state.drops.add(DropReason::RtcpMalformed, self.malformed - 1);
                Verdict::Drop(DropReason::RtcpMalformed)
            }
            (_, malformed) => {
                turn.state.drops.add(DropReason::RtcpMalformed, malformed);
                Verdict::Consumed
            }
        }
    }
}
