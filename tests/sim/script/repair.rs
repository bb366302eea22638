//! What a scripted peer does about loss. As a receiver it notices gaps, and asks again and again until what it misses
//! has come or is too old to be of use; as a sender it keeps for a while what it has sent. RFC 4585 §6.2.1, RFC 4588.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portunus::time::Mono;
use portunus::wire::rtp::ExtSeq;
use portunus::wire::sdp::MediaKind;

use crate::camera::MediaPacket;
use crate::network::Prng;

/// A gap may be reordering for so long.
const ASK_AFTER: Duration = Duration::from_millis(10);
/// Then it is asked for, and again in this time.
const ASK_AGAIN: Duration = Duration::from_millis(80);
/// What is older is of no use.
const USEFUL: Duration = Duration::from_secs(1);
/// What was sent is kept so long, as browsers do at least.
pub const KEPT: Duration = Duration::from_secs(1);

/// In which repairs a browser takes part.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub video: bool,
    pub audio: bool,
    /// By RTX, or else by the same packet again.
    pub rtx: bool,
}

impl Habits {
    pub fn draw(prng: &mut Prng) -> Habits {
        Habits { video: prng.per_mille(900), audio: prng.per_mille(600), rtx: prng.per_mille(700) }
    }

    pub fn repairs(&self, kind: MediaKind) -> bool {
        if kind == MediaKind::Audio { self.audio } else { self.video }
    }
}

/// What of one SSRC has come, and what is waited for.
#[derive(Default)]
pub struct Reception {
    had: BTreeSet<u64>,
    missing: BTreeMap<u64, Missing>,
}

struct Missing {
    noticed: Mono,
    due: Mono,
}

impl Reception {
    /// Whether it comes for the first time.
    pub fn receive(&mut self, index: u64, now: Mono) -> bool {
        if let Some(newest) = self.newest() {
            for gap in newest + 1..index {
                self.missing.insert(gap, Missing { noticed: now, due: now + ASK_AFTER });
            }
        }
        self.missing.remove(&index);
        self.had.insert(index)
    }

    pub fn newest(&self) -> Option<u64> {
        self.had.last().copied()
    }

    /// Which number a resend of `sequence` has. None before anything has come.
    pub fn number(&self, sequence: u16) -> Option<u64> {
        self.newest().map(|newest| ExtSeq(newest).nearest(sequence).0)
    }

    pub fn has_gaps(&self) -> bool {
        !self.missing.is_empty()
    }

    pub fn forget_gaps(&mut self) {
        self.missing.clear();
    }

    /// Numbers that nobody will bring any more.
    pub fn give_up(&mut self, now: Mono) -> usize {
        let before = self.missing.len();
        self.missing.retain(|_, missing| now.since(missing.noticed) < USEFUL);
        before - self.missing.len()
    }

    /// What is to be asked for now, oldest first.
    pub fn take_due(&mut self, now: Mono) -> Vec<u16> {
        let due = self.missing.iter_mut().filter(|(_, missing)| missing.due <= now);
        due.map(|(number, missing)| {
            missing.due = now + ASK_AGAIN;
            ExtSeq(*number).low()
        })
        .collect()
    }

    pub fn deadline(&self) -> Mono {
        self.missing.values().map(|missing| missing.due).min().unwrap_or(Mono::NEVER)
    }
}

/// What a line has sent of late, by extended sequence number.
#[derive(Default)]
pub struct Kept(BTreeMap<u64, (Mono, MediaPacket, Vec<u8>)>);

impl Kept {
    /// Keeps a packet, and the datagram that it became.
    pub fn keep(&mut self, now: Mono, packet: &MediaPacket, datagram: &[u8]) {
        self.0.retain(|_, (sent, ..)| now.since(*sent) <= KEPT);
        self.0.insert(packet.sequence, (now, packet.clone(), datagram.to_vec()));
    }

    /// The packet of a sequence number, if it is not forgotten.
    pub fn find(&self, now: Mono, sequence: u16) -> Option<(&MediaPacket, &[u8])> {
        let (newest, _) = self.0.last_key_value()?;
        let (sent, packet, datagram) = self.0.get(&ExtSeq(*newest).nearest(sequence).0)?;
        (now.since(*sent) <= KEPT).then_some((packet, &datagram[..]))
    }
}
