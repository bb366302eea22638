//! When a publisher is asked for a keyframe: coalesced, at most once in an interval, and the last request is honoured.

use std::time::Duration;

use crate::limits::KEYFRAME_REQUEST_INTERVAL;
use crate::time::Mono;

/// The pace of one stream's PLIs (RFC 4585 §6.3.1; FIR of subscribers counts as the same wish).
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    sent: Option<Mono>,
    /// The last keyframe or request: `fir_freq` counts from here.
    refreshed: Option<Mono>,
}

impl KeyframeRequests {
    /// Somebody needs a keyframe.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came: nobody needs to ask any more.
    pub fn arrived(&mut self, at: Mono) {
        self.wanted = false;
        self.refreshed = Some(at);
    }

    /// Whether the last keyframe or request is `interval` ago: a room's `fir_freq`.
    pub fn is_stale(&self, now: Mono, interval: Duration) -> bool {
        self.refreshed.is_some_and(|at| now.since(at) >= interval)
    }

    /// When a PLI is to be sent: now or later while somebody waits, never otherwise.
    pub fn due(&self) -> Mono {
        match (self.wanted, self.sent) {
            (false, _) => Mono::NEVER,
            (true, None) => Mono(0),
            (true, Some(sent)) => sent + KEYFRAME_REQUEST_INTERVAL,
        }
    }

    /// Whether to send one now; if so it counts as sent.
    pub fn take(&mut self, now: Mono) -> bool {
        let due = self.due() <= now;
        if due {
            self.wanted = false;
            self.sent = Some(now);
            self.refreshed = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_wishes_is_one_request_now_and_one_when_the_interval_is_over() {
        let mut requests = KeyframeRequests::default();
        let start = Mono(1_000_000_000);
        assert!(!requests.take(start));
        requests.want();
        requests.want();
        assert!(requests.take(start));
        requests.want();
        assert!(!requests.take(start + Duration::from_millis(499)));
        assert!(requests.take(start + Duration::from_millis(500)));
        assert_eq!(requests.due(), Mono::NEVER);
    }

    #[test]
    fn a_keyframe_that_came_by_itself_answers_the_wish() {
        let mut requests = KeyframeRequests::default();
        requests.want();
        requests.arrived(Mono(4));
        assert!(!requests.take(Mono(5)));
    }

    #[test]
    fn a_stream_is_stale_an_interval_after_its_last_keyframe_or_request() {
        let second = Duration::from_secs(1);
        let mut requests = KeyframeRequests::default();
        assert!(!requests.is_stale(Mono(5), second), "nothing has come yet");
        requests.arrived(Mono(0));
        assert!(!requests.is_stale(Mono(0) + second / 2, second));
        assert!(requests.is_stale(Mono(0) + second, second));
        requests.want();
        assert!(requests.take(Mono(0) + second));
        assert!(!requests.is_stale(Mono(0) + second, second));
    }
}
