//! What event handlers are told, rendered only if a handler wants its type. Whatever happens is handed in as plain values.
//! The machine takes events away after every call and delivers them; how that fares is shown with our own counts.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::config::SignallingConfig;
use super::gather;
use super::gather::Gathered;
use crate::control::command::{Event, HangupReason, Reply};
use crate::control::observation::{LineStatistics, Observation, RoomObservation};
use crate::id::{RoomId, SessionId, SignallingId};
use crate::proto::session::{Asker, ConnectionId};
use crate::time::{Mono, Now};
use crate::videoroom::json::event::{Moderated, Talking};
use crate::videoroom::json::observed::RoomEvent;
use crate::videoroom::json::{Id, PACKAGE};
use crate::videoroom::render;
use crate::wire::janus::envelope::Jsep;
use crate::wire::janus::events::payload::{
    COMPONENT, Census, Core, Description, External, Handle, Media, Origin, Plugin, Session, Statistics, Transport,
    TransportData, WebRtc,
};
use crate::wire::janus::events::{Kind, Mask, Payload, Subject, compose};
use crate::wire::janus::field::Fields;
use crate::wire::janus::message::{RemoteJsep, candidates};
use crate::wire::sdp;

const WEBSOCKETS: &str = "janus.transport.websockets";
const HTTP: &str = "janus.transport.http";

/// Janus' pace, whatever that of statistics is.
const UPDATE_INTERVAL: Duration = Duration::from_secs(15);

/// One event for handlers that want its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerEvent {
    pub kind: Kind,
    /// A JSON object.
    pub text: String,
}

/// How the delivery to handlers fares since start, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// What was done.
    pub counters: Vec<(&'static str, u64)>,
    /// What was lost.
    pub drops: Vec<(&'static str, u64)>,
}

/// Event handlers, as far as this shard knows them.
#[derive(Debug)]
pub(super) struct Observers {
    signalling: SignallingId,
    /// What any of them wants.
    wanted: Mask,
    /// Named in every event.
    server_name: String,
    /// Told with `update`.
    stats_period: Duration,
    /// Transports of whose connections they do not hear.
    muted: Vec<gather::Transport>,
    /// When they hear next how much there is.
    update_at: Mono,
    /// What one call brings is taken away after it.
    waiting: VecDeque<HandlerEvent>,
    /// As the machine last said.
    delivery: Delivery,
    /// Events since start.
    made: u64,
}

const NOBODY: Subject<'_> = Subject { session: None, handle: None, opaque_id: None };

impl Observers {
    /// Handlers that want what the configuration says; nothing has happened yet.
    pub fn new(config: &SignallingConfig) -> Observers {
        Observers {
            signalling: config.id,
            wanted: config.events,
            server_name: config.server_name.clone(),
            stats_period: config.stats_period,
            muted: Vec::new(),
            update_at: Mono::NEVER,
            waiting: VecDeque::new(),
            delivery: Delivery::default(),
            made: 0,
        }
    }

    /// The next event for handlers.
    pub fn poll(&mut self) -> Option<HandlerEvent> {
        self.waiting.pop_front()
    }

    /// Events since start.
    pub fn made(&self) -> u64 {
        self.made
    }

    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub fn note_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// When [`Observers::is_update_due`] is worth a call.
    pub fn deadline(&self) -> Mono {
        self.update_at
    }

    /// Whether they are to hear how much there is. The next time is set.
    pub fn is_update_due(&mut self, now: Mono) -> bool {
        let is_due = self.update_at <= now;
        if is_due {
            self.update_at = now + UPDATE_INTERVAL;
        }
        is_due
    }

    /// The server ends: no more updates.
    pub fn end_updates(&mut self) {
        self.update_at = Mono::NEVER;
    }

    /// Whether they hear of a transport's connections from now on.
    pub fn set_transport(&mut self, transport: gather::Transport, is_wanted: bool) {
        self.muted.retain(|muted| *muted != transport);
        if !is_wanted {
            self.muted.push(transport);
        }
    }

    /// A signal ends the server.
    pub fn shutdown(&mut self, now: Now, signum: i32) {
        self.emit(now, NOBODY, || Core::Shutdown { signum });
    }

    /// Somebody outside has something to say.
    pub fn external(&mut self, now: Now, schema: &str, data: &serde_json::Value) {
        self.emit(now, NOBODY, || External { schema, data });
    }

    /// The server has started, which the first signalling shard tells; updates start too. `info` is the answer to `info`.
    pub fn started(&mut self, now: Now, info: &str) {
        if self.signalling != SignallingId(0) || !self.wants(Kind::Core) {
            return;
        }
        let mut info: serde_json::Value = serde_json::from_str(info).unwrap_or_default();
        // Nobody has asked.
        info.as_object_mut().map(|info| info.remove("transaction"));
        self.emit(now, NOBODY, || Core::Started { info });
        self.update_at = now.mono + UPDATE_INTERVAL;
    }

    /// How much there is in all shards. False when some have not said it: half of it would be taken for the whole.
    pub fn update(&mut self, now: Now, gathered: &Gathered) -> bool {
        let Gathered { reports, signalling_reports, missing, .. } = gathered;
        if !missing.is_empty() {
            return false;
        }
        let sum = |gauges: &mut dyn Iterator<Item = &(&'static str, u64)>, wanted: &str| {
            gauges.filter(|(name, _)| *name == wanted).map(|(_, count)| count).sum()
        };
        let of_signalling_shards =
            |wanted| sum(&mut signalling_reports.iter().flat_map(|report| &report.gauges), wanted);
        let info = Census {
            sessions: of_signalling_shards("sessions"),
            handles: of_signalling_shards("handles"),
            peerconnections: sum(&mut reports.iter().flat_map(|report| &report.gauges), "peers"),
            stats_period: self.stats_period.as_secs(),
        };
        self.emit(now, NOBODY, || Core::Update { info });
        true
    }

    pub fn session_created(&mut self, now: Now, asker: Asker, session: SessionId) {
        if !self.wants(Kind::Session) {
            return;
        }
        let transport = if asker.is_socket() { WEBSOCKETS } else { HTTP };
        let id = origin_id(asker.place.signalling, asker.place.connection);
        let transport = Origin { transport, id: &id };
        self.emit(now, of_session(session), || Session::Created { transport });
    }

    pub fn session_ended(&mut self, now: Now, session: SessionId, how: Session<'_>) {
        self.emit(now, of_session(session), || how);
    }

    pub fn attached(&mut self, now: Now, of: Subject<'_>) {
        let opaque_id = of.opaque_id;
        self.emit(now, of, || Handle::Attached { plugin: PACKAGE, opaque_id });
    }

    pub fn detached(&mut self, now: Now, of: Subject<'_>) {
        let opaque_id = of.opaque_id;
        self.emit(now, of, || Handle::Detached { plugin: PACKAGE, opaque_id });
    }

    /// A WebSocket has opened, from this address.
    pub fn websocket_opened(&mut self, now: Now, id: ConnectionId, ip: IpAddr, admin_api: bool) {
        self.transport(now, gather::Transport::WebSockets, id, TransportData::Connected { admin_api, ip });
    }

    pub fn websocket_closed(&mut self, now: Now, id: ConnectionId) {
        self.transport(now, gather::Transport::WebSockets, id, TransportData::Disconnected);
    }

    /// A request over HTTP, from this address.
    pub fn http_request(&mut self, now: Now, id: ConnectionId, ip: IpAddr, admin_api: bool) {
        self.transport(now, gather::Transport::Http, id, TransportData::Request { admin_api, ip });
    }

    fn transport(&mut self, now: Now, of: gather::Transport, id: ConnectionId, data: TransportData) {
        if !self.wants(Kind::Transport) || self.muted.contains(&of) {
            return;
        }
        let transport = match of {
            gather::Transport::Http => HTTP,
            gather::Transport::WebSockets => WEBSOCKETS,
        };
        let id = origin_id(self.signalling, id);
        self.emit(now, NOBODY, || Transport { origin: Origin { transport, id: &id }, data });
    }

    /// The client's description, with the candidates that it brings.
    pub fn remote_description(&mut self, now: Now, of: Subject<'_>, jsep: RemoteJsep<'_>) {
        self.emit(now, of, || Description {
            owner: "remote",
            jsep: Jsep { kind: render::jsep_kind(jsep.kind), sdp: jsep.sdp, e2ee: false },
        });
        if self.wants(Kind::WebRtc) {
            for candidate in jsep.sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
                self.candidate(now, of, &format!("candidate:{candidate}"));
            }
        }
    }

    /// The candidates of a `trickle` that is in order.
    pub fn trickle(&mut self, now: Now, of: Subject<'_>, fields: Fields<'_>) {
        if self.wants(Kind::WebRtc) {
            for candidate in candidates(fields) {
                self.candidate(now, of, candidate);
            }
        }
    }

    fn candidate(&mut self, now: Now, of: Subject<'_>, candidate: &str) {
        let component = COMPONENT;
        self.emit(now, of, || WebRtc::RemoteCandidate { candidate, component });
    }

    /// What a reply says: our description, and what has become of a room. Members' own doings are observed by their room.
    pub fn reply(&mut self, now: Now, of: Subject<'_>, reply: &Reply) {
        if let Some(description) = render::description(reply) {
            self.local_description(now, of, description);
        }
        match reply {
            Reply::Created(room) => self.plugin(now, of, RoomEvent::Created { room: Id(&room.0) }),
            Reply::Edited(room, _) => self.plugin(now, of, RoomEvent::Edited { room: Id(&room.0) }),
            Reply::Destroyed(room) => self.plugin(now, of, RoomEvent::Destroyed { room: Id(&room.0) }),
            Reply::Forwarding(new) => {
                let (room, publisher_id) = (Id(&new.room.0), Id(&new.feed.0));
                for new in &new.forwarders {
                    let (media, codec) = (render::kind_name(new.kind), new.codec.map(|codec| codec.janus()));
                    let forwarder = render::forwarder(new);
                    let video_substream = forwarder.substream;
                    let event = RoomEvent::Forwarded { room, publisher_id, media, codec, video_substream, forwarder };
                    self.plugin(now, of, event);
                }
            }
            Reply::ForwardStopped(room, feed, stream_id) => {
                let (room, publisher_id, stream_id) = (Id(&room.0), Id(&feed.0), *stream_id);
                self.plugin(now, of, RoomEvent::ForwardStopped { room, publisher_id, stream_id });
            }
            _ => {}
        }
    }

    fn local_description(&mut self, now: Now, of: Subject<'_>, description: &sdp::Description) {
        if self.wants(Kind::Jsep) {
            let text = sdp::compose(description);
            self.emit(now, of, || Description {
                owner: "local",
                jsep: Jsep { kind: render::jsep_kind(description.kind), sdp: &text, e2ee: false },
            });
        }
    }

    /// What a handle hears, as far as it is news of its peer connection or of media.
    pub fn event(&mut self, now: Now, of: Subject<'_>, event: &Event) {
        match event {
            Event::Updated(_, _, offer) => self.local_description(now, of, offer),
            // The peer connections are gone too.
            Event::RoomFailed(_) => self.event(now, of, &Event::Hangup(HangupReason::ClosePc)),
            Event::WebrtcUp => {
                let (connection, reason) = ("webrtcup", None);
                self.emit(now, of, || WebRtc::Connection { connection, reason });
            }
            Event::Hangup(reason) => {
                let (connection, reason) = ("hangup", Some(reason.text()));
                self.emit(now, of, || WebRtc::Connection { connection, reason });
            }
            Event::Media { mid, kind, receiving, .. } => {
                let (media, receiving) = (render::kind_name(*kind), *receiving);
                self.emit(now, of, || Media::Receiving { media, mid, receiving });
            }
            Event::SlowLink { mid, kind, uplink, lost } => {
                let (media, slow_link) = (render::kind_name(*kind), if *uplink { "uplink" } else { "downlink" });
                let lost_lastsec = *lost;
                self.emit(now, of, || Media::SlowLink { media, mid, slow_link, lost_lastsec });
            }
            _ => {}
        }
    }

    /// What a media shard has observed.
    pub fn observation(&mut self, now: Now, of: Subject<'_>, what: &Observation) {
        let component = COMPONENT;
        match what {
            Observation::Room(room, what) => self.room(now, of, room, what),
            Observation::Ice(state) => {
                self.emit(now, of, || WebRtc::Ice { ice: state.text(), component });
            }
            Observation::LocalCandidate(candidate) => {
                self.emit(now, of, || WebRtc::LocalCandidate { candidate, component });
            }
            Observation::SelectedPair { local, remote } => {
                self.emit(now, of, || WebRtc::selected(*local, *remote));
            }
            Observation::Dtls(state) => {
                self.emit(now, of, || WebRtc::Dtls { dtls: state.text(), component });
            }
            Observation::SourcesExhausted { ssrc, most } => {
                self.emit(now, of, || WebRtc::SourcesExhausted { ssrc: *ssrc, most: *most, component });
            }
            Observation::Statistics(lines) => {
                for line in lines {
                    self.emit(now, of, || Media::Statistics(Box::new(statistics(line))));
                }
            }
        }
    }

    fn room(&mut self, now: Now, of: Subject<'_>, room: &RoomId, what: &RoomObservation) {
        if !self.wants(Kind::Plugin) {
            return;
        }
        let room = Id(&room.0);
        let event = match what {
            RoomObservation::Moderated { feed, mid, muted } => {
                let (id, moderation) = (Id(&feed.0), if *muted { "muted" } else { "unmuted" });
                return self.plugin(now, of, Moderated { videoroom: "moderated", room, id, mid, moderation });
            }
            RoomObservation::Talking { feed, mindex, mid, change } => {
                let videoroom = if change.talking { "talking" } else { "stopped-talking" };
                let (id, mindex, level) = (Id(&feed.0), *mindex, change.level);
                return self.plugin(now, of, Talking { videoroom, room, id, mindex, mid, level });
            }
            RoomObservation::Joined { who, private_id, token, talk } => RoomEvent::Joined {
                room,
                who: render::identity(who),
                private_id: *private_id,
                token: token.as_deref(),
                audio_active_packets: talk.packets.filter(|packets| *packets > 0),
                audio_level_average: talk.threshold.filter(|threshold| *threshold > 0),
            },
            RoomObservation::Published(publisher) => RoomEvent::Published {
                room,
                who: render::identity(&publisher.who),
                streams: render::streams_of(&publisher.streams).streams,
            },
            RoomObservation::Republished(publisher) => RoomEvent::Republished {
                room,
                who: render::identity(&publisher.who),
                streams: render::streams_of(&publisher.streams).streams,
            },
            RoomObservation::Configured { feed, bitrate } => {
                RoomEvent::Configured { room, id: Id(&feed.0), bitrate: *bitrate }
            }
            RoomObservation::Unpublished(who) => RoomEvent::Unpublished { room, who: render::identity(who) },
            RoomObservation::Leaving(who) => RoomEvent::Leaving { room, who: render::identity(who) },
            RoomObservation::Kicked(who) => RoomEvent::Kicked { room, who: render::identity(who) },
            RoomObservation::Subscribing { private_id, streams } => {
                let streams = streams.iter().map(render::subscription).collect();
                RoomEvent::Subscribing { room, private_id: *private_id, streams }
            }
            RoomObservation::Subscribed => RoomEvent::Subscribed { room },
            RoomObservation::Resubscribed { private_id, streams } => {
                let streams = streams.iter().map(render::subscription).collect();
                RoomEvent::Resubscribed { room, private_id: *private_id, streams }
            }
            RoomObservation::Unsubscribed { feed, mid } => RoomEvent::Unsubscribed { room, feed: Id(&feed.0), mid },
            RoomObservation::Switched => RoomEvent::Switched { room },
        };
        self.plugin(now, of, event);
    }

    fn plugin<D: serde::Serialize>(&mut self, now: Now, of: Subject<'_>, data: D) {
        self.emit(now, of, || Plugin { plugin: PACKAGE, data });
    }

    fn emit<P: Payload>(&mut self, now: Now, of: Subject<'_>, payload: impl FnOnce() -> P) {
        if self.wants(P::KIND) {
            self.made += 1;
            let text = compose(&self.server_name, now.unix_us, of, &payload());
            self.waiting.push_back(HandlerEvent { kind: P::KIND, text });
        }
    }

    /// Whether any handler wants events of this type.
    pub fn wants(&self, kind: Kind) -> bool {
        self.wanted.wants(kind)
    }
}

fn of_session(session: SessionId) -> Subject<'static> {
    Subject { session: Some(session), handle: None, opaque_id: None }
}

/// A connection's name in the whole server: the decimal digits of a 64-bit number, as Janus' are. There are fewer slots
/// than 2^24.
fn origin_id(signalling: SignallingId, connection: ConnectionId) -> String {
    let place = u64::from(signalling.0) << 24 | u64::from(connection.slot & 0xff_ffff);
    (place << 32 | u64::from(connection.generation)).to_string()
}

fn statistics(line: &LineStatistics) -> Statistics<'_> {
    let LineStatistics { received, sent, .. } = line;
    let millis = |jitter: u32| u64::from(jitter) * 1000 / u64::from(line.clock_rate.max(1));
    Statistics {
        mid: &line.mid,
        mindex: line.mindex,
        media: render::kind_name(line.kind),
        codec: line.codec.map(|codec| codec.janus()),
        base: line.clock_rate,
        rtt: u64::try_from(line.round_trip.as_millis()).unwrap_or(u64::MAX),
        lost: received.lost,
        lost_by_remote: sent.lost,
        jitter_local: millis(received.jitter),
        jitter_remote: millis(sent.jitter),
        packets_received: received.packets,
        packets_sent: sent.packets,
        bytes_received: received.octets,
        bytes_sent: sent.octets,
        bytes_received_lastsec: received.octets_per_second,
        bytes_sent_lastsec: sent.octets_per_second,
        nacks_received: sent.nacks,
        nacks_sent: received.nacks,
        retransmissions_received: received.retransmissions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::HandleId;
    use std::net::Ipv4Addr;

    const NOW: Now = Now { mono: Mono(0), unix_us: 1_700_000_000_000_000 };
    const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const CONNECTION: ConnectionId = ConnectionId { slot: 1, generation: 2 };

    fn observers(events: Mask) -> Observers {
        Observers::new(&SignallingConfig { events, ..SignallingConfig::new([0; 32]) })
    }

    fn heard(observers: &mut Observers) -> Vec<serde_json::Value> {
        std::iter::from_fn(|| observers.poll()).map(|event| serde_json::from_str(&event.text).unwrap()).collect()
    }

    #[test]
    fn only_what_is_wanted_is_rendered_and_counted() {
        let subject = Subject { session: Some(SessionId(5)), handle: Some(HandleId(6)), opaque_id: Some("me") };
        let mut nobody = observers(Mask::NONE);
        nobody.attached(NOW, subject);
        nobody.started(NOW, "{}");
        assert!(heard(&mut nobody).is_empty());
        assert_eq!((nobody.made(), nobody.deadline()), (0, Mono::NEVER));
        let mut all = observers(Mask::ALL);
        all.attached(NOW, subject);
        let heard = heard(&mut all);
        assert_eq!((&heard[0]["session_id"], &heard[0]["handle_id"]), (&5.into(), &6.into()));
        assert_eq!((&heard[0]["opaque_id"], &heard[0]["event"]["name"]), (&"me".into(), &"attached".into()));
        assert_eq!((heard.len(), all.made()), (1, 1));
    }

    #[test]
    fn a_muted_transport_is_silent_until_it_is_wanted_again() {
        let mut observers = observers(Mask::ALL);
        observers.set_transport(gather::Transport::Http, false);
        observers.set_transport(gather::Transport::Http, false);
        observers.http_request(NOW, CONNECTION, IP, false);
        observers.websocket_opened(NOW, CONNECTION, IP, false);
        assert_eq!(heard(&mut observers).len(), 1, "the other one is heard");
        observers.set_transport(gather::Transport::Http, true);
        observers.http_request(NOW, CONNECTION, IP, false);
        assert_eq!(heard(&mut observers)[0]["event"]["transport"], HTTP);
    }

    #[test]
    fn updates_come_every_fifteen_seconds_and_are_whole_or_not_said() {
        let mut observers = observers(Mask::ALL);
        observers.started(NOW, r#"{"janus":"server_info","transaction":""}"#);
        assert!(heard(&mut observers)[0]["event"]["info"].get("transaction").is_none());
        assert!(!observers.is_update_due(NOW.mono));
        let due = NOW.mono + UPDATE_INTERVAL;
        assert_eq!(observers.deadline(), due);
        assert!(observers.is_update_due(due) && !observers.is_update_due(due));
        let late = (gather::Shard::Signalling(SignallingId(1)), crate::videoroom::error::PluginError::Late);
        assert!(!observers.update(NOW, &Gathered { missing: vec![late], ..Gathered::default() }));
        assert!(heard(&mut observers).is_empty());
        assert!(observers.update(NOW, &Gathered::default()));
        assert_eq!(heard(&mut observers).len(), 1);
        observers.end_updates();
        assert_eq!(observers.deadline(), Mono::NEVER);
    }
}
