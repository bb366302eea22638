//! What an operator is shown of a handle's peer connection: everything as it stands, nothing is changed.

use std::net::SocketAddr;
use std::time::Duration;

use super::HostedRoom;
use crate::control::inspection::{Flow, Inspection, LineView, PeerView};
use crate::id::{FourTuple, HandleAddress};
use crate::media::leg::Leg;
use crate::media::peer::{MediaState, Peer};
use crate::media::stream::{Layer, Stream};
use crate::media::turn::Turn;
use crate::proto::dtls::Role;
use crate::proto::ice::Selection;

impl HostedRoom {
    /// One handle; none when it never joined.
    pub fn inspect(&self, turn: &Turn<'_>, handle: HandleAddress) -> Option<Inspection> {
        let member = self.room.wiring().inspect(handle)?;
        let peer = self.room.roster().member(handle).and_then(|member| self.peers.get(member.0));
        Some(Inspection { member, peer: peer.map(|peer| self.view(turn, peer)) })
    }

    fn view(&self, turn: &Turn<'_>, peer: &Peer) -> PeerView {
        let local: Vec<SocketAddr> =
            turn.state.candidates.iter().map(|candidate| (candidate.address, candidate.port).into()).collect();
        // Sockets and candidates are in one order; several sockets may share the last candidate behind a NAT.
        let ends = |at: FourTuple| {
            let ours = local.get(usize::from(at.socket.0)).or(local.last())?;
            Some((*ours, at.remote))
        };
        let selected = match peer.ice.selection() {
            Selection::Nothing => None,
            Selection::Valid(at) => ends(at).map(|(ours, theirs)| (ours, theirs, false)),
            Selection::Nominated(at) => ends(at).map(|(ours, theirs)| (ours, theirs, true)),
        };
        let connected = match &peer.media {
            MediaState::Handshaking => None,
            MediaState::Connected(keys) => Some((keys.outbound.profile().openssl_name(), peer.connected_at)),
        };
        let incoming = peer.streams.iter().filter_map(|id| self.streams.get(id.0)).map(incoming);
        let outgoing = peer.legs.iter().enumerate().filter_map(|(mindex, id)| {
            let leg = self.legs.get(id.0)?;
            Some(outgoing(mindex, leg, leg.source.and_then(|source| self.streams.get(source.0))))
        });
        let capture = match &peer.media {
            MediaState::Connected(keys) => keys.capture.as_deref(),
            MediaState::Handshaking => peer.early_capture(),
        };
        PeerView {
            capture: capture.map(|capture| capture.file()).map(|(format, file)| (format, file.into())),
            remote: peer.ice.tuples().map(|at| at.remote).collect(),
            selected,
            last_check: peer.ice.last_check(),
            is_described: peer.remote_fingerprint.is_some(),
            is_dtls_client: peer.role == Role::Active,
            fingerprint: turn.state.handshakes.fingerprint().to_string(),
            remote_fingerprint: peer.remote_fingerprint,
            connected,
            dtls_ignored: peer.dtls.ignored(),
            round_trip: peer.round_trip,
            lines: incoming.chain(outgoing).collect(),
            local,
        }
    }
}

fn incoming(stream: &Stream) -> LineView {
    let media = &stream.media;
    let arrival = stream.layers.iter().find_map(|layer| layer.arrival.as_ref());
    let heard = stream.layers.iter().filter_map(Layer::ssrc);
    let mut ssrcs: Vec<u32> = heard.collect();
    for &announced in &media.ssrcs {
        if !ssrcs.contains(&announced) {
            ssrcs.push(announced);
        }
    }
    LineView {
        mid: media.mid,
        mindex: media.mindex,
        kind: media.kind,
        codec: media.codec,
        pt: media.pt,
        rtx_pt: media.rtx_pt,
        nack: media.nack,
        extensions: media.extensions,
        flow: Flow::In {
            ssrcs,
            rtx_ssrcs: media.rtx_ssrcs.iter().flatten().copied().collect(),
            receiving: stream.receiving,
            counts: stream.counts(),
            lost: arrival.map_or(0, |arrival| arrival.cumulative_lost().into()),
            jitter: arrival
                .map_or(Duration::ZERO, |arrival| Duration::from_secs(arrival.jitter().into()) / stream.clock_rate()),
        },
    }
}

fn outgoing(mindex: usize, leg: &Leg, source: Option<&Stream>) -> LineView {
    LineView {
        mid: leg.spec.mid,
        mindex,
        kind: leg.spec.kind,
        codec: source.and_then(|stream| stream.media.codec),
        pt: leg.pt(),
        rtx_pt: leg.rtx_pt(),
        nack: leg.resendable.is_some(),
        extensions: leg.spec.extensions,
        flow: Flow::Out {
            ssrc: leg.spec.ssrc,
            rtx_ssrc: leg.spec.rtx_ssrc,
            open: leg.open,
            counts: leg.counts(),
            lost: leg.loss.cumulative().into(),
        },
    }
}
