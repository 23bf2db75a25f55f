//! Time as the sessions see it: milliseconds, and a clock that tests can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// A moment, in milliseconds since the Unix epoch.
///
/// Arithmetic saturates, so that even a very wrong clock causes no overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest possible moment.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time between two moments, in either order.
    #[must_use]
    pub const fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(moment: Timestamp) -> Self {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(moment.0))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// A number of days of 24 hours each.
pub(crate) const fn days(count: u32) -> Duration {
    Duration::from_secs(count as u64 * 24 * 60 * 60)
}

/// The clock that decides what has expired. It is the system's clock, and tests can move it.
///
/// Clones share one offset: a test keeps one clone and passes the other to [`Builder::clock`](crate::Builder::clock).
///
/// ```
/// # use std::time::Duration;
/// let clock = bsession::Clock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert!(clock.now().since(before) >= Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let system = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |span| {
                u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
            });
        Timestamp(system.saturating_add_signed(self.offset.load(Ordering::Relaxed)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.turn(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves the clock backward.
    pub fn rewind(&self, span: Duration) {
        self.turn(-i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    }

    fn turn(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::Relaxed);
    }
}
