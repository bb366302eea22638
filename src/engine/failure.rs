//! DTLS handshakes that came to nothing, for the operator's log: the latest of them, and no more than one a minute, so that
//! a client which tries for ever does not fill the disk.

use std::time::Duration;

use crate::time::Mono;

/// How long nothing is said after something was.
const INTERVAL: Duration = Duration::from_secs(60);

/// A handshake that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHandshake {
    /// The cipher suites that the client offered, by their IANA numbers; none when it was us who offered.
    pub offered: Box<[u16]>,
    /// How many others have failed since the last one that was taken.
    pub others: u64,
}

/// The one that waits to be told of.
#[derive(Debug, Default)]
pub struct FailedHandshakes {
    latest: Option<FailedHandshake>,
    quiet_until: Mono,
}

impl FailedHandshakes {
    /// One has failed.
    pub fn note(&mut self, offered: &[u16]) {
        let others = self.latest.take().map_or(0, |before| before.others + 1);
        self.latest = Some(FailedHandshake { offered: offered.into(), others });
    }

    /// What is to be logged now.
    pub fn take(&mut self, now: Mono) -> Option<FailedHandshake> {
        if self.latest.is_none() || now < self.quiet_until {
            return None;
        }
        self.quiet_until = now + INTERVAL;
        self.latest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_told_with_the_number_of_the_others() {
        let at = |seconds| Mono::default() + Duration::from_secs(seconds);
        let mut failed = FailedHandshakes::default();
        assert_eq!(failed.take(at(0)), None);
        failed.note(&[0x2f]);
        assert_eq!(failed.take(at(1)), Some(FailedHandshake { offered: [0x2f].into(), others: 0 }));
        (0..3).for_each(|suite| failed.note(&[suite]));
        assert_eq!(failed.take(at(60)), None);
        assert_eq!(failed.take(at(61)), Some(FailedHandshake { offered: [2].into(), others: 2 }));
        assert_eq!(failed.take(at(200)), None);
    }
}
