//! `[[room]]` tables of the configuration, with the names and defaults of Janus' room options.

use portunus::control::allowed::AllowList;
use portunus::control::codec::Codec;
use portunus::control::spec::{DummyStream, RoomSpec, raised};
use portunus::id::{Name, RoomId};
use serde::{Deserialize, Serialize};

/// Janus keeps at most this many codecs of a kind.
const CODECS_MAX: usize = 5;
/// The largest id of a JSON integer that every client reads exactly: 2^53-1.
const ID_MAX: u64 = (1 << 53) - 1;

/// One room as it is written down; what is left out has Janus' default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomTable {
    room: Option<RoomKey>,
    description: Option<String>,
    is_private: Option<bool>,
    secret: Option<String>,
    pin: Option<String>,
    allowed: Option<Vec<String>>,
    require_pvtid: Option<bool>,
    signed_tokens: Option<bool>,
    publishers: Option<usize>,
    bitrate: Option<u64>,
    bitrate_cap: Option<bool>,
    fir_freq: Option<u32>,
    audiocodec: Option<String>,
    videocodec: Option<String>,
    vp9_profile: Option<String>,
    h264_profile: Option<String>,
    opus_fec: Option<bool>,
    opus_dtx: Option<bool>,
    audiolevel_ext: Option<bool>,
    audiolevel_event: Option<bool>,
    audio_active_packets: Option<u32>,
    audio_level_average: Option<u32>,
    videoorient_ext: Option<bool>,
    playoutdelay_ext: Option<bool>,
    transport_wide_cc_ext: Option<bool>,
    notify_joining: Option<bool>,
    require_e2ee: Option<bool>,
    dummy_publisher: Option<bool>,
    dummy_e2ee: Option<bool>,
    dummy_streams: Option<Vec<DummyTable>>,
}

/// One stream of a room's dummy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DummyTable {
    codec: String,
    fmtp: Option<String>,
}

/// A room's id: an integer, or with `string_ids` a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum RoomKey {
    Number(u64),
    Text(String),
}

impl RoomTable {
    /// The room that is there when none is configured: Janus' own demo room, without its bitrate cap.
    pub fn demo(string_ids: bool) -> RoomTable {
        RoomTable {
            room: Some(if string_ids { RoomKey::Text("1234".into()) } else { RoomKey::Number(1234) }),
            description: Some("Demo Room".into()),
            publishers: Some(6),
            bitrate: Some(0),
            audiocodec: Some("opus".into()),
            videocodec: Some("vp8".into()),
            ..RoomTable::default()
        }
    }

    /// A room as it is, to be written down: its [`spec`](Self::spec) is the same again.
    pub fn of(spec: &RoomSpec) -> RoomTable {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let names = |codecs: &[Codec]| Some(codecs.iter().map(|codec| codec.janus()).collect::<Vec<_>>().join(","));
        let tokens = || spec.allowed.tokens().into_iter().map(String::from).collect();
        RoomTable {
            description: Some(spec.description.as_ref().into()),
            is_private: Some(spec.is_private),
            secret: text(&spec.secret),
            pin: text(&spec.pin),
            allowed: spec.allowed.is_checked().then(tokens),
            require_pvtid: Some(spec.require_pvtid),
            signed_tokens: Some(spec.signed_tokens),
            publishers: Some(spec.publishers),
            bitrate: Some(spec.bitrate),
            bitrate_cap: Some(spec.bitrate_cap),
            fir_freq: Some(spec.fir_freq),
            audiocodec: names(&spec.audio_codecs),
            videocodec: names(&spec.video_codecs),
            vp9_profile: text(&spec.vp9_profile),
            h264_profile: text(&spec.h264_profile),
            opus_fec: Some(spec.opus_fec),
            opus_dtx: Some(spec.opus_dtx),
            audiolevel_ext: Some(spec.audiolevel_ext),
            audiolevel_event: Some(spec.audiolevel_event),
            audio_active_packets: Some(spec.audio_active_packets),
            audio_level_average: Some(spec.audio_level_average),
            videoorient_ext: Some(spec.videoorient_ext),
            playoutdelay_ext: Some(spec.playoutdelay_ext),
            transport_wide_cc_ext: Some(spec.transport_wide_cc_ext),
            notify_joining: Some(spec.notify_joining),
            require_e2ee: Some(spec.require_e2ee),
            dummy_publisher: Some(spec.dummy_publisher),
            dummy_e2ee: spec.dummy_e2ee,
            dummy_streams: spec.dummy_streams.as_ref().map(|all| all.iter().map(DummyTable::of).collect()),
            ..RoomTable::named(&spec.room)
        }
    }

    /// Nothing but an id.
    pub fn named(room: &RoomId) -> RoomTable {
        let key = match &room.0 {
            Name::Number(id) => RoomKey::Number(*id),
            Name::Text(id) => RoomKey::Text(id.as_ref().into()),
        };
        RoomTable { room: Some(key), ..RoomTable::default() }
    }

    /// Checks it. The error is a sentence.
    pub fn spec(&self, string_ids: bool) -> Result<RoomSpec, String> {
        let id = match (&self.room, string_ids) {
            (Some(RoomKey::Number(id)), false) if (1..=ID_MAX).contains(id) => RoomId::from(*id),
            (Some(RoomKey::Text(id)), true) if !id.is_empty() => RoomId(Name::Text(id.as_str().into())),
            (None, _) => return Err("a [[room]] has no id: room = 1234".into()),
            (Some(key), _) => {
                let needed = if string_ids { "a text, since string_ids is on" } else { "a number from 1 to 2^53-1" };
                return Err(format!("the id of a [[room]] must be {needed}: {key:?} is not"));
            }
        };
        let name = match &self.room {
            Some(RoomKey::Text(id)) => Some(id),
            _ => None,
        };
        let fmtps = self.dummy_streams.iter().flatten().filter_map(|dummy| dummy.fmtp.as_ref());
        let written = name.into_iter().chain(&self.vp9_profile).chain(&self.h264_profile).chain(fmtps);
        if let Some(broken) = written.into_iter().find(|text| text.contains(char::is_control)) {
            // It would end a line of the SDP that it comes to stand in.
            return Err(format!("a [[room]] has a text with control characters: {broken:?}"));
        }
        let mut spec = RoomSpec::new(id);
        if let Some(tokens) = &self.allowed {
            let tokens = tokens.iter().map(|token| token.as_str().into());
            spec.allowed = AllowList::of(tokens).map_err(|error| format!("room {}: {error}", spec.room))?;
        }
        let text = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Into::into);
        spec.description = text(&self.description).unwrap_or(spec.description);
        spec.secret = text(&self.secret);
        spec.pin = text(&self.pin);
        spec.vp9_profile = text(&self.vp9_profile);
        spec.h264_profile = text(&self.h264_profile);
        spec.publishers = self.publishers.unwrap_or(spec.publishers);
        spec.bitrate = raised(self.bitrate.unwrap_or(spec.bitrate));
        spec.fir_freq = self.fir_freq.unwrap_or(spec.fir_freq);
        let positive = |given: Option<u32>, default: u32| given.filter(|number| *number > 0).unwrap_or(default);
        spec.audio_active_packets = positive(self.audio_active_packets, spec.audio_active_packets);
        spec.audio_level_average = positive(self.audio_level_average, spec.audio_level_average);
        if let Some(list) = &self.audiocodec {
            spec.audio_codecs = codecs(list, false)?;
        }
        if let Some(list) = &self.videocodec {
            spec.video_codecs = codecs(list, true)?;
        }
        for (given, option) in [
            (self.is_private, &mut spec.is_private),
            (self.require_pvtid, &mut spec.require_pvtid),
            (self.signed_tokens, &mut spec.signed_tokens),
            (self.bitrate_cap, &mut spec.bitrate_cap),
            (self.notify_joining, &mut spec.notify_joining),
            (self.audiolevel_event, &mut spec.audiolevel_event),
            (self.require_e2ee, &mut spec.require_e2ee),
            (self.dummy_publisher, &mut spec.dummy_publisher),
            (self.opus_fec, &mut spec.opus_fec),
            (self.opus_dtx, &mut spec.opus_dtx),
            (self.audiolevel_ext, &mut spec.audiolevel_ext),
            (self.videoorient_ext, &mut spec.videoorient_ext),
            (self.playoutdelay_ext, &mut spec.playoutdelay_ext),
            (self.transport_wide_cc_ext, &mut spec.transport_wide_cc_ext),
        ] {
            *option = given.unwrap_or(*option);
        }
        spec.dummy_e2ee = self.dummy_e2ee;
        let dummies = self.dummy_streams.as_ref().map(|all| all.iter().map(DummyTable::stream).collect());
        spec.dummy_streams = dummies.transpose()?;
        Ok(spec)
    }

    /// The table with its secrets blotted out, to be shown.
    pub fn blotted(&self) -> RoomTable {
        let blot = |secret: &Option<String>| secret.as_ref().map(|_| "***".to_owned());
        let allowed = self.allowed.as_ref().map(|tokens| tokens.iter().map(|_| "***".to_owned()).collect());
        RoomTable { secret: blot(&self.secret), pin: blot(&self.pin), allowed, ..self.clone() }
    }
}

impl DummyTable {
    fn of(stream: &DummyStream) -> DummyTable {
        DummyTable { codec: stream.codec.janus().into(), fmtp: stream.fmtp.as_deref().map(Into::into) }
    }

    fn stream(&self) -> Result<DummyStream, String> {
        let codec = Codec::from_janus(&self.codec).ok_or_else(|| format!("{:?} is no codec of ours", self.codec))?;
        Ok(DummyStream { codec, fmtp: self.fmtp.as_deref().map(Into::into) })
    }
}

fn codecs(list: &str, video: bool) -> Result<Vec<Codec>, String> {
    let kind = if video { "video" } else { "audio" };
    let codecs = list
        .split(',')
        .map(|name| {
            let codec = Codec::from_janus(name.trim()).filter(|codec| codec.is_video() == video);
            codec.ok_or_else(|| format!("{:?} is no {kind} codec of ours", name.trim()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if codecs.len() > CODECS_MAX {
        return Err(format!("a room has at most {CODECS_MAX} {kind} codecs: {list:?}"));
    }
    Ok(codecs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> RoomTable {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_room_has_janus_defaults_where_nothing_is_said() {
        let spec = table("room = 7").spec(false).unwrap();
        assert_eq!(spec, RoomSpec::new(RoomId::from(7)));
        let spec = table(
            "room = 7\nbitrate = 1000\nh264_profile = \"640c1f\"\nvideocodec = \"VP9, h264\"\nopus_fec = false\npin = \"x\"",
        );
        let spec = spec.spec(false).unwrap();
        assert_eq!((spec.bitrate, spec.opus_fec, spec.pin.as_deref()), (64_000, false, Some("x")));
        assert_eq!(spec.video_codecs, [Codec::Vp9, Codec::H264]);
        assert_eq!((spec.profile(Codec::H264), spec.profile(Codec::Vp9)), (Some("640c1f"), None));
    }

    #[test]
    fn a_room_that_is_written_down_is_the_same_when_it_is_read() {
        let mut spec = RoomSpec::new(RoomId::from(9));
        spec.description = "a \"b\"\n[[room]]".into();
        spec.allowed = AllowList::of(["t".into()]).unwrap();
        (spec.secret, spec.publishers, spec.bitrate_cap, spec.opus_fec) = (Some("s".into()), 0, true, false);
        spec.video_codecs = vec![Codec::H264, Codec::Vp9];
        (spec.vp9_profile, spec.audio_level_average) = (Some("2".into()), 40);
        (spec.require_e2ee, spec.dummy_publisher, spec.dummy_e2ee) = (true, true, Some(false));
        spec.dummy_streams = Some(vec![DummyStream { codec: Codec::Vp8, fmtp: Some("x=1".into()) }]);
        let text = toml::to_string(&RoomTable::of(&spec)).unwrap();
        assert_eq!(table(&text).spec(false).unwrap(), spec);
        let text_id = RoomSpec::new(RoomId(Name::Text("caf\u{e9} = 1".into())));
        assert_eq!(RoomTable::of(&text_id).spec(true).unwrap(), text_id);
        assert!(table("room = 1\nallowed = []").spec(false).unwrap().allowed.is_checked());
    }

    #[test]
    fn what_comes_to_stand_in_an_sdp_keeps_to_its_line() {
        for wrong in [
            "room = 1\nh264_profile = \"42e01f\\r\\na=x\"",
            "room = 1\nvp9_profile = \"2\\n\"",
            "room = 1\ndummy_streams = [{ codec = \"vp8\", fmtp = \"x\\r\\na=candidate:1\" }]",
        ] {
            assert!(table(wrong).spec(false).unwrap_err().contains("control characters"), "{wrong}");
        }
        assert!(table("room = \"a\\u0000\"").spec(true).unwrap_err().contains("control characters"));
        assert!(table("room = 1\ndescription = \"two\\nlines\"").spec(false).is_ok());
    }

    #[test]
    fn the_demo_room_is_1234_of_either_kind() {
        let spec = RoomTable::demo(false).spec(false).unwrap();
        assert_eq!((spec.room, &*spec.description, spec.publishers), (RoomId::from(1234), "Demo Room", 6));
        assert!(RoomTable::demo(true).spec(true).is_ok());
    }

    #[test]
    fn ids_and_codecs_that_cannot_be_are_refused() {
        for (text, string_ids) in [
            ("room = 0", false),
            ("room = 9007199254740992", false),
            ("room = \"a\"", false),
            ("room = 1", true),
            ("room = \"\"", true),
            ("description = \"x\"", false),
            ("room = 1\naudiocodec = \"vp8\"", false),
            ("room = 1\nvideocodec = \"mp3\"", false),
            ("room = 1\nvideocodec = \"vp8,vp9,h264,av1,h265,vp8\"", false),
        ] {
            assert!(table(text).spec(string_ids).is_err(), "{text}");
        }
    }
}
