//! Pauses between attempts, each twice as long as the one before it.

use std::time::Duration;

/// Pauses that double, from a first to a longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pause: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            pause: first.min(longest),
            longest,
        }
    }

    /// The pause that comes next.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// Returns the pause that comes next, and doubles the one behind it.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause();
        self.pause = pause.saturating_mul(2).min(self.longest);
        pause
    }

    /// Sleeps for the next pause.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_the_longest() {
        let mut backoff = Backoff::new(ms(10), ms(50));
        assert_eq!(backoff.pause(), ms(10), "a look changes nothing");
        let pauses: Vec<_> = (0..5).map(|_| backoff.next()).collect();
        assert_eq!(pauses, [ms(10), ms(20), ms(40), ms(50), ms(50)]);
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        assert_eq!(Backoff::new(ms(80), ms(50)).next(), ms(50));
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!([backoff.next(), backoff.next()], [Duration::MAX; 2]);
    }
}
