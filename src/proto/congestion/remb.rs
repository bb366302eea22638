//! When a publisher is told its bitrate cap, and what it is told. draft-alvestrand-rmcat-remb-03 leaves both to the receiver.

use crate::limits;
use crate::time::Mono;

/// A cap on what one publisher sends. It does not watch the media: ask it only while video flows.
///
/// A publisher that gets no transport-wide feedback would wait for an estimate of ours. There is none: it is told a bitrate
/// that no uplink of a browser has, so that the losses which our reports tell it govern alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct BitrateCap {
    state: State,
    /// When a publisher without feedback is told to go by its losses.
    generous: Option<Mono>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No cap and nothing to say.
    #[default]
    Uncapped,
    /// There was a cap and the publisher does not know yet that it is gone.
    Lifted,
    /// The cap in bits per second, and when it is to be said again.
    Capped { bitrate: u64, due: Mono },
}

impl BitrateCap {
    /// Sets the cap in bits per second; 0 is none. A change is due at once, the same value again is not.
    pub fn set(&mut self, bitrate: u64) {
        self.state = match (self.state, bitrate) {
            (State::Capped { bitrate: same, .. }, _) if same == bitrate => return,
            (State::Uncapped, 0) => return,
            (_, 0) => State::Lifted,
            (_, bitrate) => State::Capped { bitrate, due: Mono::default() },
        };
    }

    /// Whether the publisher hears of its bandwidth in another way.
    pub fn set_feedback(&mut self, feedback: bool) {
        self.generous = if feedback { None } else { self.generous.or(Some(Mono::default())) };
    }

    /// The bitrate of the REMB that must go out now, if one must.
    pub fn poll(&mut self, now: Mono) -> Option<u64> {
        if now < self.deadline() {
            return None;
        }
        match &mut self.state {
            State::Uncapped => {
                self.generous = Some(now + limits::REMB_INTERVAL);
                Some(GENEROUS)
            }
            State::Lifted => {
                self.state = State::Uncapped;
                Some(UNLIMITED)
            }
            State::Capped { bitrate, due } => {
                *due = now + limits::REMB_INTERVAL;
                Some(*bitrate)
            }
        }
    }

    /// When [`BitrateCap::poll`] has something next.
    pub fn deadline(&self) -> Mono {
        match self.state {
            State::Uncapped => self.generous.unwrap_or(Mono::NEVER),
            State::Lifted => Mono::default(),
            State::Capped { due, .. } => due,
        }
    }
}

/// What lifts a cap: more than any publisher sends, 1 Gbit/s.
pub const UNLIMITED: u64 = 1_000_000_000;

/// What is no limit to a browser's video, and not so much that a start with it does harm: 10 Mbit/s.
pub const GENEROUS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_without_feedback_is_told_to_go_by_its_losses_unless_it_is_capped() {
        let mut cap = BitrateCap::default();
        cap.set_feedback(false);
        assert_eq!((cap.poll(Mono(1)), cap.poll(Mono(2))), (Some(GENEROUS), None));
        cap.set_feedback(false);
        assert_eq!(cap.deadline(), Mono(1) + limits::REMB_INTERVAL);
        cap.set(500_000);
        assert_eq!(cap.poll(Mono(3)), Some(500_000));
        cap.set_feedback(true);
        cap.set(0);
        assert_eq!((cap.poll(Mono(4)), cap.deadline()), (Some(UNLIMITED), Mono::NEVER));
    }

    #[test]
    fn without_a_cap_nothing_is_ever_said() {
        let mut cap = BitrateCap::default();
        cap.set(0);
        assert_eq!((cap.poll(Mono(1)), cap.deadline()), (None, Mono::NEVER));
    }

    #[test]
    fn a_cap_is_said_at_once_and_again_every_interval() {
        let mut cap = BitrateCap::default();
        cap.set(128_000);
        let start = Mono(10);
        assert_eq!(cap.poll(start), Some(128_000));
        assert_eq!(cap.poll(start), None);
        let again = start + limits::REMB_INTERVAL;
        assert_eq!(cap.deadline(), again);
        assert_eq!((cap.poll(Mono(again.0 - 1)), cap.poll(again), cap.poll(again)), (None, Some(128_000), None));
    }

    #[test]
    fn a_change_is_said_at_once_and_the_same_value_is_no_change() {
        let mut cap = BitrateCap::default();
        cap.set(128_000);
        cap.poll(Mono(10));
        cap.set(128_000);
        assert_eq!(cap.poll(Mono(11)), None);
        cap.set(64_000);
        assert_eq!(cap.poll(Mono(12)), Some(64_000));
        assert_eq!(cap.deadline(), Mono(12) + limits::REMB_INTERVAL);
    }

    #[test]
    fn lifting_a_cap_is_said_once() {
        let mut cap = BitrateCap::default();
        cap.set(128_000);
        cap.poll(Mono(10));
        cap.set(0);
        assert_eq!((cap.poll(Mono(11)), cap.poll(Mono(12)), cap.deadline()), (Some(UNLIMITED), None, Mono::NEVER));
        cap.set(0);
        assert_eq!(cap.poll(Mono(13)), None);
    }
}
