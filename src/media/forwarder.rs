//! One forwarder on the packet path: a leg without a peer. Its packets go as plain RTP, or sealed with a key that a client
//! gave, to an address that is never heard, except for RTCP where a port of that is known. Where the packets come from is
//! the room's business.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use foldhash::quality::SeedableRandomState;
use smallvec::SmallVec;

use super::arena::Lane;
use super::history::Entry;
use super::leg::HEADER_MAX;
use super::rewrite::{Rewrite, Rewritten};
use super::stream::Stream;
use super::turn::Turn;
use super::verdict::DropReason;
use crate::control::codec::Codec;
use crate::control::forward::{ForwarderSpec, SrtpKey};
use crate::id::{ForwarderId, FourTuple, SocketId, StreamId};
use crate::limits::DATAGRAM_MAX;
use crate::proto::srtp::{MasterKey, Outbound, OutboundStream, Profile, SrtpError};
use crate::wire::error::WireError;
use crate::wire::rtcp::ANY_SSRC;
use crate::wire::rtp::{ExtSeq, Header, HeaderWriter};
use crate::wire::sdp::MediaKind;

/// A forwarder.
pub struct Forwarder {
    /// Where its packets come from; while it is paused, where they came from.
    pub source: Option<StreamId>,
    /// Where its receiver's RTCP comes from.
    pub receiver: Option<FourTuple>,
    pub layer: usize,
    path: FourTuple,
    strict: bool,
    pt: Option<u8>,
    ssrc: Option<u32>,
    rewrite: Rewrite,
    seal: Option<Seal>,
}

/// What seals its packets.
struct Seal {
    outbound: Outbound,
    /// Open from the first packet on.
    stream: Option<OutboundStream>,
}

impl Forwarder {
    /// A forwarder that sends through `socket`. `first` and `timestamp` are those of [`Rewrite::new`]. The errors are
    /// those of the key.
    pub fn new(spec: &ForwarderSpec, socket: SocketId, first: u64, timestamp: u32) -> Result<Forwarder, SrtpError> {
        let to = |port| FourTuple { socket, remote: SocketAddr::new(spec.to.ip(), port) };
        Ok(Forwarder {
            source: None,
            receiver: spec.rtcp_port.map(to),
            layer: usize::from(spec.substream),
            path: to(spec.to.port()),
            strict: spec.strict,
            pt: spec.pt,
            ssrc: spec.ssrc,
            rewrite: Rewrite::new(spec.clock_rate, first, timestamp),
            seal: spec.srtp.as_ref().map(Seal::new).transpose()?,
        })
    }

    /// Another source, the same one again after a pause, or none. Numbers go on.
    pub fn route(&mut self, source: Option<StreamId>) {
        match (self.source, source) {
            (Some(before), Some(after)) if before != after => self.rewrite.switch(),
            _ => self.rewrite.resume(),
        }
        self.source = source.or(self.source);
    }

    /// Whether its receiver means it by this SSRC.
    pub fn is_meant_by(&self, ssrc: u32) -> bool {
        !self.strict || ssrc == ANY_SSRC || self.ssrc == Some(ssrc)
    }

    /// The source has ended.
    pub fn orphan(&mut self) {
        self.source = None;
        self.rewrite.switch();
    }

    /// The source goes on with other numbers.
    pub fn switch(&mut self) {
        self.rewrite.switch();
    }

    /// Sends a range of the packets of a stream's encoding.
    pub fn send(&mut self, turn: &mut Turn<'_>, stream: &Stream, range: Range<u64>) {
        let Some(layer) = stream.layers.get(self.layer) else { return };
        let ssrc =
            *self.ssrc.get_or_insert_with(|| layer.ssrc().or(stream.ssrc()).unwrap_or_else(|| turn.random_u32()));
        let pt = self.pt.unwrap_or(stream.media.codec.map_or(stream.media.pt, Codec::subscriber_pt));
        for position in range {
            let Some((entry, payload)) = layer.history.get(position) else {
                turn.drop(DropReason::HistoryOverrun);
                continue;
            };
            if entry.late && self.rewrite.is_rebasing() {
                // A repair of something from before us: the stream is to begin with what is newest.
                turn.drop(DropReason::BeforeSwitch);
                continue;
            }
            let Some(numbers) = self.rewrite.map(entry.sequence, entry.timestamp, turn.now.mono) else {
                turn.drop(DropReason::BeforeSwitch);
                continue;
            };
            self.send_one(turn, stream, (entry, payload), (ssrc, pt), numbers);
        }
    }

    fn send_one(
        &mut self,
        turn: &mut Turn<'_>,
        stream: &Stream,
        (entry, payload): (&Entry, &[u8]),
        (ssrc, payload_type): (u32, u8),
        numbers: Rewritten,
    ) {
        let sequence = ExtSeq(numbers.sequence).low();
        let header = Header { marker: entry.marker, payload_type, sequence, timestamp: numbers.timestamp, ssrc };
        let mut head = [0; HEADER_MAX];
        let Ok(len) = write_header(stream, entry, &header, &mut head) else {
            return turn.drop(DropReason::SegmentOverflow);
        };
        let head = &mut head[..len];
        let max = len + payload.len() + self.seal.as_ref().map_or(0, |seal| seal.outbound.profile().rtp_overhead());
        if max > DATAGRAM_MAX {
            return turn.drop(DropReason::SegmentOverflow);
        }
        let lane = if stream.media.kind == MediaKind::Audio { Lane::Audio } else { Lane::Video };
        let seal = &mut self.seal;
        let sent = turn.send(self.path, lane, max, |out| match seal {
            None => {
                out[..len].copy_from_slice(head);
                out[len..max].copy_from_slice(payload);
                Some(max)
            }
            Some(Seal { outbound, stream }) => {
                let stream = *stream.get_or_insert_with(|| outbound.open(ssrc, 0));
                outbound.seal_at(stream, numbers.sequence, head, payload, 0, out).ok().map(|sealed| sealed.len)
            }
        });
        if sent.is_none() {
            return turn.drop(DropReason::IndexUsed);
        }
        turn.state.counters.packets_forwarded += 1;
    }
}

impl Seal {
    fn new(key: &SrtpKey) -> Result<Seal, SrtpError> {
        let profile = if key.short_tag { Profile::AesCm128HmacSha1_32 } else { Profile::AesCm128HmacSha1_80 };
        let (master, salt) = key.master.split_at(profile.key_len());
        Ok(Seal { outbound: Outbound::new(profile, &MasterKey::new(profile, master, salt)?)?, stream: None })
    }
}

/// The extensions are those of the publisher that mean something behind us, under the publisher's ids.
fn write_header(stream: &Stream, entry: &Entry, header: &Header, out: &mut [u8]) -> Result<usize, WireError> {
    let ids = &stream.media.extensions;
    let mut writer = HeaderWriter::new(out, header)?;
    if let (Some(id), Some(level)) = (ids.audio_level, entry.audio_level) {
        writer.push(id, &[level])?;
    }
    if let (Some(id), Some(orientation)) = (ids.orientation, entry.orientation) {
        writer.push(id, &[orientation])?;
    }
    if let (Some(id), Some(delay)) = (ids.playout_delay, entry.playout_delay) {
        writer.push(id, &delay)?;
    }
    writer.finish()
}

/// One forwarder of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwarderKey {
    /// The room's slot in the shard.
    pub room: u32,
    /// The forwarder in the room.
    pub forwarder: ForwarderId,
}

/// Whose RTCP comes from where. Several forwarders may name one port: what it asks for is then asked of all.
pub struct Receivers {
    by_tuple: HashMap<FourTuple, SmallVec<[ForwarderKey; 1]>, SeedableRandomState>,
}

impl Receivers {
    /// Nobody. Clients choose the addresses, so that the hasher is a keyed one.
    pub fn new(hasher: SeedableRandomState) -> Receivers {
        Receivers { by_tuple: HashMap::with_hasher(hasher) }
    }

    /// RTCP from there is the forwarder's.
    pub fn add(&mut self, from: FourTuple, key: ForwarderKey) {
        self.by_tuple.entry(from).or_default().push(key);
    }

    /// And no longer.
    pub fn remove(&mut self, from: FourTuple, key: ForwarderKey) {
        if let Some(keys) = self.by_tuple.get_mut(&from) {
            keys.retain(|of| *of != key);
            if keys.is_empty() {
                self.by_tuple.remove(&from);
            }
        }
    }

    /// A room failed, and nothing in it can be asked any more.
    pub fn remove_room(&mut self, room: u32) {
        self.by_tuple.retain(|_, keys| {
            keys.retain(|key| key.room != room);
            !keys.is_empty()
        });
    }

    /// Those whose RTCP comes from there.
    pub fn of(&self, from: FourTuple) -> SmallVec<[ForwarderKey; 1]> {
        self.by_tuple.get(&from).cloned().unwrap_or_default()
    }
}

/// The socket to reach an address through: of its family, on loopback for loopback and not else, and then the one whose
/// address has most of its bits (RFC 6724 §5, rule 8).
pub fn socket_toward(target: IpAddr, sockets: &[SocketAddr]) -> Option<SocketId> {
    let same = |one: IpAddr| match (one, target) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    };
    let fitting = (0..).map(SocketId).zip(sockets).filter(|(_, at)| at.is_ipv4() == target.is_ipv4());
    let distance = |ip: IpAddr| (ip.is_loopback() != target.is_loopback(), u32::MAX - same(ip));
    fitting.min_by_key(|(_, at)| distance(at.ip())).map(|(socket, _)| socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_reached_through_the_socket_that_is_nearest_to_it() {
        let sockets: Vec<SocketAddr> =
            ["127.0.0.1:1", "192.168.1.5:1", "10.0.0.7:1", "[::1]:1"].map(|at| at.parse().unwrap()).into();
        for (target, socket) in [
            ("127.0.9.9", Some(0)),
            ("192.168.1.77", Some(1)),
            ("10.0.9.9", Some(2)),
            ("8.8.8.8", Some(2)),
            ("203.0.113.1", Some(1)),
            ("::1", Some(3)),
            ("2a00::1", Some(3)),
        ] {
            assert_eq!(socket_toward(target.parse().unwrap(), &sockets), socket.map(SocketId), "{target}");
        }
        assert_eq!(socket_toward("2a00::1".parse().unwrap(), &sockets[..3]), None);
    }

    #[test]
    fn receivers_that_share_a_port_are_all_found_until_they_are_gone() {
        let mut receivers = Receivers::new(SeedableRandomState::with_seed(1, foldhash::SharedSeed::global_random()));
        let at = FourTuple { socket: SocketId(0), remote: ([10, 0, 0, 1], 5005).into() };
        let key = |room, forwarder| ForwarderKey { room, forwarder: ForwarderId(forwarder) };
        for (room, forwarder) in [(0, 0), (0, 1), (1, 0)] {
            receivers.add(at, key(room, forwarder));
        }
        receivers.remove(at, key(0, 1));
        assert_eq!(receivers.of(at).as_slice(), [key(0, 0), key(1, 0)]);
        receivers.remove_room(1);
        assert_eq!(receivers.of(at).as_slice(), [key(0, 0)]);
        receivers.remove(at, key(0, 0));
        assert!(receivers.by_tuple.is_empty());
    }
}
