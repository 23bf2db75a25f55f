//! An attempt that runs once at a time, and whose result many callers share.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// An attempt that a task makes for all callers together, at most one at a time.
///
/// A caller that stops waiting does not cancel it. A caller that comes later joins the one that is under way and
/// does not begin another.
pub(super) struct Attempt<T>(Mutex<Option<watch::Receiver<Option<T>>>>);

impl<T: Clone + Send + Sync + 'static> Attempt<T> {
    /// Returns a value with no attempt under way.
    pub(super) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Joins the attempt that is under way, or begins one, and returns its result; `None` if its task panicked or
    /// its runtime ended first.
    pub(super) async fn join<F>(&self, begin: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut attempt = self.under_way(begin);
        let result = attempt.wait_for(Option::is_some).await;
        result.ok().and_then(|result| result.clone())
    }

    fn under_way<F>(&self, begin: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender is gone as soon as the task is over, however it ended.
        let is_under_way = |attempt: &&watch::Receiver<_>| attempt.has_changed().is_ok();
        if let Some(attempt) = current.as_ref().filter(is_under_way) {
            return attempt.clone();
        }
        let (tell, attempt) = watch::channel(None);
        let work = begin();
        tokio::spawn(async move { tell.send_replace(Some(work.await)) });
        *current = Some(attempt.clone());
        attempt
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Counts the attempts that were begun, and lets each of them end when it is told to.
    #[derive(Default)]
    struct Counted {
        begun: AtomicU32,
        go_on: Arc<Notify>,
    }

    impl Counted {
        async fn join(&self, attempt: &Attempt<u32>) -> Option<u32> {
            let begin = || {
                let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
                let go_on = Arc::clone(&self.go_on);
                async move {
                    go_on.notified().await;
                    assert_ne!(number, 3, "the third one fails");
                    number
                }
            };
            attempt.join(begin).await
        }
    }

    #[actix_web::test]
    async fn one_runs_at_a_time_and_outlives_the_caller_that_began_it() {
        let (attempt, counted) = (Attempt::none(), Counted::default());
        for _ in 0..2 {
            let left = futures_util::future::poll_immediate(counted.join(&attempt)).await;
            assert_eq!(left, None, "it takes its time");
        }
        assert_eq!(counted.begun.load(Ordering::Relaxed), 1);
        counted.go_on.notify_one();
        let both = futures_util::future::join(counted.join(&attempt), counted.join(&attempt));
        assert_eq!(both.await, (Some(1), Some(1)));
        counted.go_on.notify_one();
        assert_eq!(counted.join(&attempt).await, Some(2), "that one is over");
    }

    #[actix_web::test]
    async fn a_task_that_panics_gives_none() {
        let (attempt, counted) = (Attempt::none(), Counted::default());
        counted.begun.store(2, Ordering::Relaxed);
        counted.go_on.notify_one();
        assert_eq!(counted.join(&attempt).await, None);
        counted.go_on.notify_one();
        assert_eq!(counted.join(&attempt).await, Some(4));
    }
}
