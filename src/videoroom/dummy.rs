//! The placeholder that a room may have among its participants: a feed of streams that carry nothing, for subscribers
//! who want their m-lines before anybody publishes and `switch` them later. It has no handle and no peer connection.

use super::line::{Line, Stream};
use super::state::{Member, Peer, Publisher, Role, Room};
use crate::control::codec::Codec;
use crate::control::media::{ExtensionIds, PublishedMedia};
use crate::control::request::TalkWish;
use crate::control::spec::{DummyStream, RoomSpec};
use crate::control::summary::Identity;
use crate::negotiate::parameter_of;
use crate::wire::sdp::{MediaKind, Mid};

impl Room {
    /// Lets the dummy in, when the room has one.
    pub(super) fn seat_dummy(&mut self) {
        if !self.wiring.spec.dummy_publisher {
            return;
        }
        let id = self.unused_feed();
        let who = Identity { id: id.clone(), display: Some("Dummy publisher".into()), metadata: None };
        let mut dummy = Publisher::new(who, 0, TalkWish::default(), 0);
        dummy.is_dummy = true;
        dummy.e2ee = self.wiring.spec.dummy_e2ee.unwrap_or(self.wiring.spec.require_e2ee);
        let member =
            self.wiring.roster.members.insert(Member { address: None, peer: Peer::None, role: Role::Publisher(dummy) });
        self.wiring.roster.feeds.insert(id, member);
        for (mindex, media) in media(&self.wiring.spec).into_iter().enumerate() {
            let mut line = Line::new(media);
            line.stream = Some(self.wiring.streams.insert(Stream::new(member, mindex)));
            self.wiring.roster.publisher_mut(member).lines.push(line);
        }
    }
}

/// Its m-lines: those that were asked for, as far as the room has their codecs, or one for each codec of the room.
fn media(spec: &RoomSpec) -> Vec<PublishedMedia> {
    let codecs = || spec.audio_codecs.iter().chain(&spec.video_codecs).copied();
    let streams = match &spec.dummy_streams {
        None => codecs().map(|codec| DummyStream { codec, fmtp: None }).collect(),
        Some(given) => given.clone(),
    };
    let had = streams.into_iter().filter(|stream| codecs().any(|codec| codec == stream.codec));
    had.enumerate().map(|(mindex, stream)| line(mindex, stream, spec)).collect()
}

pub(super) fn line(mindex: usize, DummyStream { codec, fmtp }: DummyStream, spec: &RoomSpec) -> PublishedMedia {
    let profile = spec.profile(codec);
    let fmtp = fmtp.or_else(|| match codec {
        // RFC 7742 §6.2: what every browser decodes.
        Codec::H264 => Some(format!("packetization-mode=1;profile-level-id={}", profile.unwrap_or("42e01f")).into()),
        Codec::Vp9 => Some(format!("profile-id={}", profile.unwrap_or("0")).into()),
        _ => None,
    });
    let fec =
        codec == Codec::Opus && spec.opus_fec && fmtp.as_deref().is_some_and(|fmtp| fmtp.contains("useinbandfec=1"));
    let shown = |of: Codec, parameter| {
        let named = fmtp.as_deref().and_then(|fmtp| parameter_of(fmtp, parameter)).or(profile);
        named.filter(|_| codec == of).map(Box::from)
    };
    let (h264_profile, vp9_profile) = (shown(Codec::H264, "profile-level-id"), shown(Codec::Vp9, "profile-id"));
    PublishedMedia {
        mindex,
        mid: Mid::from(&mindex.to_string()).expect("an index of an m-line is shorter than a tag"),
        kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
        codec: Some(codec),
        pt: codec.subscriber_pt(),
        rtx_pt: None,
        fmtp,
        extensions: ExtensionIds::default(),
        ssrcs: Vec::new(),
        rtx_ssrcs: Vec::new(),
        nack: false,
        stereo: false,
        fec,
        dtx: false,
        h264_profile,
        vp9_profile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(spec: &RoomSpec) -> Vec<(Codec, Option<String>)> {
        let lines = media(spec).into_iter();
        lines.map(|line| (line.codec.unwrap(), line.fmtp.map(String::from))).collect()
    }

    #[test]
    fn a_dummy_has_a_stream_for_each_codec_in_the_profile_that_the_room_prefers() {
        let mut spec = RoomSpec::new(1.into());
        assert_eq!(shown(&spec), [(Codec::Opus, None), (Codec::Vp8, None)]);
        spec.video_codecs = vec![Codec::Vp9, Codec::H264];
        let common = ["profile-id=0", "packetization-mode=1;profile-level-id=42e01f"].map(|text| Some(text.into()));
        assert_eq!(shown(&spec)[1..], [(Codec::Vp9, common[0].clone()), (Codec::H264, common[1].clone())]);
        spec.vp9_profile = Some("2".into());
        spec.h264_profile = Some("640c1f".into());
        assert_eq!(shown(&spec)[1].1.as_deref(), Some("profile-id=2"));
        assert_eq!(shown(&spec)[2].1.as_deref(), Some("packetization-mode=1;profile-level-id=640c1f"));
        let lines = media(&spec);
        assert_eq!((lines[2].h264_profile.as_deref(), lines[1].h264_profile.as_deref()), (Some("640c1f"), None));
        assert_eq!((lines[2].mindex, &*lines[2].mid), (2, "2"));
    }

    #[test]
    fn streams_of_ones_own_keep_their_order_and_leave_out_what_the_room_has_not() {
        let mut spec = RoomSpec::new(1.into());
        let stream = |codec, fmtp: Option<&str>| DummyStream { codec, fmtp: fmtp.map(Box::from) };
        let given = [stream(Codec::Vp8, None), stream(Codec::Vp9, None), stream(Codec::Opus, Some("x=1"))];
        spec.dummy_streams = Some(given.to_vec());
        assert_eq!(shown(&spec), [(Codec::Vp8, None), (Codec::Opus, Some("x=1".into()))]);
        assert_eq!(media(&spec)[1].mindex, 1);
        spec.dummy_streams = Some(vec![stream(Codec::Av1, None)]);
        assert_eq!(shown(&spec), [], "none that the room has is no stream, not one for each codec");
    }

    #[test]
    fn a_profile_is_the_one_that_the_fmtp_names() {
        let mut spec = RoomSpec::new(1.into());
        (spec.video_codecs, spec.vp9_profile) = (vec![Codec::H264, Codec::Vp9], Some("0".into()));
        let stream = |codec, fmtp: &str| DummyStream { codec, fmtp: Some(fmtp.into()) };
        let given =
            [stream(Codec::H264, "packetization-mode=1;profile-level-id=42e01f"), stream(Codec::Vp9, "profile-id=2")];
        spec.dummy_streams = Some(given.to_vec());
        let lines = media(&spec);
        assert_eq!((lines[0].h264_profile.as_deref(), lines[0].vp9_profile.as_deref()), (Some("42e01f"), None));
        assert_eq!((lines[1].h264_profile.as_deref(), lines[1].vp9_profile.as_deref()), (None, Some("2")));
    }
}
