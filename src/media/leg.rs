//! One subscriber's m-line on the packet path: which numbers its packets get and whether they flow. The bytes come from
//! the stream's history, the key is the peer's.

use std::ops::Range;
use std::time::Duration;

use super::arena::Lane;
use super::history::Entry;
use super::rewrite::{Rewrite, Rewritten};
use super::sent::SentPackets;
use crate::control::effect::LegSpec;
use crate::control::inspection::Counts;
use crate::control::media::{AcceptedMedia, ExtensionIds};
use crate::id::{MemberId, StreamId};
use crate::proto::srtp::OutboundStream;
use crate::time::Mono;
use crate::wire::error::WireError;
use crate::wire::rtp::extension::AbsSendTime;
use crate::wire::rtp::{Header, HeaderWriter};
use crate::wire::sdp::MediaKind;

/// Longest header we compose: the fixed part, and every extension in the two-byte form with a full mid.
pub const HEADER_MAX: usize = 12 + 4 + (2 + 16) + (2 + 1) + (2 + 3) + (2 + 2) + (2 + 1) + (2 + 3) + 3;

/// A leg.
pub struct Leg {
    /// Who receives it.
    pub member: MemberId,
    /// Fixed when the m-line was offered.
    pub spec: LegSpec,
    /// Where its packets come from.
    pub source: Option<StreamId>,
    /// Whether the room lets packets flow; a leg is in its stream's route exactly when this and a source are there.
    pub open: bool,
    /// The SRTP streams, once the peer is connected.
    pub outbound: Option<LegStreams>,
    /// Positions of the source's history that this turn's release has to send.
    pub pending: Range<u64>,
    /// Video waits for a keyframe after every change of its source.
    pub awaiting_keyframe: bool,
    /// Sent so far (RFC 3550 §6.4.1: packets, payload octets).
    pub sent: Sent,
    /// What can be sent again, when the subscriber asks for what it misses.
    pub resendable: Option<SentPackets>,
    /// Loss as its receiver reports it.
    pub loss: ReportedLoss,
    /// Jitter as its receiver reports it, in timestamp units.
    pub remote_jitter: u32,
    /// Payload octets that event handlers have been told of.
    pub octets_told: u64,
    /// Continuity of numbers.
    pub rewrite: Rewrite,
    /// The playout-delay to say in the place of the publisher's.
    pub playout_delay: Option<[u8; 3]>,
    pt: u8,
    rtx_pt: Option<u8>,
    nack: bool,
    extensions: ExtensionIds,
    /// For operators and event handlers: what was counted until the last report, with what was asked for and sent again.
    counted: Counts,
    /// `sent` at the last report.
    sent_before: Sent,
}

/// The SRTP streams of a leg.
#[derive(Clone, Copy, Debug)]
pub struct LegStreams {
    pub media: OutboundStream,
    /// Its RTX (RFC 4588), when the m-line was offered with it.
    pub rtx: Option<OutboundStream>,
}

/// What of a header is the moment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// `abs-send-time`.
    pub abs_send_time: [u8; 3],
    /// Transport-wide sequence number.
    pub transport_sequence: u16,
}

impl Stamps {
    /// A packet that leaves now.
    pub fn at(now: Mono, transport_sequence: u16) -> Stamps {
        let since_origin = Duration::from_nanos(now.0);
        Stamps { abs_send_time: AbsSendTime::at(since_origin).to_bytes(), transport_sequence }
    }
}

/// What a receiver reports as lost (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportedLoss {
    cumulative: i32,
    newly: u32,
}

impl ReportedLoss {
    /// Takes note of a report's cumulative number.
    pub fn report(&mut self, cumulative: i32) {
        self.newly = self.newly.saturating_add(u32::try_from(cumulative - self.cumulative).unwrap_or(0));
        self.cumulative = cumulative;
    }

    /// What its receiver has missed so far.
    pub fn cumulative(&self) -> i32 {
        self.cumulative
    }

    /// What was lost since the last call.
    pub fn take(&mut self) -> u32 {
        std::mem::take(&mut self.newly)
    }
}

/// A sender's counts for its reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub packets: u32,
    /// Payload octets, without headers and padding.
    pub octets: u32,
}

impl Leg {
    /// A leg without a source. `first` and `timestamp` are random starting points.
    pub fn new(member: MemberId, spec: LegSpec, first: u64, timestamp: u32) -> Leg {
        Leg {
            member,
            source: None,
            open: false,
            outbound: None,
            pending: 0..0,
            awaiting_keyframe: spec.kind == MediaKind::Video,
            sent: Sent::default(),
            rewrite: Rewrite::new(spec.clock_rate, first, timestamp),
            playout_delay: None,
            resendable: None,
            loss: ReportedLoss::default(),
            remote_jitter: 0,
            octets_told: 0,
            pt: spec.pt,
            rtx_pt: None,
            nack: false,
            extensions: spec.extensions,
            counted: Counts::default(),
            sent_before: Sent::default(),
            spec,
        }
    }

    /// In which lane its packets go out.
    pub fn lane(&self) -> Lane {
        if self.spec.kind == MediaKind::Audio { Lane::Audio } else { Lane::Video }
    }

    /// Takes what the subscriber's answer made of the offered numbers.
    pub fn accept(&mut self, media: &AcceptedMedia) {
        let same = (self.pt, self.extensions) == (media.pt, media.extensions);
        self.pt = media.pt;
        self.rtx_pt = media.rtx_pt;
        // Chromium asks for audio as soon as we offer to repair it, and leaves that out of its answer.
        self.nack = media.nack || self.spec.kind == MediaKind::Audio;
        self.extensions = media.extensions;
        if !same {
            self.forget_sent();
        }
        self.prepare_resends();
    }

    /// The peer is connected.
    pub fn connect(&mut self, streams: LegStreams) {
        self.outbound = Some(streams);
        self.prepare_resends();
    }

    /// The peer goes on with another connection, which knows nothing of our numbers: they begin anew, without a rollover
    /// that its receiver could not guess. `first` and `timestamp` are as for [`Leg::new`].
    pub fn disconnect(&mut self, first: u64, timestamp: u32) {
        self.outbound = None;
        self.resendable = None;
        self.rewrite = Rewrite::new(self.spec.clock_rate, first, timestamp);
        self.awaiting_keyframe = self.spec.kind == MediaKind::Video;
        self.loss = ReportedLoss::default();
        self.counted = Counts { bytes_last_second: 0, ..self.counts() };
        (self.sent, self.sent_before, self.octets_told) = (Sent::default(), Sent::default(), 0);
    }

    fn prepare_resends(&mut self) {
        if !self.nack {
            self.resendable = None;
        } else if self.outbound.is_some() && self.resendable.is_none() {
            self.resendable = Some(SentPackets::new(self.spec.kind));
        }
    }

    /// Nothing that was sent can be made again byte for byte.
    fn forget_sent(&mut self) {
        if let Some(resendable) = &mut self.resendable {
            resendable.forget();
        }
    }

    /// The RTX payload type and SRTP stream, when the answer kept them.
    pub fn rtx(&self) -> Option<(u8, OutboundStream)> {
        self.rtx_pt.zip(self.outbound?.rtx)
    }

    /// Notes packets that were asked for again, and how many of them were sent again.
    pub fn count_resends(&mut self, asked: u64, resent: u64) {
        self.counted.nacks += asked;
        self.counted.retransmissions += resent;
    }

    /// What it has sent in all: the counts of reports are 32-bit and wrap.
    pub fn counts(&self) -> Counts {
        let newly = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        Counts {
            packets: self.counted.packets + newly(self.sent.packets, self.sent_before.packets),
            bytes: self.counted.bytes + newly(self.sent.octets, self.sent_before.octets),
            ..self.counted
        }
    }

    /// A second has gone by.
    pub fn count_second(&mut self) {
        let counts = self.counts();
        self.counted = Counts { bytes_last_second: counts.bytes - self.counted.bytes, ..counts };
        self.sent_before = self.sent;
    }

    /// The RTX payload type that the answer kept.
    pub fn rtx_pt(&self) -> Option<u8> {
        self.rtx_pt
    }

    /// The payload type that the answer chose.
    pub fn pt(&self) -> u8 {
        self.pt
    }

    /// Whether its packets take a transport-wide sequence number.
    pub fn has_transport_sequence(&self) -> bool {
        self.extensions.transport_cc.is_some()
    }

    /// Another source: numbers go on, video waits for a keyframe.
    pub fn set_source(&mut self, source: Option<StreamId>) {
        self.source = source;
        self.pending = 0..0;
        self.switch();
        self.awaiting_keyframe = self.spec.kind == MediaKind::Video;
    }

    /// The source goes on with other numbers.
    pub fn switch(&mut self) {
        self.rewrite.switch();
        self.forget_sent();
    }

    /// Opens or closes the gate.
    pub fn gate(&mut self, open: bool) {
        if open && !self.open {
            self.rewrite.resume();
            self.awaiting_keyframe = self.spec.kind == MediaKind::Video;
        }
        self.open = open;
    }

    /// The numbers of a packet of the source, if it belongs to this leg.
    pub fn map(&mut self, entry: &Entry, now: Mono) -> Option<Rewritten> {
        self.rewrite.map(entry.sequence, entry.timestamp, now)
    }

    /// Writes the packet's header: the leg's own numbers, and the extensions that the subscriber agreed to. The same
    /// arguments give the same bytes, as long as [`accept`](Self::accept) changes nothing.
    pub fn write_header(
        &self,
        entry: &Entry,
        payload_type: u8,
        timestamp: u32,
        stamps: Stamps,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let header = Header {
            marker: entry.marker,
            payload_type,
            // The sealer writes the sequence number and the SSRC: they are part of the nonce.
            sequence: 0,
            timestamp,
            ssrc: 0,
        };
        let ids = &self.extensions;
        let mut writer = HeaderWriter::new(out, &header)?;
        if let Some(id) = ids.mid {
            writer.push(id, self.spec.mid.as_bytes())?;
        }
        if let Some(id) = ids.abs_send_time {
            writer.push(id, &stamps.abs_send_time)?;
        }
        if let Some(id) = ids.transport_cc {
            writer.push(id, &stamps.transport_sequence.to_be_bytes())?;
        }
        if let (Some(id), Some(level)) = (ids.audio_level, entry.audio_level) {
            writer.push(id, &[level])?;
        }
        if let (Some(id), Some(orientation)) = (ids.orientation, entry.orientation) {
            writer.push(id, &[orientation])?;
        }
        if let (Some(id), Some(delay)) = (ids.playout_delay, self.playout_delay.or(entry.playout_delay)) {
            writer.push(id, &delay)?;
        }
        writer.finish()
    }
}
