//! The answer of a store, which is ready or must be waited for, and the errors of a store.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime;

/// A store's answer: a future that may be ready from the start.
///
/// A store that never waits costs its callers no allocation and no task.
#[must_use = "a store does nothing more than its answer says"]
pub enum Answer<'a, T> {
    /// The operation is over, with this result.
    Now(Result<T, StoreError>),
    /// The operation goes on while this future is polled. It is polled on a tokio runtime.
    Later(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// Does `work` at once, and returns its result as the answer.
    pub fn ready(work: impl FnOnce() -> Result<T, StoreError>) -> Self {
        Self::Now(work())
    }

    /// Makes an answer of a future that the caller waits for.
    pub fn later(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        Self::Later(Box::pin(future))
    }

    /// Makes an answer of an operation that calls other operations. It is ready at once if all of them are.
    pub(crate) fn polled(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        let mut future = Box::pin(future);
        // A waker that does nothing is enough here: the caller that waits polls again, with its own waker.
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
            // A worker that ends polls its futures once more before it drops them, and then there is no runtime.
            // Timers, threads and connections would panic, so the future is not polled.
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

/// The reason why a store could not do an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another entry is under the new key of a renewal.
    #[error("the store has something under a key that was made a moment ago")]
    Taken,
    /// A session was followed from key to key, and no end was found.
    #[error("the session was renewed more than {0} times, or its tombstones lead in a circle")]
    Endless(usize),
    /// The list of a user's sessions was incomplete, and not all missing sessions were found in time.
    #[error(
        "the list of the user's sessions is being repaired: {ended} ended, and some may go on; try again"
    )]
    Incomplete {
        /// The number of sessions that were ended.
        ended: usize,
    },
    /// The operation did not end within the time-out.
    #[error("the store did not answer within `store_timeout`")]
    TimedOut,
    /// The operation was stopped before its end, or its answer was polled again after it was ready.
    #[error("the store stopped before it answered")]
    Stopped,
    /// An I/O error of the disk, or of the system that the store uses in place of a disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Any other error of a store.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
