//! A peer connection of the other side, as a test holds it: orders go to its thread, and what the thread has seen is read
//! from its ledger.

use crate::agent::{Agent, fingerprint};
use crate::clock::wait_for;
use crate::crew::Crew;
use crate::media::{Heard, Speech};
use crate::sdp::Remote;
use portunus::proto::dtls::CloseReason;
use portunus::wire::sdp::{MediaKind, Setup, Transport};
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a test may tell a peer.
pub enum Order {
    /// Connect to this side.
    Meet(Box<Remote>),
    /// Begin to send, or send something else.
    Speak(Speech),
    /// Stop sending media.
    Hush,
    /// Stop sending checks.
    StopChecking,
    /// Say nothing more, of any kind.
    FallSilent,
    /// Ask the source of an m-line for a keyframe.
    AskKeyframe,
    /// Send these bytes as they are, from this peer's own address.
    Inject(Vec<u8>),
    /// Send close_notify.
    CloseDtls,
}

/// What a peer has seen and done.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Checks that were answered, authenticated.
    pub checks_answered: u64,
    /// The handshake is done.
    pub connected: bool,
    /// How DTLS ended.
    pub closed: Option<CloseReason>,
    /// Media by SSRC.
    pub heard: HashMap<u32, Heard>,
    /// SRTP or SRTCP that did not authenticate.
    pub unauthenticated: u64,
    /// Packets that came twice.
    pub replayed: u64,
    /// Authenticated packets with wrong contents.
    pub corrupt: u64,
    /// Datagrams that were nothing of all this, or came from elsewhere.
    pub strange: u64,
    /// Compound RTCP packets.
    pub reports: u64,
    /// Keyframes that we were asked for.
    pub keyframes_asked: u64,
    /// Orders that were carried out.
    pub obeyed: u64,
    /// Packets of audio and video that were sent.
    pub audio_sent: u32,
    pub video_sent: u32,
    /// One datagram of each kind as it was sent last: check, handshake, SRTP, SRTCP.
    pub samples: Samples,
}

/// Datagrams by kind; too long to be printed.
#[derive(Clone, Default)]
pub struct Samples(pub HashMap<&'static str, Vec<u8>>);

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.0.len())
    }
}

impl Ledger {
    /// What came of a kind from one publisher.
    pub fn of(&self, by: u32, kind: MediaKind) -> Option<&Heard> {
        self.heard.values().find(|heard| heard.by == by && heard.kind == kind)
    }
}

/// A peer, whose agent lives on a thread. Dropped, it falls silent without a word.
pub struct Peer {
    /// Its side of a description.
    pub local: Transport,
    /// Its SSRCs of audio and video; the first names it as a publisher.
    pub audio: u32,
    pub video: u32,
    ledger: Arc<Mutex<Ledger>>,
    orders: Option<Sender<Order>>,
    told: Cell<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Takes a port of `ip` in the network namespace of this thread.
    pub fn new(ip: IpAddr) -> Peer {
        let (agent, mut peer) = Peer::prepare(ip);
        peer.thread = Some(thread::spawn(move || agent.live()));
        peer
    }

    /// The same without a thread of its own.
    pub fn aboard(crew: &Crew, ip: IpAddr) -> Peer {
        let (agent, peer) = Peer::prepare(ip);
        crew.take(agent);
        peer
    }

    fn prepare(ip: IpAddr) -> (Agent, Peer) {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        // What the kernel grants without privileges is enough for the rates of the tests.
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("a socket");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let local = Transport {
            ufrag: format!("native{number}").into(),
            pwd: format!("a+password+of+native+{number:08}").into(),
            fingerprint: fingerprint(number),
            setup: Setup::Active,
        };
        let (orders, ordered) = mpsc::channel();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (audio, video) = (0x1000_0000 + number, 0x2000_0000 + number);
        let agent = Agent::new(socket, ordered, ledger.clone(), &local, number, [audio, video]);
        (agent, Peer { local, audio, video, ledger, orders: Some(orders), told: Cell::new(0), thread: None })
    }

    /// Gives an order.
    pub fn tell(&self, order: Order) {
        self.told.set(self.told.get() + 1);
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).expect("the peer lives");
    }

    /// Waits until everything that it was told is done.
    pub fn attend(&self) {
        let told = self.told.get();
        self.wait(Duration::from_secs(10), "a peer that obeys", |ledger| ledger.obeyed == told);
    }

    /// Stops its media; the last packet has left on return.
    pub fn hush(&self) {
        self.tell(Order::Hush);
        self.attend();
    }

    /// What it has seen so far.
    pub fn ledger(&self) -> Ledger {
        self.locked().clone()
    }

    /// Looks at the ledger without copying it.
    pub fn look<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(&self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("the peer's thread has not failed")
    }

    /// Waits until its ledger is as wished.
    pub fn wait(&self, within: Duration, what: &str, wanted: impl Fn(&Ledger) -> bool) {
        wait_for(within, what, || self.look(|ledger| wanted(ledger).then_some(())));
    }

    /// Asserts that everything it got was authentic, whole and in its place.
    pub fn is_unharmed(&self) {
        let ledger = self.ledger();
        let harm = (ledger.unauthenticated, ledger.replayed, ledger.corrupt, ledger.strange);
        assert_eq!(harm, (0, 0, 0, 0), "unauthenticated, replayed, corrupt, strange: {ledger:?}");
        assert!(ledger.heard.values().all(|heard| heard.late == 0 && heard.shifts == 0), "out of order: {ledger:?}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.orders = None;
        let outcome = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = outcome
            && !thread::panicking()
        {
            panic!("the thread of a peer has failed");
        }
    }
}
