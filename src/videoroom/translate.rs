//! VideoRoom requests as JSON has them, to what a media shard is asked. Translation only: the room decides.

use std::net::SocketAddr;

use super::error::PluginError;
use super::json::administration::{Action, Administration};
use super::json::error::RequestError;
use super::json::forward::{Forward, StopForward};
use super::json::publisher::ParticipantType;
use super::json::remote::{PublishRemotely, RemoteLine};
use super::json::request::Request;
use super::json::room::Create;
use super::json::subscriber::{Feeds, Switch};
use super::json::{administration, forward as wire, publisher, subscriber};
use super::playout;
use super::target::TargetRule;
use crate::control::allowed::AllowList;
use crate::control::codec::Codec;
use crate::control::media::ExtensionIds;
use crate::control::remote::{AddRemote, RemoteStream, Remotize, UpdateRemote};
use crate::control::spec::{DummyStream, RoomSpec, raised};
use crate::control::{forward, request};
use crate::id::RoomId;
use crate::wire::janus::field::{FieldError, Fields};
use crate::wire::sdp::{Description, DescriptionKind};

/// Codecs in one list of a room; what comes behind them is not read, as in Janus.
const CODECS_MAX: usize = 5;

/// The room that a `create` describes. When its id is yet to be minted, so is a missing description.
pub fn room_spec(create: &Create<'_>) -> Result<RoomSpec, PluginError> {
    let defaults = RoomSpec::new(create.room.clone().unwrap_or(RoomId::from(0)));
    let codecs = |list: Option<&str>, default: Vec<Codec>, is_video, name| match list {
        None => Ok(default),
        Some(list) => parse_codecs(list, is_video).ok_or_else(|| RequestError::Codec(name, known_codecs(is_video))),
    };
    Ok(RoomSpec {
        description: match (create.description, &create.room) {
            (Some(description), _) => description.into(),
            (None, Some(_)) => defaults.description,
            (None, None) => "".into(),
        },
        is_private: create.is_private,
        secret: create.secret.map(Box::from),
        pin: create.pin.map(Box::from),
        allowed: match &create.allowed {
            Some(tokens) => AllowList::of(tokens.iter().copied().map(Box::from))?,
            None => AllowList::default(),
        },
        require_pvtid: create.require_pvtid,
        signed_tokens: create.signed_tokens,
        publishers: create.publishers.unwrap_or(defaults.publishers),
        bitrate: create.bitrate.map_or(defaults.bitrate, raised),
        bitrate_cap: create.bitrate_cap,
        fir_freq: create.fir_freq.unwrap_or(defaults.fir_freq),
        audio_codecs: codecs(create.audiocodec, defaults.audio_codecs, false, "audiocodec")?,
        video_codecs: codecs(create.videocodec, defaults.video_codecs, true, "videocodec")?,
        vp9_profile: create.vp9_profile.map(Box::from),
        h264_profile: create.h264_profile.map(Box::from),
        opus_fec: create.opus_fec.unwrap_or(defaults.opus_fec),
        opus_dtx: create.opus_dtx.unwrap_or(defaults.opus_dtx),
        audiolevel_ext: create.audiolevel_ext.unwrap_or(defaults.audiolevel_ext),
        audiolevel_event: create.audiolevel_event,
        audio_active_packets: create.audio_active_packets.unwrap_or(defaults.audio_active_packets),
        audio_level_average: create.audio_level_average.unwrap_or(defaults.audio_level_average),
        videoorient_ext: create.videoorient_ext.unwrap_or(defaults.videoorient_ext),
        playoutdelay_ext: create.playoutdelay_ext.unwrap_or(defaults.playoutdelay_ext),
        transport_wide_cc_ext: create.transport_wide_cc_ext.unwrap_or(defaults.transport_wide_cc_ext),
        notify_joining: create.notify_joining,
        require_e2ee: create.require_e2ee,
        dummy_publisher: create.dummy_publisher,
        dummy_streams: create.dummy_streams.as_ref().map(|all| all.iter().filter_map(dummy_stream).collect()),
        dummy_e2ee: create.dummy_e2ee,
        room: defaults.room,
    })
}

/// A codec that there is not is passed over, as Janus does.
fn dummy_stream(&(codec, fmtp): &(&str, Option<&str>)) -> Option<DummyStream> {
    Some(DummyStream { codec: Codec::from_janus(codec)?, fmtp: fmtp.map(Box::from) })
}

/// Gives a room the id that was minted for it.
pub fn name_room(spec: &mut RoomSpec, room: RoomId) {
    if spec.description.is_empty() {
        spec.description = format!("Room {room}").into();
    }
    spec.room = room;
}

fn parse_codecs(list: &str, is_video: bool) -> Option<Vec<Codec>> {
    let named = list.split(',').take(CODECS_MAX);
    named.map(|name| Codec::from_janus(name.trim()).filter(|codec| codec.is_video() == is_video)).collect()
}

/// As a sentence has them: with `or` before the last.
fn known_codecs(is_video: bool) -> Box<str> {
    let codecs = Codec::all().filter(|codec| codec.is_video() == is_video);
    let names = codecs.map(Codec::janus).collect::<Vec<_>>().join(", ");
    names.rsplit_once(", ").map_or(names.clone(), |(others, last)| format!("{others} or {last}")).into()
}

/// A `join` of either role.
pub fn join(
    request: Request,
    body: Fields<'_>,
    description: Option<Box<Description>>,
    is_signed: bool,
) -> Result<request::MemberRequest, PluginError> {
    match ParticipantType::parse(body)? {
        ParticipantType::Publisher => {
            let join = publisher::JoinPublisher::parse(body)?;
            let configures = request == Request::JoinAndConfigure || description.is_some();
            Ok(request::MemberRequest::JoinPublisher(request::JoinPublisher {
                id: join.id,
                display: join.display.map(Box::from),
                metadata: join.metadata.map(metadata),
                talk: request::TalkWish { packets: join.audio_active_packets, threshold: join.audio_level_average },
                pin: join.pin.map(Box::from),
                is_signed,
                token: join.token.map(Box::from),
                configure: if configures {
                    Some(configuration(false, publisher::Configure::parse_joining(body)?, description))
                } else {
                    None
                },
            }))
        }
        ParticipantType::Subscriber => {
            if description.is_some() {
                return Err(RequestError::UnexpectedJsep.into());
            }
            let join = subscriber::JoinSubscriber::parse(body)?;
            Ok(request::MemberRequest::JoinSubscriber(request::JoinSubscriber { is_signed, ..join_subscriber(join) }))
        }
    }
}

fn join_subscriber(join: subscriber::JoinSubscriber<'_>) -> request::JoinSubscriber {
    let (streams, legacy) = match join.feeds {
        Feeds::Streams(streams) => (streams, None),
        Feeds::Legacy { feed, audio, video } => (Vec::new(), Some(request::LegacyFeed { feed, audio, video })),
    };
    request::JoinSubscriber {
        pin: join.pin.map(Box::from),
        is_signed: false,
        private_id: join.private_id,
        use_msid: join.use_msid,
        autoupdate: join.autoupdate,
        // Janus does not read `send` here.
        streams: streams.into_iter().map(|entry| subscribe(entry).stream).collect(),
        legacy,
    }
}

fn subscribe(entry: subscriber::SubscribeStream<'_>) -> request::Subscribe {
    let subscriber::SubscribeStream { feed, mid, crossrefid, send, min_delay, max_delay } = entry;
    let (crossrefid, delay) = (crossrefid.map(Box::from), playout::overridden(None, min_delay, max_delay));
    request::Subscribe { stream: request::SubscribeStream { feed, mid, crossrefid, delay }, send }
}

/// `subscribe`, `unsubscribe` or `update`.
pub fn update(request: Request, body: Fields<'_>) -> Result<request::Update, PluginError> {
    let update = match request {
        Request::Subscribe => subscriber::Update::parse_subscribe(body)?,
        Request::Unsubscribe => subscriber::Update::parse_unsubscribe(body)?,
        _ => subscriber::Update::parse(body)?,
    };
    let unsubscribe = |subscriber::Unsubscribe { feed, mid, sub_mid }| request::Unsubscribe { feed, mid, sub_mid };
    Ok(request::Update {
        subscribe: update.subscribe.into_iter().map(subscribe).collect(),
        unsubscribe: update.unsubscribe.into_iter().map(unsubscribe).collect(),
    })
}

/// `switch`
pub fn switch(body: Fields<'_>) -> Result<request::Switch, PluginError> {
    let entry = |subscriber::SwitchStream { feed, mid, sub_mid }| request::SwitchStream { feed, mid, sub_mid };
    Ok(match subscriber::Switch::parse(body)? {
        Switch::Streams(entries) => request::Switch::Streams(entries.into_iter().map(entry).collect()),
        Switch::Legacy { feed, audio, video } => request::Switch::Feed(request::LegacyFeed { feed, audio, video }),
    })
}

/// What needs the room's secret: the room, what is given as its secret, and what to do. The elements are of their types.
pub fn administration(
    request: Request,
    fields: Fields<'_>,
    targets: &TargetRule,
) -> Result<(RoomId, Option<Box<str>>, request::Administration), PluginError> {
    let Administration { room, secret, deed } = Administration::parse(request, fields)?;
    let boxed = |tokens: Vec<&str>| tokens.into_iter().map(Box::from).collect();
    let administration = match deed {
        Action::Edit(edit) => request::Administration::Edit(request::Edit {
            description: edit.description.map(Box::from),
            secret: edit.secret.map(Box::from),
            pin: edit.pin.map(Box::from),
            is_private: edit.is_private,
            require_pvtid: edit.require_pvtid,
            bitrate: edit.bitrate.map(raised),
            fir_freq: edit.fir_freq,
            publishers: edit.publishers,
            permanent: edit.permanent,
        }),
        Action::Allow(allow) => request::Administration::Allow(match allow {
            administration::Allow::Enable => request::Allow::Enable,
            administration::Allow::Disable => request::Allow::Disable,
            administration::Allow::Add(tokens) => request::Allow::Add(boxed(tokens)),
            administration::Allow::Remove(tokens) => request::Allow::Remove(boxed(tokens)),
            administration::Allow::Unreadable => request::Allow::Unreadable,
        }),
        Action::Kick(feed) => request::Administration::Kick(feed),
        Action::Moderate { feed, mid, mute } => request::Administration::Moderate { feed, mid, mute },
        Action::Record(record) => request::Administration::Record(record),
        Action::ListForwarders => request::Administration::ListForwarders,
        Action::Forward(wish) => request::Administration::Forward(forward(wish, targets)?),
        Action::StopForward(StopForward { feed, stream_id }) => {
            request::Administration::StopForward { feed, stream_id }
        }
        Action::Remotize(wish) => request::Administration::Remotize(remotize(&wish, targets)?),
        Action::Unremotize(feed, remote_id) => {
            request::Administration::Unremotize { feed, remote_id: remote_id.into() }
        }
        Action::AddRemote(wish) => request::Administration::AddRemote(Box::new(AddRemote {
            streams: wish.streams.iter().map(remote_stream).collect::<Result<_, _>>()?,
            id: wish.id,
            display: wish.display.map(Box::from),
            metadata: wish.metadata.map(metadata),
            port: wish.port.unwrap_or_default(),
            srtp: wish.srtp.as_ref().map(srtp_key),
        })),
        Action::UpdateRemote(wish) => request::Administration::UpdateRemote(Box::new(UpdateRemote {
            streams: wish.streams.iter().map(remote_stream).collect::<Result<_, _>>()?,
            id: wish.id.ok_or(FieldError::Missing("id"))?,
            display: wish.display.map(Box::from),
            metadata: wish.metadata.map(metadata),
        })),
        Action::RemoveRemote(feed) => request::Administration::RemoveRemote(feed),
        Action::ListRemotes(feed) => request::Administration::ListRemotes(feed),
    };
    Ok((room, secret.map(Box::from), administration))
}

/// `rtp_forward`, to addresses that the operator allows.
fn forward(wish: Forward<'_>, rule: &TargetRule) -> Result<forward::Forward, PluginError> {
    let default = rule.address(wish.host)?;
    let target = |target: wire::Target<'_>| {
        Ok(forward::Target {
            of: match target.of {
                wire::Of::Mid(mid) => forward::Of::Mid(mid),
                wire::Of::First(kind) => forward::Of::First(kind),
            },
            to: SocketAddr::new(rule.address(target.host)?, target.port),
            rtcp_port: target.rtcp_port,
            pt: target.pt,
            ssrc: target.ssrc,
            substream: target.substream,
            simulcast: target.simulcast,
            srtp: target.srtp.as_ref().map(srtp_key),
        })
    };
    let targets = wish.targets.into_iter().map(target).collect::<Result<_, PluginError>>()?;
    Ok(forward::Forward { feed: wish.feed, targets, legacy: wish.legacy.then_some(default) })
}

/// `publish_remotely`, likewise.
fn remotize(wish: &PublishRemotely<'_>, rule: &TargetRule) -> Result<Remotize, PluginError> {
    Ok(Remotize {
        feed: wish.feed.clone(),
        remote_id: wish.remote_id.into(),
        to: SocketAddr::new(rule.address(wish.host)?, wish.port),
        rtcp_port: wish.rtcp_port,
        srtp: wish.srtp.as_ref().map(srtp_key),
    })
}

/// A line of a publisher of another server.
fn remote_stream(line: &RemoteLine<'_>) -> Result<RemoteStream, RequestError> {
    let is_video = line.kind == "video";
    let named = |name| Codec::from_janus(name).filter(|codec| codec.is_video() == is_video);
    let codec = match line.codec.filter(|_| line.kind != "data") {
        Some(name) => Some(named(name).ok_or(RequestError::UnsupportedCodec)?),
        None => None,
    };
    Ok(RemoteStream {
        mid: Some(line.mid),
        mindex: line.mindex,
        codec: codec.filter(|_| !line.disabled),
        is_video,
        description: line.description.map(Box::from),
        stereo: line.stereo,
        fec: line.fec,
        dtx: line.dtx,
        h264_profile: line.h264_profile.map(Box::from),
        vp9_profile: line.vp9_profile.map(Box::from),
        extensions: ExtensionIds {
            audio_level: line.audiolevel_ext_id,
            orientation: line.videoorient_ext_id,
            playout_delay: line.playoutdelay_ext_id,
            ..ExtensionIds::default()
        },
    })
}

fn srtp_key(srtp: &wire::Srtp) -> forward::SrtpKey {
    forward::SrtpKey { short_tag: srtp.short_tag, master: srtp.master }
}

/// `publish` and `configure` of a publisher.
pub fn configure(
    publish: bool,
    body: Fields<'_>,
    description: Option<Box<Description>>,
) -> Result<request::Configure, PluginError> {
    Ok(configuration(publish, publisher::Configure::parse(body)?, description))
}

fn configuration(
    publish: bool,
    configure: publisher::Configure<'_>,
    description: Option<Box<Description>>,
) -> request::Configure {
    request::Configure {
        publish,
        audiocodec: configure.audiocodec.map(Box::from),
        videocodec: configure.videocodec.map(Box::from),
        bitrate: configure.bitrate,
        keyframe: configure.keyframe,
        display: configure.display.map(Box::from),
        metadata: configure.metadata.map(metadata),
        talk: request::TalkWish { packets: configure.audio_active_packets, threshold: configure.audio_level_average },
        descriptions: configure.descriptions.into_iter().map(|(mid, text)| (mid, text.into())).collect(),
        streams: configure.streams.into_iter().map(stream).collect(),
        audio: configure.audio,
        video: configure.video,
        offer: description.filter(|description| description.kind == DescriptionKind::Offer),
    }
}

/// `configure` of a subscriber.
pub fn configure_subscriber(body: Fields<'_>) -> Result<request::ConfigureSubscriber, PluginError> {
    let configure = subscriber::ConfigureSubscriber::parse(body)?;
    Ok(request::ConfigureSubscriber {
        streams: configure.streams.into_iter().map(stream).collect(),
        audio: configure.audio,
        video: configure.video,
        restart: configure.restart,
        update: configure.update,
    })
}

fn metadata(text: String) -> request::Metadata {
    request::Metadata(text.into())
}

fn stream(stream: publisher::ConfigureStream) -> request::ConfigureStream {
    let publisher::ConfigureStream { mid, send, keyframe, min_delay, max_delay } = stream;
    request::ConfigureStream { mid, send, keyframe, min_delay, max_delay }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::field::Ids;

    fn spec(text: &str) -> Result<RoomSpec, u16> {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        let fields = Create::check(Fields::of(&document, Ids::Numbers).unwrap());
        let create = fields.and_then(Create::parse).map_err(|error| error.code())?;
        room_spec(&create).map_err(|error| error.code())
    }

    #[test]
    fn an_empty_create_is_a_room_with_janus_defaults() {
        let mut room = spec("{}").unwrap();
        name_room(&mut room, RoomId::from(7));
        assert_eq!(room, RoomSpec::new(RoomId::from(7)));
        assert_eq!(spec(r#"{"room":7}"#).unwrap(), RoomSpec::new(RoomId::from(7)));
    }

    #[test]
    fn codecs_are_lists_in_order_of_the_right_kind() {
        let room = spec(r#"{"audiocodec":"OPUS, pcmu","videocodec":"h264,vp9"}"#).unwrap();
        assert_eq!(room.audio_codecs, [Codec::Opus, Codec::Pcmu]);
        assert_eq!(room.video_codecs, [Codec::H264, Codec::Vp9]);
        let room = spec(r#"{"vp9_profile":"2","h264_profile":"640c1f"}"#).unwrap();
        assert_eq!((room.profile(Codec::Vp9), room.profile(Codec::H264)), (Some("2"), Some("640c1f")));
        for wrong in ["mp3", "vp8", ",", "opus,"] {
            assert_eq!(spec(&format!(r#"{{"audiocodec":"{wrong}"}}"#)), Err(430), "{wrong}");
            assert_eq!(spec(r#"{"audiocodec":""}"#).unwrap().audio_codecs, [Codec::Opus], "the default");
            let six = spec(r#"{"audiocodec":"opus,pcmu,pcma,g722,opus,mp3"}"#).unwrap();
            assert_eq!(six.audio_codecs.len(), 5, "the sixth is not read");
        }
    }

    #[test]
    fn options_that_would_be_relied_upon_are_refused() {
        let configure = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
            publisher::Configure::parse(Fields::of(&document, Ids::Numbers).unwrap()).map(drop)
        };
        assert_eq!(configure(r#"{"record":true}"#), Err(RequestError::Unsupported("record")));
        assert_eq!(configure(r#"{"record":false}"#), Ok(()));
    }

    #[test]
    fn entries_of_a_dummy_that_make_no_sense_are_not_there() {
        let streams = |list: &str| spec(&format!(r#"{{"dummy_streams":{list}}}"#)).unwrap().dummy_streams;
        for nothing in ["[]", "[1]", "[{}]", r#"[{"codec":1}]"#, r#"[{"codec":"vp8","fmtp":1}]"#] {
            assert_eq!(streams(nothing), None, "{nothing}");
        }
        let vp8 = DummyStream { codec: Codec::Vp8, fmtp: None };
        assert_eq!(streams(r#"[{"fmtp":"x"},{"codec":"vp8"}]"#), Some(vec![vp8]));
        assert_eq!(streams(r#"[{"codec":"none"}]"#), Some(Vec::new()));
    }

    #[test]
    fn an_empty_list_of_tokens_is_one_that_is_looked_at() {
        assert!(spec("{}").unwrap().allowed.admits(None));
        assert!(!spec(r#"{"allowed":[]}"#).unwrap().allowed.admits(None));
        assert!(spec(r#"{"allowed":["a","b"]}"#).unwrap().allowed.admits(Some("b")));
        assert_eq!(spec(r#"{"allowed":["a",7]}"#), Err(430));
    }

    #[test]
    fn small_caps_are_raised_and_empty_secrets_are_none() {
        let room = spec(r#"{"bitrate":1,"secret":"","pin":"p"}"#).unwrap();
        assert_eq!((room.bitrate, room.secret, room.pin.as_deref()), (64_000, None, Some("p")));
    }
}
