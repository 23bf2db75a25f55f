//! The answer of a store: there already, or still to be waited for; and its errors.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime;

/// A store's answer: a future that may be over already.
///
/// A store that never waits costs its callers no allocation and no task.
#[must_use = "a store does nothing more than its answer says"]
pub enum Answer<'a, T> {
    /// The operation is over.
    Now(Result<T, StoreError>),
    /// The operation goes on while this is polled, which happens on a tokio runtime.
    Later(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// Does `work` at once.
    pub fn ready(work: impl FnOnce() -> Result<T, StoreError>) -> Self {
        Self::Now(work())
    }

    /// An answer to be waited for.
    pub fn later(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        Self::Later(Box::pin(future))
    }

    /// The answer of an operation that is made of others: over already, if they are.
    pub(crate) fn polled(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        let mut future = Box::pin(future);
        // Whoever waits for it polls it again, with a waker of theirs.
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(result) => Self::Now(result),
            Poll::Pending => Self::Later(future),
        }
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(result) => Poll::Ready(std::mem::replace(result, Err(StoreError::Stopped))),
            // A worker that ends polls once more what it drops, with no runtime left: timers, threads and
            // connections would panic there.
            Self::Later(_) if runtime::Handle::try_current().is_err() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Now(Ok(_)) => "Now(Ok(..))",
            Self::Now(Err(_)) => "Now(Err(..))",
            Self::Later(_) => "Later(..)",
        })
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It holds as many sessions as it may, and none that may be thrown out.
    #[error(
        "the store holds as many sessions as `max_sessions` allows, all of them of logged-in users"
    )]
    Full,
    /// Something else is under the new key of a renewal.
    #[error("the store has something under a key that was made a moment ago")]
    Taken,
    /// A session was followed from key to key without coming to an end.
    #[error("the session was renewed more than {0} times, or its tombstones lead in a circle")]
    Endless(usize),
    /// The list of a user's sessions was incomplete, and what it lacks was not all found in time.
    #[error(
        "the list of the user's sessions is being repaired: {ended} ended, and some may go on; try again"
    )]
    Incomplete {
        /// How many sessions were ended.
        ended: usize,
    },
    /// The operation did not end within the time-out.
    #[error("the store did not answer within `store_timeout`")]
    TimedOut,
    /// The operation was stopped before its end, or its answer was asked for twice.
    #[error("the store stopped before it answered")]
    Stopped,
    /// The disk, or what stands for it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Whatever else a store meets.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
