//! What the core tells event handlers: sessions, handles, descriptions, peer connections, media, transports, and the
//! server itself. The fields are the keys on the wire.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{Kind, Payload};
use crate::wire::janus::envelope::Jsep;

/// A session begins or ends.
#[derive(Debug, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Session<'a> {
    /// By a request on a transport.
    Created { transport: Origin<'a> },
    /// It was idle for too long.
    Timeout,
    /// It ends for any other reason.
    Destroyed,
}

/// A client's connection.
#[derive(Debug, Serialize)]
pub struct Origin<'a> {
    /// The transport's package.
    pub transport: &'static str,
    pub id: &'a str,
}

/// A handle begins or ends.
#[derive(Debug, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Handle<'a> {
    /// It was made.
    Attached {
        /// The plugin's package.
        plugin: &'static str,
        /// As the client calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        opaque_id: Option<&'a str>,
    },
    /// It is gone.
    Detached {
        /// The plugin's package.
        plugin: &'static str,
        /// As the client calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        opaque_id: Option<&'a str>,
    },
}

/// What somebody outside has to say.
#[derive(Debug, Serialize)]
pub struct External<'a> {
    /// What kind of thing it is.
    pub schema: &'a str,
    pub data: &'a serde_json::Value,
}

/// A description.
#[derive(Debug, Serialize)]
pub struct Description<'a> {
    /// `local` is ours, `remote` the client's.
    pub owner: &'static str,
    pub jsep: Jsep<'a>,
}

/// The only component of the only stream that a peer connection has: everything is bundled.
#[derive(Debug, Serialize)]
pub struct Component {
    stream_id: u8,
    component_id: u8,
}

/// See [`Component`].
pub const COMPONENT: Component = Component { stream_id: 1, component_id: 1 };

/// Something about a peer connection.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WebRtc<'a> {
    /// How far ICE has come.
    Ice {
        /// `gathering`, `connecting`, `connected`, `ready` or `failed`.
        ice: &'static str,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// An address of ours.
    LocalCandidate {
        /// As in SDP.
        #[serde(rename = "local-candidate")]
        candidate: &'a str,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// An address of the client's.
    RemoteCandidate {
        /// As in SDP.
        #[serde(rename = "remote-candidate")]
        candidate: &'a str,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// What is sent on from now on.
    SelectedPair {
        /// Both ends in one text.
        #[serde(rename = "selected-pair")]
        pair: String,
        candidates: Pair,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// How far DTLS has come.
    Dtls {
        /// `created`, `trying`, `connected` or `failed`.
        dtls: &'static str,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// It sends with more SSRCs than it may have: packets of this one are dropped.
    SourcesExhausted {
        /// The one that is not taken.
        #[serde(rename = "ssrc-refused")]
        ssrc: u32,
        /// How many are.
        #[serde(rename = "ssrcs-max")]
        most: usize,
        /// Always the same.
        #[serde(flatten)]
        component: Component,
    },
    /// The peer connection as a whole.
    Connection {
        /// `webrtcup` or `hangup`.
        connection: &'static str,
        /// Why it ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
}

/// The two ends of a path.
#[derive(Debug, Serialize)]
pub struct Pair {
    pub local: End,
    pub remote: End,
}

/// One end of a path.
#[derive(Debug, Serialize)]
pub struct End {
    address: IpAddr,
    port: u16,
    r#type: &'static str,
    transport: &'static str,
    family: &'static str,
}

impl End {
    /// A UDP address; `kind` is `host` or `prflx`.
    pub fn new(at: SocketAddr, kind: &'static str) -> End {
        let family = if at.is_ipv4() { "ipv4" } else { "ipv6" };
        End { address: at.ip(), port: at.port(), r#type: kind, transport: "udp", family }
    }
}

impl<'a> WebRtc<'a> {
    /// The pair of our candidate and the address that the client was seen at.
    pub fn selected(local: SocketAddr, remote: SocketAddr) -> WebRtc<'a> {
        WebRtc::SelectedPair {
            pair: format!(
                "{}:{} [host,udp] <-> {}:{} [prflx,udp]",
                local.ip(),
                local.port(),
                remote.ip(),
                remote.port()
            ),
            candidates: Pair { local: End::new(local, "host"), remote: End::new(remote, "prflx") },
            component: COMPONENT,
        }
    }
}

/// Something about the media of one m-line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Media<'a> {
    /// They come, or do not any more.
    Receiving {
        /// `audio` or `video`.
        media: &'static str,
        mid: &'a str,
        /// Whether they come.
        receiving: bool,
    },
    /// Too much was lost within a second.
    SlowLink {
        /// `audio` or `video`.
        media: &'static str,
        mid: &'a str,
        /// `uplink` is what we send, `downlink` what we receive.
        slow_link: &'static str,
        /// How many packets.
        lost_lastsec: u32,
    },
    /// How they fare.
    Statistics(Box<Statistics<'a>>),
}

/// The state of one m-line. What flows the other way than the m-line does is 0.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statistics<'a> {
    pub mid: &'a str,
    pub mindex: usize,
    /// `audio` or `video`.
    pub media: &'static str,
    /// Its codec, where we know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<&'static str>,
    /// The clock rate of its timestamps in Hz.
    pub base: u32,
    /// The time to the peer and back, in milliseconds.
    pub rtt: u64,
    /// Packets that we have missed.
    pub lost: i64,
    /// Packets that the peer has missed.
    pub lost_by_remote: i64,
    /// Interarrival jitter here, in milliseconds.
    pub jitter_local: u64,
    /// The same as the peer reports it.
    pub jitter_remote: u64,
    /// Since the m-line is there.
    pub packets_received: u64,
    pub packets_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    /// A second's worth since the last time.
    pub bytes_received_lastsec: u64,
    /// A second's worth since the last time.
    pub bytes_sent_lastsec: u64,
    /// Packets that the peer has asked for again.
    pub nacks_received: u64,
    /// Packets that we have asked for again.
    pub nacks_sent: u64,
    /// Packets that the peer has sent again.
    pub retransmissions_received: u64,
}

/// What a plugin tells.
#[derive(Debug, Serialize)]
pub struct Plugin<D> {
    pub plugin: &'static str,
    /// What it tells.
    pub data: D,
}

/// Something about a client's connection.
#[derive(Debug, Serialize)]
pub struct Transport<'a> {
    /// The transport and its connection.
    #[serde(flatten)]
    pub origin: Origin<'a>,
    /// What has happened.
    pub data: TransportData,
}

/// What happens to a connection.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum TransportData {
    /// A WebSocket is there.
    Connected {
        /// Whether it speaks the admin API.
        admin_api: bool,
        ip: IpAddr,
    },
    /// It is gone.
    Disconnected,
    /// A request over HTTP.
    Request {
        /// Whether it is one of the admin API.
        admin_api: bool,
        ip: IpAddr,
    },
}

/// Something about the server.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Core {
    Started {
        /// What `info` says.
        info: serde_json::Value,
    },
    /// It goes on: told at regular intervals.
    Update {
        /// How much there is.
        info: Census,
    },
    Shutdown {
        /// The signal that asked for it.
        signum: i32,
    },
}

/// What is there now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Census {
    pub sessions: u64,
    /// Handles of all of them.
    pub handles: u64,
    /// Peer connections, also those that are not up yet.
    pub peerconnections: u64,
    /// Seconds between statistics; 0 is never.
    pub stats_period: u64,
}

impl Payload for Session<'_> {
    const KIND: Kind = Kind::Session;
}

impl Payload for Handle<'_> {
    const KIND: Kind = Kind::Handle;
}

impl Payload for External<'_> {
    const KIND: Kind = Kind::External;
}

impl Payload for Description<'_> {
    const KIND: Kind = Kind::Jsep;
}

impl Payload for WebRtc<'_> {
    const KIND: Kind = Kind::WebRtc;

    fn subtype(&self) -> Option<u8> {
        Some(match self {
            WebRtc::Ice { .. } => 1,
            WebRtc::LocalCandidate { .. } => 2,
            WebRtc::RemoteCandidate { .. } => 3,
            WebRtc::SelectedPair { .. } => 4,
            WebRtc::Dtls { .. } => 5,
            WebRtc::Connection { .. } => 6,
            // Janus has nothing like it, and handlers read what they expect behind a subtype of Janus.
            WebRtc::SourcesExhausted { .. } => return None,
        })
    }
}

impl Payload for Media<'_> {
    const KIND: Kind = Kind::Media;

    fn subtype(&self) -> Option<u8> {
        Some(match self {
            Media::Receiving { .. } => 1,
            Media::SlowLink { .. } => 2,
            Media::Statistics(_) => 3,
        })
    }
}

impl<D: Serialize> Payload for Plugin<D> {
    const KIND: Kind = Kind::Plugin;
}

impl Payload for Transport<'_> {
    const KIND: Kind = Kind::Transport;
}

impl Payload for Core {
    const KIND: Kind = Kind::Core;

    fn subtype(&self) -> Option<u8> {
        Some(match self {
            Core::Started { .. } | Core::Update { .. } => 1,
            Core::Shutdown { .. } => 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Subject, compose};
    use super::*;
    use serde_json::{Value, json};

    /// (type, subtype, event)
    fn said<P: Payload>(payload: &P) -> (u64, Option<u64>, Value) {
        let mut event: Value = serde_json::from_str(&compose("e", 0, Subject::default(), payload)).unwrap();
        (event["type"].as_u64().unwrap(), event["subtype"].as_u64(), event["event"].take())
    }

    #[test]
    fn sessions_and_handles_are_told_with_where_they_come_from() {
        let transport = Origin { transport: "janus.transport.http", id: "0-1-2" };
        let origin = json!({"transport":"janus.transport.http","id":"0-1-2"});
        assert_eq!(said(&Session::Created { transport }), (1, None, json!({"name":"created","transport":origin})));
        assert_eq!(said(&Session::Timeout), (1, None, json!({"name":"timeout"})));
        assert_eq!(said(&Session::Destroyed), (1, None, json!({"name":"destroyed"})));
        let attached = Handle::Attached { plugin: "p", opaque_id: Some("o") };
        assert_eq!(said(&attached), (2, None, json!({"name":"attached","plugin":"p","opaque_id":"o"})));
        let detached = Handle::Detached { plugin: "p", opaque_id: None };
        assert_eq!(said(&detached), (2, None, json!({"name":"detached","plugin":"p"})));
    }

    #[test]
    fn what_others_say_and_descriptions_go_as_they_are() {
        let data = json!({"a":[1]});
        assert_eq!(said(&External { schema: "s", data: &data }), (4, None, json!({"schema":"s","data":{"a":[1]}})));
        let description = Description { owner: "local", jsep: Jsep { kind: "offer", sdp: "v=0\r\n", e2ee: false } };
        assert_eq!(said(&description), (8, None, json!({"owner":"local","jsep":{"type":"offer","sdp":"v=0\r\n"}})));
    }

    #[test]
    fn each_step_of_a_peer_connection_has_its_subtype() {
        let component = || COMPONENT;
        let with_ids = |mut event: Value| {
            event["stream_id"] = 1.into();
            event["component_id"] = 1.into();
            event
        };
        let ice = WebRtc::Ice { ice: "connected", component: component() };
        assert_eq!(said(&ice), (16, Some(1), with_ids(json!({"ice":"connected"}))));
        let local = WebRtc::LocalCandidate { candidate: "c", component: component() };
        assert_eq!(said(&local), (16, Some(2), with_ids(json!({"local-candidate":"c"}))));
        let remote = WebRtc::RemoteCandidate { candidate: "c", component: component() };
        assert_eq!(said(&remote), (16, Some(3), with_ids(json!({"remote-candidate":"c"}))));
        let pair = WebRtc::selected("192.0.2.1:5".parse().unwrap(), "[2001:db8::1]:6".parse().unwrap());
        let expected = with_ids(json!({
            "selected-pair": "192.0.2.1:5 [host,udp] <-> 2001:db8::1:6 [prflx,udp]",
            "candidates": {
                "local": {"address":"192.0.2.1","port":5,"type":"host","transport":"udp","family":"ipv4"},
                "remote": {"address":"2001:db8::1","port":6,"type":"prflx","transport":"udp","family":"ipv6"}
            }
        }));
        assert_eq!(said(&pair), (16, Some(4), expected));
        let dtls = WebRtc::Dtls { dtls: "trying", component: component() };
        assert_eq!(said(&dtls), (16, Some(5), with_ids(json!({"dtls":"trying"}))));
        let refused = WebRtc::SourcesExhausted { ssrc: 7, most: 1024, component: component() };
        assert_eq!(said(&refused), (16, None, with_ids(json!({"ssrc-refused":7,"ssrcs-max":1024}))));
        let up = WebRtc::Connection { connection: "webrtcup", reason: None };
        assert_eq!(said(&up), (16, Some(6), json!({"connection":"webrtcup"})));
        let down = WebRtc::Connection { connection: "hangup", reason: Some("DTLS alert") };
        assert_eq!(said(&down), (16, Some(6), json!({"connection":"hangup","reason":"DTLS alert"})));
    }

    #[test]
    fn media_are_told_of_with_their_line() {
        let receiving = Media::Receiving { media: "audio", mid: "0", receiving: true };
        assert_eq!(said(&receiving), (32, Some(1), json!({"media":"audio","mid":"0","receiving":true})));
        let slow = Media::SlowLink { media: "video", mid: "1", slow_link: "uplink", lost_lastsec: 9 };
        let expected = json!({"media":"video","mid":"1","slow_link":"uplink","lost_lastsec":9});
        assert_eq!(said(&slow), (32, Some(2), expected));
        let statistics = Statistics {
            mid: "1",
            mindex: 1,
            media: "video",
            codec: Some("vp8"),
            base: 90_000,
            lost: -1,
            packets_received: 5,
            ..Statistics::default()
        };
        let expected = json!({
            "mid":"1","mindex":1,"media":"video","codec":"vp8","base":90000,"rtt":0,"lost":-1,"lost-by-remote":0,
            "jitter-local":0,"jitter-remote":0,"packets-received":5,"packets-sent":0,"bytes-received":0,"bytes-sent":0,
            "bytes-received-lastsec":0,"bytes-sent-lastsec":0,"nacks-received":0,"nacks-sent":0,
            "retransmissions-received":0
        });
        assert_eq!(said(&Media::Statistics(Box::new(statistics))), (32, Some(3), expected));
    }

    #[test]
    fn plugins_transports_and_the_server_speak_for_themselves() {
        let plugin = Plugin { plugin: "p", data: json!({"event":"x"}) };
        assert_eq!(said(&plugin), (64, None, json!({"plugin":"p","data":{"event":"x"}})));
        let ip: IpAddr = [192, 0, 2, 7].into();
        let transport = |data| Transport { origin: Origin { transport: "t", id: "i" }, data };
        for (data, expected) in [
            (
                TransportData::Connected { admin_api: false, ip },
                json!({"event":"connected","admin_api":false,"ip":"192.0.2.7"}),
            ),
            (TransportData::Disconnected, json!({"event":"disconnected"})),
            (
                TransportData::Request { admin_api: false, ip },
                json!({"event":"request","admin_api":false,"ip":"192.0.2.7"}),
            ),
        ] {
            assert_eq!(said(&transport(data)), (128, None, json!({"transport":"t","id":"i","data":expected})));
        }
        let info = json!({"janus":"server_info"});
        let started = said(&Core::Started { info: info.clone() });
        assert_eq!(started, (256, Some(1), json!({"status":"started","info":info})));
        assert_eq!(said(&Core::Shutdown { signum: 15 }), (256, Some(2), json!({"status":"shutdown","signum":15})));
    }
}
