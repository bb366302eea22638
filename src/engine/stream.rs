//! One published m-line on the packet path: its layers with their histories and arrival records, and the legs it feeds.

use std::ops::Range;

use arrayvec::ArrayVec;

use super::history::History;
use super::memory::HistoryRegion;
use crate::id::{LegId, MemberId};
use crate::limits::{AUDIO_MISSING_MAX, LAYERS_MAX, VIDEO_MISSING_MAX};
use crate::proto::rtp::{Arrival, Losses, SenderClock};
use crate::room::codec::Codec;
use crate::room::keyframe::KeyframeRequests;
use crate::room::media::PublishedMedia;
use crate::time::Mono;
use crate::wire::payload::vp8;
use crate::wire::sdp::MediaKind;

/// A stream.
pub struct Stream {
    /// Who publishes it.
    pub member: MemberId,
    /// As agreed.
    pub media: PublishedMedia,
    /// One for now; simulcast encodings later.
    pub layers: ArrayVec<Layer, LAYERS_MAX>,
    /// The open legs, dense: read once per turn and layer, changed only by commands.
    pub route: Vec<LegId>,
    /// Wishes for a keyframe.
    pub keyframes: KeyframeRequests,
    /// Its RTP clock against NTP, as its publisher reports it.
    pub clock: SenderClock,
    /// What the owner was told last.
    pub receiving: bool,
    /// Packets lost on the way to us, as of the last look.
    lost: i64,
}

/// One encoding of a stream.
pub struct Layer {
    /// Reception record of the SSRC that it comes with, once one is known.
    pub arrival: Option<Arrival>,
    /// What of it is missing.
    pub losses: Losses,
    /// Its packets.
    pub history: History,
    /// Where in the history the source began (again): numbers from before it are not to be compared with those behind it.
    pub began: u64,
    /// When the last packet came.
    pub received: Mono,
    /// The first position of this turn, when the turn has brought packets.
    turn_from: Option<u64>,
}

impl Stream {
    /// A stream with one layer.
    pub fn new(member: MemberId, media: PublishedMedia, region: &mut HistoryRegion) -> Stream {
        let clock_rate = media.codec.map_or(90_000, Codec::clock_rate);
        let mut layers = ArrayVec::new();
        let (losses, history) = (losses(&media), region.take(media.kind));
        layers.push(Layer { arrival: None, losses, history, began: 0, received: Mono(0), turn_from: None });
        Stream {
            member,
            media,
            layers,
            route: Vec::new(),
            keyframes: KeyframeRequests::default(),
            clock: SenderClock::new(clock_rate),
            receiving: false,
            lost: 0,
        }
    }

    /// What a new description made of it.
    pub fn agree(&mut self, media: PublishedMedia) {
        if media.nack != self.media.nack {
            self.layers.iter_mut().for_each(|layer| layer.losses = losses(&media));
        }
        self.media = media;
    }

    /// The SSRC that feedback names: one that has been heard, or else one that was announced.
    pub fn ssrc(&self) -> Option<u32> {
        self.layers.iter().find_map(Layer::ssrc).or(self.media.ssrcs.first().copied())
    }

    /// RTP clock in Hz.
    pub fn clock_rate(&self) -> u32 {
        self.media.codec.map_or(90_000, Codec::clock_rate)
    }

    /// How many packets were lost on the way to us since the last call; RTX does not mend that (RFC 4588 §7).
    pub fn take_lost(&mut self) -> u32 {
        let arrivals = self.layers.iter().filter_map(|layer| layer.arrival.as_ref());
        let lost = arrivals.map(|arrival| i64::from(arrival.cumulative_lost())).sum();
        let newly = lost - std::mem::replace(&mut self.lost, lost);
        u32::try_from(newly).unwrap_or(0)
    }

    /// When what is missing is to be asked for.
    pub fn nack_deadline(&self) -> Mono {
        self.layers.iter().map(|layer| layer.losses.deadline()).min().unwrap_or(Mono::NEVER)
    }

    /// When the last packet of any layer came.
    pub fn received(&self) -> Mono {
        self.layers.iter().map(|layer| layer.received).max().unwrap_or_default()
    }
}

impl Layer {
    /// The SSRC it comes with, once known.
    pub fn ssrc(&self) -> Option<u32> {
        self.arrival.as_ref().map(Arrival::ssrc)
    }

    /// The reception record of this SSRC; another SSRC than before begins a new one.
    pub fn arrival_of(&mut self, ssrc: u32, clock_rate: u32) -> &mut Arrival {
        if self.ssrc() != Some(ssrc) {
            self.arrival = None;
        }
        self.arrival.get_or_insert_with(|| Arrival::new(ssrc, clock_rate))
    }

    /// The source has ended, or another one takes its place: the next packet begins afresh.
    pub fn end(&mut self) {
        self.arrival = None;
        self.losses.reset();
    }

    /// Notes that the turn brings a packet: the next position is its first, unless there is one already.
    pub fn touch(&mut self) {
        self.turn_from.get_or_insert(self.history.next());
    }

    /// Whether one more packet of `len` bytes would overwrite one that this turn has not sent yet.
    pub fn is_full(&self, len: usize) -> bool {
        self.turn_from.is_some_and(|from| self.history.would_overwrite(from, len))
    }

    /// Whether this turn has brought packets.
    pub fn is_touched(&self) -> bool {
        self.turn_from.is_some()
    }

    /// The positions of this turn's packets, once.
    pub fn take_turn(&mut self) -> Option<Range<u64>> {
        self.turn_from.take().map(|from| from..self.history.next())
    }
}

fn losses(media: &PublishedMedia) -> Losses {
    Losses::new(match media.kind {
        _ if !media.nack => 0,
        MediaKind::Audio => AUDIO_MISSING_MAX,
        _ => VIDEO_MISSING_MAX,
    })
}

/// Whether a payload begins a keyframe; none when the codec's payload cannot be told apart.
pub fn begins_keyframe(codec: Codec, payload: &[u8]) -> Option<bool> {
    match codec {
        Codec::Vp8 => Some(vp8::is_keyframe(payload)),
        _ => None,
    }
}
