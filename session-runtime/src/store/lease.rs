//! The lease of a session, for requests that go one after the other. It is a guard, or an entry that
//! expires and that its holder extends.
//!
//! A lease that expires ends when it is given back, or some time after its holder was killed or cut off. If a
//! worker is blocked for that long, the lease is lost, and the request is not told. Its commit is then merged like
//! any other commit.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::StoreError;
use super::contract::Store;
use super::entry::{Entry, Expected, Swap};
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision};

/// The time after which a lease ends if nobody extends it.
pub(super) const LEASE_TIME: Duration = Duration::from_secs(30);

/// The time between two extensions of a lease.
const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// The time limit of a single operation on a lease.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before a failed release is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The lock of a session, held until this is dropped: see [`Store::lock`].
#[derive(Default)]
#[must_use = "a lease that is dropped is over"]
pub struct Lease {
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// Makes a lease that ends when `guard` is dropped. This may happen on a thread that serves requests.
    ///
    /// The default lease guards nothing.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self {
            _guard: Some(Box::new(guard)),
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(..)")
    }
}

/// A lock that one holder takes, and that ends after [`LEASE_TIME`] if it is not extended.
pub(super) trait Expiring: Send + Sync + 'static {
    /// Takes the lock if it is free. True if this holder has it now.
    fn take(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// Extends the lock by another [`LEASE_TIME`]. False if another holder has it by now.
    fn extend(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// Gives the lock back, if this holder still has it.
    fn release(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// The reason why the store cannot answer at present: see [`Store::outage`].
    fn outage(&self) -> Option<StoreError>;
}

/// Takes a lock and keeps it until the lease is dropped; `None` if somebody else has it.
///
/// A task on the runtime of the caller does this. So the lock is given back even if nobody waits for it any more.
pub(super) async fn keep(lock: impl Expiring) -> Result<Option<Lease>, StoreError> {
    let (held, mut given_back) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let keeper = async move {
        let taken = in_time(lock.take()).await.map_err(|error| match error {
            StoreError::TimedOut => lock.outage().unwrap_or(error),
            error => error,
        });
        let (is_taken, is_in_doubt) = (matches!(taken, Ok(true)), taken.is_err());
        drop(tell.send(taken));
        if is_taken {
            while tokio::time::timeout(EXTEND_EVERY, &mut given_back)
                .await
                .is_err()
            {
                // If the store cannot be reached, the next round tries again. A lock that another holder has by now
                // is left alone.
                if let Ok(false) = in_time(lock.extend()).await {
                    tracing::warn!(target: "bsession", "lock_lost");
                    return;
                }
            }
            // Others may wait for the lock. If it cannot be released now, this is tried again until the lock has
            // ended by itself.
            let begin = Instant::now();
            while in_time(lock.release()).await.is_err() && begin.elapsed() < LEASE_TIME {
                tokio::time::sleep(PAUSE).await;
            }
        } else if is_in_doubt {
            drop(in_time(lock.release()).await);
        }
    };
    runtime::Handle::try_current()
        .map_err(|_| StoreError::Stopped)?
        .spawn(keeper);
    let is_taken = told.await.unwrap_or(Err(StoreError::Stopped))?;
    Ok(is_taken.then(|| Lease::holding(held)))
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let limit = tokio::time::timeout(PATIENCE, work).await;
    limit.unwrap_or(Err(StoreError::TimedOut))
}

/// The lock of a session in a store without its own locks: an entry under a key that is derived from the session's key.
struct OfSwaps {
    store: Arc<dyn Store>,
    key: Key,
    own: Revision,
    /// The time when the lock was asked for: by the service's clock, and by the machine's.
    asked: (Timestamp, Instant),
}

pub(super) async fn of_swaps(
    store: Arc<dyn Store>,
    session: Key,
    now: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    let hash = Sha256::new()
        .chain_update(b"bsession lock")
        .chain_update(session.0)
        .finalize();
    let key = Key(std::array::from_fn(|place| hash[place]));
    let own = Revision::first();
    let asked = (now, Instant::now());
    keep(OfSwaps {
        store,
        key,
        own,
        asked,
    })
    .await
}

impl OfSwaps {
    fn now(&self) -> Timestamp {
        let (then, begin) = self.asked;
        then + begin.elapsed()
    }

    /// The head of the lock's entry, which looks like a session without a user. Its handle is zeros, which no session
    /// has.
    fn head(&self, now: Timestamp) -> Head {
        Head {
            revision: self.own,
            expires: now + LEASE_TIME,
            seen: now,
            created: now,
            handle: Handle([0; 12]),
            user: None,
        }
    }
}

impl Expiring for OfSwaps {
    async fn take(&self) -> Result<bool, StoreError> {
        let now = self.now();
        for expected in [Expected::Nothing, Expected::Over] {
            let entry = Entry::Live(Record {
                head: self.head(now),
                summary: None,
                body: Body::from_bytes([]),
            });
            let swap = self.store.swap(self.key, expected, Some(entry), now);
            match swap.await? {
                Swap::Done => return Ok(true),
                Swap::Found(Some(entry)) if entry.is_over(now) => {}
                Swap::Found(found) => {
                    let held = found.as_ref().and_then(Entry::head);
                    return Ok(held.is_some_and(|head| head.revision == self.own));
                }
            }
        }
        Ok(false)
    }

    async fn extend(&self) -> Result<bool, StoreError> {
        let now = self.now();
        self.store.touch(self.key, self.head(now), now).await?;
        let held = self.store.load(self.key).await?;
        // A touch moves no lock that has expired: another holder may take it at any moment.
        let is_own = |head: &Head| head.revision == self.own && head.is_live(now);
        Ok(held.as_ref().and_then(Entry::head).is_some_and(is_own))
    }

    async fn release(&self) -> Result<(), StoreError> {
        let at = Expected::At(self.own);
        drop(self.store.swap(self.key, at, None, self.now()).await?);
        Ok(())
    }

    fn outage(&self) -> Option<StoreError> {
        self.store.outage()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::memory::OpenMemory;

    /// A lock in a store that never answers, and knows why.
    struct Dark;

    impl Expiring for Dark {
        async fn take(&self) -> Result<bool, StoreError> {
            std::future::pending().await
        }

        async fn extend(&self) -> Result<bool, StoreError> {
            std::future::pending().await
        }

        async fn release(&self) -> Result<(), StoreError> {
            std::future::pending().await
        }

        fn outage(&self) -> Option<StoreError> {
            Some(StoreError::Other("the lights are off".into()))
        }
    }

    #[test]
    fn a_lock_that_is_not_answered_in_time_tells_the_reason() {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let error = runtime.block_on(keep(Dark)).unwrap_err();
        assert_eq!(error.to_string(), "the lights are off");
    }

    #[test]
    fn an_expired_lock_of_swaps_cannot_be_extended() {
        let lock = |asked: Timestamp| OfSwaps {
            store: Arc::new(OpenMemory::default()),
            key: Key([1; 16]),
            own: Revision::first(),
            asked: (asked, Instant::now()),
        };
        let now = Timestamp::from_millis(1_750_000_000_000);
        for (later, is_held) in [(LEASE_TIME / 2, true), (LEASE_TIME * 2, false)] {
            let mut lock = lock(now);
            assert!(lock.take().now_or_never().unwrap().unwrap());
            lock.asked.0 = now + later;
            let extended = lock.extend().now_or_never().unwrap().unwrap();
            assert_eq!(extended, is_held, "after {later:?}");
        }
    }
}
