//! What goes to a peer by the clock: reports, transport feedback, bandwidth caps, keyframe requests, DTLS flights that
//! have to be repeated, and the end of a peer that is heard no more.

use std::time::Duration;

use super::HostedRoom;
use crate::control::command::HangupReason;
use crate::id::{MemberId, StreamId};
use crate::limits::{REPORT_INTERVAL, REPORT_SLOT, SEGMENT_MAX};
use crate::media::leg::Leg;
use crate::media::stream::Stream;
use crate::media::timer::{TimerId, Urgency};
use crate::media::turn::Turn;
use crate::time::Mono;
use crate::wire::error::WireError;
use crate::wire::rtcp::{Cname, Ntp, Pli, ReceiverReport, Remb, ReportBlock, SenderInfo, SenderReport};
use crate::wire::sdp::MediaKind;

/// Report blocks of one packet: the count field has five bits.
const BLOCKS_MAX: usize = 31;

/// RTCP name of everything we send (RFC 3550 §6.5.1).
const CNAME: &[u8] = b"portunus";

/// When a new peer reports first: in some slot of the interval, so that peers that came together do not all share one.
pub(super) fn first_report(now: Mono, random: u32) -> Mono {
    slot_before(now + REPORT_INTERVAL.mul_f64(f64::from(random) / f64::from(u32::MAX))) + REPORT_SLOT
}

/// When a peer that reports now does so again.
fn next_report(now: Mono) -> Mono {
    slot_before(now + REPORT_INTERVAL)
}

fn slot_before(at: Mono) -> Mono {
    let since = at.0 % u64::try_from(REPORT_SLOT.as_nanos()).expect("a moment");
    at - Duration::from_nanos(since)
}

impl HostedRoom {
    /// A look at a peer has come.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>, member: MemberId, timer: (Urgency, TimerId)) {
        let now = turn.now.mono;
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if !peer.planned.have(timer) {
            return;
        }
        let unanswered = !peer.is_connected() && peer.connect_by <= now;
        let owes = !peer.streams.is_empty();
        if unanswered || peer.is_connected() && peer.ice.is_gone(now, turn.state.peer_timeout, owes) {
            return self.peer_lost(turn, member, HangupReason::IceFailed);
        }
        if peer.dtls.deadline() <= now {
            peer.dtls.handle_timeout(turn.now);
            self.after_dtls(turn, member);
        }
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if peer.is_connected() {
            if peer.report_at <= now {
                peer.report_at = next_report(now);
                self.count_second(member);
                self.watch_media(turn, member);
                self.refresh_keyframes(turn, member);
                self.watch_links(turn, member);
                self.observe_media(turn, member);
                self.report_reception(turn, member);
                self.report_sending(turn, member);
            }
            self.send_nacks(turn, member);
            self.send_feedback(turn, member);
            self.send_cap(turn, member);
            let wanted: Vec<StreamId> = self.streams_of(member).filter(|id| self.wants_keyframe(*id, now)).collect();
            for stream in wanted {
                self.send_keyframe_request(turn, stream);
            }
        }
        self.rearm(turn, member);
    }

    fn streams_of(&self, member: MemberId) -> impl Iterator<Item = StreamId> {
        self.peers.get(member.0).into_iter().flat_map(|peer| &peer.streams).copied()
    }

    fn wants_keyframe(&self, id: StreamId, now: Mono) -> bool {
        self.streams.get(id.0).is_some_and(|stream| stream.keyframes.due() <= now)
    }

    /// Closes the second that operators are shown.
    fn count_second(&mut self, member: MemberId) {
        let Some(peer) = self.peers.get(member.0) else { return };
        for id in &peer.streams {
            self.streams.get_mut(id.0).into_iter().for_each(Stream::count_second);
        }
        for id in &peer.legs {
            self.legs.get_mut(id.0).into_iter().for_each(Leg::count_second);
        }
    }

    /// Notices m-lines from which nothing comes any more.
    fn watch_media(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let patience = turn.state.no_media_timer;
        if patience.is_zero() {
            return;
        }
        let silent = |id: &StreamId| {
            self.streams
                .get(id.0)
                .is_some_and(|stream| stream.receiving && turn.now.mono.since(stream.received()) >= patience)
        };
        let silent: Vec<StreamId> = self.streams_of(member).filter(silent).collect();
        for id in silent {
            if let Some(stream) = self.streams.get_mut(id.0) {
                stream.receiving = false;
            }
            self.media_changed(turn, id, false);
        }
    }

    /// The room's `fir_freq`: a keyframe at least so often, as long as media come.
    fn refresh_keyframes(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let interval = Duration::from_secs(self.room.wiring().spec().fir_freq.into());
        if interval.is_zero() {
            return;
        }
        let now = turn.now.mono;
        let stale = |id: &StreamId| {
            self.streams.get(id.0).is_some_and(|stream| stream.receiving && stream.keyframes.is_stale(now, interval))
        };
        let stale: Vec<StreamId> = self.streams_of(member).filter(stale).collect();
        for id in stale {
            self.request_keyframe(turn, id);
        }
    }

    /// Tells of m-lines that lost too much since the last report: what we miss of a publisher's, and what a subscriber
    /// says that it misses of ours. RTX does not mend that: the link is as slow with it.
    fn watch_links(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let threshold = turn.state.slowlink_threshold;
        let Some(peer) = self.peers.get(member.0).filter(|_| threshold > 0) else { return };
        let mut slow = Vec::new();
        for id in &peer.streams {
            let Some(stream) = self.streams.get_mut(id.0) else { continue };
            let lost = stream.take_lost();
            if lost >= threshold {
                slow.push(((stream.media.mid, stream.media.kind), false, lost));
            }
        }
        for id in &peer.legs {
            let Some(leg) = self.legs.get_mut(id.0) else { continue };
            let lost = leg.loss.take();
            if lost >= threshold {
                slow.push(((leg.spec.mid, leg.spec.kind), true, lost));
            }
        }
        for (line, uplink, lost) in slow {
            let mut effects = Vec::new();
            self.room.roster().slow_link(member, line, uplink, lost, &mut effects);
            self.apply(turn, effects);
        }
    }

    /// RR and SDES for what the peer publishes (RFC 3550 §6.4.2).
    fn report_reception(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let now = turn.now.mono;
        let mut blocks = arrayvec::ArrayVec::<[u8; ReportBlock::LEN], BLOCKS_MAX>::new();
        for id in &peer.streams {
            let Some(stream) = self.streams.get_mut(id.0) else { continue };
            for arrival in stream.layers.iter_mut().filter_map(|layer| layer.arrival.as_mut()) {
                if let Some(block) = arrival.report_block(now)
                    && !blocks.is_full()
                {
                    blocks.push(block.to_bytes());
                }
            }
        }
        if blocks.is_empty() {
            return;
        }
        let ssrc = peer.report_ssrc;
        peer.send_rtcp(turn, |out| {
            let report = ReceiverReport { ssrc, blocks: &blocks };
            with_cname(out, ssrc, |out| report.write(out))
        });
    }

    /// SR and SDES for each leg that has sent (RFC 3550 §6.4.1): the publisher's clock, so that audio and video of one
    /// publisher stay on one line.
    fn report_sending(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let legs = self.peers.get_mut(member.0).map(|peer| std::mem::take(&mut peer.legs)).unwrap_or_default();
        let now = turn.now.mono;
        // RFC 3550 §6.4: a participant that has sent nothing since the last two reports is no sender and reports no sending.
        let is_sender = |leg: &&Leg| leg.rewrite.sent_at().is_some_and(|at| now.since(at) <= 2 * REPORT_INTERVAL);
        for leg in legs.iter().filter_map(|leg| self.legs.get(leg.0)).filter(is_sender) {
            let Some(stream) = leg.source.and_then(|id| self.streams.get(id.0)) else { continue };
            let clock = self.peers.get(stream.member.0).map(|publisher| publisher.clock).unwrap_or_default();
            let (Some(timestamp), Some(offset)) =
                (stream.clock.timestamp_at(&clock, turn.now), leg.rewrite.timestamp_offset())
            else {
                continue;
            };
            let info = SenderInfo {
                ntp: Ntp::from_unix_us(turn.now.unix_us),
                rtp_timestamp: timestamp.wrapping_add(offset),
                packet_count: leg.sent.packets,
                octet_count: leg.sent.octets,
            };
            let Some(peer) = self.peers.get_mut(member.0) else { return };
            let ssrc = leg.spec.ssrc;
            peer.send_rtcp(turn, |out| {
                with_cname(out, ssrc, |out| SenderReport { ssrc, info, blocks: &[] }.write(out))
            });
        }
        if let Some(peer) = self.peers.get_mut(member.0) {
            peer.legs = legs;
        }
    }

    /// Arrival times for the sender's congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    fn send_feedback(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let now = turn.now.mono;
        let media_ssrc = self.published_ssrc(member);
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let Some(media_ssrc) = media_ssrc else { return };
        let mut plain = [0; SEGMENT_MAX];
        // What has no path to go by is lost like a datagram; the recorder goes on.
        while let Some(len) = peer.feedback.compose(now, peer.report_ssrc, media_ssrc, &mut plain) {
            peer.send_rtcp(turn, |out| {
                out.get_mut(..len)?.copy_from_slice(&plain[..len]);
                Some(len)
            });
        }
    }

    /// REMB behind an empty RR, as Janus sends it (draft-alvestrand-rmcat-remb-03 §2.2).
    fn send_cap(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(ssrc) = self.video_ssrc(member) else { return };
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let Some(bitrate) = peer.cap.poll(turn.now.mono) else { return };
        let sender_ssrc = peer.report_ssrc;
        peer.send_rtcp(turn, |out| {
            let len = ReceiverReport { ssrc: sender_ssrc, blocks: &[] }.write(out).ok()?;
            let remb = Remb { sender_ssrc, bitrate, ssrcs: &[ssrc.to_be_bytes()] }.write(&mut out[len..]).ok()?;
            Some(len + remb)
        });
    }

    /// A PLI, if the stream's pace allows one now (RFC 4585 §6.3.1).
    pub(super) fn send_keyframe_request(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let Some(media_ssrc) = stream.ssrc() else { return };
        let Some(peer) = self.peers.get_mut(stream.member.0).filter(|peer| peer.is_connected()) else { return };
        if stream.media.kind != MediaKind::Video || !stream.keyframes.take(turn.now.mono) {
            return;
        }
        let sender_ssrc = peer.report_ssrc;
        if peer.send_rtcp(turn, |out| Pli { sender_ssrc, media_ssrc }.write(out).ok()) {
            turn.state.counters.keyframe_requests_sent += 1;
        }
    }

    /// Any SSRC that the peer sends with: feedback names one.
    pub(super) fn published_ssrc(&self, member: MemberId) -> Option<u32> {
        let mut streams = self.streams_of(member).filter_map(|id| self.streams.get(id.0));
        self.video_ssrc(member).or_else(|| streams.find_map(Stream::ssrc))
    }

    pub(super) fn video_ssrc(&self, member: MemberId) -> Option<u32> {
        let streams = self.streams_of(member).filter_map(|id| self.streams.get(id.0));
        streams.filter(|stream| stream.media.kind == MediaKind::Video).find_map(Stream::ssrc)
    }
}

/// A report and the CNAME that has to go with it (RFC 3550 §6.1).
pub(super) fn with_cname(
    out: &mut [u8],
    ssrc: u32,
    report: impl FnOnce(&mut [u8]) -> Result<usize, WireError>,
) -> Option<usize> {
    let len = report(out).ok()?;
    let names = Cname { ssrc, name: CNAME }.write(&mut out[len..]).ok()?;
    Some(len + names)
}
