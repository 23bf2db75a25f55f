//! Something that is tried once at a time, by a task of its own, for all who wait for it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// At most one attempt at a time. It is nobody's own: whoever waits for it may leave, and those who
/// come later do not begin anew.
pub(super) struct Attempt<T>(Mutex<Option<watch::Receiver<Option<T>>>>);

impl<T: Clone + Send + Sync + 'static> Attempt<T> {
    pub(super) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// What comes of the attempt that is under way, or of this one; `None` if its runtime ended first.
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
        // One whose task is over, whatever ended it, has nobody who would send anything any more.
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
