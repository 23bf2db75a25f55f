//! The speed of the disk, which decides on which thread an operation waits for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::store::StoreError;

/// The time that an operation may take. On a disk that keeps up it takes some microseconds. A thread that waits for a
/// core looks as slow, but to use another thread for a while costs little.
pub(super) const FAST: Duration = Duration::from_millis(10);

/// The number of fast operations in a row after which the disk is trusted again.
pub(super) const CALM: u32 = 64;

/// Decides whether the thread that serves requests waits for the disk itself. As long as the disk answers, that costs a
/// fraction of a call on another thread.
#[derive(Default)]
pub(super) struct Pace {
    /// The number of operations that still have to be fast.
    distrust: AtomicU32,
}

impl Pace {
    pub(super) fn is_slow(&self) -> bool {
        self.distrust.load(Ordering::Relaxed) > 0
    }

    /// Does `work`, and measures it.
    pub(super) fn of<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        self.note(begun.elapsed());
        result
    }

    pub(super) fn note(&self, took: Duration) {
        if took > FAST {
            self.distrust.store(CALM, Ordering::Relaxed);
        } else if self.is_slow() {
            let less = |left: u32| left.checked_sub(1);
            let _ = self
                .distrust
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// Does `work` on a thread that may block. If this is dropped before the work has begun, it never begins.
pub(super) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    struct Job<T>(JoinHandle<T>);
    impl<T> Drop for Job<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut job = Job(tokio::task::spawn_blocking(work));
    (&mut job.0).await.map_err(|_| StoreError::Stopped)
}
