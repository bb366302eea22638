//! What the generator counts during one window: what it has sent and how late it was, what came back and how old it was.

use crate::histogram::Histogram;

/// Counters since the window began.
pub struct Meter {
    /// Packets sent by publishers.
    pub sent: u64,
    /// What subscribers should get of them.
    pub expected: u64,
    /// Packets received by subscribers, and their bytes.
    pub packets: u64,
    pub bytes: u64,
    /// Messages they came in; fewer than packets with `UDP_GRO`.
    pub messages: u64,
    /// Compound RTCP packets received.
    pub reports: u64,
    /// Sampled packets that could not be opened, or were none of ours.
    pub unreadable: u64,
    /// From a publisher's send to the kernel's receive time at the subscriber, of sampled packets.
    pub latency: Histogram,
    /// From when a packet was due to when it was sent.
    pub lateness: Histogram,
    /// One packet in so many is opened.
    pub sample_every: u32,
}

impl Meter {
    /// Begins to count.
    pub fn new(sample_every: u32) -> Meter {
        Meter {
            sent: 0,
            expected: 0,
            packets: 0,
            bytes: 0,
            messages: 0,
            reports: 0,
            unreadable: 0,
            latency: Histogram::new(),
            lateness: Histogram::new(),
            sample_every,
        }
    }

    /// Part of what should have come that did not.
    pub fn loss(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { 1.0 - self.packets.min(self.expected) as f64 / self.expected as f64 }
    }
}
