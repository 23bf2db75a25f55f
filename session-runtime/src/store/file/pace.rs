//! How fast the disk is, and so who waits for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::store::StoreError;

/// What an operation may take, that takes some microseconds while the disk keeps up. A thread that
/// has to wait for a core seems as slow, but to move away costs little and does not last.
pub(super) const FAST: Duration = Duration::from_millis(10);

/// So many fast operations in a row, and the disk is trusted again.
pub(super) const CALM: u32 = 64;

/// Whether the thread that serves requests may wait for the disk itself: that costs a fraction of
/// what it takes to ask another thread, as long as the disk answers.
#[derive(Default)]
pub(super) struct Pace {
    /// How many operations have to be fast first.
    distrust: AtomicU32,
}

impl Pace {
    pub(super) fn is_slow(&self) -> bool {
        self.distrust.load(Ordering::Relaxed) > 0
    }

    /// Does `work`, and takes note of how long it takes.
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

/// Does `work` on a thread that may block. Dropped before it has begun, it never does.
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
