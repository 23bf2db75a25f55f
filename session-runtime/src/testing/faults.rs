//! A store that fails when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::record::{Key, Record, Revision, UserKey};
use crate::store::{Answer, Commit, Lease, Listing, Loaded, Store, StoreError, Swept, Which};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: it is done.
    #[default]
    None,
    /// It is not done, and fails.
    Fails,
    /// It is done, and its reply is lost: it fails as far as anybody can tell.
    LosesReply,
    /// It is done, but not at once.
    Waits,
    /// It is not done, and never answers.
    Hangs,
    /// It is refused: a `create` because the key is taken, a `lock` because somebody else has it, all
    /// else because the session is gone.
    Refuses,
}

/// A store around another one, whose operations a test lets fail.
///
/// `fault` is asked before each operation, with its name (`"load"`, `"commit"`, …) and its number,
/// counted from 0 over all of them.
///
/// ```
/// # use std::sync::Arc;
/// # use bsession::testing::{Fault, FaultyStore, memory_store};
/// # use bsession::{Mode, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// let store = FaultyStore::new(memory_store(), |operation, _| match operation {
///     "commit" => Fault::Fails,
///     _ => Fault::None,
/// });
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(Mode::Custom(Arc::new(store)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: Mutex<Box<dyn FnMut(&'static str, usize) -> Fault + Send>>,
    operations: AtomicUsize,
}

impl FaultyStore {
    /// Puts faults before a store.
    pub fn new(
        inner: Arc<dyn Store>,
        fault: impl FnMut(&'static str, usize) -> Fault + Send + 'static,
    ) -> Self {
        Self {
            inner,
            fault: Mutex::new(Box::new(fault)),
            operations: AtomicUsize::new(0),
        }
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations.load(Ordering::SeqCst)
    }

    fn next_fault(&self, name: &'static str) -> Fault {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault(name, number)
    }

    fn run<'a, T: Send + Unpin + 'a>(
        &'a self,
        name: &'static str,
        refusal: T,
        operation: impl FnOnce() -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        match self.next_fault(name) {
            Fault::None => operation(),
            Fault::Fails => Answer::Now(Err(told_to_fail())),
            Fault::LosesReply => Answer::later(async {
                operation().await?;
                Err(told_to_fail())
            }),
            Fault::Waits => Answer::later(async {
                tokio::task::yield_now().await;
                operation().await
            }),
            Fault::Hangs => Answer::later(std::future::pending()),
            Fault::Refuses => Answer::Now(Ok(refusal)),
        }
    }
}

fn told_to_fail() -> StoreError {
    StoreError::Io(std::io::Error::other("told to fail"))
}

impl Store for FaultyStore {
    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        self.run("load", Loaded::Nothing, move || self.inner.load(key, now))
    }

    fn create(&self, key: Key, record: Record, now: Timestamp) -> Answer<'_, bool> {
        self.run("create", false, move || self.inner.create(key, record, now))
    }

    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.run("commit", Commit::Gone, move || {
            self.inner.commit(key, over, record, now)
        })
    }

    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        self.run("touch", (), move || {
            self.inner.touch(key, revision, expires, now)
        })
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.run("renew", Commit::Gone, move || {
            self.inner.renew(old, over, new, record, now)
        })
    }

    fn remove(&self, key: Key, now: Timestamp) -> Answer<'_, bool> {
        self.run("remove", false, move || self.inner.remove(key, now))
    }

    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        self.run("of_user", Vec::new(), move || self.inner.of_user(user, now))
    }

    fn remove_user(&self, user: UserKey, which: Which, now: Timestamp) -> Answer<'_, usize> {
        self.run("remove_user", 0, move || {
            self.inner.remove_user(user, which, now)
        })
    }

    fn lock(&self, key: Key) -> Answer<'_, Option<Lease>> {
        self.run("lock", None, move || self.inner.lock(key))
    }

    fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError> {
        match self.next_fault("sweep") {
            Fault::Fails | Fault::Hangs => Err(told_to_fail()),
            Fault::LosesReply => self.inner.sweep(now, budget).and(Err(told_to_fail())),
            Fault::None | Fault::Waits | Fault::Refuses => self.inner.sweep(now, budget),
        }
    }
}
