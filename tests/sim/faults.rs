//! What goes wrong on purpose: the weather of paths, and strangers who send what they should not.

use std::net::SocketAddr;

use crate::network::{Datagram, Prng};

/// Delay in microseconds, and loss, doubling and overtaking per thousand datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub delay_us: (u64, u64),
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u64,
    /// Of the narrowest place, in bit/s.
    pub rate: Option<u64>,
}

impl Weather {
    /// Nothing is lost or overtaken.
    pub const FAIR: Weather = Weather { delay_us: (5_000, 25_000), loss: 0, duplicate: 0, reorder: 0, rate: None };
    /// A bad evening on a mobile network.
    pub const FOUL: Weather = Weather { delay_us: (10_000, 60_000), loss: 30, duplicate: 10, reorder: 30, rate: None };

    pub fn draw(prng: &mut Prng) -> Weather {
        let least = prng.between(500, 40_000);
        Weather {
            delay_us: (least, least + prng.between(0, 20_000)),
            loss: prng.between(0, 60),
            duplicate: prng.between(0, 20),
            reorder: prng.between(0, 50),
            rate: None,
        }
    }

    /// Whether what is sent comes, and in order.
    pub fn is_fair(&self) -> bool {
        self.loss + self.duplicate + self.reorder == 0 && self.rate.is_none()
    }
}

/// Makes datagrams that must change nothing.
pub struct Strangers {
    prng: Prng,
    /// Some that were really sent, to be sent again with a bit turned.
    overheard: Vec<Datagram>,
}

const OVERHEARD_MAX: usize = 64;

impl Strangers {
    pub fn new(seed: u64) -> Strangers {
        Strangers { prng: Prng::new(seed), overheard: Vec::new() }
    }

    /// Remembers a datagram of the call.
    pub fn overhear(&mut self, datagram: &Datagram) {
        if self.overheard.len() < OVERHEARD_MAX {
            self.overheard.push(datagram.clone());
        } else if self.prng.per_mille(100) {
            let at = usize::try_from(self.prng.below(OVERHEARD_MAX as u64)).unwrap();
            self.overheard[at] = datagram.clone();
        }
    }

    /// The next one: toward one of `targets`, from nowhere or from an address that belongs to the call.
    pub fn make(&mut self, targets: &[SocketAddr], members: &[SocketAddr]) -> Option<Datagram> {
        let nowhere = SocketAddr::from(([203, 0, 113, 7], 1024 + u16::try_from(self.prng.below(60_000)).unwrap()));
        let from = if self.prng.per_mille(500) { nowhere } else { *self.prng.pick(members).unwrap_or(&nowhere) };
        let to = *self.prng.pick(targets)?;
        let kind = self.prng.below(6);
        let overheard = self.prng.pick(&self.overheard).cloned();
        let bytes = match (kind, overheard) {
            (0..=2, Some(original)) => {
                let mut bytes = original.bytes;
                let flips = 1 + self.prng.below(3);
                // Distinct bits, or two turns of one would give the original.
                let first = self.prng.below(bytes.len() as u64 * 8 - 3);
                for bit in first..first + flips {
                    bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
                }
                if self.prng.per_mille(500) {
                    return Some(Datagram { from: original.from, to: original.to, bytes, label: None, strange: true });
                }
                bytes
            }
            (3, Some(original)) => {
                let len = self.prng.below(original.bytes.len() as u64);
                original.bytes[..usize::try_from(len).unwrap()].to_vec()
            }
            _ => {
                let mut bytes = vec![0; usize::try_from(self.prng.below(1600)).unwrap()];
                self.prng.fill(&mut bytes);
                if let Some(first) = bytes.first_mut() {
                    // STUN, DTLS, RTP and RTCP, and now and then none of them (RFC 7983).
                    *first = [0, 1, 20, 21, 22, 23, 0x80, 0x90, 0xff][usize::try_from(self.prng.below(9)).unwrap()];
                }
                bytes
            }
        };
        Some(Datagram { from, to, bytes, label: None, strange: true })
    }
}
