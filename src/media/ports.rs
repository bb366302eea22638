//! Publishers of other servers on the packet path: the sockets that are theirs alone, and what is known of who sends to one.
//! RTP comes in the clear or sealed with a key that a client gave; wishes for keyframes go back in the clear.

use super::index::PeerKey;
use crate::control::forward::SrtpKey;
use crate::id::{FourTuple, SocketId, StreamId};
use crate::limits::REMOTE_SILENCE;
use crate::proto::srtp::{Inbound, MasterKey, Profile, SrtpError};
use crate::time::Mono;

/// The ports of a shard that publishers of other servers can have, one each.
pub struct RemotePorts {
    first: usize,
    ports: Vec<(u16, Option<PeerKey>)>,
}

impl RemotePorts {
    /// All free; their sockets have the ids from `first` on.
    pub fn new(first: usize, ports: &[u16]) -> RemotePorts {
        RemotePorts { first, ports: ports.iter().map(|&port| (port, None)).collect() }
    }

    /// A free port: the one that is wished for, or any.
    pub fn free(&self, wish: Option<u16>) -> Option<u16> {
        let mut free = self.ports.iter().filter(|(_, user)| user.is_none()).map(|(port, _)| *port);
        free.find(|port| wish.is_none_or(|wish| wish == *port))
    }

    /// Gives a port to somebody.
    pub fn claim(&mut self, port: u16, user: PeerKey) {
        self.ports.iter_mut().filter(|(of, _)| *of == port).for_each(|(_, of)| *of = Some(user));
    }

    /// Whatever somebody had is free.
    pub fn release(&mut self, user: PeerKey) {
        self.ports.iter_mut().filter(|(_, of)| *of == Some(user)).for_each(|(_, of)| *of = None);
    }

    /// Whatever a room had is free.
    pub fn release_room(&mut self, room: u32) {
        self.ports.iter_mut().filter(|(_, of)| of.is_some_and(|key| key.room == room)).for_each(|(_, of)| *of = None);
    }

    /// Whose the socket is.
    pub fn of(&self, socket: SocketId) -> Option<PeerKey> {
        self.ports.get(usize::from(socket.0).checked_sub(self.first)?)?.1
    }

    /// How many there are in use.
    pub fn used(&self) -> usize {
        self.ports.iter().filter(|(_, user)| user.is_some()).count()
    }
}

/// A publisher of another server.
pub struct Remote {
    /// Its name in the shard's tables.
    pub key: PeerKey,
    /// What it publishes.
    pub streams: Vec<StreamId>,
    /// Opens what it sends.
    pub inbound: Option<Inbound>,
    /// Who takes our wishes: whoever opened the way for them, or else who sends media.
    feedback: Option<FourTuple>,
    opened: bool,
    /// Who sends media, and when it did last.
    source: Option<(FourTuple, Mono)>,
}

impl Remote {
    /// Nobody has sent yet. The errors are those of the key.
    pub fn new(key: PeerKey, srtp: Option<&SrtpKey>) -> Result<Remote, SrtpError> {
        let inbound = srtp.map(|srtp| {
            let profile = if srtp.short_tag { Profile::AesCm128HmacSha1_32 } else { Profile::AesCm128HmacSha1_80 };
            let (master, salt) = srtp.master.split_at(profile.key_len());
            Inbound::new(profile, &MasterKey::new(profile, master, salt)?)
        });
        let inbound = inbound.transpose()?;
        Ok(Remote { key, streams: Vec::new(), inbound, feedback: None, opened: false, source: None })
    }

    /// Somebody opens the way for our wishes; false when media come from another host.
    pub fn opened(&mut self, at: FourTuple, now: Mono) -> bool {
        let believed = self
            .source
            .is_none_or(|(source, heard)| source.remote.ip() == at.remote.ip() || now.since(heard) >= REMOTE_SILENCE);
        if believed {
            (self.feedback, self.opened) = (Some(at), true);
        }
        believed
    }

    /// Whether media from there is taken: from whom it came last, unless nothing has come for a while.
    pub fn takes(&self, at: FourTuple, now: Mono) -> bool {
        self.source.is_none_or(|(source, heard)| source == at || now.since(heard) >= REMOTE_SILENCE)
    }

    /// Media has come.
    pub fn heard(&mut self, at: FourTuple, now: Mono) {
        self.source = Some((at, now));
        if !self.opened {
            self.feedback = Some(at);
        }
    }

    /// Where wishes for keyframes go.
    pub fn feedback(&self) -> Option<FourTuple> {
        self.feedback
    }
}
