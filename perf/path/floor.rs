//! The floor: for every subscriber its own keys, for every packet one copy and one seal into a region of the send arena's
//! size. Nobody is looked up, nothing is rewritten, recorded or grouped.

use portunus::limits::SEND_ARENA_BYTES;
use portunus::proto::srtp::{Outbound, OutboundStream, Profile};

use super::cpu;
use super::world::{Media, TURNS, master_key};

/// Keys of all subscribers, and the bytes they get.
pub struct Floor {
    receivers: Vec<(Outbound, OutboundStream)>,
    media: Media,
    header: Vec<u8>,
    payload: Vec<u8>,
    arena: Vec<u8>,
}

impl Floor {
    /// Packets of the same length as the engine's, `sealed` bytes with the tag.
    pub fn new(profile: Profile, media: Media, subscribers: usize, sealed: usize) -> Floor {
        let receivers = (0..subscribers).map(|n| {
            let mut outbound = Outbound::new(profile, &master_key(profile, n)).expect("the key fits");
            let stream = outbound.open(0x1000, 1);
            (outbound, stream)
        });
        let payload = vec![0x5a; media.payload_bytes()];
        let header = header(sealed - payload.len() - profile.rtp_overhead());
        Floor { receivers: receivers.collect(), media, header, payload, arena: vec![0; SEND_ARENA_BYTES] }
    }

    /// As many turns as one run of the engine: CPU time and packets sealed.
    pub fn run(&mut self) -> (u64, u64) {
        let (mut at, mut sealed) = (0, 0);
        let start = cpu::thread_ns();
        for _ in 0..TURNS {
            for (outbound, stream) in &mut self.receivers {
                for _ in 0..self.media.burst {
                    if self.arena.len() - at < 1500 {
                        at = 0;
                    }
                    let out = &mut self.arena[at..];
                    let packet = outbound.seal(*stream, &mut self.header, &self.payload, 0, out).expect("it fits");
                    at += packet.len;
                    sealed += 1;
                }
            }
        }
        (cpu::thread_ns() - start, sealed)
    }
}

/// A header of so many bytes: the fixed part, and an extension block of padding.
fn header(len: usize) -> Vec<u8> {
    let words = u16::try_from((len - 16) / 4).expect("a short header");
    let mut header = vec![0; len];
    header[..2].copy_from_slice(&[0x90, 96]);
    header[12..14].copy_from_slice(&0xbede_u16.to_be_bytes());
    header[14..16].copy_from_slice(&words.to_be_bytes());
    header
}
