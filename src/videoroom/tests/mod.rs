//! The rules of a room, told as requests and what comes of them. Here are the descriptions that browsers would send and
//! a short way to write effects down.

mod administering;
mod attention;
mod ending;
mod forwarding;
mod model;
mod multistream;
mod publishing;
mod remote;
mod subscribing;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::state::Room;
use crate::control::command::{Event, Reply, Teardown};
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::request::{
    Administration, Configure, JoinPublisher, JoinSubscriber, MemberRequest, Metadata, SubscribeStream,
};
use crate::control::spec::RoomSpec;
use crate::control::summary::{Attached, Joined};
use crate::control::talking::TalkRule;
use crate::id::{FeedId, HandleAddress, HandleId, MemberId, RoomId, SessionId, SignallingId};
use crate::wire::sdp::{
    Description, DescriptionKind, Direction, ExtensionMap, Fingerprint, MediaKind, MediaSection, Mid, Payload, Setup,
    Transport,
};

const ROOM: u64 = 1234;

/// A room with handles that are called by numbers; handle N publishes as feed N.
struct Scene {
    room: Room,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|_| {})
    }

    fn with(change: impl Fn(&mut RoomSpec)) -> Scene {
        let mut spec = RoomSpec::new(RoomId::from(ROOM));
        spec.video_codecs = vec![crate::control::codec::Codec::Vp8, crate::control::codec::Codec::H264];
        change(&mut spec);
        Scene { room: Room::new(spec, ChaCha20Rng::from_seed([3; 32])) }
    }

    fn ask(&mut self, handle: u64, request: MemberRequest) -> (Reply, Vec<String>) {
        let mut effects = Vec::new();
        let reply = self.room.handle(address(handle), request, &mut effects);
        (reply, trace(&effects))
    }

    fn administer(&mut self, secret: Option<&str>, request: Administration) -> (Reply, Vec<String>) {
        let mut effects = Vec::new();
        let reply = self.room.administer(secret, request, &mut effects);
        (reply, trace(&effects))
    }

    fn refusal(&mut self, handle: u64, request: MemberRequest) -> RoomError {
        match self.ask(handle, request) {
            (Reply::Refused(error), effects) if effects.is_empty() => error,
            other => panic!("not simply refused: {other:?}"),
        }
    }

    fn join(&mut self, handle: u64) -> Box<Joined> {
        match self.ask(handle, join_as(handle)) {
            (Reply::Joined(joined), _) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    /// Joins, publishes audio `0` and video `1`, and is up.
    fn publish(&mut self, handle: u64) {
        self.join(handle);
        self.configured(handle, publish(offer(&[AUDIO, VIDEO])));
        self.up(handle);
    }

    fn configured(&mut self, handle: u64, configure: Configure) -> Vec<String> {
        match self.ask(handle, MemberRequest::Configure(configure)) {
            (Reply::Configured(_), effects) => effects,
            other => panic!("not configured: {other:?}"),
        }
    }

    /// Joins as subscriber of the whole feeds.
    fn subscribe(&mut self, handle: u64, feeds: &[u64]) -> Box<Attached> {
        match self.ask(handle, subscribe(feeds)) {
            (Reply::Attached(attached), _) => attached,
            other => panic!("not attached: {other:?}"),
        }
    }

    /// Subscribes, answers and is up.
    fn watch(&mut self, handle: u64, feeds: &[u64]) {
        let attached = self.subscribe(handle, feeds);
        self.start(handle, Some(answer(&attached.offer)));
        self.up(handle);
    }

    fn start(&mut self, handle: u64, answer: Option<Description>) -> Vec<String> {
        match self.ask(handle, MemberRequest::Start(answer.map(Box::new))) {
            (Reply::Started(_), effects) => effects,
            other => panic!("not started: {other:?}"),
        }
    }

    fn member(&self, handle: u64) -> MemberId {
        self.room.roster().member(address(handle)).expect("in the room")
    }

    fn up(&mut self, handle: u64) -> Vec<String> {
        let mut effects = Vec::new();
        self.room.peer_up(self.member(handle), &mut effects);
        trace(&effects)
    }

    fn down(&mut self, handle: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.room.peer_down(self.member(handle), crate::control::command::HangupReason::IceFailed, &mut effects);
        effects
    }

    fn teardown(&mut self, handle: u64, kind: Teardown) -> Vec<String> {
        let mut effects = Vec::new();
        self.room.teardown(address(handle), kind, &mut effects);
        trace(&effects)
    }
}

fn address(handle: u64) -> HandleAddress {
    HandleAddress { home: SignallingId(0), session: SessionId(7), handle: HandleId(handle) }
}

fn mid(text: &str) -> Mid {
    Mid::from(text).expect("short")
}

fn join_as(feed: u64) -> MemberRequest {
    MemberRequest::JoinPublisher(JoinPublisher { id: Some(FeedId::from(feed)), ..JoinPublisher::default() })
}

fn subscribe(feeds: &[u64]) -> MemberRequest {
    let entry = |&feed: &u64| SubscribeStream { feed: FeedId::from(feed), mid: None, crossrefid: None, delay: None };
    let streams = feeds.iter().map(entry).collect();
    MemberRequest::JoinSubscriber(JoinSubscriber { autoupdate: true, streams, ..JoinSubscriber::default() })
}

fn publish(offer: Description) -> Configure {
    Configure { publish: true, offer: Some(Box::new(offer)), ..Configure::default() }
}

fn configure(offer: Description) -> Configure {
    Configure { offer: Some(Box::new(offer)), ..Configure::default() }
}

#[derive(Clone, Copy)]
struct OfferLine {
    kind: MediaKind,
    codecs: &'static [(u8, &'static str, u32)],
    direction: Direction,
}

const AUDIO: OfferLine =
    OfferLine { kind: MediaKind::Audio, codecs: &[(111, "opus", 48_000)], direction: Direction::SendRecv };
const VIDEO: OfferLine = OfferLine {
    kind: MediaKind::Video,
    codecs: &[(96, "VP8", 90_000), (102, "H264", 90_000)],
    direction: Direction::SendRecv,
};
const STOPPED: OfferLine = OfferLine { direction: Direction::Inactive, ..VIDEO };

/// An offer as a browser makes it.
fn offer(lines: &[OfferLine]) -> Description {
    let mids: Vec<Mid> = (0..lines.len()).map(|index| mid(&index.to_string())).collect();
    let media = lines.iter().zip(&mids).enumerate().map(|(index, (line, &mid))| MediaSection {
        kind: line.kind,
        media: Box::default(),
        mid,
        rejected: false,
        profile: "UDP/TLS/RTP/SAVPF".into(),
        direction: line.direction,
        transport: Some(transport("abcd")),
        payloads: line.codecs.iter().map(|&(pt, encoding, clock_rate)| payload(pt, encoding, clock_rate)).collect(),
        extensions: vec![extension(line.kind)],
        rtcp_mux: true,
        msid: None,
        ssrcs: vec![(1000 + u32::try_from(index).expect("few"), "browser".into())],
        ssrc_groups: Vec::new(),
        rids: Vec::new(),
        bandwidth_bps: None,
        sctp_port: None,
        candidates: Vec::new(),
    });
    Description {
        e2ee: false,
        kind: DescriptionKind::Offer,
        origin_id: 1,
        origin_version: 1,
        session_name: "-".into(),
        ice_lite: false,
        extmap_allow_mixed: true,
        media: media.collect(),
        bundle: Some(mids),
    }
}

fn extension(kind: MediaKind) -> ExtensionMap {
    match kind {
        MediaKind::Video => ExtensionMap { id: 13, direction: None, uri: "urn:3gpp:video-orientation".into() },
        _ => ExtensionMap { id: 1, direction: None, uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level".into() },
    }
}

fn payload(pt: u8, encoding: &str, clock_rate: u32) -> Payload {
    let video = clock_rate == 90_000;
    Payload {
        pt,
        encoding: encoding.into(),
        clock_rate,
        channels: (!video).then_some(2),
        fmtp: None,
        feedback: if video { vec!["nack".into(), "nack pli".into()] } else { Vec::new() },
    }
}

fn transport(ufrag: &str) -> Transport {
    Transport {
        ufrag: ufrag.into(),
        pwd: "a password of 22 chars".into(),
        fingerprint: Fingerprint::Sha256([9; 32]),
        setup: Setup::ActPass,
    }
}

/// A browser's answer to our offer: it takes all that is sent.
fn answer(offer: &Description) -> Description {
    let mut answer = offer.clone();
    answer.kind = DescriptionKind::Answer;
    for media in &mut answer.media {
        if media.direction == Direction::SendOnly {
            media.direction = Direction::RecvOnly;
        }
        media.transport = Some(Transport { setup: Setup::Active, ..transport("efgh") });
    }
    answer
}

/// The offer of the last `updated` event among the effects.
fn updated(effects: &[Effect]) -> Option<Description> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Tell { event: Event::Updated(_, _, offer), .. } => Some((**offer).clone()),
        _ => None,
    })
}

/// Effects in short: what is done to which id, and who is told what.
fn trace(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::OpenPeer { member, remote } => format!("open peer {} {}", member.0, known(remote.as_ref())),
        Effect::SetRemote { member, remote } => format!("remote of {} is {}", member.0, remote.ufrag),
        Effect::RestartIce(member) => format!("restart {}", member.0),
        Effect::ClosePeer(member) => format!("close peer {}", member.0),
        Effect::SetStream { stream, member, media } => {
            format!("stream {} of {} is {}", stream.0, member.0, media.codec.map_or("nothing", |codec| codec.janus()))
        }
        Effect::RemoveStream(stream) => format!("remove stream {}", stream.0),
        Effect::AddLeg { leg, member, spec } => format!("add leg {} of {} mid {}", leg.0, member.0, spec.mid),
        Effect::SetSource { leg, source: Some(stream) } => format!("leg {} from {}", leg.0, stream.0),
        Effect::SetSource { leg, source: None } => format!("leg {} from nothing", leg.0),
        Effect::AcceptLeg { leg, media } => format!("leg {} accepted {}", leg.0, media.accepted),
        Effect::GateLeg { leg, open } => format!("leg {} {}", leg.0, if *open { "opens" } else { "closes" }),
        Effect::WatchTalking { stream, rule: Some(TalkRule { packets, threshold }) } => {
            format!("watch {} by {packets} below {threshold}", stream.0)
        }
        Effect::WatchTalking { stream, rule: None } => format!("watch {} no more", stream.0),
        Effect::OverrideDelay { leg, delay: Some(delay) } => {
            format!("leg {} says delay {} to {}", leg.0, delay.min, delay.max)
        }
        Effect::OverrideDelay { leg, delay: None } => format!("leg {} says its publisher's delay", leg.0),
        Effect::RemoveLeg(leg) => format!("remove leg {}", leg.0),
        Effect::OpenRemote { member, port, .. } => format!("open remote {} at {port}", member.0),
        Effect::AddForwarder { forwarder, .. } => format!("add forwarder {}", forwarder.0),
        Effect::RouteForwarder { forwarder, source: Some(stream) } => {
            format!("forwarder {} from {}", forwarder.0, stream.0)
        }
        Effect::RouteForwarder { forwarder, source: None } => format!("forwarder {} from nothing", forwarder.0),
        Effect::RemoveForwarder(forwarder) => format!("remove forwarder {}", forwarder.0),
        Effect::RequestKeyframe(stream) => format!("keyframe {}", stream.0),
        Effect::CapBitrate { member, bps } => format!("cap {} at {bps}", member.0),
        Effect::Observe { of, what } => format!("observe {} {what:?}", of.handle.0),
        Effect::Tell { to, event } => {
            let to: Vec<u64> = to.iter().map(|address| address.handle.0).collect();
            format!("tell {to:?} {}", said(event))
        }
    }
}

fn also(metadata: Option<&Metadata>) -> String {
    metadata.map(|Metadata(text)| format!(" and {text}")).unwrap_or_default()
}

fn known(remote: Option<&Transport>) -> &str {
    remote.map_or("unknown", |remote| &remote.ufrag)
}

fn said(event: &Event) -> String {
    match event {
        Event::Publishers(_, publishers) => {
            let one = |(id, active): (&FeedId, usize)| format!("{id} with {active}");
            let count = |streams: &[crate::control::summary::StreamSummary]| {
                streams.iter().filter(|stream| !stream.disabled).count()
            };
            let all = publishers.iter().map(|publisher| one((&publisher.who.id, count(&publisher.streams))));
            format!("publishers {}", all.collect::<Vec<_>>().join(" "))
        }
        Event::Joining(_, who) => format!("joining {}", who.id),
        Event::Unpublished(_, who) => format!("unpublished {}", who.id),
        Event::Leaving(_, who) => format!("leaving {}", who.id),
        Event::Display(feed, name, metadata) => format!("display {feed} {name}{}", also(metadata.as_ref())),
        Event::Metadata(feed, Metadata(text)) => format!("metadata {feed} {text}"),
        Event::Talking { feed, mid, change, .. } => {
            format!("{feed} {mid} {} at {}", if change.talking { "talks" } else { "stops" }, change.level)
        }
        Event::Kicked(_, who) => format!("kicked {}", who.id),
        Event::Expelled(_) => "expelled".into(),
        Event::Moderated { feed, mid, muted, .. } => {
            format!("{feed} {mid} {}", if *muted { "muted" } else { "unmuted" })
        }
        Event::Destroyed(_) => "destroyed".into(),
        Event::Updated(_, streams, offer) => {
            let active = streams.iter().filter(|stream| stream.active).count();
            format!("updated v{} with {active} of {}", offer.origin_version, streams.len())
        }
        Event::WebrtcUp => "webrtcup".into(),
        Event::Media { mid, receiving, .. } => format!("media {mid} {receiving}"),
        Event::SlowLink { mid, uplink, lost, .. } => format!("slow link {mid} uplink {uplink} lost {lost}"),
        Event::SlowPublisher { bitrate } => format!("slow publisher {bitrate}"),
        Event::SlowSubscriber => "slow subscriber".into(),
        Event::Hangup(reason) => format!("hangup {}", reason.text()),
        Event::Detached => "detached".into(),
        Event::RoomFailed(_) => "room failed".into(),
    }
}
