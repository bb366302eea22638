//! A signalling shard: one pinned thread with a glommio executor around one engine. Tasks bring bytes, mail and time to
//! the engine through the [`Driver`]; after every call the driver carries away what the engine wants done. The engine is
//! never borrowed across an await.

use crate::affinity;
use crate::clock::Clock;
use crate::config::rooms_file::Clerk;
use crate::events::Post;
use crate::fault::{StartError, fatal};
use crate::log::Log;
use crate::mailbox::{RelayPost, SignallingEnd, SignallingPost};
use crate::tcp::{Connection, Listener, Step, Wake};
use futures_lite::FutureExt;
use futures_lite::future::or;
use glommio::timer::{Timer, sleep};
use glommio::{LocalExecutorBuilder, Placement, spawn_local, yield_if_needed};
use portunus::id::SignallingId;
use portunus::limits::LANE_DEPTH;
use portunus::signalling::{ConnectionId, Fate, SignallingConfig, SignallingEngine};
use portunus::time::{Mono, Now};
use socket2::Socket;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracing::{debug, error, warn};

/// Bytes that may wait for a slow reader in the engine, beside those that its connection is writing; more ends it. Two of
/// the longest messages do.
pub const OUTBOX_BYTES: usize = 2 * portunus::limits::MESSAGE_JSON_MAX + (1 << 20);
/// Mail taken before other tasks get a turn.
const MAIL_BATCH: usize = 64;
/// The engine's timers are not finer than this.
const TIMER_MIN: Duration = Duration::from_millis(1);
/// After this the configured rooms will not come any more.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How old what `/healthz` shows of the delivery of events may be.
const DELIVERY_PERIOD: Duration = Duration::from_millis(100);
/// A drain takes no longer.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection that we close may take to read the last words.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept: usually there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a shard is made from.
pub struct SignallingParts {
    /// Where it runs.
    pub cpu: usize,
    /// The shared clock.
    pub clock: Clock,
    /// Its engine's configuration.
    pub config: SignallingConfig,
    /// Bound sockets, to listen on when the engine is ready.
    pub bound: Vec<Socket>,
    /// The same for operators.
    pub bound_for_operators: Vec<Socket>,
    /// What is logged.
    pub log: Log,
    /// Its lanes and its bell.
    pub end: SignallingEnd,
    /// Awaited before it listens: the shard that makes the configured rooms goes first.
    pub turn: Option<async_channel::Receiver<()>>,
    /// Told when it listens.
    pub next: Vec<async_channel::Sender<()>>,
    /// The number of a signal here drains the shard.
    pub drain: async_channel::Receiver<i32>,
    /// The way to the rooms file, if there is one.
    pub clerk: Option<Clerk>,
    /// Printed when clients may come.
    pub banner: Option<String>,
    /// Where events for handlers go.
    pub events: Option<Post>,
}

/// Starts the thread, which ends when it has drained or could not start; `ended` is told then whether all went well.
pub fn spawn(
    parts: SignallingParts,
    ended: impl FnOnce(bool) + Send + 'static,
) -> std::io::Result<JoinHandle<Result<(), StartError>>> {
    let number = parts.config.id.0;
    thread::Builder::new().name(format!("signalling-{number}")).spawn(move || {
        let cpu = parts.cpu;
        if !affinity::pin(cpu) {
            warn!("signalling shard {number} cannot be pinned to CPU {cpu} and runs anywhere");
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            // Pinned already. Little memory is registered: 8 MiB is a usual limit, and connections do not use it.
            let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).ring_depth(128);
            let executor = executor.make().map_err(|error| StartError::Executor(error.to_string()))?;
            executor.run(run(parts))
        }));
        ended(matches!(outcome, Ok(Ok(()))));
        outcome.unwrap_or_else(|_| fatal(format_args!("signalling shard {number} panicked")))
    })
}

/// The life of a shard: rooms are made, clients come, then a drain.
async fn run(parts: SignallingParts) -> Result<(), StartError> {
    let SignallingParts {
        clock,
        config,
        bound,
        bound_for_operators,
        log,
        end,
        turn,
        next,
        drain,
        banner,
        clerk,
        events,
        ..
    } = parts;
    let SignallingEnd { post, relays, heard } = end;
    let is_first = config.id == SignallingId(0);
    let driver = Rc::new(Driver::new(config, post, relays, clock, log, clerk, events));
    spawn_local(carry_mail(driver.clone(), heard)).detach();
    spawn_local(run_timers(driver.clone())).detach();
    spawn_local(take_rooms_written(driver.clone())).detach();

    let serving = async {
        let ready = async {
            driver.until(|driver| driver.engine.borrow().ready()).await;
            true
        };
        let late = async {
            sleep(READY_WITHIN).await;
            false
        };
        if !or(ready, late).await {
            return Err(StartError::Rooms);
        }
        if let Some(turn) = turn
            && turn.recv().await.is_err()
        {
            // The shard before us has failed; the end of all is on its way.
            futures_lite::future::pending::<()>().await;
        }
        let mut listening = Vec::new(); // dropped, and with it cancelled, when the drain begins
        let all = bound.into_iter().map(|socket| (socket, false));
        for (socket, is_operators) in all.chain(bound_for_operators.into_iter().map(|socket| (socket, true))) {
            let at = socket.local_addr().ok().and_then(|at| at.as_socket());
            let at = at.unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
            let listener = Listener::new(socket).map_err(|error| StartError::Listen(at, error))?;
            listening.push(spawn_local(accept(driver.clone(), listener, is_operators)));
        }
        if let Some(banner) = banner {
            crate::say(&banner);
        }
        for next in next {
            // One that has ended already needs no turn.
            let _ = next.try_send(());
        }
        futures_lite::future::pending().await
    };
    let asked = async {
        // A closed channel means that nobody can ask any more; that is as good as asking.
        Ok(drain.recv().await.unwrap_or_default())
    };
    let signal = or(serving, asked).await?;

    driver.with(|engine, now| engine.drain(now));
    let empty = driver.until(|driver| driver.engine.borrow().drained() && driver.writers.borrow().is_empty());
    or(empty, async {
        sleep(DRAIN_WITHIN).await;
        warn!("not everything has drained in {DRAIN_WITHIN:?}");
    })
    .await;
    if is_first {
        driver.with(|engine, now| engine.announce_end(now, signal));
    }
    Ok(())
}

/// The engine, and the way in and out of it.
struct Driver {
    engine: RefCell<SignallingEngine>,
    post: RefCell<SignallingPost>,
    relays: RefCell<RelayPost>,
    events: Option<Post>,
    /// When the engine is to hear next how events fare.
    events_at: Cell<Mono>,
    clock: Clock,
    log: Log,
    clerk: Option<Clerk>,
    /// By connection: wakes the task that writes.
    writers: RefCell<HashMap<ConnectionId, Rc<Wake>>>,
    /// Until when the timer task sleeps, and what wakes it earlier.
    timer_at: Cell<Mono>,
    timer: Wake,
    /// Notified after every call: the shard's own task looks whether a new part of life begins.
    called: Wake,
}

impl Driver {
    fn new(
        config: SignallingConfig,
        post: SignallingPost,
        relays: RelayPost,
        clock: Clock,
        log: Log,
        clerk: Option<Clerk>,
        events: Option<Post>,
    ) -> Driver {
        // They are the whole server's: one shard tells of them.
        let events_at = if config.id == SignallingId(0) && events.is_some() { Mono(0) } else { Mono::NEVER };
        let driver = Driver {
            engine: RefCell::new(SignallingEngine::new(config, clock.read().now)),
            post: RefCell::new(post),
            relays: RefCell::new(relays),
            events,
            events_at: Cell::new(events_at),
            clock,
            log,
            clerk,
            writers: RefCell::default(),
            timer_at: Cell::new(Mono(0)),
            timer: Wake::default(),
            called: Wake::default(),
        };
        driver.with(|_, _| {}); // what the engine wants done from the beginning
        driver
    }

    /// One call into the engine, and what follows from it.
    fn with<R>(&self, call: impl FnOnce(&mut SignallingEngine, Now) -> R) -> R {
        let now = self.clock.read().now;
        let mut engine = self.engine.borrow_mut();
        if let Some(events) = self.events.as_ref().filter(|_| self.events_at.get() <= now.mono) {
            engine.note_delivery(events.delivery());
            self.events_at.set(now.mono + DELIVERY_PERIOD);
        }
        let result = call(&mut engine, now);
        while let Some((ticket, what)) = engine.poll_permanent() {
            if !self.clerk.as_ref().is_some_and(|clerk| clerk.hand_in(ticket, what)) {
                warn!("a room is not permanent: too many wait for the disk");
                engine.handle_permanent(now, ticket, false);
            }
        }
        let mut post = self.post.borrow_mut();
        // A refused command may lead to another one; what is too much for one call is done after the next.
        for _ in 0..LANE_DEPTH {
            let Some((to, envelope)) = engine.poll_command() else { break };
            if let Err(envelope) = post.put(to.0, envelope) {
                engine.command_refused(now, to, envelope);
            }
        }
        post.ring();
        let mut relays = self.relays.borrow_mut();
        while let Some((to, relay)) = engine.poll_relay() {
            if let Err(relay) = relays.put(to.0, relay) {
                engine.relay_refused(now, to, relay);
            }
        }
        relays.ring();
        while let Some(order) = engine.poll_machine_request() {
            self.log.handle(order);
        }
        let writers = self.writers.borrow();
        while let Some(id) = engine.poll_touched() {
            if let Some(writer) = writers.get(&id) {
                writer.notify();
            }
        }
        while let Some(event) = engine.poll_handler_event() {
            if let Some(events) = &self.events {
                events.put(event);
            }
        }
        if engine.deadline() < self.timer_at.get() {
            self.timer.notify();
        }
        self.called.notify();
        result
    }

    /// The same behind an unwind boundary: a fault of ours in one call is logged and the shard goes on.
    fn guarded<R>(&self, what: &str, call: impl FnOnce(&mut SignallingEngine, Now) -> R) -> Option<R> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.with(call)));
        outcome.inspect_err(|_| error!("the signalling engine panicked at {what}; it goes on")).ok()
    }

    /// Waits until a condition holds after some call. Only the shard's own task waits so.
    async fn until(&self, condition: impl Fn(&Driver) -> bool) {
        while !condition(self) {
            self.called.wait().await;
        }
    }

    /// Carries bytes between one connection and the engine until one of them ends it.
    async fn serve(&self, id: ConnectionId, mut connection: Connection, wake: &Wake) -> std::io::Result<()> {
        loop {
            let step =
                connection.step(wake, |bytes| self.with(|engine, now| engine.handle_bytes(now, id, bytes))).await?;
            let fate = match step {
                Step::Ended => return or(connection.finish(), close_deadline()).await,
                // While it writes, the engine keeps what comes and ends a client that reads too slowly.
                _ if connection.pending() > 0 && self.engine.borrow().fate(id) == Fate::Open => Fate::Open,
                _ => self.with(|engine, _| engine.take_output(id, connection.out())),
            };
            match fate {
                Fate::Open => {}
                Fate::CloseAfterFlush => return or(connection.finish(), close_deadline()).await,
                Fate::Drop => return Ok(()),
            }
            yield_if_needed().await;
        }
    }
}

async fn close_deadline() -> std::io::Result<()> {
    sleep(FAREWELL_WITHIN).await;
    Ok(())
}

async fn accept(driver: Rc<Driver>, listener: Listener, is_operators: bool) {
    loop {
        match listener.accept().await {
            Ok((connection, peer)) => {
                spawn_local(handle_connection(driver.clone(), connection, peer, is_operators)).detach()
            }
            Err(error) => {
                debug!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        yield_if_needed().await;
    }
}

/// One connection from beginning to end; a panic in between ends only this.
async fn handle_connection(driver: Rc<Driver>, connection: Connection, peer: IpAddr, is_operators: bool) {
    let connected = driver.guarded("a new connection", |engine, now| {
        if is_operators { engine.operator_connected(now, peer) } else { engine.connected(now, peer) }
    });
    let Some(Some(id)) = connected else { return };
    let wake = Rc::new(Wake::default());
    driver.writers.borrow_mut().insert(id, wake.clone());
    match AssertUnwindSafe(driver.serve(id, connection, &wake)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("a connection of {peer} broke: {error}"),
        Err(_) => error!("the signalling engine panicked at a message of {peer}; the connection is closed"),
    }
    driver.writers.borrow_mut().remove(&id);
    driver.guarded("a closed connection", |engine, now| engine.closed(now, id));
}

async fn carry_mail(driver: Rc<Driver>, heard: async_channel::Receiver<()>) {
    let door = driver.post.borrow().door().clone();
    loop {
        for _ in 0..MAIL_BATCH {
            let mail = driver.post.borrow_mut().take();
            let relay = driver.relays.borrow_mut().take();
            if mail.is_none() && relay.is_none() {
                break;
            }
            if let Some(mail) = mail {
                driver.guarded("a reply or an event", |engine, now| engine.handle_mail(now, mail));
            }
            if let Some(relay) = relay {
                driver.guarded("a word of another shard", |engine, now| engine.handle_relay(now, relay));
            }
        }
        door.prepare_sleep();
        if driver.post.borrow().is_empty() && driver.relays.borrow().is_empty() {
            let _ = heard.recv().await; // the bell is at our own door, so that its channel never closes
        }
        door.woken();
        yield_if_needed().await;
    }
}

/// What came of rooms that were to be written down.
async fn take_rooms_written(driver: Rc<Driver>) {
    let Some(outcomes) = driver.clerk.as_ref().map(|clerk| clerk.outcomes.clone()) else { return };
    while let Ok((ticket, is_written)) = outcomes.recv().await {
        driver.guarded("a permanent room", |engine, now| engine.handle_permanent(now, ticket, is_written));
    }
}

async fn run_timers(driver: Rc<Driver>) {
    loop {
        let deadline = driver.engine.borrow().deadline();
        driver.timer_at.set(deadline);
        match driver.clock.until(deadline) {
            None => driver.timer.wait().await,
            Some(Duration::ZERO) => {
                driver.guarded("a deadline", |engine, now| engine.handle_timeout(now));
                sleep(TIMER_MIN).await;
            }
            Some(wait) => {
                let due = async {
                    Timer::new(wait).await;
                };
                or(due, driver.timer.wait()).await;
            }
        }
    }
}
