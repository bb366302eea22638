//! A media shard's reply: the next step of the request that waits for it, or its answer.

use super::duty::{DutyKind, subject};
use super::gather::Answer;
use super::operators::MachineRequest;
use super::permanent::Permanent;
use super::plugin::{Exchange, ForOwner, Step};
use super::{SignallingEngine, Waiting, size};
use crate::control::command::{Command, Reply};
use crate::control::error::RoomError;
use crate::control::request::{Administration, MemberRequest};
use crate::id::{RoomId, ShardId, Ticket};
use crate::proto::session::handle::{Role, Seat};
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::videoroom::{render, translate};
use crate::wire::janus::envelope::Notice;
use crate::wire::janus::events::Subject;

impl SignallingEngine {
    pub(super) fn handle_reply(&mut self, now: Now, ticket: Ticket, from: ShardId, reply: Reply) {
        match self.tickets.take(ticket) {
            None => self.handle_late_reply(now, from, reply),
            Some(Waiting::Plugin(exchange, step)) => self.advance(now, from, exchange, step, reply),
            Some(Waiting::Gather(id, from)) => {
                let finished = match Answer::of_reply(reply) {
                    Some(answer) => self.gather.answer(id, from, answer),
                    None => self.gather.missing(id, from, PluginError::Unexpected),
                };
                self.tell_gathered(now, finished);
            }
            Some(Waiting::Inquiry(inquiry)) => self.conclude_inquiry(now, *inquiry, Ok(reply)),
            Some(Waiting::Capture(request)) => self.conclude_capture(&request, Ok(reply)),
            Some(Waiting::Duty(id)) => self.duty_done(now, id, reply),
        }
    }

    /// Nobody waits any more, but what the shards have recorded must not stay behind.
    fn handle_late_reply(&mut self, now: Now, from: ShardId, reply: Reply) {
        self.drops.reply_late += 1;
        match reply {
            Reply::Claimed { room, owner, fresh: true } => self.release(now, room, owner),
            Reply::Destroyed(room) => self.release(now, room, from),
            _ => {}
        }
    }

    pub(super) fn release(&mut self, now: Now, room: RoomId, owner: ShardId) {
        self.take_on(now.mono, DutyKind::Release { room, owner });
    }

    fn advance(&mut self, now: Now, from: ShardId, exchange: Exchange, step: Step, reply: Reply) {
        if let (Step::Create { .. }, Reply::Created(room), Some(warning)) = (&step, &reply, exchange.warning) {
            self.operators.request(MachineRequest::Warn(room.clone(), warning));
        }
        match (step, reply) {
            (Step::Claim(..), Reply::Claimed { room, fresh: false, .. }) => {
                self.finish(now, exchange, Err(RoomError::RoomExists(room).into()));
            }
            (Step::Claim(mut spec, permanent), Reply::Claimed { room, owner, fresh: true }) => {
                translate::name_room(&mut spec, room.clone());
                let step = Step::Create { room, owner, keep: permanent.then(|| spec.clone()) };
                self.ask(now.mono, owner, Command::Create(spec), Waiting::Plugin(exchange, step));
            }
            (Step::FindOwner(request), Reply::Owner(owner)) => self.owner_found(now, exchange, *request, owner),
            (Step::CheckPin(error), Reply::Admitted(_)) => self.finish(now, exchange, Err(error)),
            (step, Reply::Refused(error)) => self.abandon(now, exchange, step, error.into()),
            (Step::Destroy { permanent }, Reply::Destroyed(room)) => {
                self.release(now, room.clone(), from);
                if permanent {
                    self.keep(now, exchange, Reply::Destroyed(room.clone()), Permanent::Forget(room));
                } else {
                    self.finish_with(now, exchange, &Reply::Destroyed(room));
                }
            }
            (Step::Create { keep: Some(spec), .. }, Reply::Created(room)) => {
                self.keep(now, exchange, Reply::Created(room), Permanent::Keep(spec));
            }
            (Step::Ask, Reply::Edited(room, Some(spec))) => {
                self.keep(now, exchange, Reply::Edited(room, None), Permanent::Keep(spec));
            }
            (Step::Member, Reply::Postponed) => self.finish_silently(now, &exchange),
            (Step::Join, reply @ (Reply::Joined(_) | Reply::Attached(_))) => {
                let role = if matches!(reply, Reply::Joined(_)) { Role::Publisher } else { Role::Subscriber };
                self.set_role(&exchange, role);
                self.finish_with(now, exchange, &reply);
            }
            (Step::Member, reply @ (Reply::PublisherLeft(_) | Reply::SubscriberLeft(_))) => {
                self.set_role(&exchange, Role::Finished);
                self.finish_with(now, exchange, &reply);
            }
            (
                Step::Member,
                reply @ (Reply::Configured(_)
                | Reply::Unpublished(_)
                | Reply::Started(_)
                | Reply::Paused(_)
                | Reply::Updated(_)
                | Reply::Updating(_)
                | Reply::Switched(_)),
            )
            | (Step::Create { .. }, reply @ Reply::Created(_))
            | (
                Step::Ask,
                reply @ (Reply::Exists(..)
                | Reply::Participants(..)
                | Reply::Edited(..)
                | Reply::Allowed(..)
                | Reply::Kicked
                | Reply::Moderated
                | Reply::Recording(_)
                | Reply::Forwarders(..)
                | Reply::Forwarding(_)
                | Reply::ForwardStopped(..)
                | Reply::Remotized(..)
                | Reply::Unremotized(..)
                | Reply::Remotes(..)
                | Reply::RemoteAdded { .. }
                | Reply::RemoteDone),
            ) => {
                self.finish_with(now, exchange, &reply);
            }
            (step, _) => {
                self.drops.reply_unexpected += 1;
                self.abandon(now, exchange, step, PluginError::Unexpected);
            }
        }
    }

    fn finish_with(&mut self, now: Now, exchange: Exchange, reply: &Reply) {
        if let Err(error) = self.check_size(&exchange, size::of_reply(reply)) {
            return match reply {
                Reply::Joined(_) | Reply::Attached(_) => self.unseat(now, exchange, error),
                _ => self.finish(now, exchange, Err(error)),
            };
        }
        if let Some(notice) = render::preface(exchange.name(), reply) {
            self.answer(&exchange, Ok(notice));
        }
        self.observe_reply(now, &exchange, reply);
        let answer: Option<Notice> = render::answer(exchange.name(), reply, exchange.warning);
        self.finish(now, exchange, answer.ok_or(PluginError::Unexpected));
    }

    /// What was asked for by a handle, or by an operator without one, is news.
    pub(super) fn observe_reply(&mut self, now: Now, exchange: &Exchange, reply: &Reply) {
        let address = self.address(exchange.session, exchange.handle);
        let of = match exchange.is_administration {
            true => Subject::default(),
            false => subject(&self.sessions, &self.duties, address),
        };
        self.observers.reply(now, of, reply);
    }

    /// The registrar has said who owns the room.
    fn owner_found(&mut self, now: Now, exchange: Exchange, request: ForOwner, owner: Option<ShardId>) {
        let Some(owner) = owner else {
            let result = match request {
                ForOwner::Exists(room) => Ok(render::exists(exchange.name(), &room, false)),
                request => Err(RoomError::NoSuchRoom(request.room().clone()).into()),
            };
            return self.finish(now, exchange, result);
        };
        let (command, step) = match request {
            ForOwner::Destroy(room, secret, permanent) => {
                (Command::Destroy { room, secret }, Step::Destroy { permanent })
            }
            ForOwner::Administer(room, secret, request) => (Command::Administer { room, secret, request }, Step::Ask),
            ForOwner::Exists(room) => (Command::Exists(room), Step::Ask),
            ForOwner::Participants(room) => (Command::Participants(room), Step::Ask),
            ForOwner::WrongJoin(room, pin, is_signed, error) => {
                (Command::CheckPin { room, pin, is_signed }, Step::CheckPin(error))
            }
            ForOwner::WrongAdministration(room, secret, named, error) => {
                let request = Box::new(Administration::Vet(named));
                (Command::Administer { room, secret, request }, Step::CheckPin(error))
            }
            ForOwner::Join(room, join) => return self.join(now, exchange, room, owner, join),
        };
        self.ask(now.mono, owner, command, Waiting::Plugin(exchange, step));
    }

    /// The seat is noted before the room answers: whatever happens now, the room will hear of the handle's end.
    fn join(&mut self, now: Now, exchange: Exchange, room: RoomId, owner: ShardId, join: Box<MemberRequest>) {
        let Some(handle) = self.sessions.handle_mut(exchange.session, exchange.handle) else { return };
        handle.seat = Some(Seat { room: room.clone(), owner, role: Role::Joining });
        let command = self.member_command(&exchange, room, join);
        self.ask(now.mono, owner, command, Waiting::Plugin(exchange, Step::Join));
    }

    pub(super) fn set_role(&mut self, exchange: &Exchange, role: Role) {
        let handle = self.sessions.handle_mut(exchange.session, exchange.handle);
        if let Some(seat) = handle.and_then(|handle| handle.seat.as_mut())
            // A room may have ended in the meantime; that is final.
            && seat.role != Role::Finished
        {
            seat.role = role;
        }
    }

    /// A request ends without the answer it wanted: what it had prepared is undone.
    pub(super) fn abandon(&mut self, now: Now, exchange: Exchange, step: Step, error: PluginError) {
        let may_have_happened = matches!(error, PluginError::Late | PluginError::Unexpected);
        match step {
            Step::Keep(reply) => return self.finish_kept(now, exchange, &reply, false),
            Step::Create { room, owner, .. } if !may_have_happened => self.release(now, room, owner),
            Step::Join if may_have_happened => self.set_role(&exchange, Role::Finished),
            Step::Join => {
                if let Some(handle) = self.sessions.handle_mut(exchange.session, exchange.handle) {
                    handle.seat = None;
                }
            }
            _ => {}
        }
        self.finish(now, exchange, Err(error));
    }
}
