//! The way between the engine and its clients: 10 ms each way, and a share of everything is lost.

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::time::Mono;

const DELAY: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// By a client.
    Up,
    /// By the engine.
    Down,
}

/// Datagrams under way.
pub struct Link {
    up: VecDeque<(Mono, u16, Vec<u8>)>,
    down: VecDeque<(Mono, u16, Vec<u8>)>,
    rng: ChaCha20Rng,
    /// Of a thousand, how many are lost: of those sent up, and of those sent down.
    pub lost: [u32; 2],
    /// How many of the next ones sent up are lost for certain.
    pub cut: usize,
    pub losses: usize,
}

impl Link {
    pub fn new(seed: u8) -> Link {
        Link {
            up: VecDeque::new(),
            down: VecDeque::new(),
            rng: ChaCha20Rng::from_seed([seed ^ 0x55; 32]),
            lost: [0; 2],
            cut: 0,
            losses: 0,
        }
    }

    pub fn push(&mut self, now: Mono, sent: Sent, member: u16, bytes: Vec<u8>) {
        let (way, share) = match sent {
            Sent::Up => (&mut self.up, self.lost[0]),
            Sent::Down => (&mut self.down, self.lost[1]),
        };
        let cut = sent == Sent::Up && self.cut > 0;
        self.cut -= usize::from(cut);
        if cut || self.rng.next_u32() % 1000 < share {
            self.losses += 1;
        } else {
            way.push_back((now + DELAY, member, bytes));
        }
    }

    pub fn up(&mut self, now: Mono) -> Vec<(u16, Vec<u8>)> {
        arrived(&mut self.up, now)
    }

    pub fn down(&mut self, now: Mono) -> Vec<(u16, Vec<u8>)> {
        arrived(&mut self.down, now)
    }
}

fn arrived(way: &mut VecDeque<(Mono, u16, Vec<u8>)>, now: Mono) -> Vec<(u16, Vec<u8>)> {
    let mut arrived = Vec::new();
    while way.front().is_some_and(|(at, ..)| *at <= now) {
        arrived.extend(way.pop_front().map(|(_, member, bytes)| (member, bytes)));
    }
    arrived
}
