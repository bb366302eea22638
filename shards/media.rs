//! A media shard: one pinned thread, one ring, one engine, and the turn that connects them.

use crate::affinity;
use crate::clock::{Clock, Reading};
use crate::fault::fatal;
use crate::inbox::Inbox;
use crate::mailbox::MediaPost;
use crate::ring::{Completion, Ring, RingError, Token};
use crate::socket::MediaSockets;
use crate::udp::Udp;
use io_uring::{opcode, types};
use portunus::id::SignallingId;
use portunus::limits::COMMANDS_PER_TURN;
use portunus::media::engine::{MediaConfig, MediaEngine};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use std::{io, thread};
use tracing::{info, warn};

/// Completions taken in one turn, so that mail and timers are never kept waiting by a flood.
const TURN_BATCH: usize = 256;

/// How often a turn looks for datagrams. Without the second look a shard sends a burst in two parts, which costs it a
/// tenth (`perf/run.sh loops`).
const TURN_LOOKS: usize = 4;

/// How soon mail is tried again that found its lane full.
const LANE_RETRY: Duration = Duration::from_millis(1);

/// What a shard is made from.
pub struct MediaParts {
    /// Where it runs.
    pub cpu: usize,
    /// The shared clock.
    pub clock: Clock,
    /// The least time between two turns.
    pub coalesce: Duration,
    /// Its engine's configuration.
    pub config: MediaConfig,
    /// Its sockets, in the order of the configuration's.
    pub sockets: MediaSockets,
    pub post: MediaPost,
}

/// Starts the thread. It ends only with the process: a shard that fails takes the process with it.
pub fn spawn(parts: MediaParts) -> io::Result<()> {
    let number = parts.config.shard.0;
    let run = move || {
        let cpu = parts.cpu;
        if !affinity::pin(cpu) {
            warn!("media shard {number} cannot be pinned to CPU {cpu} and runs anywhere");
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| MediaShard::new(parts)?.run()));
        match outcome {
            Ok(Err(error)) => fatal(format_args!("media shard {number} stops: {error}")),
            Err(_) => fatal(format_args!("media shard {number} panicked outside of any room")),
        }
    };
    thread::Builder::new().name(format!("media-{number}")).spawn(run).map(drop)
}

struct MediaShard {
    // The ring in `udp` is dropped first: it writes into the inbox's buffers and polls the bell in `post`.
    udp: Udp,
    inbox: Inbox,
    engine: MediaEngine,
    post: MediaPost,
    clock: Clock,
    batch: Vec<Completion>,
    sockets: MediaSockets,
    signalling_shards: u8,
    coalesce: Duration,
}

impl MediaShard {
    /// Takes its memory, on the thread and CPU that will use it.
    fn new(parts: MediaParts) -> Result<MediaShard, RingError> {
        let MediaParts { clock, coalesce, config, sockets, post, .. } = parts;
        let count = u16::try_from(sockets.sockets.len()).expect("the configuration allows no more");
        let mut ring = Ring::new(Inbox::completions(count))?;
        let mut files: Vec<_> = sockets.sockets.iter().map(|socket| socket.as_raw_fd()).collect();
        files.push(post.door().bell().as_raw_fd());
        ring.register_files(&files).map_err(RingError::Use)?;
        let inbox = Inbox::new(&mut ring, count)?;
        let (signalling_shards, number) = (config.signalling_shards, config.shard.0);
        let engine = MediaEngine::new(config);
        let batch = Vec::with_capacity(TURN_BATCH);
        if !coalesce.is_zero() && !ring.can_gather() {
            info!("media shard {} wakes for each datagram: --coalesce needs Linux 6.12", number);
        }
        let udp = Udp::new(ring, &sockets.sockets).map_err(RingError::Use)?;
        let mut shard = MediaShard { udp, inbox, engine, post, clock, batch, sockets, signalling_shards, coalesce };
        shard.listen()?;
        Ok(shard)
    }

    fn run(&mut self) -> Result<std::convert::Infallible, RingError> {
        loop {
            self.sleep().map_err(RingError::Use)?;
            self.turn()?;
        }
    }

    /// One turn: completions, one reading of the clock, datagrams, commands, timers, what is to be sent, mail.
    fn turn(&mut self) -> Result<(), RingError> {
        let reading = self.clock.read();
        let now = reading.now;
        // The first datagram of a burst wakes us: what has come while it was dealt with goes out with it.
        for _ in 0..TURN_LOOKS {
            self.udp.ring.reap(&mut self.batch, TURN_BATCH);
            if !self.complete(&reading)? {
                break;
            }
            self.udp.ring.wait(Duration::ZERO, Some(Duration::ZERO)).map_err(RingError::Use)?;
        }
        for _ in 0..COMMANDS_PER_TURN {
            let Some(envelope) = self.post.take() else { break };
            self.engine.handle_command(now, envelope, &mut self.udp);
        }
        self.engine.handle_timeout(now, &mut self.udp);
        self.engine.release(now, &mut self.udp);
        for to in (0..self.signalling_shards).map(SignallingId) {
            while let Some(mail) = self.engine.poll_mail(to) {
                if let Err(mail) = self.post.put(to.0, mail) {
                    self.engine.mail_refused(to, mail);
                    break;
                }
            }
        }
        while let Some(notice) = self.engine.poll_notice() {
            warn!("{notice}");
        }
        self.post.ring();
        self.udp.machine.turns += 1;
        *self.engine.machine() = self.udp.machine;
        Ok(())
    }

    /// Deals with a batch of completions. Whether there were datagrams among them.
    fn complete(&mut self, reading: &Reading) -> Result<bool, RingError> {
        let mut batch = std::mem::take(&mut self.batch);
        let mut received = false;
        for completion in &batch {
            match completion.token {
                Token::Receive(socket) => {
                    let Udp { ring, machine, .. } = &mut self.udp;
                    if let Some(datagram) = self.inbox.open(ring, socket, completion, reading, machine)? {
                        let (at, received, bytes) = (datagram.at, datagram.received, datagram.bytes);
                        self.engine.handle_datagram(reading.now, at, received, bytes, &mut self.udp);
                    }
                    self.inbox.give_back(completion);
                    received = true;
                }
                Token::Doorbell => self.rung(completion)?,
                Token::Send { .. } => {} // read by the flush that it belonged to
            }
        }
        batch.clear();
        self.batch = batch;
        Ok(received)
    }

    /// The one wait of a turn: until something completes, somebody rings, or the engine's next deadline. What comes soon
    /// after the turn before waits for company; what comes later wakes us at once.
    fn sleep(&mut self) -> io::Result<()> {
        let mut timeout = self.clock.until(self.engine.deadline());
        if self.engine.has_mail() {
            // A lane is full; its reader does not ring when it has made room.
            timeout = Some(timeout.map_or(LANE_RETRY, |timeout| timeout.min(LANE_RETRY)));
        }
        self.post.door().prepare_sleep();
        let idle = self.post.is_empty();
        let outcome = self.udp.ring.wait(self.coalesce, if idle { timeout } else { Some(Duration::ZERO) });
        self.post.door().woken();
        outcome
    }

    fn rung(&mut self, completion: &Completion) -> Result<(), RingError> {
        self.udp.machine.doorbells += 1;
        self.post.door().bell().reset();
        if let Err(errno) = completion.result {
            return Err(RingError::Use(io::Error::from_raw_os_error(errno)));
        }
        if completion.more { Ok(()) } else { self.listen() }
    }

    /// Polls the doorbell, which is the last of the registered files.
    fn listen(&mut self) -> Result<(), RingError> {
        let bell = u32::try_from(self.sockets.sockets.len()).expect("few");
        let poll = opcode::PollAdd::new(types::Fixed(bell), libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.udp.ring.push(poll, Token::Doorbell) }.map_err(RingError::Use)
    }
}
