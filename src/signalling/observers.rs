//! What event handlers are told: made here where it happens or where media shards tell of it, and only if a handler wants
//! its type. The machine takes it away after every call and delivers it; how that fares is shown with our own counts.

use std::collections::VecDeque;
use std::time::Duration;

use super::gather::Gathered;
use super::plugin::Exchange;
use super::{ConnectionId, SignallingEngine, gather};
use crate::control::command::{Event, HangupReason, Reply};
use crate::control::observation::{LineStatistics, Observation, RoomObservation};
use crate::id::{HandleAddress, HandleId, RoomId, SessionId, SignallingId};
use crate::proto::session::Asker;
use crate::time::Now;
use crate::videoroom::json::event::{Moderated, Talking};
use crate::videoroom::json::observed::RoomEvent;
use crate::videoroom::json::{Id, PACKAGE};
use crate::videoroom::render;
use crate::wire::janus::envelope::Jsep;
use crate::wire::janus::events::payload::{
    COMPONENT, Census, Core, Description, External, Handle, Media, Origin, Plugin, Session, Statistics, Transport,
    TransportData, WebRtc,
};
use crate::wire::janus::events::{Kind, Payload, Subject, compose};
use crate::wire::janus::field::Fields;
use crate::wire::janus::message::{RemoteJsep, candidates};
use crate::wire::sdp;

const WEBSOCKETS: &str = "janus.transport.websockets";
const HTTP: &str = "janus.transport.http";

/// Janus' pace, whatever that of statistics is.
pub(super) const UPDATE_INTERVAL: Duration = Duration::from_secs(15);

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

/// Events on their way out. What one call brings is taken away after it.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    waiting: VecDeque<HandlerEvent>,
    /// As the machine last said.
    pub delivery: Delivery,
}

impl SignallingEngine {
    /// The next event for handlers.
    pub fn poll_handler_event(&mut self) -> Option<HandlerEvent> {
        self.emitter.waiting.pop_front()
    }

    /// How delivery fares: shown by `/healthz`.
    pub fn note_delivery(&mut self, delivery: Delivery) {
        self.emitter.delivery = delivery;
    }

    /// Handlers hear that a signal ends the server.
    pub fn announce_end(&mut self, now: Now, signum: i32) {
        self.emit(now, None, None, || Core::Shutdown { signum });
    }

    /// Handlers hear what somebody outside has to say.
    pub fn emit_external(&mut self, now: Now, schema: &str, data: &serde_json::Value) {
        self.emit(now, None, None, || External { schema, data });
    }

    pub(super) fn emit_start(&mut self, now: Now) {
        if self.config.id != SignallingId(0) || !self.wants(Kind::Core) {
            return;
        }
        let mut info: serde_json::Value = serde_json::from_str(&self.server_info("")).unwrap_or_default();
        // Nobody has asked.
        info.as_object_mut().map(|info| info.remove("transaction"));
        self.emit(now, None, None, || Core::Started { info });
        self.update_at = now.mono + UPDATE_INTERVAL;
    }

    /// How much there is in all shards. Half of it would be taken for the whole.
    pub(super) fn emit_update(&mut self, now: Now, gathered: &Gathered) {
        let Gathered { reports, signalling_reports, missing, .. } = gathered;
        if !missing.is_empty() {
            self.drops.update_incomplete += 1;
            return;
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
            stats_period: self.config.stats_period.as_secs(),
        };
        self.emit(now, None, None, || Core::Update { info });
    }

    pub(super) fn emit_session_created(&mut self, now: Now, asker: Asker, session: SessionId) {
        if !self.wants(Kind::Session) {
            return;
        }
        let transport = if asker.is_socket() { WEBSOCKETS } else { HTTP };
        let id = origin_id(asker.place.signalling, asker.place.connection);
        let transport = Origin { transport, id: &id };
        self.emit(now, Some(session), None, || Session::Created { transport });
    }

    pub(super) fn emit_session_end(&mut self, now: Now, session: SessionId, how: Session<'_>) {
        self.emit(now, Some(session), None, || how);
    }

    pub(super) fn emit_attached(&mut self, now: Now, session: SessionId, handle: HandleId) {
        if !self.wants(Kind::Handle) {
            return;
        }
        let opaque_id = self.opaque_id(session, handle);
        let opaque_id = opaque_id.as_deref();
        self.emit(now, Some(session), Some(handle), || Handle::Attached { plugin: PACKAGE, opaque_id });
    }

    /// The handle is gone already.
    pub(super) fn emit_detached(&mut self, now: Now, session: SessionId, handle: HandleId, opaque_id: Option<&str>) {
        let subject = Subject { session: Some(session), handle: Some(handle), opaque_id };
        self.emit_about(now, subject, || Handle::Detached { plugin: PACKAGE, opaque_id });
    }

    pub(super) fn emit_websocket(&mut self, now: Now, id: ConnectionId, is_there: bool) {
        let is_wanted = self.wants(Kind::Transport) && !self.mute_transports.contains(&gather::Transport::WebSockets);
        let Some(connection) = self.connections.get(id).filter(|_| is_wanted) else { return };
        let data = match is_there {
            true => TransportData::Connected { admin_api: connection.is_administration, ip: connection.peer },
            false => TransportData::Disconnected,
        };
        self.emit_transport(now, WEBSOCKETS, id, data);
    }

    pub(super) fn emit_http_request(&mut self, now: Now, id: ConnectionId, admin_api: bool) {
        let is_wanted = self.wants(Kind::Transport) && !self.mute_transports.contains(&gather::Transport::Http);
        let Some(ip) = self.peer(id).filter(|_| is_wanted) else { return };
        self.emit_transport(now, HTTP, id, TransportData::Request { admin_api, ip });
    }

    fn emit_transport(&mut self, now: Now, transport: &'static str, id: ConnectionId, data: TransportData) {
        let id = origin_id(self.config.id, id);
        self.emit(now, None, None, || Transport { origin: Origin { transport, id: &id }, data });
    }

    /// The client's description, with the candidates that it brings.
    pub(super) fn emit_remote(&mut self, now: Now, session: SessionId, handle: HandleId, jsep: RemoteJsep<'_>) {
        self.emit(now, Some(session), Some(handle), || Description {
            owner: "remote",
            jsep: Jsep { kind: render::jsep_kind(jsep.kind), sdp: jsep.sdp, e2ee: false },
        });
        if self.wants(Kind::WebRtc) {
            for candidate in jsep.sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
                self.emit_candidate(now, session, handle, &format!("candidate:{candidate}"));
            }
        }
    }

    /// The candidates of a `trickle` that is in order.
    pub(super) fn emit_trickle(&mut self, now: Now, session: SessionId, handle: HandleId, fields: Fields<'_>) {
        if self.wants(Kind::WebRtc) {
            for candidate in candidates(fields) {
                self.emit_candidate(now, session, handle, candidate);
            }
        }
    }

    fn emit_candidate(&mut self, now: Now, session: SessionId, handle: HandleId, candidate: &str) {
        let component = COMPONENT;
        self.emit(now, Some(session), Some(handle), || WebRtc::RemoteCandidate { candidate, component });
    }

    /// What a reply says: our description, and what has become of a room. Members' own doings are observed by their room.
    pub(super) fn emit_reply(&mut self, now: Now, exchange: &Exchange, reply: &Reply) {
        if let Some(description) = render::description(reply) {
            self.emit_local(now, exchange.session, exchange.handle, description);
        }
        match reply {
            Reply::Created(room) => self.emit_deed(now, exchange, RoomEvent::Created { room: Id(&room.0) }),
            Reply::Edited(room, _) => self.emit_deed(now, exchange, RoomEvent::Edited { room: Id(&room.0) }),
            Reply::Destroyed(room) => self.emit_deed(now, exchange, RoomEvent::Destroyed { room: Id(&room.0) }),
            Reply::Forwarding(new) => {
                let (room, publisher_id) = (Id(&new.room.0), Id(&new.feed.0));
                for of in &new.forwarders {
                    let (media, codec) = (render::kind_name(of.kind), of.codec.map(|codec| codec.janus()));
                    let forwarder = render::forwarder(of);
                    let video_substream = forwarder.substream;
                    let event = RoomEvent::Forwarded { room, publisher_id, media, codec, video_substream, forwarder };
                    self.emit_deed(now, exchange, event);
                }
            }
            Reply::ForwardStopped(room, feed, stream_id) => {
                let (room, publisher_id, stream_id) = (Id(&room.0), Id(&feed.0), *stream_id);
                self.emit_deed(now, exchange, RoomEvent::ForwardStopped { room, publisher_id, stream_id });
            }
            _ => {}
        }
    }

    /// What was asked for by a handle, or by an operator without one.
    fn emit_deed(&mut self, now: Now, exchange: &Exchange, data: RoomEvent<'_>) {
        let asker = Some((exchange.session, exchange.handle)).filter(|_| !exchange.is_administration);
        let (session, handle) = asker.unzip();
        self.emit(now, session, handle, || Plugin { plugin: PACKAGE, data });
    }

    fn emit_local(&mut self, now: Now, session: SessionId, handle: HandleId, description: &sdp::Description) {
        if self.wants(Kind::Jsep) {
            let text = sdp::compose(description);
            self.emit(now, Some(session), Some(handle), || Description {
                owner: "local",
                jsep: Jsep { kind: render::jsep_kind(description.kind), sdp: &text, e2ee: false },
            });
        }
    }

    /// What a handle hears, as far as it is news of its peer connection or of media.
    pub(super) fn emit_event(&mut self, now: Now, to: &HandleAddress, event: &Event) {
        let (session, handle) = (Some(to.session), Some(to.handle));
        match event {
            Event::Updated(_, _, offer) => self.emit_local(now, to.session, to.handle, offer),
            // The peer connections are gone too.
            Event::RoomFailed(_) => self.emit_event(now, to, &Event::Hangup(HangupReason::ClosePc)),
            Event::WebrtcUp => {
                let (connection, reason) = ("webrtcup", None);
                self.emit(now, session, handle, || WebRtc::Connection { connection, reason });
            }
            Event::Hangup(reason) => {
                let (connection, reason) = ("hangup", Some(reason.text()));
                self.emit(now, session, handle, || WebRtc::Connection { connection, reason });
            }
            Event::Media { mid, kind, receiving, .. } => {
                let (media, receiving) = (render::kind_name(*kind), *receiving);
                self.emit(now, session, handle, || Media::Receiving { media, mid, receiving });
            }
            Event::SlowLink { mid, kind, uplink, lost } => {
                let (media, slow_link) = (render::kind_name(*kind), if *uplink { "uplink" } else { "downlink" });
                let lost_lastsec = *lost;
                self.emit(now, session, handle, || Media::SlowLink { media, mid, slow_link, lost_lastsec });
            }
            _ => {}
        }
    }

    /// What a media shard has observed.
    pub(super) fn emit_observation(&mut self, now: Now, of: HandleAddress, what: &Observation) {
        let (session, handle, component) = (Some(of.session), Some(of.handle), COMPONENT);
        match what {
            Observation::Room(room, what) => self.emit_room(now, of, room, what),
            Observation::Ice(state) => {
                self.emit(now, session, handle, || WebRtc::Ice { ice: state.text(), component });
            }
            Observation::LocalCandidate(candidate) => {
                self.emit(now, session, handle, || WebRtc::LocalCandidate { candidate, component });
            }
            Observation::SelectedPair { local, remote } => {
                self.emit(now, session, handle, || WebRtc::selected(*local, *remote));
            }
            Observation::Dtls(state) => {
                self.emit(now, session, handle, || WebRtc::Dtls { dtls: state.text(), component });
            }
            Observation::SourcesExhausted { ssrc, most } => {
                self.emit(now, session, handle, || WebRtc::SourcesExhausted { ssrc: *ssrc, most: *most, component });
            }
            Observation::Statistics(lines) => {
                for line in lines {
                    self.emit(now, session, handle, || Media::Statistics(Box::new(statistics(line))));
                }
            }
        }
    }

    fn emit_room(&mut self, now: Now, of: HandleAddress, room: &RoomId, what: &RoomObservation) {
        if !self.wants(Kind::Plugin) {
            return;
        }
        let room = Id(&room.0);
        let event = match what {
            RoomObservation::Moderated { feed, mid, muted } => {
                let (id, moderation) = (Id(&feed.0), if *muted { "muted" } else { "unmuted" });
                return self.emit_plugin(now, of, Moderated { videoroom: "moderated", room, id, mid, moderation });
            }
            RoomObservation::Talking { feed, mindex, mid, change } => {
                let videoroom = if change.talking { "talking" } else { "stopped-talking" };
                let (id, mindex, level) = (Id(&feed.0), *mindex, change.level);
                return self.emit_plugin(now, of, Talking { videoroom, room, id, mindex, mid, level });
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
        self.emit_plugin(now, of, event);
    }

    fn emit_plugin<D: serde::Serialize>(&mut self, now: Now, of: HandleAddress, data: D) {
        self.emit(now, Some(of.session), Some(of.handle), || Plugin { plugin: PACKAGE, data });
    }

    fn emit<P: Payload>(
        &mut self,
        now: Now,
        session: Option<SessionId>,
        handle: Option<HandleId>,
        payload: impl FnOnce() -> P,
    ) {
        if !self.wants(P::KIND) {
            return;
        }
        let opaque_id = session.zip(handle).and_then(|(session, handle)| self.opaque_id(session, handle));
        self.emit_about(now, Subject { session, handle, opaque_id: opaque_id.as_deref() }, payload);
    }

    fn emit_about<P: Payload>(&mut self, now: Now, subject: Subject<'_>, payload: impl FnOnce() -> P) {
        if self.wants(P::KIND) {
            self.counters.handler_events += 1;
            let text = compose(&self.config.server_name, now.unix_us, subject, &payload());
            self.emitter.waiting.push_back(HandlerEvent { kind: P::KIND, text });
        }
    }

    /// What its client calls a handle; of one that is gone, until its room has heard of that.
    fn opaque_id(&self, session: SessionId, handle: HandleId) -> Option<Box<str>> {
        match self.sessions.handle(session, handle) {
            Some(state) => state.origin.opaque_id.clone(),
            None => self.duties.opaque_id(&self.address(session, handle)).map(Box::from),
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        self.config.events.wants(kind)
    }
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
