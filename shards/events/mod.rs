//! The delivery of events to handlers: for each a bounded queue and a thread of its own, which may wait for the other side
//! as long as it must. Who has events puts them in and goes on; what finds no room is shed and counted.

pub mod endpoint;
mod http;
mod stream;
mod webhook;
mod websocket;

use crate::affinity;
use crate::config::handlers::Handlers;
use portunus::signalling::{Delivery, HandlerEvent};
use portunus::wire::janus::events::{Kind, Mask};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Events of one handler that wait take no more memory than this, however few they are.
const QUEUE_BYTES: usize = 16 << 20;
/// Events that travel together, as in Janus.
const GROUP_MAX: usize = 100;
/// Signalling on the same CPU goes first.
const NICENESS: i32 = 10;
/// The longest pause before another try.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What became of a handler's events.
#[derive(Debug, Default)]
struct Counts {
    /// Those that wait, and their bytes.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    sent: AtomicU64,
    /// Further tries, not events.
    retried: AtomicU64,
    shed: AtomicU64,
    /// No try succeeded, or the other side did not want them.
    undelivered: AtomicU64,
}

/// What goes through a queue: an event, or that none will come any more.
type Word = Option<Arc<str>>;

/// The names of a handler's counts: sent, retried; shed, undelivered.
type Names = [&'static str; 4];
const WEBHOOK: Names =
    ["event_webhook_sent", "event_webhook_retried", "event_webhook_shed", "event_webhook_undelivered"];
const WEBSOCKET: Names =
    ["event_websocket_sent", "event_websocket_retried", "event_websocket_shed", "event_websocket_undelivered"];

/// Where a signalling shard hands its events over. Nothing here ever waits.
#[derive(Clone)]
pub struct Post(Vec<Outlet>);

#[derive(Clone)]
struct Outlet {
    mask: Mask,
    lane: SyncSender<Word>,
    counts: Arc<Counts>,
    names: Names,
}

impl Post {
    /// Takes an event for every handler that wants its type and has room.
    pub fn put(&self, event: HandlerEvent) {
        let HandlerEvent { kind, text } = event;
        let text: Arc<str> = text.into();
        self.0.iter().for_each(|outlet| outlet.put(kind, &text));
    }

    /// How the delivery fares.
    pub fn delivery(&self) -> Delivery {
        let mut delivery = Delivery::default();
        for Outlet { counts, names: [sent, retried, shed, undelivered], .. } in &self.0 {
            let count = |name, counter: &AtomicU64| (name, counter.load(Ordering::Relaxed));
            delivery.counters.extend([count(*sent, &counts.sent), count(*retried, &counts.retried)]);
            delivery.drops.extend([count(*shed, &counts.shed), count(*undelivered, &counts.undelivered)]);
        }
        delivery
    }
}

impl Outlet {
    fn put(&self, kind: Kind, text: &Arc<str>) {
        if !self.mask.wants(kind) {
            return;
        }
        let Counts { waiting, waiting_bytes, shed, .. } = &*self.counts;
        let before = waiting_bytes.fetch_add(text.len(), Ordering::Relaxed);
        waiting.fetch_add(1, Ordering::Relaxed);
        if before + text.len() > QUEUE_BYTES || self.lane.try_send(Some(text.clone())).is_err() {
            waiting_bytes.fetch_sub(text.len(), Ordering::Relaxed);
            waiting.fetch_sub(1, Ordering::Relaxed);
            shed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The other end of a handler's queue.
struct Queue {
    lane: Receiver<Word>,
    counts: Arc<Counts>,
    /// Events taken at a time.
    group: usize,
    is_ended: bool,
}

impl Queue {
    /// Waits for events; none when there are not any yet.
    ///
    /// # Errors
    /// There will never be any more.
    fn take(&mut self, patience: Duration) -> Result<Vec<Arc<str>>, Ended> {
        let mut events = Vec::new();
        let mut next = if self.is_ended { Ok(None) } else { self.lane.recv_timeout(patience) };
        while let Ok(Some(event)) = next {
            events.push(event);
            if events.len() == self.group {
                return Ok(events);
            }
            next = self.lane.recv_timeout(Duration::ZERO);
        }
        self.is_ended = matches!(next, Ok(None) | Err(RecvTimeoutError::Disconnected));
        if self.is_ended && events.is_empty() { Err(Ended) } else { Ok(events) }
    }

    /// What was taken needs no place any more.
    fn done(&self, events: &[Arc<str>], counter: &AtomicU64) {
        let bytes = events.iter().map(|event| event.len()).sum();
        self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.counts.waiting.fetch_sub(events.len(), Ordering::Relaxed);
        counter.fetch_add(u64::try_from(events.len()).unwrap_or_default(), Ordering::Relaxed);
    }

    fn retried(&self) {
        self.counts.retried.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nobody has events any more.
struct Ended;

/// Several events as a JSON array; with `group` 1, the one as it is.
fn join(events: &[Arc<str>], group: usize) -> String {
    match events {
        [event] if group == 1 => event.to_string(),
        events => format!("[{}]", events.join(",")),
    }
}

/// The pause before try number `tries`, from 1 on.
fn backoff(step: Duration, tries: u32) -> Duration {
    step.saturating_mul(1 << (tries - 1).min(16)).min(BACKOFF_MAX)
}

/// Tells of the beginning and the end of trouble, and not of every try in between.
struct Trouble {
    with: String,
    is_there: bool,
}

impl Trouble {
    fn with(endpoint: &endpoint::Endpoint) -> Trouble {
        Trouble { with: endpoint.to_string(), is_there: false }
    }

    fn found(&mut self, what: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.is_there, true) {
            warn!("events cannot be delivered to {}: {what}", self.with);
        }
    }

    fn over(&mut self) {
        if std::mem::replace(&mut self.is_there, false) {
            info!("events are delivered to {} again", self.with);
        }
    }
}

/// The threads that deliver.
pub struct Threads {
    ended: Receiver<()>,
    handlers: Vec<(SyncSender<Word>, Arc<Counts>)>,
}

/// Starts the handlers on a CPU that has no media. No post when there are none.
pub fn start(handlers: Handlers, cpu: usize) -> io::Result<(Option<Post>, Threads)> {
    let (end, ended) = channel();
    let (mut outlets, mut lanes) = (Vec::new(), Vec::new());
    let Handlers { webhook, websocket, queue, .. } = handlers;
    let mut open = |mask, grouping, names| {
        let (sender, lane) = sync_channel(queue);
        let counts = Arc::new(Counts::default());
        lanes.push((sender.clone(), counts.clone()));
        outlets.push(Outlet { mask, lane: sender, counts: counts.clone(), names });
        Queue { lane, counts, group: if grouping { GROUP_MAX } else { 1 }, is_ended: false }
    };
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        let end = end.clone();
        let whole = move || {
            affinity::pin(cpu);
            // SAFETY: takes numbers only; on Linux 0 is this thread alone. Refused, it is no worse than before.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
            run();
            // Nobody listens once the patience is over.
            let _ = end.send(());
        };
        thread::Builder::new().name(name.into()).spawn(whole).map(drop)
    };
    if let Some(webhook) = webhook {
        let queue = open(webhook.events, webhook.grouping, WEBHOOK);
        spawn("event-webhook", Box::new(move || webhook::run(webhook, queue)))?;
    }
    if let Some(websocket) = websocket {
        let queue = open(websocket.events, websocket.grouping, WEBSOCKET);
        spawn("event-websocket", Box::new(move || websocket::run(websocket, queue)))?;
    }
    let post = if outlets.is_empty() { None } else { Some(Post(outlets)) };
    Ok((post, Threads { ended, handlers: lanes }))
}

impl Threads {
    /// Lets them deliver what waits, for so long; nobody has events any more.
    pub fn finish(self, patience: Duration) {
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        for (lane, _) in &self.handlers {
            // A full queue has room again soon, or its other side is stuck.
            while lane.try_send(None).is_err() && !left().is_zero() {
                thread::sleep(Duration::from_millis(10));
            }
        }
        if !self.handlers.iter().all(|_| self.ended.recv_timeout(left()).is_ok()) {
            let waiting = self.handlers.iter().map(|(_, counts)| counts.waiting.load(Ordering::Relaxed));
            warn!("{} events were not delivered before the end", waiting.sum::<usize>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(depth: usize, group: usize) -> (Outlet, Queue) {
        let (sender, lane) = sync_channel(depth);
        let counts = Arc::new(Counts::default());
        let mask = Mask::parse("jsep").unwrap();
        let outlet = Outlet { mask, lane: sender, counts: counts.clone(), names: WEBHOOK };
        (outlet, Queue { lane, counts, group, is_ended: false })
    }

    #[test]
    fn what_finds_no_room_is_shed_and_what_is_not_wanted_is_not_there() {
        let (outlet, mut queue) = pair(2, 100);
        for text in ["1", "2", "3"] {
            outlet.put(Kind::Jsep, &text.into());
        }
        outlet.put(Kind::Core, &"4".into());
        let taken = queue.take(Duration::ZERO).ok().unwrap();
        assert_eq!(join(&taken, queue.group), "[1,2]");
        queue.done(&taken, &queue.counts.sent);
        let counts = &queue.counts;
        assert_eq!((counts.sent.load(Ordering::Relaxed), counts.shed.load(Ordering::Relaxed)), (2, 1));
        assert_eq!((counts.waiting.load(Ordering::Relaxed), counts.waiting_bytes.load(Ordering::Relaxed)), (0, 0));
        assert!(queue.take(Duration::ZERO).ok().unwrap().is_empty());
        let shown = Post(vec![outlet.clone()]).delivery();
        assert_eq!(shown.drops, [("event_webhook_shed", 1), ("event_webhook_undelivered", 0)]);
        outlet.put(Kind::Jsep, &"5".into());
        outlet.lane.send(None).unwrap();
        assert_eq!(queue.take(Duration::ZERO).ok().unwrap().len(), 1);
        assert!(queue.take(Duration::from_secs(60)).is_err(), "none will come any more");
    }

    #[test]
    fn few_large_events_fill_a_queue_too() {
        let (outlet, mut queue) = pair(100, 1);
        let large: Arc<str> = "x".repeat(QUEUE_BYTES / 2).into();
        for _ in 0..3 {
            outlet.put(Kind::Jsep, &large);
        }
        assert_eq!(queue.counts.shed.load(Ordering::Relaxed), 1);
        let taken = queue.take(Duration::ZERO).ok().unwrap();
        assert_eq!(taken.len(), 1, "one at a time");
        assert_eq!(join(&taken, 1).len(), large.len());
        queue.done(&taken, &queue.counts.sent);
        outlet.put(Kind::Jsep, &large);
        assert_eq!(queue.counts.shed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let step = Duration::from_millis(100);
        assert_eq!([1, 2, 5].map(|tries| backoff(step, tries).as_millis()), [100, 200, 1600]);
        assert_eq!(backoff(step, 60), BACKOFF_MAX);
        assert_eq!(backoff(Duration::ZERO, 9), Duration::ZERO);
    }
}
