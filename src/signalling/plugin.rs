//! A VideoRoom request on its way out: acknowledged, put in its handle's order, and turned into the first command of
//! the few that it takes.

use rand_chacha::rand_core::Rng;
use simd_json::borrowed::Value;

use super::core::unix_seconds;
use super::{SignallingEngine, Waiting};
use crate::control::command::{Command, Reply};
use crate::control::error::RoomError;
use crate::control::placement::{candidates, registrar};
use crate::control::request::{Administration, MemberRequest, Named};
use crate::control::spec::RoomSpec;
use crate::id::{FeedId, HandleAddress, HandleId, RoomId, SessionId, ShardId};
use crate::proto::session::handle::{Role, Seat};
use crate::proto::session::token::Tokens;
use crate::proto::session::{Asker, handle};
use crate::secret::is_same;
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::videoroom::json::error::RequestError;
use crate::videoroom::json::forward::is_locked;
use crate::videoroom::json::request::Request;
use crate::videoroom::json::{PACKAGE, administration, room};
use crate::videoroom::{render, translate};
use crate::wire::janus::envelope::Notice;
use crate::wire::janus::field::Fields;
use crate::wire::janus::{admin, envelope};
use crate::wire::sdp::{Description, DescriptionKind};

/// One request of a client, for its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub session: SessionId,
    pub handle: HandleId,
    /// Synchronous answers go there; the others go where the session's events go.
    pub asker: Asker,
    pub transaction: Box<str>,
    pub synchronous: bool,
    /// An operator's, by `message_plugin`, with neither session nor handle.
    pub is_administration: bool,
    /// Said beside the answer: what was asked for and has no effect.
    pub warning: Option<&'static str>,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Step {
    /// An owner for a new room, perhaps a permanent one.
    Claim(Box<RoomSpec>, bool),
    /// The owner to make it; what is to be kept then.
    Create {
        room: RoomId,
        owner: ShardId,
        keep: Option<Box<RoomSpec>>,
    },
    /// The owner's name, to go on with.
    FindOwner(Box<ForOwner>),
    /// The owner to end it, for ever or not.
    Destroy {
        permanent: bool,
    },
    /// The machine to write it down; the reply is answered then.
    Keep(Reply),
    /// The owner's word on a room, or what it did to it.
    Ask,
    /// The owner's word on the pin or secret, before the client hears what else is wrong.
    CheckPin(PluginError),
    Join,
    /// The room's answer to a member.
    Member,
}

/// What to do once a room's owner is known.
#[derive(Debug)]
pub(super) enum ForOwner {
    Destroy(RoomId, Option<Box<str>>, bool),
    Administer(RoomId, Option<Box<str>>, Box<Administration>),
    Exists(RoomId),
    Participants(RoomId),
    Join(RoomId, Box<MemberRequest>),
    /// A join with this pin, and with a signed token or none, that is wrong in itself: Janus tells of a missing room and of the pin first.
    WrongJoin(RoomId, Option<Box<str>>, bool, PluginError),
    /// What needs this secret, and is wrong in a way that only those are told who know it.
    WrongAdministration(RoomId, Option<Box<str>>, Named, PluginError),
}

impl ForOwner {
    pub fn room(&self) -> &RoomId {
        match self {
            ForOwner::Destroy(room, ..)
            | ForOwner::Administer(room, ..)
            | ForOwner::Exists(room)
            | ForOwner::Participants(room)
            | ForOwner::Join(room, _)
            | ForOwner::WrongJoin(room, ..)
            | ForOwner::WrongAdministration(room, ..) => room,
        }
    }
}

/// How a request starts.
enum Start {
    Command(ShardId, Command, Step),
    List { private: bool },
}

impl SignallingEngine {
    /// A `message` whose envelope is in order.
    pub(super) fn handle_plugin_message(
        &mut self,
        now: Now,
        asker: Asker,
        transaction: &str,
        (session, handle): (SessionId, HandleId),
        body: &Value<'_>,
        description: Option<Box<Description>>,
    ) {
        let ids = self.ids;
        let request = Fields::of(body, ids).ok_or(PluginError::Unexpected);
        let request = request.and_then(|fields| Request::parse(fields).map_err(PluginError::from));
        let transaction: Box<str> = transaction.into();
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                let exchange = Exchange::new((session, handle), asker, transaction, true);
                return self.answer(&exchange, Err(error));
            }
        };
        if !request.is_synchronous() {
            self.say(asker, envelope::ack(session, &transaction));
        }
        let Some(state) = self.sessions.handle_mut(session, handle) else { return };
        let exchange = Exchange::new((session, handle), asker, transaction, request.is_synchronous());
        if state.is_idle() {
            state.begin();
            self.start(now, exchange, request, body, description);
        } else if state.is_full() {
            self.drops.handle_queue_full += 1;
            self.answer(&exchange, Err(PluginError::QueueFull));
        } else {
            let Exchange { transaction, .. } = exchange;
            state.wait(handle::Waiting { asker, transaction, body: body.clone_static(), description });
        }
    }

    /// An operator's request to the plugin; only what is answered at once.
    pub(super) fn message_plugin(&mut self, now: Now, asker: Asker, transaction: &str, body: &Value<'_>) {
        let nobody = (SessionId(0), HandleId(0));
        let exchange = Exchange { is_administration: true, ..Exchange::new(nobody, asker, transaction.into(), true) };
        let request = Fields::of(body, self.ids).ok_or(PluginError::Unexpected);
        match request.and_then(|fields| Request::parse(fields).map_err(PluginError::from)) {
            Ok(request) if request.is_synchronous() => self.start(now, exchange, request, body, None),
            Ok(request) => self.answer(&exchange, Err(RoomError::UnknownRequest(request.name().into()).into())),
            Err(error) => self.answer(&exchange, Err(error)),
        }
    }

    /// Starts the next request of a handle.
    fn start_next(&mut self, now: Now, session: SessionId, handle: HandleId) {
        let Some(state) = self.sessions.handle_mut(session, handle) else { return };
        let Some(handle::Waiting { asker, transaction, body, description }) = state.take_next() else { return };
        state.begin();
        let request = Fields::of(&body, self.ids).and_then(|fields| Request::parse(fields).ok());
        let request = request.expect("what waits was parsed when it came");
        let exchange = Exchange::new((session, handle), asker, transaction, request.is_synchronous());
        self.start(now, exchange, request, &body, description);
    }

    fn start(
        &mut self,
        now: Now,
        mut exchange: Exchange,
        request: Request,
        body: &Value<'_>,
        description: Option<Box<Description>>,
    ) {
        let start = Fields::of(body, self.ids).ok_or(PluginError::Unexpected);
        match start.and_then(|fields| self.translate(now, &mut exchange, request, fields, description)) {
            Ok(Start::Command(to, command, step)) => {
                self.ask(now.mono, to, command, Waiting::Plugin(exchange, step));
            }
            Ok(Start::List { private }) => self.gather_rooms(now, exchange, private),
            Err(error) => self.finish(now, exchange, Err(error)),
        }
    }

    /// Answers the request that its handle has in flight, and starts the next.
    pub(super) fn finish(&mut self, now: Now, exchange: Exchange, result: Result<Notice, PluginError>) {
        self.answer(&exchange, result);
        self.finish_silently(now, &exchange);
    }

    /// Nothing is said, and the next request starts.
    pub(super) fn finish_silently(&mut self, now: Now, exchange: &Exchange) {
        let &Exchange { session, handle, .. } = exchange;
        if let Some(state) = self.sessions.handle_mut(session, handle) {
            state.finish();
            self.start_next(now, session, handle);
        }
    }

    /// Says something to whoever waits for an answer.
    pub(super) fn answer(&mut self, exchange: &Exchange, result: Result<Notice, PluginError>) {
        let notice = result.unwrap_or_else(|error| {
            self.counters.plugin_errors += 1;
            render::error(exchange.name(), &error)
        });
        if exchange.is_administration {
            return self.say(exchange.asker, admin::response(&exchange.transaction, notice.data()));
        }
        let text = notice.address(exchange.session, exchange.handle, Some(&exchange.transaction));
        if exchange.synchronous {
            self.say(exchange.asker, text);
        } else if self.sessions.handle(exchange.session, exchange.handle).is_some() {
            self.tell(exchange.session, text);
        }
    }

    fn translate(
        &mut self,
        now: Now,
        exchange: &mut Exchange,
        request: Request,
        body: Fields<'_>,
        description: Option<Box<Description>>,
    ) -> Result<Start, PluginError> {
        match request {
            Request::Create => self.translate_create(exchange, body),
            Request::Destroy => {
                let room::Destroy { room, secret, permanent } = room::Destroy::parse(body)?;
                let secret = secret.map(Box::from);
                Ok(self.find_owner(match self.check_permanent(permanent, "destroy room permanently") {
                    Ok(()) => ForOwner::Destroy(room, secret, permanent),
                    Err(error) => ForOwner::WrongAdministration(room, secret, Named::Room, error),
                }))
            }
            request if request.is_administration() => self.translate_administration(request, body),
            Request::Exists => Ok(self.find_owner(ForOwner::Exists(room::parse_room(body)?))),
            Request::ListParticipants => Ok(self.find_owner(ForOwner::Participants(room::parse_room(body)?))),
            Request::List => {
                let private = match (&self.config.admin_key, room::parse_list(body)) {
                    (Some(key), Some(given)) if is_same(key, given) => true,
                    (Some(_), Some(_)) => return Err(RoomError::Unauthorized("admin_key").into()),
                    _ => false,
                };
                Ok(Start::List { private })
            }
            Request::Join | Request::JoinAndConfigure => self.translate_join(now, exchange, request, body, description),
            _ => self.translate_member(exchange, request, body, description),
        }
    }

    /// Behind the types of the elements Janus looks at the admin key, then at what lists hold, then at the room and its
    /// secret. What it would take, and this server does not, is told behind all of them.
    fn translate_administration(&self, request: Request, body: Fields<'_>) -> Result<Start, PluginError> {
        let checked = administration::check(request, body).map_err(PluginError::from);
        if checked.is_ok() && self.config.lock_rtp_forward && is_locked(request) {
            self.check_admin_key(body.text("admin_key"))?;
        }
        let asked = checked.and_then(|fields| {
            let asked = translate::administration(request, fields, &self.config.targets)?;
            self.check_permanent(asked.2.is_permanent(), "edit room permanently")?;
            Ok(asked)
        });
        match (asked, room::required_room(body)) {
            (Ok((room, secret, administration)), _) => {
                Ok(self.find_owner(ForOwner::Administer(room, secret, Box::new(administration))))
            }
            (Err(error), Ok(room)) if error.is_told_late() => {
                let feed = |name| body.id(name).map(FeedId);
                let named = match request {
                    Request::RtpForward | Request::PublishRemotely => feed("publisher_id").map(Named::Feed),
                    Request::Moderate => feed("id").map(Named::User),
                    _ => None,
                };
                let secret = administration::secret(body).map(Box::from);
                Ok(self.find_owner(ForOwner::WrongAdministration(room, secret, named.unwrap_or(Named::Room), error)))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn translate_create(&mut self, exchange: &mut Exchange, body: Fields<'_>) -> Result<Start, PluginError> {
        let fields = room::Create::check(body)?;
        self.check_admin_key(fields.text("admin_key"))?;
        let create = room::Create::parse(fields)?;
        if create.signed_tokens && !matches!(self.operators.tokens(), Tokens::Signed(_)) {
            // Janus would open the room to everybody.
            return Err(RequestError::Unsupported("signed_tokens").into());
        }
        exchange.warning = create.record.then_some("record has no effect yet");
        let spec = translate::room_spec(&create)?;
        self.check_permanent(create.permanent, "create permanent room")?;
        let (to, command) = self.claim_command(create.room);
        Ok(Start::Command(to, command, Step::Claim(Box::new(spec), create.permanent)))
    }

    fn check_admin_key(&self, given: Option<&str>) -> Result<(), RoomError> {
        match (&self.config.admin_key, given) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(RoomError::Missing("admin_key")),
            (Some(key), Some(given)) if is_same(key, given) => Ok(()),
            (Some(_), Some(_)) => Err(RoomError::Unauthorized("admin_key")),
        }
    }

    /// Whom to ask for an owner, and how.
    pub(super) fn claim_command(&mut self, room: Option<RoomId>) -> (ShardId, Command) {
        let shards = self.config.shards;
        let (to, owners) = match &room {
            Some(room) => (registrar(room, shards), candidates(room, shards)),
            None => {
                // An id is minted by any registrar, so that it hashes to that one.
                let random = self.rng.next_u64();
                let pick = |by: u64| ShardId(u8::try_from(by % u64::from(shards)).unwrap_or_default());
                (pick(random), [pick(random >> 16), pick(random >> 32)])
            }
        };
        let candidates = owners.map(|shard| (shard, self.loads[usize::from(shard.0)]));
        (to, Command::Claim { room, text: self.config.string_ids, candidates })
    }

    fn find_owner(&self, request: ForOwner) -> Start {
        let room = request.room().clone();
        let to = registrar(&room, self.config.shards);
        Start::Command(to, Command::FindOwner(room), Step::FindOwner(Box::new(request)))
    }

    /// Whether a token opens a room that asks for one.
    fn is_signed_for(&self, now: Now, room: &RoomId, token: &str) -> bool {
        let Tokens::Signed(key) = self.operators.tokens() else { return false };
        let rights = key.verify(unix_seconds(now), PACKAGE, token);
        rights.is_some_and(|rights| rights.contain(&format!("room={room}")))
    }

    fn translate_join(
        &self,
        now: Now,
        exchange: &Exchange,
        request: Request,
        body: Fields<'_>,
        description: Option<Box<Description>>,
    ) -> Result<Start, PluginError> {
        match self.sessions.handle(exchange.session, exchange.handle).and_then(|handle| handle.role()) {
            None => {}
            Some(Role::Publisher) => return Err(RoomError::AlreadyPublisher.into()),
            Some(Role::Subscriber) => return Err(RoomError::AlreadySubscriber.into()),
            Some(Role::Joining | Role::Finished) => return Err(RoomError::HandleFinished.into()),
        }
        let room = room::parse_join(body)?;
        let is_signed = body.text("token").is_some_and(|token| self.is_signed_for(now, &room, token));
        Ok(self.find_owner(match translate::join(request, body, description, is_signed) {
            Ok(join) => ForOwner::Join(room, Box::new(join)),
            Err(error) => ForOwner::WrongJoin(room, body.text("pin").map(Box::from), is_signed, error),
        }))
    }

    fn translate_member(
        &self,
        exchange: &Exchange,
        request: Request,
        body: Fields<'_>,
        mut description: Option<Box<Description>>,
    ) -> Result<Start, PluginError> {
        let handle = self.sessions.handle(exchange.session, exchange.handle);
        let Some(Seat { room, owner, role }) = handle.and_then(|handle| handle.seat.clone()) else {
            return Err(PluginError::JoinFirst);
        };
        let unknown = || PluginError::Room(RoomError::UnknownRequest(request.name().into()));
        let request = match (role, request) {
            (Role::Joining | Role::Finished, _) => return Err(RoomError::NoSuchRoom(room).into()),
            (Role::Publisher, Request::Publish | Request::Configure) => {
                let publish = request == Request::Publish;
                MemberRequest::Configure(translate::configure(publish, body, description.take())?)
            }
            (Role::Publisher, Request::Unpublish) => MemberRequest::Unpublish,
            (_, Request::Leave) => MemberRequest::Leave,
            (Role::Subscriber, _) if is_offer(description.as_deref()) => {
                return Err(RoomError::OnlyPublishersOffer.into());
            }
            (Role::Subscriber, Request::Start) => MemberRequest::Start(description.take()),
            (Role::Subscriber, Request::Pause) => MemberRequest::Pause,
            (Role::Subscriber, Request::Configure) => {
                MemberRequest::ConfigureSubscriber(translate::configure_subscriber(body)?)
            }
            (Role::Subscriber, Request::Subscribe | Request::Unsubscribe | Request::Update) => {
                MemberRequest::Update(translate::update(request, body)?)
            }
            (Role::Subscriber, Request::Switch) => MemberRequest::Switch(translate::switch(body)?),
            _ => return Err(unknown()),
        };
        // The answer to our offer may ride on any request.
        let request = match (role, description) {
            (Role::Subscriber, Some(answer)) if !matches!(request, MemberRequest::Leave) => {
                MemberRequest::Answering(Box::new(request), answer)
            }
            (_, _) => request,
        };
        let command = self.member_command(exchange, room, Box::new(request));
        Ok(Start::Command(owner, command, Step::Member))
    }

    pub(super) fn member_command(&self, exchange: &Exchange, room: RoomId, request: Box<MemberRequest>) -> Command {
        Command::Member { room, handle: self.address(exchange.session, exchange.handle), request }
    }

    /// How media shards name a handle of ours.
    pub(super) fn address(&self, session: SessionId, handle: HandleId) -> HandleAddress {
        HandleAddress { home: self.config.id, session, handle }
    }
}

impl Exchange {
    /// A request of a handle.
    fn new(
        (session, handle): (SessionId, HandleId),
        asker: Asker,
        transaction: Box<str>,
        synchronous: bool,
    ) -> Exchange {
        Exchange { session, handle, asker, transaction, synchronous, is_administration: false, warning: None }
    }

    /// What the answer is called.
    pub fn name(&self) -> &'static str {
        if self.synchronous { "success" } else { "event" }
    }
}

fn is_offer(description: Option<&Description>) -> bool {
    description.is_some_and(|description| description.kind == DescriptionKind::Offer)
}
