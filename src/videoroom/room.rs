//! One VideoRoom: its members, who publishes what and who subscribes to it. Requests and news of peers go in, a reply
//! and effects come out. What a publisher and a subscriber may ask for is in `publisher` and `subscriber`; here is
//! what both have in common: seats, the end of a peer connection, of a membership and of the room.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::line::Stream;
use super::secret;
use super::state::{Forwarders, Member, Peer, Publisher, Role, Room, RoomGauges, Roster, Seat, Wiring};
use super::table::Table;
use crate::control::command::{Event, HangupReason, Reply, Teardown};
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::observation::RoomObservation;
use crate::control::request::MemberRequest;
use crate::control::spec::RoomSpec;
use crate::control::summary::{ParticipantSummary, RoomSummary};
use crate::control::talking::TalkChange;
use crate::id::{HandleAddress, MemberId, Name, RoomId, StreamId};
use crate::limits::MEMBERS_PER_ROOM_MAX;
use crate::wire::sdp::{MediaKind, Mid};

impl Room {
    /// An empty room.
    pub fn new(mut spec: RoomSpec, rng: ChaCha20Rng) -> Room {
        // Nobody who asks what the room was made with needs to know the tokens.
        let allowed = std::mem::take(&mut spec.allowed);
        let roster = Roster { members: Table::new(), seats: BTreeMap::new(), feeds: BTreeMap::new() };
        let wiring = Wiring { spec, roster, streams: Table::new(), legs: Table::new() };
        let forwarding = Forwarders { forwarders: Table::new(), remotizations: Vec::new(), remotizations_made: 0 };
        let mut room = Room { wiring, forwarding, allowed, rng, watched: false };
        room.seat_dummy();
        room
    }

    /// Who is in the room.
    pub fn roster(&self) -> &Roster {
        &self.wiring.roster
    }

    /// Who hears whom, and what the room was made with.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Has the room observed for event handlers, or not any more.
    pub fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Lets event handlers know of a member, if any want to.
    pub(super) fn observe(
        &self,
        member: MemberId,
        effects: &mut Vec<Effect>,
        what: impl FnOnce(&Room) -> RoomObservation,
    ) {
        if self.watched
            && let Some(of) = self.wiring.roster.address(member)
        {
            effects.push(Effect::Observe { of, what: Box::new(what(self)) });
        }
    }

    /// One request of one handle. The reply goes out first, then the effects take place in their order.
    pub fn handle(&mut self, from: HandleAddress, request: MemberRequest, effects: &mut Vec<Effect>) -> Reply {
        let reply = match self.wiring.roster.seats.get(&from) {
            None => self.admit(from, request, effects),
            Some(&Seat::Member(member)) => self.serve(member, request, effects),
            Some(Seat::Finished) if is_join(&request) => Err(RoomError::HandleFinished),
            Some(Seat::Finished) => Err(self.wiring.not_here()),
        };
        reply.unwrap_or_else(Reply::Refused)
    }

    /// Ends the peer connection or the membership of a handle; one that has none is left as it is.
    pub fn teardown(&mut self, from: HandleAddress, kind: Teardown, effects: &mut Vec<Effect>) {
        match (kind, self.wiring.roster.seats.get(&from)) {
            (_, None) | (Teardown::Hangup | Teardown::OperatorHangup, Some(Seat::Finished)) => {}
            (Teardown::Hangup, Some(&Seat::Member(member))) => {
                self.peer_down(member, HangupReason::JanusApi, effects);
            }
            (Teardown::OperatorHangup, Some(&Seat::Member(member))) => {
                self.peer_down(member, HangupReason::AdminApi, effects);
            }
            (Teardown::Detach, Some(&seat)) => {
                if let Seat::Member(member) = seat {
                    self.detach(member, effects);
                }
                self.wiring.roster.seats.remove(&from);
                tell(effects, vec![from], Event::Detached);
            }
        }
    }

    /// Ends the room: everybody is out afterwards, and the room is to be dropped.
    ///
    /// # Errors
    /// When the room has a secret and another one or none is given; nothing happens then.
    pub fn destroy(&mut self, secret: Option<&str>, effects: &mut Vec<Effect>) -> Result<(), RoomError> {
        secret::check("secret", self.wiring.spec.secret.as_deref(), secret)?;
        tell(effects, self.wiring.roster.participants_except(None), Event::Destroyed(self.wiring.room()));
        effects.extend(self.wiring.legs.ids().into_iter().map(Effect::RemoveLeg));
        effects.extend(self.forwarding.forwarders.ids().into_iter().map(Effect::RemoveForwarder));
        effects.extend(self.wiring.streams.ids().into_iter().map(Effect::RemoveStream));
        let connected: Vec<MemberId> = self.wiring.roster.with_peer().map(|(id, _)| id).collect();
        let addresses = connected.iter().filter_map(|&id| self.wiring.roster.members[id].address).collect();
        effects.extend(connected.into_iter().map(Effect::ClosePeer));
        tell(effects, addresses, Event::Hangup(HangupReason::ClosePc));
        self.wiring.roster.members.clear();
        self.wiring.streams.clear();
        self.wiring.legs.clear();
        self.forwarding.forwarders.clear();
        self.forwarding.remotizations.clear();
        self.wiring.roster.seats.clear();
        self.wiring.roster.feeds.clear();
        Ok(())
    }

    /// The engine says that the member's peer connection is up.
    pub fn peer_up(&mut self, member: MemberId, effects: &mut Vec<Effect>) {
        let Some(Peer::Connecting) = self.wiring.roster.peer(member) else { return };
        self.wiring.roster.members[member].peer = Peer::Up;
        let own = self.wiring.roster.own(member);
        match &self.wiring.roster.members[member].role {
            Role::Publisher(_) => {
                self.announce(member, RoomObservation::Published, effects);
                tell(effects, own, Event::WebrtcUp);
            }
            Role::Subscriber(_) => {
                tell(effects, own, Event::WebrtcUp);
                self.observe(member, effects, |_| RoomObservation::Subscribed);
                self.wiring.request_keyframes(member, effects);
            }
        }
    }

    /// The engine says that the member's peer connection is lost: `ClosePeer` is pushed as for every other end. A
    /// publisher may publish again; a subscriber is finished and can only leave.
    pub fn peer_down(&mut self, member: MemberId, reason: HangupReason, effects: &mut Vec<Effect>) {
        if !self.wiring.roster.has_peer(member) {
            return;
        }
        match &self.wiring.roster.members[member].role {
            Role::Publisher(_) => {
                let orphans = self.withdraw(member, effects);
                self.wiring.update_subscribers(orphans, effects);
                self.wiring.roster.close_peer(member, effects);
                self.tell_unpublished(member, effects);
            }
            Role::Subscriber(_) => {
                self.observe_unsubscribed(member, effects);
                self.wiring.remove_legs(member, effects);
                self.wiring.roster.close_peer(member, effects);
            }
        }
        tell(effects, self.wiring.roster.own(member), Event::Hangup(reason));
    }

    /// The engine says that somebody began or stopped talking. Everybody hears it, the talker too.
    pub fn talking_changed(&mut self, stream: StreamId, change: TalkChange, effects: &mut Vec<Effect>) {
        if self.wiring.streams.get(stream).is_none() {
            return;
        }
        self.wiring.streams[stream].talking = change.talking;
        let Stream { publisher: member, mindex, .. } = self.wiring.streams[stream];
        let publisher = self.wiring.roster.publisher(member);
        let (feed, mid) = (publisher.who.id.clone(), publisher.lines[mindex].media.mid);
        let talking = RoomObservation::Talking { feed: feed.clone(), mindex, mid, change };
        self.observe(member, effects, |_| talking);
        let event = Event::Talking { room: self.wiring.room(), feed, mindex, mid: mid.as_str().into(), change };
        tell(effects, self.wiring.roster.participants_except(None), event);
    }

    /// What another room would have to be made with to be like this one: the tokens are part of it.
    pub(super) fn whole_spec(&self) -> RoomSpec {
        RoomSpec { allowed: self.allowed.clone(), ..self.wiring.spec.clone() }
    }

    /// What the room holds now.
    pub fn gauges(&self) -> RoomGauges {
        let publishers = self.wiring.roster.publishers().count();
        RoomGauges {
            publishers,
            subscribers: self.wiring.roster.members.len() - publishers,
            finished: self.wiring.roster.seats.values().filter(|seat| matches!(seat, Seat::Finished)).count(),
            peers: self.wiring.roster.with_peer().count(),
            streams: self.wiring.streams.len(),
            legs: self.wiring.legs.len(),
            forwarders: self.forwarding.forwarders.len(),
        }
    }

    fn admit(
        &mut self,
        from: HandleAddress,
        request: MemberRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        if self.wiring.roster.seats.len() >= MEMBERS_PER_ROOM_MAX && is_join(&request) {
            return Err(RoomError::Exhausted("members of the room"));
        }
        match request {
            MemberRequest::JoinPublisher(join) => self.join_publisher(from, join, effects),
            MemberRequest::JoinSubscriber(join) => self.join_subscriber(from, join, effects),
            // The handle joined a room of the same id that has been destroyed since.
            _ => Err(self.wiring.not_here()),
        }
    }

    pub(super) fn serve(
        &mut self,
        member: MemberId,
        request: MemberRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        match (&self.wiring.roster.members[member].role, request) {
            (Role::Publisher(_), request) if is_join(&request) => Err(RoomError::AlreadyPublisher),
            (Role::Subscriber(_), request) if is_join(&request) => Err(RoomError::AlreadySubscriber),
            (Role::Publisher(_), MemberRequest::Configure(configure)) => self.configure(member, configure, effects),
            (Role::Publisher(_), MemberRequest::Unpublish) => self.unpublish(member, effects),
            (Role::Publisher(_), MemberRequest::Leave) => Ok(self.leave_publisher(member, effects)),
            (Role::Subscriber(_), MemberRequest::Start(answer)) => {
                self.wiring.start(member, answer.as_deref(), effects)
            }
            (Role::Subscriber(_), MemberRequest::Answering(request, answer)) => {
                self.serve_with_answer(member, *request, &answer, effects)
            }
            (Role::Subscriber(_), MemberRequest::Pause) => Ok(self.wiring.pause(member, effects)),
            (Role::Subscriber(_), MemberRequest::ConfigureSubscriber(configure)) => {
                self.wiring.configure_subscriber(member, configure, effects)
            }
            (Role::Subscriber(_), MemberRequest::Update(update)) => self.update(member, &update, effects),
            (Role::Subscriber(_), MemberRequest::Switch(switch)) => self.switch(member, &switch, effects),
            (Role::Subscriber(_), MemberRequest::Leave) => Ok(self.leave_subscriber(member, effects)),
            (_, request) => Err(RoomError::UnknownRequest(name(&request).into())),
        }
    }

    fn detach(&mut self, member: MemberId, effects: &mut Vec<Effect>) {
        match &self.wiring.roster.members[member].role {
            Role::Publisher(_) => {
                if self.wiring.roster.has_peer(member) {
                    let orphans = self.withdraw(member, effects);
                    self.wiring.update_subscribers(orphans, effects);
                    self.wiring.roster.close_peer(member, effects);
                }
                // Janus says both of everybody, also of those who have not published.
                self.tell_unpublished(member, effects);
                self.tell_leaving(member, effects);
            }
            Role::Subscriber(_) => {
                self.wiring.remove_legs(member, effects);
                self.wiring.roster.close_peer(member, effects);
            }
        }
        self.wiring.roster.remove_member(member);
    }
}

impl Roster {
    /// Whether the member's peer connection is up.
    pub fn is_up(&self, member: MemberId) -> bool {
        self.peer(member) == Some(Peer::Up)
    }

    /// The engine says that media of a member's m-line started or stopped arriving, and for how long none came.
    pub fn media_changed(
        &self,
        member: MemberId,
        mid: Mid,
        kind: MediaKind,
        receiving: bool,
        seconds: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(member) = self.members.get(member) {
            tell(effects, own(member), Event::Media { mid: mid.as_str().into(), kind, receiving, seconds });
        }
    }

    /// The engine says that a member's m-line has lost packets: `uplink` when we sent them.
    pub fn slow_link(
        &self,
        member: MemberId,
        (mid, kind): (Mid, MediaKind),
        uplink: bool,
        lost: u32,
        effects: &mut Vec<Effect>,
    ) {
        let Some(member) = self.members.get(member) else { return };
        let notice = match &member.role {
            Role::Publisher(publisher) => Event::SlowPublisher { bitrate: publisher.bitrate },
            Role::Subscriber(_) => Event::SlowSubscriber,
        };
        tell(effects, own(member), Event::SlowLink { mid: mid.as_str().into(), kind, uplink, lost });
        tell(effects, own(member), notice);
    }

    /// Whose handle the member is.
    pub fn address(&self, member: MemberId) -> Option<HandleAddress> {
        self.members.get(member)?.address
    }

    /// Which member the handle is; none before it has joined and after it has left.
    pub fn member(&self, handle: HandleAddress) -> Option<MemberId> {
        match self.seats.get(&handle) {
            Some(&Seat::Member(member)) => Some(member),
            Some(Seat::Finished) | None => None,
        }
    }

    /// The handles of all members.
    pub fn addresses(&self) -> impl Iterator<Item = HandleAddress> {
        self.members.iter().filter_map(|(_, member)| member.address)
    }

    /// Takes the member out; its peer connection is closed and its streams or legs are removed.
    pub(super) fn remove_member(&mut self, member: MemberId) {
        let member = self.members.remove(member);
        assert_eq!(member.peer, Peer::None, "a member goes after its peer connection");
        if let Role::Publisher(publisher) = member.role {
            self.feeds.remove(&publisher.who.id);
        }
    }

    /// Ends the membership, but not the handle's place in the room: it can do nothing more in any room.
    pub(super) fn finish(&mut self, member: MemberId, effects: &mut Vec<Effect>) {
        let address = self.members[member].address;
        if self.close_peer(member, effects) {
            tell(effects, self.own(member), Event::Hangup(HangupReason::ClosePc));
        }
        self.remove_member(member);
        self.seats.extend(address.map(|address| (address, Seat::Finished)));
    }

    /// Closes the peer connection if there is one, and says whether there was.
    pub(super) fn close_peer(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> bool {
        let open = self.has_peer(member);
        if open {
            self.members[member].peer = Peer::None;
            effects.push(Effect::ClosePeer(member));
        }
        open
    }

    pub(super) fn has_peer(&self, member: MemberId) -> bool {
        self.peer(member).is_some_and(|peer| peer != Peer::None)
    }

    pub(super) fn peer(&self, member: MemberId) -> Option<Peer> {
        self.members.get(member).map(|member| member.peer)
    }

    pub(super) fn with_peer(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.members.iter().filter(|(_, member)| member.peer != Peer::None)
    }

    pub(super) fn publishers(&self) -> impl Iterator<Item = (MemberId, &Member, &Publisher)> {
        self.members.iter().filter_map(|(id, member)| match &member.role {
            Role::Publisher(publisher) => Some((id, member, publisher)),
            Role::Subscriber(_) => None,
        })
    }

    /// Everybody who hears of participants: publisher-role handles, attendees included.
    pub(super) fn participants_except(&self, member: Option<MemberId>) -> Vec<HandleAddress> {
        self.publishers().filter(|(id, ..)| Some(*id) != member).filter_map(|(_, member, _)| member.address).collect()
    }

    /// The member's own handle.
    pub(super) fn own(&self, member: MemberId) -> Vec<HandleAddress> {
        self.members.get(member).map_or(Vec::new(), own)
    }

    /// Whether there is something of the member to subscribe to.
    pub(super) fn is_live(&self, member: MemberId) -> bool {
        self.members.get(member).is_some_and(|member| match &member.role {
            Role::Publisher(publisher) => member.peer == Peer::Up || publisher.is_dummy && !publisher.lines.is_empty(),
            Role::Subscriber(_) => false,
        })
    }
}

impl Wiring {
    /// The engine says that the member's peer connection goes on with another DTLS association (RFC 8842 §5). What it
    /// publishes others know; what it receives begins anew.
    pub fn peer_replaced(&self, member: MemberId, effects: &mut Vec<Effect>) {
        if self.roster.is_up(member) {
            tell(effects, self.roster.own(member), Event::WebrtcUp);
            if matches!(self.roster.members[member].role, Role::Subscriber(_)) {
                self.request_keyframes(member, effects);
            }
        }
    }

    /// Whether a token that was signed for the room, or not, and a pin open it.
    ///
    /// # Errors
    /// When the room asks for such a token, or has a pin and another one or none is given.
    pub fn check_entry(&self, is_signed: bool, given: Option<&str>) -> Result<(), RoomError> {
        if self.spec.signed_tokens && !is_signed {
            return Err(RoomError::Unauthorized("token"));
        }
        secret::check("pin", self.spec.pin.as_deref(), given)
    }

    /// What the room was made with.
    pub fn spec(&self) -> &RoomSpec {
        &self.spec
    }

    /// For `list`.
    pub fn summary(&self) -> RoomSummary {
        RoomSummary { spec: self.spec.clone(), participants: self.roster.feeds.len() }
    }

    /// For `listparticipants`.
    pub fn participants(&self) -> Vec<ParticipantSummary> {
        self.roster
            .publishers()
            .map(|(id, member, publisher)| ParticipantSummary {
                who: publisher.who.clone(),
                dummy: publisher.is_dummy,
                remote: publisher.is_remote,
                publisher: member.peer == Peer::Up || publisher.is_dummy,
                talking: self.talking(id).filter(|_| member.peer == Peer::Up),
            })
            .collect()
    }

    pub(super) fn room(&self) -> RoomId {
        self.spec.room.clone()
    }

    /// Whether ids of this server are texts: those of participants are of the room id's kind.
    pub(super) fn has_text_ids(&self) -> bool {
        matches!(self.spec.room.0, Name::Text(_))
    }

    pub(super) fn not_here(&self) -> RoomError {
        RoomError::NoSuchRoom(self.room())
    }
}

/// Tells somebody, if there is anybody.
pub(super) fn tell(effects: &mut Vec<Effect>, to: Vec<HandleAddress>, event: Event) {
    if !to.is_empty() {
        effects.push(Effect::Tell { to, event });
    }
}

fn own(member: &Member) -> Vec<HandleAddress> {
    member.address.into_iter().collect()
}

/// A random number but 0 that is not in use yet, and is from now on.
pub(super) fn unused(taken: &mut BTreeSet<u32>, rng: &mut ChaCha20Rng) -> u32 {
    loop {
        let number = rng.next_u32();
        if number != 0 && taken.insert(number) {
            return number;
        }
    }
}

fn is_join(request: &MemberRequest) -> bool {
    matches!(request, MemberRequest::JoinPublisher(_) | MemberRequest::JoinSubscriber(_))
}

fn name(request: &MemberRequest) -> &'static str {
    match request {
        MemberRequest::JoinPublisher(_) | MemberRequest::JoinSubscriber(_) => "join",
        MemberRequest::Configure(configure) if configure.publish => "publish",
        MemberRequest::Configure(_) | MemberRequest::ConfigureSubscriber(_) => "configure",
        MemberRequest::Unpublish => "unpublish",
        MemberRequest::Leave => "leave",
        MemberRequest::Start(_) => "start",
        MemberRequest::Pause => "pause",
        MemberRequest::Answering(request, _) => name(request),
        MemberRequest::Update(_) => "update",
        MemberRequest::Switch(_) => "switch",
    }
}
