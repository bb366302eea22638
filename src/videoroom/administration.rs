//! What the room's secret is for, beside ending the room: changing it, throwing participants out, muting their streams.

use super::room::tell;
use super::secret;
use super::state::{Role, Room, Wiring};
use crate::control::command::{Event, Reply};
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::observation::RoomObservation;
use crate::control::request::{Administration, Allow, Edit, Named};
use crate::id::{FeedId, LegId, MemberId};
use crate::wire::sdp::Mid;

impl Room {
    /// A request about the room, from whoever knows its secret. The reply goes out first, then the effects take place
    /// in their order.
    pub fn administer(&mut self, secret: Option<&str>, request: Administration, effects: &mut Vec<Effect>) -> Reply {
        let authorized = secret::check("secret", self.wiring.spec.secret.as_deref(), secret);
        let reply = authorized.and_then(|()| match request {
            Administration::Edit(edit) => Ok(self.edit(edit)),
            Administration::Allow(allow) => self.allow(allow),
            Administration::Kick(feed) => self.kick(feed, effects),
            Administration::Moderate { feed, mid, mute } => self.moderate(feed, mid, mute, effects),
            Administration::Record(false) => Ok(Reply::Recording(false)),
            Administration::Record(true) => Err(RoomError::NotYet("enable_recording")),
            Administration::ListForwarders => Ok(Reply::Forwarders(self.wiring.room(), self.forwarded())),
            Administration::Forward(forward) => self.forward(forward, effects),
            Administration::StopForward { feed, stream_id } => self.stop_forward(feed, stream_id, effects),
            Administration::Remotize(wish) => self.remotize(wish, effects),
            Administration::Unremotize { feed, remote_id } => self.unremotize(feed, &remote_id, effects),
            Administration::AddRemote(add) => self.add_remote(*add, effects),
            Administration::UpdateRemote(update) => self.update_remote(*update, effects),
            Administration::RemoveRemote(feed) => self.remove_remote(&feed, effects),
            Administration::ListRemotes(feed) => self.remotes(feed),
            Administration::Vet(named) => self.vet(named),
        });
        reply.unwrap_or_else(Reply::Refused)
    }

    fn edit(&mut self, edit: Edit) -> Reply {
        let spec = &mut self.wiring.spec;
        let Edit { description, secret, pin, is_private, require_pvtid, bitrate, fir_freq, publishers, permanent } =
            edit;
        spec.description = description.unwrap_or_else(|| spec.description.clone());
        spec.secret = secret.or_else(|| spec.secret.take());
        spec.pin = pin.or_else(|| spec.pin.take());
        spec.is_private = is_private.unwrap_or(spec.is_private);
        spec.require_pvtid = require_pvtid.unwrap_or(spec.require_pvtid);
        spec.bitrate = bitrate.unwrap_or(spec.bitrate);
        spec.fir_freq = fir_freq.unwrap_or(spec.fir_freq);
        spec.publishers = publishers.unwrap_or(spec.publishers);
        Reply::Edited(self.wiring.room(), permanent.then(|| Box::new(self.whole_spec())))
    }

    fn allow(&mut self, allow: Allow) -> Result<Reply, RoomError> {
        match allow {
            Allow::Enable => self.allowed.check(true),
            Allow::Disable => {
                self.allowed.check(false);
                return Ok(Reply::Allowed(self.wiring.room(), None));
            }
            Allow::Add(tokens) => self.allowed.add(tokens)?,
            Allow::Remove(tokens) => self.allowed.remove(&tokens),
            Allow::Unreadable => return Err(RoomError::NotAString("allowed")),
        }
        Ok(Reply::Allowed(self.wiring.room(), Some(self.allowed.tokens())))
    }

    /// The participant is out at once, as if it had left. Others hear `kicked` alone.
    fn kick(&mut self, feed: FeedId, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let member = self.wiring.participant(&feed)?;
        if self.wiring.roster.publisher(member).is_dummy {
            return Err(RoomError::DummyUser);
        }
        let orphans = self.withdraw(member, effects);
        self.wiring.update_subscribers(orphans, effects);
        if self.wiring.spec.require_pvtid {
            self.wiring.silence(self.wiring.roster.publisher(member).private_id, effects);
        }
        let who = self.wiring.roster.publisher(member).who.clone();
        self.observe(member, effects, |_| RoomObservation::Kicked(who.clone()));
        tell(effects, self.wiring.roster.own(member), Event::Expelled(self.wiring.room()));
        tell(effects, self.wiring.roster.participants_except(Some(member)), Event::Kicked(self.wiring.room(), who));
        self.wiring.roster.finish(member, effects);
        Ok(Reply::Kicked)
    }

    /// Everybody is told, the publisher too, and also of what was so before.
    fn moderate(&mut self, feed: FeedId, mid: Mid, mute: bool, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let member = self.wiring.participant(&feed)?;
        let line = self.wiring.roster.publisher_mut(member).lines.iter_mut().find(|line| line.media.mid == mid);
        let line = line.ok_or(RoomError::NoSuchStream(Box::new(mid)))?;
        line.muted = mute;
        let legs: Vec<LegId> = line.stream.map_or(Vec::new(), |stream| self.wiring.streams[stream].legs.clone());
        self.wiring.settle(&legs, effects);
        self.route_forwarders(member, effects);
        self.wiring.watch_talking(member, effects);
        let moderated = RoomObservation::Moderated { feed: feed.clone(), mid, muted: mute };
        self.observe(member, effects, |_| moderated);
        let event = Event::Moderated { room: self.wiring.room(), feed, mid: mid.as_str().into(), muted: mute };
        tell(effects, self.wiring.roster.participants_except(None), event);
        Ok(Reply::Moderated)
    }

    fn vet(&self, named: Named) -> Result<Reply, RoomError> {
        match named {
            Named::Room => {}
            Named::Feed(feed) if self.wiring.roster.feeds.contains_key(&feed) => {}
            Named::Feed(feed) => return Err(RoomError::NoSuchFeed(feed)),
            Named::User(feed) => drop(self.wiring.participant(&feed)?),
        }
        Ok(Reply::Admitted(self.wiring.room()))
    }
}

impl Wiring {
    /// What somebody who was thrown out receives stops: the room lets nobody in who is not a participant.
    pub(super) fn silence(&mut self, private_id: u32, effects: &mut Vec<Effect>) {
        let owned: Vec<MemberId> = self.roster
            .members
            .iter()
            .filter(|(_, member)| {
                matches!(&member.role, Role::Subscriber(subscriber) if subscriber.private_id == Some(private_id))
            })
            .map(|(id, _)| id)
            .collect();
        for member in owned {
            let subscriber = self.roster.subscriber_mut(member);
            subscriber.is_silenced = true;
            let legs = subscriber.legs.clone();
            self.settle(&legs, effects);
        }
    }

    pub(super) fn participant(&self, feed: &FeedId) -> Result<MemberId, RoomError> {
        self.roster.feeds.get(feed).copied().ok_or_else(|| RoomError::NoSuchUser(feed.clone(), self.room()))
    }
}
