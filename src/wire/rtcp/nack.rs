//! Generic NACK: which RTP packets are missing. RFC 4585 §6.2.1.

use super::{Body, Composer, entries, packet_type};
use crate::wire::error::WireError;
use crate::wire::rtp::sequence::{sequence_distance, sequence_plus};

/// A generic NACK for one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who misses the packets.
    pub sender_ssrc: u32,
    /// Whose packets they are.
    pub media_ssrc: u32,
    /// PID and BLP of each entry, as they are on the wire.
    pub entries: &'a [[u8; 4]],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let (sender_ssrc, media_ssrc) = (r.u32("Generic NACK")?, r.u32("Generic NACK")?);
        Ok(Nack { sender_ssrc, media_ssrc, entries: entries(&mut r, "Generic NACK entries")? })
    }

    /// Every sequence number that is asked for, entry by entry; hostile ones may repeat.
    pub fn lost(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.entries.iter().flat_map(|&[p0, p1, b0, b1]| {
            let (pid, blp) = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([b0, b1]));
            let following = (0..16).filter(move |bit| blp >> bit & 1 == 1).map(move |bit| sequence_plus(pid, bit + 1));
            std::iter::once(pid).chain(following)
        })
    }

    /// Writes the packet and gives its length. Fails when it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, packet_type::FORMAT_NACK, packet_type::TRANSPORT_FEEDBACK)?;
        c.put_u32(self.sender_ssrc)?;
        c.put_u32(self.media_ssrc)?;
        c.put(self.entries.as_flattened())?;
        c.finish()
    }
}

/// Packs missing sequence numbers, oldest first, into entries; gives the entries that were needed.
/// Numbers beyond what `room` holds are left out.
pub fn pack(lost: impl IntoIterator<Item = u16>, room: &mut [[u8; 4]]) -> &[[u8; 4]] {
    let mut used = 0;
    let mut open: Option<(u16, u16)> = None;
    for sequence in lost {
        if let Some((pid, blp)) = &mut open
            && let Some(bit @ 0..16) = sequence_distance(*pid, sequence).checked_sub(1)
        {
            *blp |= 1 << bit;
        } else {
            if used == room.len() {
                break;
            }
            used += 1;
            open = Some((sequence, 0));
        }
        if let Some((pid, blp)) = open {
            let ([p0, p1], [b0, b1]) = (pid.to_be_bytes(), blp.to_be_bytes());
            room[used - 1] = [p0, p1, b0, b1];
        }
    }
    &room[..used]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    fn lost(entries: &[[u8; 4]]) -> Vec<u16> {
        Nack { sender_ssrc: 1, media_ssrc: 2, entries }.lost().collect()
    }

    #[test]
    fn one_entry_covers_seventeen_packets_across_the_wrap() {
        let mut room = [[0; 4]; 4];
        let all: Vec<u16> = (0..17).map(|i| sequence_plus(65_530, i)).collect();
        assert_eq!(pack(all.clone(), &mut room), [[0xff, 0xfa, 0xff, 0xff]]);
        assert_eq!(lost(&[[0xff, 0xfa, 0xff, 0xff]]), all);
    }

    #[test]
    fn the_bitmask_counts_from_the_packet_after_the_first() {
        let mut room = [[0; 4]; 4];
        assert_eq!(pack([100, 101, 116, 117], &mut room), [[0, 100, 0x80, 0x01], [0, 117, 0, 0]]);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut room = [[0; 4]; 1];
        assert_eq!(lost(pack([1, 2, 100, 3], &mut room)), [1, 2]);
        assert_eq!(pack([1], &mut []), <[[u8; 4]; 0]>::default());
    }

    #[test]
    fn a_nack_is_laid_out_as_in_the_figure() {
        let mut out = [0; 16];
        let nack = Nack { sender_ssrc: 1, media_ssrc: 2, entries: &[[0, 9, 0, 1]] };
        assert_eq!(nack.write(&mut out), Ok(16));
        assert_eq!(out, [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 1]);
        assert!(nack.write(&mut out[..15]).is_err());
    }

    proptest! {
        #[test]
        fn packing_loses_and_invents_nothing(start: u16, steps in proptest::collection::vec(1u16..40, 0..100)) {
            let mut at = start;
            let sequences: Vec<u16> = steps.iter().map(|step| { at = sequence_plus(at, *step); at }).collect();
            let mut room = [[0; 4]; 100];
            let entries = pack(sequences.clone(), &mut room);
            let mut out = [0; 500];
            let len = Nack { sender_ssrc: 1, media_ssrc: 2, entries }.write(&mut out).unwrap();
            let Some(Ok(Packet::Nack(parsed))) = Compound::new(&out[..len]).next() else { panic!() };
            prop_assert_eq!(parsed.lost().collect::<Vec<_>>(), sequences);
        }

        #[test]
        fn packing_any_order_still_asks_for_exactly_those(sequences: Vec<u16>) {
            let mut room = vec![[0; 4]; sequences.len()];
            let asked: std::collections::BTreeSet<u16> = lost(pack(sequences.clone(), &mut room)).into_iter().collect();
            prop_assert_eq!(asked, sequences.into_iter().collect());
        }
    }
}
