//! Who is talking: the mean of a stream's audio levels (RFC 6464) over so many packets, against the room's threshold.
//! Only a change of mind is news. Silence without packets (Opus DTX) changes nothing, as in Janus.

use crate::control::talking::{TalkChange, TalkRule};

/// One stream's sum and count. Without a rule nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct TalkDetector {
    rule: Option<TalkRule>,
    sum: u64,
    packets: u32,
    talking: bool,
}

impl TalkDetector {
    /// Another rule, or none; what was found last stays, the evaluation begins anew.
    pub fn set(&mut self, rule: Option<TalkRule>) {
        *self = TalkDetector { rule, talking: self.talking, ..TalkDetector::default() };
    }

    /// One packet's level in -dBov, 0 to 127.
    pub fn packet(&mut self, level: u8) -> Option<TalkChange> {
        let rule = self.rule?;
        self.sum += u64::from(level);
        self.packets += 1;
        if self.packets < rule.packets {
            return None;
        }
        let (sum, packets) = (std::mem::take(&mut self.sum), std::mem::take(&mut self.packets));
        let talking = sum < u64::from(rule.threshold) * u64::from(packets);
        if talking == self.talking {
            return None;
        }
        self.talking = talking;
        // Exact up to 2^53, which takes more packets than a u32 counts.
        Some(TalkChange { talking, level: sum as f64 / f64::from(packets) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(packets: u32, threshold: u32) -> TalkDetector {
        let mut detector = TalkDetector::default();
        detector.set(Some(TalkRule { packets, threshold }));
        detector
    }

    #[test]
    fn only_a_change_at_the_end_of_an_evaluation_is_told() {
        let mut detector = detector(4, 25);
        let mut told = |levels: [u8; 4]| levels.map(|level| detector.packet(level)).into_iter().flatten().last();
        assert_eq!(told([127, 127, 127, 127]), None, "silence is what was there before");
        assert_eq!(told([0, 0, 49, 50]), Some(TalkChange { talking: true, level: 24.75 }));
        assert_eq!(told([10, 10, 10, 10]), None);
        assert_eq!(told([25, 25, 25, 25]), Some(TalkChange { talking: false, level: 25.0 }));
    }

    #[test]
    fn without_a_rule_nothing_is_found_and_what_was_found_stays() {
        let mut detector = detector(1, 25);
        assert!(detector.packet(5).is_some_and(|change| change.talking));
        detector.set(None);
        assert_eq!(detector.packet(127), None);
        detector.set(Some(TalkRule { packets: 1, threshold: 25 }));
        assert_eq!(detector.packet(5), None, "still talking");
        assert!(detector.packet(127).is_some_and(|change| !change.talking));
    }

    #[test]
    fn a_new_rule_begins_a_new_evaluation() {
        let mut detector = detector(2, 25);
        assert_eq!(detector.packet(127), None);
        detector.set(Some(TalkRule { packets: 2, threshold: 25 }));
        assert_eq!(detector.packet(0), None);
        assert_eq!(detector.packet(0), Some(TalkChange { talking: true, level: 0.0 }));
    }
}
