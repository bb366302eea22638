//! A room's forwarders: opened, wired to streams and ended as the room says; what flows through them at the end of a turn,
//! and what their receivers ask for.

use std::net::IpAddr;

use super::HostedRoom;
use super::feedback::Tally;
use crate::control::command::Reply;
use crate::control::error::RoomError;
use crate::control::forward::ForwarderSpec;
use crate::control::request::Administration;
use crate::control::summary::ForwarderSummary;
use crate::id::{ForwarderId, StreamId};
use crate::media::forwarder::{Forwarder, ForwarderKey, socket_toward};
use crate::media::turn::Turn;
use crate::media::verdict::{DropReason, Verdict};
use crate::wire::rtcp;
use crate::wire::rtcp::Compound;
use crate::wire::sdp::MediaKind;

/// What opens the way back for a receiver's RTCP, through whatever lies between: RTP without contents, twice.
const OPENER: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl HostedRoom {
    /// Why a request cannot be carried out from this shard's sockets, whatever the room says.
    pub(super) fn unreachable(&self, turn: &Turn<'_>, request: &Administration) -> Option<RoomError> {
        let unreachable = |&ip: &IpAddr| socket_toward(ip, &turn.state.sockets).is_none();
        let found = match request {
            Administration::Forward(forward) => forward.targets.iter().map(|target| target.to.ip()).find(unreachable),
            Administration::Remotize(remotize) => Some(remotize.to.ip()).filter(unreachable),
            _ => None,
        };
        found.map(RoomError::Unreachable)
    }

    /// Puts our ports into a reply that shows forwarders.
    pub(super) fn complete_forwarders(&self, turn: &Turn<'_>, reply: &mut Reply) {
        let complete = |forwarder: &mut ForwarderSummary| {
            forwarder.local_rtcp_port = forwarder.rtcp_port.and_then(|_| local_port(turn, forwarder.to.ip()));
        };
        match reply {
            Reply::Forwarding(new) => new.forwarders.iter_mut().for_each(complete),
            Reply::Forwarders(_, publishers) => {
                publishers.iter_mut().flat_map(|publisher| &mut publisher.forwarders).for_each(complete);
            }
            _ => {}
        }
    }

    pub(super) fn add_forwarder(&mut self, turn: &mut Turn<'_>, id: ForwarderId, spec: &ForwarderSpec) {
        let socket = socket_toward(spec.to.ip(), &turn.state.sockets);
        let socket = socket.expect("whoever asked for it was told when it cannot be reached");
        // RFC 3711 §3.3.1: a first index below 2^15, so that a receiver that misses it still guesses the same rollover.
        let first = u64::from(turn.random_u32() & 0x7fff).max(1);
        let forwarder = Forwarder::new(spec, socket, first, turn.random_u32());
        let forwarder = forwarder.expect("a key of 30 bytes is one for the profiles of RFC 3711");
        if let Some(receiver) = forwarder.receiver {
            turn.state.receivers.add(receiver, ForwarderKey { room: self.slot, forwarder: id });
            for _ in 0..2 {
                turn.send_control(receiver, |out| {
                    out[..OPENER.len()].copy_from_slice(&OPENER);
                    Some(OPENER.len())
                });
            }
        }
        self.forwarders.put(id.0, forwarder);
    }

    pub(super) fn route_forwarder(&mut self, id: ForwarderId, source: Option<StreamId>) {
        let Some(forwarder) = self.forwarders.get_mut(id.0) else { return };
        let before = forwarder.source;
        forwarder.route(source);
        if let Some(stream) = before.and_then(|before| self.streams.get_mut(before.0)) {
            stream.forwarders.retain(|&of| of != id);
        }
        if let Some(stream) = source.and_then(|source| self.streams.get_mut(source.0)) {
            stream.forwarders.push(id);
        }
    }

    pub(super) fn remove_forwarder(&mut self, turn: &mut Turn<'_>, id: ForwarderId) {
        let Some(forwarder) = self.forwarders.take(id.0) else { return };
        if let Some(stream) = forwarder.source.and_then(|source| self.streams.get_mut(source.0)) {
            stream.forwarders.retain(|&of| of != id);
        }
        if let Some(receiver) = forwarder.receiver {
            turn.state.receivers.remove(receiver, ForwarderKey { room: self.slot, forwarder: id });
        }
    }

    /// Sends what the turn has brought to those who are no peers.
    pub(super) fn release_forwarders(&mut self, turn: &mut Turn<'_>) {
        let mut forwarding = std::mem::take(&mut self.forwarding);
        for (id, layer, range) in forwarding.drain(..) {
            let Some(stream) = self.streams.get(id.0) else { continue };
            for forwarder in &stream.forwarders {
                let forwarder = self.forwarders.get_mut(forwarder.0).filter(|forwarder| forwarder.layer == layer);
                if let Some(forwarder) = forwarder {
                    forwarder.send(turn, stream, range.clone());
                }
            }
        }
        self.forwarding = forwarding;
    }

    /// RTCP of a forwarder's receiver, in the clear: of all that it may say, a wish for a keyframe is heard.
    pub fn accept_receiver(&mut self, turn: &mut Turn<'_>, id: ForwarderId, datagram: &[u8]) -> Verdict {
        let Some(forwarder) = self.forwarders.get(id.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        turn.state.counters.rtcp_received += 1;
        let (mut wanted, mut compound) = (false, Tally::default());
        for packet in Compound::new(datagram) {
            compound.count(packet.is_ok());
            match packet {
                Ok(rtcp::Packet::Pli(pli)) => wanted |= forwarder.is_meant_by(pli.media_ssrc),
                Ok(rtcp::Packet::Fir(fir)) => wanted |= fir.targets().any(|ssrc| forwarder.is_meant_by(ssrc)),
                // Malformed ones are counted; what follows them is read all the same.
                Ok(_) | Err(_) => {}
            }
        }
        let source = forwarder.source.filter(|_| wanted);
        if let Some(id) = source
            && self.streams.get(id.0).is_some_and(|stream| stream.media.kind == MediaKind::Video)
        {
            self.request_keyframe(turn, id);
        }
        compound.verdict(turn)
    }
}

fn local_port(turn: &Turn<'_>, target: IpAddr) -> Option<u16> {
    let socket = socket_toward(target, &turn.state.sockets)?;
    turn.state.sockets.get(usize::from(socket.0)).map(std::net::SocketAddr::port)
}
