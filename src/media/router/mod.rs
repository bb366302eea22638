//! One room on its shard: the rules of [`Room`] together with the peers, streams and legs that they speak of. The room
//! decides, this carries out. A fault in here is caught at the one place that calls in, and buries this room alone.

mod binding;
mod effects;
mod feedback;
mod forwarders;
mod inspect;
mod observe;
mod receive;
mod release;
mod remote_publisher;
mod repair;
mod reports;
mod taps;

use std::ops::Range;

use super::forwarder::Forwarder;
use super::index::PeerKey;
use super::leg::Leg;
use super::peer::Peer;
use super::ports::Remote;
use super::stream::Stream;
use super::timer::Urgency;
use super::turn::Turn;
use crate::control::command::{Event, HangupReason, Reply, Teardown};
use crate::control::error::RoomError;
use crate::control::request::{Administration, MemberRequest};
use crate::control::summary::RoomSummary;
use crate::id::{HandleAddress, MemberId, RoomId, StreamId};
use crate::proto::ice::IceAgent;
use crate::time::Mono;
use crate::videoroom::state::Room;

/// A room with everything that its packets need.
pub struct HostedRoom {
    slot: u32,
    room: Room,
    peers: Table<Peer>,
    streams: Table<Stream>,
    legs: Table<Leg>,
    forwarders: Table<Forwarder>,
    remotes: Table<Remote>,
    /// Streams that got packets in this turn.
    touched_streams: Vec<StreamId>,
    /// Peers with something in their outbox.
    touched_peers: Vec<MemberId>,
    /// What of the turn goes to forwarders: streams, encodings and ranges of their packets.
    forwarding: Vec<(StreamId, usize, Range<u64>)>,
    /// Releases so far.
    releases: usize,
}

impl HostedRoom {
    /// An empty room in a slot of the shard.
    pub fn new(slot: u32, room: Room) -> HostedRoom {
        HostedRoom {
            slot,
            room,
            peers: Table::default(),
            streams: Table::default(),
            legs: Table::default(),
            forwarders: Table::default(),
            remotes: Table::default(),
            touched_streams: Vec::new(),
            touched_peers: Vec::new(),
            forwarding: Vec::new(),
            releases: 0,
        }
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.room.wiring().spec().room
    }

    /// Which paths a member's peer has been heard on.
    pub fn ice(&self, member: MemberId) -> Option<&IceAgent> {
        self.peers.get(member.0).map(|peer| &peer.ice)
    }

    /// For `list`.
    pub fn summary(&self) -> RoomSummary {
        self.room.wiring().summary()
    }

    /// The rules, for questions that change nothing.
    pub fn rules(&self) -> &Room {
        &self.room
    }

    /// One request of one handle; the reply is ready to be sent before the consequences are.
    pub fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        from: HandleAddress,
        request: MemberRequest,
        reply: impl FnOnce(&mut Turn<'_>, Reply),
    ) {
        if matches!(request, MemberRequest::Leave | MemberRequest::Unpublish)
            && let Some(member) = self.room.roster().member(from)
        {
            self.observe_last_media(turn, member);
        }
        let mut effects = Vec::new();
        let mut answer = self.room.handle(from, request, &mut effects);
        self.open_peers(turn, &answer, &mut effects);
        self.complete_reply(turn, from, &mut answer);
        reply(turn, answer);
        self.apply(turn, effects);
    }

    /// A request of whoever knows the room's secret.
    pub fn administer(
        &mut self,
        turn: &mut Turn<'_>,
        secret: Option<&str>,
        mut request: Administration,
        reply: impl FnOnce(&mut Turn<'_>, Reply),
    ) {
        if let Err(refusal) = HostedRoom::find_port(turn, &mut request) {
            return reply(turn, Reply::Refused(refusal));
        }
        if let Some(refusal) = self.unreachable(turn, &request) {
            return reply(turn, Reply::Refused(refusal));
        }
        let mut effects = Vec::new();
        let mut answer = self.room.administer(secret, request, &mut effects);
        self.complete_forwarders(turn, &mut answer);
        reply(turn, answer);
        self.apply(turn, effects);
    }

    /// A handle hangs up or is gone.
    pub fn teardown(&mut self, turn: &mut Turn<'_>, from: HandleAddress, kind: Teardown) {
        if let Some(member) = self.room.roster().member(from) {
            self.observe_last_media(turn, member);
        }
        let mut effects = Vec::new();
        self.room.teardown(from, kind, &mut effects);
        if kind == Teardown::Detach && effects.is_empty() {
            // It had joined another room of this id, which is gone; it still waits to hear that it is detached.
            turn.tell(&[from], Event::Detached);
        }
        self.apply(turn, effects);
    }

    /// Ends the room; afterwards the shard drops it.
    pub fn destroy(
        &mut self,
        turn: &mut Turn<'_>,
        secret: Option<&str>,
        reply: impl FnOnce(&mut Turn<'_>),
    ) -> Result<(), RoomError> {
        let mut effects = Vec::new();
        self.room.destroy(secret, &mut effects)?;
        reply(turn);
        self.apply(turn, effects);
        Ok(())
    }

    /// The peer connection of a member is gone, and not because the room said so.
    fn peer_lost(&mut self, turn: &mut Turn<'_>, member: MemberId, reason: HangupReason) {
        self.observe_last_media(turn, member);
        self.observe_loss(turn, member, reason);
        if let Some(peer) = self.peers.take(member.0) {
            peer.close(turn);
        }
        let mut effects = Vec::new();
        self.room.peer_down(member, reason, &mut effects);
        self.apply(turn, effects);
    }

    /// Peers, streams and legs held.
    pub fn held(&self) -> Held {
        Held {
            peers: self.peers.len(),
            streams: self.streams.len(),
            legs: self.legs.len(),
            forwarders: self.forwarders.len(),
        }
    }

    /// Whom to tell when the room has failed.
    pub fn addresses(&self) -> Vec<HandleAddress> {
        self.room.roster().addresses().collect()
    }

    /// Gives memory back; the room has ended or failed.
    pub fn reclaim(&mut self, turn: &mut Turn<'_>) {
        for peer in self.peers.drain() {
            peer.close(turn);
        }
        for stream in self.streams.drain() {
            for layer in &stream.layers {
                turn.state.region.give_back(&layer.history);
            }
        }
    }

    /// A failed room's memory, without asking anything in it to act.
    pub fn write_off(&self, region: &mut crate::media::memory::HistoryRegion) {
        for layer in self.streams.iter().flat_map(|(_, stream)| &stream.layers) {
            region.give_back(&layer.history);
        }
    }

    fn key(&self, member: MemberId) -> PeerKey {
        PeerKey { room: self.slot, member }
    }

    /// Has a peer looked at no later than there is something to be done for it.
    fn rearm(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(peer) = self.peers.get(member.0) else { return };
        let (prompt, lax) = if peer.is_connected() {
            // What names an SSRC waits until one is known; the next report looks again.
            let streams = peer.streams.iter().filter_map(|id| self.streams.get(id.0));
            let nameable = streams.filter(|stream| stream.ssrc().is_some());
            let wishes = nameable.map(|stream| stream.keyframes.due().min(stream.nack_deadline()));
            let wishes = wishes.min().unwrap_or(Mono::NEVER);
            let feedback = self.published_ssrc(member).map_or(Mono::NEVER, |_| peer.feedback.deadline());
            let cap = self.video_ssrc(member).map_or(Mono::NEVER, |_| peer.cap.deadline());
            (wishes, peer.report_at.min(feedback).min(cap))
        } else {
            (Mono::NEVER, peer.connect_by)
        };
        let prompt = prompt.min(peer.dtls.deadline());
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        turn.state.timers.arm(peer.key, &mut peer.planned, Urgency::Prompt, prompt);
        turn.state.timers.arm(peer.key, &mut peer.planned, Urgency::Lax, lax);
    }
}

/// What a room holds on the packet path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub peers: usize,
    pub streams: usize,
    pub legs: usize,
    pub forwarders: usize,
}

/// A table beside one of the room's own: the room mints the indexes.
struct Table<T> {
    slots: Vec<Option<T>>,
    used: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Vec::new(), used: 0 }
    }
}

impl<T> Table<T> {
    fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    fn put(&mut self, index: u32, value: T) {
        let index = index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.used += usize::from(self.slots[index].is_none());
        self.slots[index] = Some(value);
    }

    fn take(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.take()?;
        self.used -= 1;
        Some(value)
    }

    fn len(&self) -> usize {
        self.used
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        // The room's indexes are 32-bit.
        self.slots.iter().enumerate().filter_map(|(i, slot)| slot.as_ref().map(|value| (i as u32, value)))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    fn drain(&mut self) -> impl Iterator<Item = T> {
        self.used = 0;
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}
