//! A handshake that is the same every time: the flights of DTLS 1.2 in their sizes, keys from the randoms of both sides,
//! repeats as RFC 6347 §4.2.4 has them, and a checksum where DTLS has its cryptography.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use portunus::limits::DTLS_TIMEOUT;
use portunus::media::turn::HandshakeFactory;
use portunus::proto::dtls::{CloseReason, DtlsEvent, Fingerprint, Handshake, KeyingMaterial, Role};
use portunus::proto::srtp::Profile;
use portunus::time::{Mono, Now};

use crate::network::Prng;

/// What every scripted handshake agrees on.
pub const PROFILE: Profile = Profile::AeadAes128Gcm;

/// Flights in the order of RFC 6347 §4.2.4, with Chromium's and AWS-LC's sizes: ClientHello in two datagrams, the
/// server's, the client's, the server's Finished.
const SIZES: [&[usize]; 4] = [&[1200, 263], &[630], &[545], &[75]];
/// A datagram that a scripted endpoint does not survive.
pub const POISON: &[u8] = &[HANDSHAKE, 0xff, 0xde, 0xad];
const FIRST_REPEAT: Duration = Duration::from_millis(100);
/// Content types of RFC 5246 §6.2.1.
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const HEAD: usize = 1 + 1 + 1 + 8 + 32;

/// One side of a scripted handshake. Every datagram ends in a checksum that no stranger gets right, and repeats are
/// answered as DTLS does, so that loss, reordering and doubling may do what they like.
pub struct ScriptedHandshake {
    role: Role,
    ours: Fingerprint,
    our_random: u64,
    remote: Option<Fingerprint>,
    /// What the other side has shown.
    shown: Option<Fingerprint>,
    their_random: Option<u64>,
    /// Parts of the ClientHello that have come.
    hello_parts: u8,
    /// The flight that was sent last; none before the first.
    sent: Option<usize>,
    finished: bool,
    connected: bool,
    closed: bool,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<DtlsEvent>,
    repeat: Mono,
    interval: Duration,
    give_up: Mono,
    ignored: u64,
}

impl ScriptedHandshake {
    pub fn new(role: Role, ours: Fingerprint, our_random: u64) -> ScriptedHandshake {
        ScriptedHandshake {
            role,
            ours,
            our_random,
            remote: None,
            shown: None,
            their_random: None,
            hello_parts: 0,
            sent: None,
            finished: false,
            connected: false,
            closed: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
            repeat: Mono::NEVER,
            interval: FIRST_REPEAT,
            give_up: Mono::NEVER,
            ignored: 0,
        }
    }

    fn send(&mut self, flight: usize, now: Now) {
        for (part, size) in (0u8..).zip(SIZES[flight]) {
            let mut bytes = vec![HANDSHAKE, flight as u8, part];
            bytes.extend(self.our_random.to_be_bytes());
            bytes.extend(self.ours.digest());
            bytes.resize(size - 8, part);
            seal(&mut bytes);
            self.out.push_back(bytes);
        }
        self.sent = Some(flight);
        // The last flight is repeated only when its cause is.
        self.repeat = if flight == 3 { Mono::NEVER } else { now.mono + self.interval };
    }

    fn end(&mut self, reason: CloseReason) {
        self.closed = true;
        (self.repeat, self.give_up) = (Mono::NEVER, Mono::NEVER);
        self.events.push_back(DtlsEvent::Closed(reason));
    }

    fn verify(&mut self) {
        let (true, false, Some(shown), Some(remote)) = (self.finished, self.closed, self.shown, self.remote) else {
            return;
        };
        if shown != remote {
            self.end(CloseReason::Fingerprint);
        } else if !self.connected {
            self.connected = true;
            self.give_up = Mono::NEVER;
            let their_random = self.their_random.expect("a finished handshake has both");
            let (client, server) = if self.role == Role::Active {
                (self.our_random, their_random)
            } else {
                (their_random, self.our_random)
            };
            let mut material = [0; PROFILE.keying_material_len()];
            Prng::new(client ^ server.rotate_left(32)).fill(&mut material);
            self.events.push_back(DtlsEvent::Connected {
                profile: PROFILE.iana_id(),
                keying_material: KeyingMaterial::new(&material).expect("of the right length"),
                role: self.role,
            });
        }
    }

    /// Whether the datagram had an effect.
    ///
    /// # Panics
    /// On [`POISON`], as if it had found a fault of ours.
    fn take(&mut self, now: Now, bytes: &[u8]) -> bool {
        assert_ne!(bytes, POISON, "a fault on purpose");
        if self.closed || !opens(bytes) || bytes.len() < HEAD {
            return false;
        }
        let (flight, part) = (usize::from(bytes[1]), bytes[2]);
        let random = u64::from_be_bytes(bytes[3..11].try_into().unwrap());
        if bytes[0] == ALERT {
            if self.their_random != Some(random) || !self.finished {
                return false;
            }
            self.end(CloseReason::Alert);
            return true;
        }
        if bytes[0] != HANDSHAKE || flight % 2 != usize::from(self.role == Role::Active) || flight > 3 {
            return false;
        }
        if self.their_random.is_some_and(|known| known != random) {
            return false;
        }
        let shown = Fingerprint::Sha256(bytes[11..43].try_into().unwrap());
        match (flight, self.sent) {
            (0, None | Some(1)) => {
                self.their_random = Some(random);
                if self.give_up == Mono::NEVER {
                    self.give_up = now.mono + DTLS_TIMEOUT;
                }
                self.hello_parts |= 1 << part;
                if self.hello_parts == 0b11 {
                    self.hello_parts = 0;
                    self.send(1, now);
                }
                true
            }
            (1, Some(0)) => {
                (self.their_random, self.shown) = (Some(random), Some(shown));
                self.interval = FIRST_REPEAT;
                self.send(2, now);
                true
            }
            (2, Some(1 | 3)) => {
                let again = self.finished;
                (self.shown, self.finished) = (Some(shown), true);
                self.send(3, now);
                self.verify();
                !again
            }
            (3, Some(2)) if !self.finished => {
                self.finished = true;
                self.repeat = Mono::NEVER;
                self.verify();
                true
            }
            _ => false,
        }
    }
}

impl Handshake for ScriptedHandshake {
    fn start(&mut self, now: Now) {
        if self.role == Role::Active && self.sent.is_none() && !self.closed {
            self.give_up = now.mono + DTLS_TIMEOUT;
            self.send(0, now);
        }
    }

    fn handle_datagram(&mut self, now: Now, bytes: &[u8]) {
        if !self.take(now, bytes) {
            self.ignored += 1;
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if now.mono >= self.give_up && !self.closed {
            self.end(CloseReason::Timeout);
        } else if now.mono >= self.repeat {
            self.interval *= 2;
            self.send(self.sent.expect("what is repeated was sent"), now);
        }
    }

    fn deadline(&self) -> Mono {
        self.repeat.min(self.give_up)
    }

    fn set_remote_fingerprint(&mut self, fingerprint: Fingerprint) {
        self.remote = Some(fingerprint);
        self.verify();
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let bytes = self.out.pop_front()?;
        out[..bytes.len()].copy_from_slice(&bytes);
        Some(bytes.len())
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_data(&mut self, _: &mut [u8]) -> Option<usize> {
        None
    }

    fn send_data(&mut self, _: &[u8]) -> bool {
        false
    }

    fn close(&mut self) {
        if self.finished && !self.closed {
            let mut bytes = vec![ALERT, 4, 0];
            bytes.extend(self.our_random.to_be_bytes());
            bytes.extend(self.ours.digest());
            seal(&mut bytes);
            self.out.push_back(bytes);
        }
        self.closed = true;
        (self.repeat, self.give_up) = (Mono::NEVER, Mono::NEVER);
    }

    fn opened(&self) -> u64 {
        0
    }

    fn ignored(&self) -> u64 {
        self.ignored
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Prng::new(hash).next().to_be_bytes()
}

fn seal(bytes: &mut Vec<u8>) {
    let sum = checksum(bytes);
    bytes.extend(sum);
}

fn opens(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<8>().is_some_and(|(body, sum)| checksum(body) == *sum)
}

/// Scripted endpoints for the engine.
pub struct ScriptedFactory {
    fingerprint: Fingerprint,
    next: Cell<u64>,
}

impl ScriptedFactory {
    pub fn new(seed: u64) -> ScriptedFactory {
        let mut prng = Prng::new(seed);
        let mut fingerprint = [0; 32];
        prng.fill(&mut fingerprint);
        ScriptedFactory { fingerprint: Fingerprint::Sha256(fingerprint), next: Cell::new(prng.next()) }
    }
}

impl HandshakeFactory for ScriptedFactory {
    fn endpoint(&self, role: Role) -> Option<Box<dyn Handshake>> {
        let random = Prng::new(self.next.get()).next();
        self.next.set(random);
        Some(Box::new(ScriptedHandshake::new(role, self.fingerprint, random)))
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}
