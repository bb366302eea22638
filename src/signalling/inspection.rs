//! `handle_info`: what this shard knows of a handle, and what its room's shard tells of the peer connection, as the tree
//! that Janus shows. Keys without a meaning here are left out.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{SignallingEngine, Waiting};
use crate::control::codec::Codec;
use crate::control::command::{Command, Reply};
use crate::control::inspection::{Counts, Flow, Inspection, LineView, MemberView, PeerView};
use crate::control::media::ExtensionIds;
use crate::id::{HandleId, SessionId};
use crate::proto::session::handle::Role;
use crate::proto::session::{Asker, Outlet};
use crate::time::{Mono, Now};
use crate::videoroom::error::PluginError;
use crate::videoroom::json::{Id, PACKAGE};
use crate::videoroom::render;
use crate::wire::janus::admin;
use crate::wire::janus::envelope::Request;
use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::{Field, Kind};
use crate::wire::pcap::Format;
use crate::wire::sdp::MediaKind;

/// An operator's question about one handle.
#[derive(Debug)]
pub(super) struct Inquiry {
    asker: Asker,
    transaction: Box<str>,
    session: SessionId,
    handle: HandleId,
    plugin_only: bool,
}

impl SignallingEngine {
    /// `handle_info`
    pub(super) fn inspect(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        (session, handle): (SessionId, HandleId),
    ) -> Result<(), CoreError> {
        let fields = request.fields.check(&[Field::optional("plugin_only", Kind::Flag)])?;
        let plugin_only = fields.flag("plugin_only").unwrap_or(false);
        let inquiry = Inquiry { asker, transaction: request.transaction.into(), session, handle, plugin_only };
        match self.sessions.handle(session, handle).and_then(|handle| handle.seat.clone()) {
            Some(seat) => {
                let command = Command::Inspect { room: seat.room, handle: self.address(session, handle) };
                self.ask(now.mono, seat.owner, command, Waiting::Inquiry(Box::new(inquiry)));
            }
            None => self.show(now, &inquiry, None),
        }
        Ok(())
    }

    /// The room's shard has answered, or never will.
    pub(super) fn conclude_inquiry(&mut self, now: Now, inquiry: Inquiry, reply: Result<Reply, PluginError>) {
        match reply {
            Ok(Reply::Inspected(inspection)) => self.show(now, &inquiry, inspection.as_deref()),
            _ => self.refuse(inquiry.asker, Some(inquiry.session), Some(&inquiry.transaction), &CoreError::Incomplete),
        }
    }

    fn show(&mut self, now: Now, inquiry: &Inquiry, inspection: Option<&Inspection>) {
        let Inquiry { asker, transaction, session, handle, plugin_only } = inquiry;
        let known = self.sessions.get(*session).zip(self.sessions.handle(*session, *handle));
        let Some((of, state)) = known else {
            // It has gone while its room was asked.
            let error = CoreError::NoSuchHandle(*handle, *session);
            return self.refuse(*asker, Some(*session), Some(transaction), &error);
        };
        let mut info = json!({
            "session_id": session.0,
            "session_last_activity": micros(of.last_activity(), self.started),
            "session_timeout": of.timeout(self.sessions.idle_timeout()).as_secs(),
            "session_transport": match of.outlet {
                Outlet::Socket(_) | Outlet::Lost(_) => "janus.transport.websockets",
                Outlet::Poll(_) => "janus.transport.http",
            },
            "handle_id": handle.0,
        });
        put(&mut info, "opaque_id", state.origin.opaque_id.as_deref());
        put(&mut info, "token", state.origin.token.as_deref());
        put(&mut info, "loop-running", Some(true));
        put(&mut info, "created", Some(micros(state.origin.created, self.started)));
        put(&mut info, "current_time", Some(micros(now.mono, self.started)));
        put(&mut info, "plugin", Some(PACKAGE));
        put(&mut info, "plugin_specific", Some(plugin_specific(inspection, state.role())));
        put(&mut info, "queued-requests", Some(state.waiting()));
        if !plugin_only {
            let peer = inspection.and_then(|inspection| inspection.peer.as_ref());
            let is_publisher = state.role() == Some(Role::Publisher);
            put(&mut info, "flags", Some(flags(peer, is_publisher)));
            put(&mut info, "agent-created", Some(peer.is_some()));
            put(&mut info, "ice-mode", peer.map(|_| "lite"));
            put(&mut info, "ice-role", peer.map(|_| "controlled"));
            put(&mut info, "sdps", peer.map(|_| json!({ "profile": "UDP/TLS/RTP/SAVPF" })));
            if let Some((format, file)) = peer.and_then(|peer| peer.capture.as_ref()) {
                let (running, name) = match format {
                    Format::Pcap => ("dump-to-pcap", "pcap-file"),
                    Format::Text => ("dump-to-text2pcap", "text2pcap-file"),
                };
                put(&mut info, running, Some(true));
                put(&mut info, name, Some(&**file));
            }
            put(&mut info, "webrtc", peer.map(|peer| webrtc(peer, self.started)));
        }
        let text = admin::success(Some(*session), transaction, &admin::HandleInfo::new(*handle, &info));
        self.say(*asker, text);
    }
}

fn put(object: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let (Value::Object(object), Some(value)) = (object, value) {
        object.insert(key.into(), value.into());
    }
}

/// As Janus tells the time: in microseconds since it was started.
fn micros(at: Mono, started: Mono) -> u64 {
    u64::try_from(at.since(started).as_micros()).unwrap_or(u64::MAX)
}

/// What the VideoRoom shows.
fn plugin_specific(inspection: Option<&Inspection>, role: Option<Role>) -> Value {
    let mut shown = match inspection.map(|inspection| &inspection.member) {
        None => json!({ "type": "none" }),
        Some(MemberView::Finished(room)) => json!({ "type": "none", "room": Id(&room.0) }),
        Some(MemberView::Publisher { room, who, private_id, bitrate, streams }) => {
            let stream = |(summary, receivers): &(_, usize)| {
                let mut shown = render::stream_json(summary);
                put(&mut shown, "subscribers", Some(*receivers));
                shown
            };
            let mut shown = json!({
                "type": "publisher",
                "room": Id(&room.0),
                "id": Id(&who.id.0),
                "private_id": private_id,
                "bitrate": bitrate,
                "e2ee": false,
                "streams": streams.iter().map(stream).collect::<Vec<_>>(),
            });
            put(&mut shown, "display", who.display.as_deref());
            let metadata = who.metadata.as_ref().and_then(|metadata| serde_json::from_str::<Value>(&metadata.0).ok());
            put(&mut shown, "metadata", metadata);
            shown
        }
        Some(MemberView::Subscriber { room, private_id, streams, state }) => {
            let mut shown = json!({
                "type": "subscriber",
                "room": Id(&room.0),
                "streams": streams.iter().map(render::subscription_json).collect::<Vec<_>>(),
                "answered": state.answered,
                "pending_offer": state.pending_offer,
                "pending_restart": state.pending_restart,
                "paused": state.paused,
            });
            put(&mut shown, "private_id", *private_id);
            shown
        }
    };
    put(&mut shown, "hangingup", Some(0));
    // Left, thrown out, or the room is gone.
    put(&mut shown, "destroyed", Some(u8::from(role == Some(Role::Finished))));
    shown
}

/// Janus' flags, those that mean something here.
fn flags(peer: Option<&PeerView>, is_publisher: bool) -> Value {
    let has = |kind| peer.is_some_and(|peer| peer.lines.iter().any(|line| line.kind == kind));
    let is_described = peer.is_some_and(|peer| peer.is_described);
    let is_connected = peer.is_some_and(|peer| peer.connected.is_some());
    json!({
        "got-offer": is_described && is_publisher,
        "got-answer": is_described && !is_publisher,
        "negotiated": is_described,
        "processing-offer": false,
        "starting": is_described && !is_connected,
        "ice-restart": false,
        "ready": is_connected,
        "stopped": false,
        // Janus' sign that there is no peer connection, or no more.
        "alert": peer.is_none(),
        "trickle": false,
        "all-trickles": is_described,
        "resend-trickles": false,
        "trickle-synced": false,
        "data-channels": has(MediaKind::Data),
        "has-audio": has(MediaKind::Audio),
        "has-video": has(MediaKind::Video),
        "new-datachan-sdp": false,
        "rfc4588-rtx": peer.is_some_and(|peer| peer.lines.iter().any(|line| line.rtx_pt.is_some())),
        "cleaning": false,
        "e2ee": false,
    })
}

fn webrtc(peer: &PeerView, started: Mono) -> Value {
    let host = |at: &SocketAddr| format!("{} {} udp host", at.ip(), at.port());
    let seen = |at: &SocketAddr| format!("{} {} udp prflx", at.ip(), at.port());
    let state = match peer.selected {
        None => "connecting",
        Some((.., false)) => "connected",
        Some((.., true)) => "ready",
    };
    let mut ice = json!({
        "stream_id": 1,
        "component_id": 1,
        "state": state,
        "local-candidates": peer.local.iter().map(host).collect::<Vec<_>>(),
        "remote-candidates": peer.remote.iter().map(seen).collect::<Vec<_>>(),
        "ready": peer.selected.is_some(),
    });
    let pair = peer.selected.map(|(ours, theirs, _)| format!("{ours} [host,udp] <-> {theirs} [prflx,udp]"));
    put(&mut ice, "selected-pair", pair);
    put(&mut ice, "last-check", peer.last_check.map(|at| micros(at, started)));
    let mut dtls = json!({
        "fingerprint": peer.fingerprint,
        "dtls-role": if peer.is_dtls_client { "active" } else { "passive" },
        "dtls-state": if peer.connected.is_some() { "connected" } else { "trying" },
        "valid": peer.connected.is_some(),
        "ready": peer.connected.is_some(),
        "ignored": peer.dtls_ignored,
        "sctp-association": false,
    });
    put(&mut dtls, "remote-fingerprint", peer.remote_fingerprint.map(|shown| shown.to_string()));
    put(&mut dtls, "remote-fingerprint-hash", peer.remote_fingerprint.map(|shown| shown.hash_name()));
    put(&mut dtls, "srtp-profile", peer.connected.map(|(profile, _)| profile));
    put(&mut dtls, "connected", peer.connected.map(|(_, at)| micros(at, started)));
    let extensions = peer.lines.iter().flat_map(|line| named(&line.extensions));
    let extensions: Map<String, Value> = extensions.map(|(uri, id)| (uri.into(), id.into())).collect();
    let transport_cc = peer.lines.iter().find_map(|line| line.extensions.transport_cc);
    let mut bwe = json!({ "twcc": transport_cc.is_some() });
    put(&mut bwe, "twcc-ext-id", transport_cc);
    let media = peer.lines.iter().map(|line| (line.mid.to_string(), medium(line, peer.round_trip)));
    let media: Map<String, Value> = media.collect();
    json!({ "ice": ice, "dtls": dtls, "extensions": extensions, "bwe": bwe, "media": media })
}

fn named(ids: &ExtensionIds) -> impl Iterator<Item = (&'static str, u8)> {
    [
        ("urn:ietf:params:rtp-hdrext:sdes:mid", ids.mid),
        ("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", ids.rid),
        ("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", ids.repaired_rid),
        ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", ids.audio_level),
        ("http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", ids.abs_send_time),
        ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", ids.transport_cc),
        ("urn:3gpp:video-orientation", ids.orientation),
        ("http://www.webrtc.org/experiments/rtp-hdrext/playout-delay", ids.playout_delay),
    ]
    .into_iter()
    .filter_map(|(uri, id)| Some((uri, id?)))
}

fn medium(line: &LineView, round_trip: Duration) -> Value {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (ssrc, direction, rtcp, stats) = match &line.flow {
        Flow::In { ssrcs, rtx_ssrcs, receiving, counts, lost, jitter } => {
            let mut ssrc = json!({});
            put(&mut ssrc, "ssrc-peer", ssrcs.first().copied());
            put(&mut ssrc, "ssrc-peer-rtx", rtx_ssrcs.first().copied());
            let rtcp = json!({ "lost": lost, "jitter-local": millis(*jitter) });
            let direction = json!({ "send": false, "recv": line.codec.is_some(), "receiving": receiving });
            (ssrc, direction, rtcp, json!({ "in": counted(counts), "out": counted(&Counts::default()) }))
        }
        Flow::Out { ssrc, rtx_ssrc, open, counts, lost } => {
            let mut ssrcs = json!({ "ssrc": ssrc });
            put(&mut ssrcs, "ssrc-rtx", *rtx_ssrc);
            let rtcp = json!({ "rtt": millis(round_trip), "lost-by-remote": lost });
            let direction = json!({ "send": open, "recv": false });
            (ssrcs, direction, rtcp, json!({ "in": counted(&Counts::default()), "out": counted(counts) }))
        }
    };
    let mut codecs = json!({ "pt": line.pt });
    put(&mut codecs, "rtx-pt", line.rtx_pt);
    put(&mut codecs, "codec", line.codec.map(Codec::janus));
    json!({
        "type": render::kind_name(line.kind),
        "mindex": line.mindex,
        "mid": line.mid.to_string(),
        "do_nacks": line.nack,
        "ssrc": ssrc,
        "direction": direction,
        "codecs": codecs,
        "rtcp": { "main": rtcp },
        "stats": stats,
    })
}

fn counted(counts: &Counts) -> Value {
    json!({
        "packets": counts.packets,
        "bytes": counts.bytes,
        "bytes_lastsec": counts.bytes_last_second,
        "nacks": counts.nacks,
        "retransmissions": counts.retransmissions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::{Fingerprint, Mid};

    fn line(mid: &str, mindex: usize, flow: Flow) -> LineView {
        LineView {
            mid: Mid::from(mid).unwrap(),
            mindex,
            kind: MediaKind::Video,
            codec: Some(Codec::Vp8),
            pt: 96,
            rtx_pt: Some(97),
            nack: true,
            extensions: ExtensionIds { transport_cc: Some(3), ..ExtensionIds::default() },
            flow,
        }
    }

    #[test]
    fn a_peer_connection_is_shown_with_janus_keys() {
        let counts = Counts { packets: 5, bytes: 900, bytes_last_second: 300, nacks: 2, retransmissions: 1 };
        let (ssrcs, rtx_ssrcs) = (vec![11, 12], vec![13]);
        let jitter = Duration::from_millis(4);
        let flow = Flow::In { ssrcs, rtx_ssrcs, receiving: true, counts, lost: 3, jitter };
        let peer = PeerView {
            local: vec!["192.0.2.1:20000".parse().unwrap()],
            remote: vec!["198.51.100.7:4000".parse().unwrap()],
            selected: Some(("192.0.2.1:20000".parse().unwrap(), "198.51.100.7:4000".parse().unwrap(), true)),
            last_check: Some(Mono(6_000)),
            is_described: true,
            is_dtls_client: false,
            fingerprint: "AA".into(),
            remote_fingerprint: Some(Fingerprint::Sha1([0xBB; 20])),
            connected: Some(("SRTP_AEAD_AES_128_GCM", Mono(8_000))),
            dtls_ignored: 0,
            round_trip: Duration::from_millis(20),
            capture: None,
            lines: vec![
                line("0", 0, flow),
                line("1", 1, Flow::Out { ssrc: 21, rtx_ssrc: Some(22), open: true, counts, lost: 6 }),
            ],
        };
        let counts = json!({ "packets": 5, "bytes": 900, "bytes_lastsec": 300, "nacks": 2, "retransmissions": 1 });
        let nothing = json!({ "packets": 0, "bytes": 0, "bytes_lastsec": 0, "nacks": 0, "retransmissions": 0 });
        let codecs = json!({ "pt": 96, "rtx-pt": 97, "codec": "vp8" });
        let expected = json!({
            "ice": {
                "stream_id": 1, "component_id": 1, "state": "ready", "ready": true, "last-check": 5,
                "local-candidates": ["192.0.2.1 20000 udp host"],
                "remote-candidates": ["198.51.100.7 4000 udp prflx"],
                "selected-pair": "192.0.2.1:20000 [host,udp] <-> 198.51.100.7:4000 [prflx,udp]",
            },
            "dtls": {
                "fingerprint": "AA", "remote-fingerprint": vec!["BB"; 20].join(":"), "remote-fingerprint-hash": "sha-1",
                "dtls-role": "passive", "dtls-state": "connected", "srtp-profile": "SRTP_AEAD_AES_128_GCM",
                "valid": true, "ready": true, "connected": 7, "ignored": 0, "sctp-association": false,
            },
            "extensions": { "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": 3 },
            "bwe": { "twcc": true, "twcc-ext-id": 3 },
            "media": {
                "0": {
                    "type": "video", "mindex": 0, "mid": "0", "do_nacks": true, "codecs": codecs,
                    "ssrc": { "ssrc-peer": 11, "ssrc-peer-rtx": 13 },
                    "direction": { "send": false, "recv": true, "receiving": true },
                    "rtcp": { "main": { "lost": 3, "jitter-local": 4 } },
                    "stats": { "in": counts, "out": nothing },
                },
                "1": {
                    "type": "video", "mindex": 1, "mid": "1", "do_nacks": true, "codecs": codecs,
                    "ssrc": { "ssrc": 21, "ssrc-rtx": 22 },
                    "direction": { "send": true, "recv": false },
                    "rtcp": { "main": { "rtt": 20, "lost-by-remote": 6 } },
                    "stats": { "in": nothing, "out": counts },
                },
            },
        });
        assert_eq!(webrtc(&peer, Mono(1_000)), expected);
        let shown = flags(Some(&peer), true);
        let set: Vec<&str> =
            ["got-offer", "got-answer", "negotiated", "ready", "has-audio", "has-video", "rfc4588-rtx"]
                .into_iter()
                .filter(|flag| shown[flag] == true)
                .collect();
        assert_eq!(set, ["got-offer", "negotiated", "ready", "has-video", "rfc4588-rtx"]);
        let is_alert = |peer| flags(peer, true)["alert"].as_bool();
        assert_eq!((is_alert(Some(&peer)), is_alert(None)), (Some(false), Some(true)));
    }
}
