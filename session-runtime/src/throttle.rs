//! A limit on how often a warning is logged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// The shortest time between two warnings.
const PAUSE: Duration = Duration::from_secs(60);

/// Lets one warning through each minute.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The time of the last warning, in milliseconds since 1970.
    last: AtomicU64,
}

impl Throttle {
    /// Returns true if the warning may be logged now. For the next minute it then returns false.
    pub(crate) fn lets_through(&self, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        now.apart(Timestamp::from_millis(last)) >= PAUSE
            && self
                .last
                .compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_a_minute_is_let_through() {
        let throttle = Throttle::default();
        let begin = Timestamp::from_millis(1_750_000_000_000);
        let through = |seconds| throttle.lets_through(begin + Duration::from_secs(seconds));
        assert_eq!(
            [0, 0, 59, 60, 61, 119, 120].map(through),
            [true, false, false, true, false, false, true]
        );
        assert!(
            through(0),
            "a clock that was set back by more than a minute"
        );
    }
}
