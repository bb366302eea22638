//! One published m-line on the packet path: its layers with their histories and arrival records, and the legs it feeds.

use std::ops::Range;

use arrayvec::ArrayVec;

use super::history::History;
use super::keyframe::KeyframeRequests;
use super::memory::HistoryRegion;
use super::talking::TalkDetector;
use crate::control::codec::Codec;
use crate::control::inspection::Counts;
use crate::control::media::PublishedMedia;
use crate::id::{ForwarderId, LegId, MemberId};
use crate::limits::{AUDIO_MISSING_MAX, LAYERS_MAX, VIDEO_MISSING_MAX};
use crate::proto::rtp::{Arrival, Losses, Renumber, Selection, SenderClock};
use crate::time::Mono;
use crate::wire::payload::{EntryPoint, av1, h264, h265, vp8, vp9};
use crate::wire::sdp::MediaKind;

/// A stream.
pub struct Stream {
    /// Who publishes it.
    pub member: MemberId,
    pub media: PublishedMedia,
    /// One for now; simulcast encodings later.
    pub layers: ArrayVec<Layer, LAYERS_MAX>,
    /// The open legs, dense: read once per turn and layer, changed only by commands.
    pub route: Vec<LegId>,
    /// The forwarders that it feeds now.
    pub forwarders: Vec<ForwarderId>,
    /// Wishes for a keyframe.
    pub keyframes: KeyframeRequests,
    /// Its RTP clock against NTP, as its publisher reports it.
    pub clock: SenderClock,
    /// What the owner was told last.
    pub receiving: bool,
    /// Whether its publisher is talking, where the room wants to know.
    pub talk: TalkDetector,
    /// Payload octets that event handlers have been told of.
    pub octets_told: u64,
    /// RTP timestamp of the last parameter sets, for codecs that send them apart from their pictures.
    parameter_sets: Option<u32>,
    /// Whether the description carries the parameter sets, so that the stream need not.
    has_parameter_sets: bool,
    /// Packets lost on the way to us, as of the last look.
    lost: i64,
}

/// One encoding of a stream.
pub struct Layer {
    /// Which SSRC is relayed, if several are sent at once.
    pub selection: Selection,
    /// The SSRC whose packets were kept last.
    pub relayed: Option<u32>,
    /// Reception record of the SSRC that it comes with, once one is known.
    pub arrival: Option<Arrival>,
    /// Numbers of what is passed on.
    pub numbers: Renumber,
    /// What of it is missing.
    pub losses: Losses,
    pub history: History,
    /// Where in the history the source began (again): numbers from before it are not to be compared with those behind it.
    pub began: u64,
    /// When the last packet came.
    pub received: Mono,
    /// For operators and event handlers: payload bytes, packets asked for, packets that came after that; and the last second's bytes.
    pub counted: Counts,
    bytes_before: u64,
    /// The first position of this turn, when the turn has brought packets.
    turn_from: Option<u64>,
}

impl Stream {
    /// A stream with one layer.
    pub fn new(member: MemberId, media: PublishedMedia, region: &mut HistoryRegion) -> Stream {
        let clock_rate = media.codec.map_or(90_000, Codec::clock_rate);
        let mut layers = ArrayVec::new();
        let (losses, history) = (losses(&media), region.take(media.kind));
        layers.push(Layer {
            selection: Selection::default(),
            relayed: None,
            arrival: None,
            numbers: Renumber::default(),
            losses,
            history,
            began: 0,
            received: Mono(0),
            counted: Counts::default(),
            bytes_before: 0,
            turn_from: None,
        });
        Stream {
            member,
            has_parameter_sets: media.has_parameter_sets(),
            media,
            layers,
            route: Vec::new(),
            forwarders: Vec::new(),
            keyframes: KeyframeRequests::default(),
            clock: SenderClock::new(clock_rate),
            receiving: false,
            talk: TalkDetector::default(),
            octets_told: 0,
            parameter_sets: None,
            lost: 0,
        }
    }

    /// What a new description made of it; what it was before.
    pub fn agree(&mut self, media: PublishedMedia) -> PublishedMedia {
        for layer in &mut self.layers {
            if media.nack != self.media.nack {
                layer.losses = losses(&media);
            }
            if media.ssrcs != self.media.ssrcs && layer.selection.announce(&media.ssrcs) {
                layer.arrival = None;
                layer.losses.reset();
            }
        }
        self.has_parameter_sets = media.has_parameter_sets();
        std::mem::replace(&mut self.media, media)
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

    /// What has come in all.
    pub fn counts(&self) -> Counts {
        let add = |sum: Counts, of: &Counts| Counts {
            packets: sum.packets + of.packets,
            bytes: sum.bytes + of.bytes,
            bytes_last_second: sum.bytes_last_second + of.bytes_last_second,
            nacks: sum.nacks + of.nacks,
            retransmissions: sum.retransmissions + of.retransmissions,
        };
        self.layers.iter().map(|layer| &layer.counted).fold(Counts::default(), add)
    }

    /// A second has gone by.
    pub fn count_second(&mut self) {
        for layer in &mut self.layers {
            let before = std::mem::replace(&mut layer.bytes_before, layer.counted.bytes);
            layer.counted.bytes_last_second = layer.counted.bytes - before;
        }
    }

    /// When what is missing is to be asked for.
    pub fn nack_deadline(&self) -> Mono {
        self.layers.iter().map(|layer| layer.losses.deadline()).min().unwrap_or(Mono::NEVER)
    }

    /// When the last packet of any layer came.
    pub fn received(&self) -> Mono {
        self.layers.iter().map(|layer| layer.received).max().unwrap_or_default()
    }

    /// Whether a packet begins a keyframe; none when there is no such thing in what the stream carries.
    pub fn begins_keyframe(&mut self, timestamp: u32, payload: &[u8]) -> Option<bool> {
        match self.media.codec? {
            Codec::Vp8 => Some(vp8::is_keyframe(payload)),
            Codec::Vp9 => Some(vp9::is_keyframe(payload)),
            Codec::Av1 => Some(av1::is_keyframe(payload)),
            Codec::H264 => Some(self.begins_at(timestamp, h264::entry_point(payload))),
            Codec::H265 => Some(self.begins_at(timestamp, h265::entry_point(payload))),
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => None,
        }
    }

    /// Parameter sets begin a keyframe. So does a picture that comes without them when they are in the description, or once
    /// they were seen: its sender gives them only once, or they were lost and the receiver will say so.
    fn begins_at(&mut self, timestamp: u32, entry: Option<EntryPoint>) -> bool {
        match entry {
            Some(EntryPoint::ParameterSets) => {
                self.parameter_sets = Some(timestamp);
                true
            }
            Some(EntryPoint::Picture) => self.parameter_sets.map_or(self.has_parameter_sets, |seen| seen != timestamp),
            None => false,
        }
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

    /// A source has ended. When it was relayed, the next packet begins afresh.
    pub fn end(&mut self, ssrc: u32) {
        self.selection.end(ssrc);
        if self.ssrc() == Some(ssrc) {
            self.arrival = None;
            self.losses.reset();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::Mid;

    fn stream(codec: Codec) -> Stream {
        let media = PublishedMedia {
            mindex: 0,
            mid: Mid::from("0").unwrap(),
            kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
            codec: Some(codec),
            pt: 96,
            rtx_pt: None,
            fmtp: None,
            extensions: Default::default(),
            ssrcs: Vec::new(),
            rtx_ssrcs: Vec::new(),
            nack: false,
            stereo: false,
            fec: false,
            dtx: false,
            h264_profile: None,
            vp9_profile: None,
        };
        Stream::new(MemberId(0), media, &mut HistoryRegion::new())
    }

    #[test]
    fn every_video_codec_shows_where_its_keyframes_begin_and_audio_has_none() {
        let (keyframe, delta): (&[u8], &[u8]) = (&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0, 1, 0, 1], &[0x10, 1, 0, 0]);
        for (codec, keyframe, delta) in [
            (Codec::Vp8, keyframe, delta),
            (Codec::Vp9, &[0x08, 0x82], &[0x48, 0x86]),
            (Codec::Av1, &[0x28, 0x0b], &[0x10, 0x32]),
            (Codec::H264, &[0x67, 0x42], &[0x41, 0x9a]),
            (Codec::H265, &[0x40, 0x01], &[0x02, 0x01, 0xd0]),
        ] {
            let mut stream = stream(codec);
            assert_eq!(stream.begins_keyframe(0, keyframe), Some(true), "{codec:?}");
            assert_eq!(stream.begins_keyframe(0, delta), Some(false), "{codec:?}");
        }
        assert_eq!(stream(Codec::Opus).begins_keyframe(0, &[0x78]), None);
    }

    #[test]
    fn parameter_sets_that_are_in_the_description_need_not_be_in_the_stream() {
        let idr = [0x65, 0xb8, 0x00, 0x04, 0x00];
        let mut stream = stream(Codec::H264);
        assert_eq!(stream.begins_keyframe(0, &idr), Some(false));
        let with_fmtp =
            |stream: &Stream, fmtp: &str| PublishedMedia { fmtp: Some(fmtp.into()), ..stream.media.clone() };
        stream.agree(with_fmtp(&stream, "packetization-mode=1;sprop-parameter-sets=Z0LAHw==,aM48gA=="));
        assert_eq!(stream.begins_keyframe(1, &idr), Some(true));
        assert_eq!(stream.begins_keyframe(1, &[0x41, 0x9a]), Some(false));
        let frame = [&[0x67, 0x42][..], &[0x68, 0xce], &idr].map(|payload| stream.begins_keyframe(2, payload).unwrap());
        assert_eq!(frame, [true, false, false], "it may send them all the same");
        let mut stream = self::stream(Codec::H265);
        stream.agree(with_fmtp(&stream, "sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAHB"));
        assert_eq!(stream.begins_keyframe(1, &[0x26, 0x01, 0xaf]), Some(true));
    }

    #[test]
    fn an_h264_keyframe_begins_with_its_parameter_sets_and_only_there() {
        let mut stream = stream(Codec::H264);
        let (sps, pps, idr) = ([0x67, 0x42], [0x68, 0xce], [0x65, 0xb8]);
        assert_eq!(stream.begins_keyframe(1, &idr), Some(false), "nobody could decode it");
        let frame = [&sps[..], &pps, &idr].map(|payload| stream.begins_keyframe(2, payload).unwrap());
        assert_eq!(frame, [true, false, false]);
        assert_eq!(stream.begins_keyframe(3, &idr), Some(true), "a sender that gives them once");
    }
}
