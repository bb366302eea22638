//! One subscriber's m-line on the packet path: which numbers its packets get and whether they flow. The bytes come from
//! the stream's history, the key is the peer's.

use std::ops::Range;

use super::arena::Lane;
use super::history::Entry;
use crate::id::{MemberId, StreamId};
use crate::proto::srtp::OutboundStream;
use crate::room::effect::LegSpec;
use crate::room::media::{AcceptedMedia, ExtensionIds};
use crate::room::rewrite::{Rewrite, Rewritten};
use crate::time::{Mono, Now};
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
    /// The SRTP stream, once the peer is connected.
    pub outbound: Option<OutboundStream>,
    /// Positions of the source's history that this turn's release has to send.
    pub pending: Range<u64>,
    /// Video waits for a keyframe after every change of its source.
    pub awaiting_keyframe: bool,
    /// Sent so far (RFC 3550 §6.4.1: packets, payload octets).
    pub sent: Sent,
    /// Continuity of numbers.
    pub rewrite: Rewrite,
    /// The playout-delay to say in the place of the publisher's.
    pub playout_delay: Option<[u8; 3]>,
    pt: u8,
    extensions: ExtensionIds,
}

/// A sender's counts for its reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
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
            pt: spec.pt,
            extensions: spec.extensions,
            spec,
        }
    }

    /// In which lane its packets go out.
    pub fn lane(&self) -> Lane {
        if self.spec.kind == MediaKind::Audio { Lane::Audio } else { Lane::Video }
    }

    /// Takes what the subscriber's answer made of the offered numbers.
    pub fn accept(&mut self, media: &AcceptedMedia) {
        self.pt = media.pt;
        self.extensions = media.extensions;
    }

    /// Another source: numbers go on, video waits for a keyframe.
    pub fn set_source(&mut self, source: Option<StreamId>) {
        self.source = source;
        self.pending = 0..0;
        self.rewrite.switch();
        self.awaiting_keyframe = self.spec.kind == MediaKind::Video;
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

    /// Writes the packet's header: the leg's own numbers, and the extensions that the subscriber agreed to.
    /// `transport_sequence` is asked only when the leg carries one.
    pub fn write_header(
        &self,
        entry: &Entry,
        numbers: Rewritten,
        now: Now,
        transport_sequence: impl FnOnce() -> u16,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let header = Header {
            marker: entry.marker,
            payload_type: self.pt,
            // The sealer writes the sequence number: it is part of the nonce.
            sequence: 0,
            timestamp: numbers.timestamp,
            ssrc: self.spec.ssrc,
        };
        let ids = &self.extensions;
        let mut writer = HeaderWriter::new(out, &header)?;
        if let Some(id) = ids.mid {
            writer.push(id, self.spec.mid.as_bytes())?;
        }
        if let Some(id) = ids.abs_send_time {
            let since_origin = std::time::Duration::from_nanos(now.mono.0);
            writer.push(id, &AbsSendTime::at(since_origin).to_bytes())?;
        }
        if let Some(id) = ids.transport_cc {
            writer.push(id, &transport_sequence().to_be_bytes())?;
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
