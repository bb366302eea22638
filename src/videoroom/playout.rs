//! What a `configure` leaves of the playout-delay that a publisher or subscriber asks for in the place of what packets
//! carry (<http://www.webrtc.org/experiments/rtp-hdrext/playout-delay>).

use crate::wire::rtp::extension::PlayoutDelay;

/// What 12 bits hold: 40.95 s.
const LIMIT: u16 = 0xfff;

/// The override after `min_delay` and `max_delay` were said, in steps of 10 ms. As in Janus, one bound drags the other
/// along so that they stay in order, and a negative one takes both away. Larger delays than the extension can say are the
/// largest it can.
pub fn overridden(before: Option<PlayoutDelay>, min: Option<i64>, max: Option<i64>) -> Option<PlayoutDelay> {
    let mut delay = before;
    if let Some(min) = min {
        let before = delay.map_or(0, |delay| delay.max);
        delay = bound(min).map(|min| PlayoutDelay { min, max: before.max(min) });
    }
    if let Some(max) = max {
        let before = delay.map_or(0, |delay| delay.min);
        delay = bound(max).map(|max| PlayoutDelay { min: before.min(max), max });
    }
    delay
}

fn bound(delay: i64) -> Option<u16> {
    if delay < 0 { None } else { Some(u16::try_from(delay).unwrap_or(LIMIT).min(LIMIT)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: Option<(u16, u16)>, min: Option<i64>, max: Option<i64>) -> Option<(u16, u16)> {
        let before = before.map(|(min, max)| PlayoutDelay { min, max });
        overridden(before, min, max).map(|delay| (delay.min, delay.max))
    }

    #[test]
    fn bounds_stay_in_order() {
        assert_eq!(changed(None, Some(10), None), Some((10, 10)));
        assert_eq!(changed(None, None, Some(10)), Some((0, 10)));
        assert_eq!(changed(Some((5, 8)), Some(20), None), Some((20, 20)));
        assert_eq!(changed(Some((5, 8)), None, Some(2)), Some((2, 2)));
        assert_eq!(changed(None, Some(5), Some(3)), Some((3, 3)));
    }

    #[test]
    fn a_negative_bound_takes_both_away_and_nothing_changes_nothing() {
        assert_eq!(changed(Some((5, 8)), Some(-1), None), None);
        assert_eq!(changed(Some((5, 8)), None, Some(-1)), None);
        assert_eq!(changed(Some((5, 8)), None, None), Some((5, 8)));
    }

    #[test]
    fn no_bound_is_more_than_the_extension_can_say() {
        assert_eq!(changed(None, Some(i64::MAX), None), Some((4095, 4095)));
    }
}
