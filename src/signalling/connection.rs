//! The table of client connections: what each speaks, what it is still owed, and how it ends.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use http::Method;

use crate::id::SessionId;
use crate::proto::http::Http;
use crate::proto::session::ConnectionId;
use crate::proto::tls::Tls;
use crate::proto::websocket::WebSocket;

/// What becomes of a connection after its output is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It lives on.
    Open,
    /// Write what was taken, then close the socket. The engine has forgotten the connection.
    CloseAfterFlush,
    /// Close the socket at once. The engine has forgotten the connection.
    Drop,
}

/// One connection.
pub(super) struct Connection {
    /// The address of the client.
    pub peer: IpAddr,
    /// What stands between the socket and what is spoken.
    pub tls: Option<Box<Tls>>,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Sessions whose events it hears; they die with it.
    pub sessions: BTreeSet<SessionId>,
    /// It came to where operators are served apart.
    pub is_operators: bool,
    /// The WebSocket speaks the Admin API.
    pub is_administration: bool,
    /// Bytes of long answers in its output.
    pub long: usize,
    /// How it will end, once it will.
    pub fate: Fate,
    touched: bool,
}

/// What a connection speaks.
pub(super) enum Protocol {
    /// Until an upgrade.
    Http(HttpConnection),
    WebSocket(Box<WebSocket>),
}

/// An HTTP connection with its responses.
pub(super) struct HttpConnection {
    pub http: Http,
    pub output: Vec<u8>,
    /// The request that is being answered; later ones wait.
    pub pending: Option<Pending>,
    /// Counts the requests that had to wait: an answer names its own.
    pub requests: u32,
}

/// A request without its answer yet.
pub(super) struct Pending {
    /// A response to `HEAD` has no content.
    pub method: Method,
    /// Whether the connection lives on.
    pub keep_alive: bool,
    /// What is awaited.
    pub purpose: Purpose,
}

/// What an HTTP request waits for.
pub(super) enum Purpose {
    /// `/healthz`
    Health,
    /// The answer to a Janus request; with what is echoed when none comes.
    Answer(Option<SessionId>, Option<Box<str>>),
    /// What a session hears.
    Poll(SessionId),
}

impl Connection {
    /// What is to be said.
    pub fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.protocol {
            Protocol::Http(http) => &mut http.output,
            Protocol::WebSocket(socket) => socket.output(),
        }
    }

    /// Bytes that are to be said.
    pub fn waiting(&self) -> usize {
        match &self.protocol {
            Protocol::Http(http) => http.output.len(),
            Protocol::WebSocket(socket) => socket.waiting(),
        }
    }

    /// Moves what is to be written to the end of `out`.
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        self.long = 0;
        let Some(mut tls) = self.tls.take() else { return out.append(self.output()) };
        tls.send(self.output());
        self.output().clear();
        if self.fate == Fate::CloseAfterFlush {
            tls.close();
        }
        out.append(tls.output());
        self.tls = Some(tls);
    }
}

/// All connections of a signalling shard.
#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    touched: VecDeque<ConnectionId>,
}

struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

impl Connections {
    /// Makes room for one more.
    pub fn insert(&mut self, peer: IpAddr, tls: Option<Box<Tls>>, http: Http) -> ConnectionId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            u32::try_from(self.slots.len() - 1).expect("connections are bounded by the configuration")
        });
        let protocol = Protocol::Http(HttpConnection { http, output: Vec::new(), pending: None, requests: 0 });
        let entry = &mut self.slots[slot as usize];
        entry.connection = Some(Connection {
            peer,
            tls,
            protocol,
            sessions: BTreeSet::new(),
            is_operators: false,
            is_administration: false,
            long: 0,
            fate: Fate::Open,
            touched: false,
        });
        ConnectionId { slot, generation: entry.generation }
    }

    /// The connection of an id.
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?.connection.as_ref()
    }

    /// The connection of an id.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?.connection.as_mut()
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let connection = slot.connection.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(connection)
    }

    /// Notes that the machine has something to do for it.
    pub fn touch(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id)
            && !connection.touched
        {
            connection.touched = true;
            self.touched.push_back(id);
        }
    }

    /// The next one that was touched and is still there.
    pub fn poll_touched(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.touched.pop_front() {
            if let Some(connection) = self.get_mut(id) {
                connection.touched = false;
                return Some(id);
            }
        }
        None
    }

    /// The ids of all.
    pub fn ids(&self) -> Vec<ConnectionId> {
        let id = |(index, slot): (usize, &Slot)| {
            let index = u32::try_from(index).ok()?;
            slot.connection.as_ref().map(|_| ConnectionId { slot: index, generation: slot.generation })
        };
        self.slots.iter().enumerate().filter_map(id).collect()
    }

    /// How many are what `is_it` looks for.
    pub fn count(&self, is_it: impl Fn(&Connection) -> bool) -> usize {
        self.slots.iter().filter(|slot| slot.connection.as_ref().is_some_and(&is_it)).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Mono;
    use std::net::Ipv4Addr;

    #[test]
    fn a_stale_id_finds_nothing_and_a_touched_connection_is_named_once() {
        let mut connections = Connections::default();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let first = connections.insert(peer, None, Http::new(Mono(0)));
        connections.touch(first);
        connections.touch(first);
        assert_eq!(connections.poll_touched(), Some(first));
        assert_eq!(connections.poll_touched(), None);
        connections.touch(first);
        assert!(connections.remove(first).is_some());
        let second = connections.insert(peer, None, Http::new(Mono(0)));
        assert_eq!(second.slot, first.slot);
        assert!(connections.get(first).is_none() && connections.remove(first).is_none());
        assert_eq!(connections.poll_touched(), None);
        assert_eq!((connections.len(), connections.ids()), (1, vec![second]));
    }
}
