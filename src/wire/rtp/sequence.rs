//! Numbers that wrap: 16-bit sequence numbers and 32-bit timestamps, compared as RFC 1982 says and unwrapped to 64 bits as in
//! RFC 3550 A.1. This is the only place with wrapping arithmetic on them; everywhere else an [`ExtSeq`] or [`ExtTimestamp`] just grows.

/// A sequence number with its rollover count: RTP's (RFC 3550 A.1) or the transport-wide one. The wire carries the low 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ExtSeq(pub u64);

impl ExtSeq {
    /// The first number seen. It starts well above zero, so that packets from before it have a number too, and so that
    /// [`ExtSeq::report`] begins with no cycles.
    pub fn first(sequence: u16) -> Self {
        ExtSeq(EPOCH | u64::from(sequence))
    }

    /// The number nearest to this one whose low 16 bits are `sequence`.
    pub fn nearest(self, sequence: u16) -> Self {
        ExtSeq(self.0.saturating_add_signed(i64::from(sequence_distance(self.low(), sequence))))
    }

    /// The first number above this one that has other cycles and the low bits `sequence`: where a source that jumped goes on.
    pub fn restart(self, sequence: u16) -> Self {
        ExtSeq((self.0 | 0xffff).saturating_add(1) | u64::from(sequence))
    }

    /// The next number.
    pub fn next(self) -> Self {
        self.plus(1)
    }

    /// The number before.
    pub fn before(self) -> Self {
        ExtSeq(self.0.saturating_sub(1))
    }

    /// The number `count` further on.
    pub fn plus(self, count: u64) -> Self {
        ExtSeq(self.0.saturating_add(count))
    }

    /// How far this one is ahead of `other`; negative when behind.
    pub fn distance(self, other: ExtSeq) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// What the wire carries.
    pub fn low(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// Cycles and number as a report block carries them: 16 bits each (RFC 3550 §6.4.1).
    pub fn report(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }
}

/// An RTP timestamp with its rollover count. The wire carries the low 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ExtTimestamp(pub u64);

impl ExtTimestamp {
    /// The first timestamp seen; it starts above zero, so that earlier ones have a place too.
    pub fn first(timestamp: u32) -> Self {
        ExtTimestamp(EPOCH | u64::from(timestamp))
    }

    /// The timestamp nearest to this one whose low 32 bits are `timestamp`.
    pub fn nearest(self, timestamp: u32) -> Self {
        ExtTimestamp(self.0.saturating_add_signed(i64::from(timestamp_distance(self.low(), timestamp))))
    }

    /// What the wire carries.
    pub fn low(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }
}

/// How far `to` is ahead of `from` on the circle of 2^16; negative when behind. RFC 1982 §3.2.
pub fn sequence_distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// The sequence number `count` after `sequence`.
pub fn sequence_plus(sequence: u16, count: u16) -> u16 {
    sequence.wrapping_add(count)
}

/// How far `to` is ahead of `from` on the circle of 2^32; negative when behind. RFC 1982 §3.2.
pub fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// The timestamp `ticks` after `timestamp`, or before it when negative.
pub fn timestamp_plus(timestamp: u32, ticks: i64) -> u32 {
    timestamp.wrapping_add((ticks & 0xffff_ffff) as u32)
}

/// Added to what is seen first. Its low 32 bits are zero, so the wire's values are unchanged.
const EPOCH: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sequence_number_that_wraps_goes_on_counting() {
        let last = ExtSeq::first(65_535);
        assert_eq!(last.nearest(0), last.next());
        assert_eq!(last.nearest(0).report(), 0x0001_0000);
        assert_eq!(last.nearest(0).nearest(65_534), ExtSeq::first(65_534));
    }

    #[test]
    fn a_packet_from_before_the_first_one_has_a_number_of_its_own() {
        let first = ExtSeq::first(0);
        assert_eq!(first.report(), 0);
        assert_eq!(first.nearest(65_535).next(), first);
        assert_eq!(first.nearest(65_535).distance(first), -1);
    }

    #[test]
    fn a_restarted_source_never_reuses_a_number() {
        for (high, seq) in [(10, 5), (10, 10), (10, 60_000), (65_535, 0)] {
            let restarted = ExtSeq::first(high).restart(seq);
            assert!(restarted > ExtSeq::first(high));
            assert_eq!(restarted.low(), seq);
        }
    }

    #[test]
    fn serial_comparison_is_right_across_the_wrap() {
        assert_eq!([sequence_distance(65_535, 0), sequence_distance(0, 65_535), sequence_distance(7, 7)], [1, -1, 0]);
        assert_eq!([timestamp_distance(u32::MAX, 3), timestamp_distance(3, u32::MAX)], [4, -4]);
        assert_eq!(timestamp_plus(u32::MAX, 2), 1);
        assert_eq!(timestamp_plus(1, -2), u32::MAX);
        assert_eq!(sequence_plus(65_535, 1), 0);
    }

    #[test]
    fn a_timestamp_that_wraps_goes_on_counting() {
        let late = ExtTimestamp::first(u32::MAX - 1);
        assert_eq!(late.nearest(2).0, late.0 + 4);
        assert_eq!(ExtTimestamp::first(0).nearest(u32::MAX).0 + 1, ExtTimestamp::first(0).0);
    }

    proptest! {
        #[test]
        fn unwrapping_follows_any_walk_of_small_steps(start: u16, steps in proptest::collection::vec(-3000i64..3000, 0..200)) {
            let (mut seen, mut truth) = (ExtSeq::first(start), EPOCH | u64::from(start));
            for step in steps {
                truth = truth.saturating_add_signed(step);
                seen = seen.nearest(ExtSeq(truth).low());
                prop_assert_eq!(seen, ExtSeq(truth));
            }
        }
    }
}
