//! A store that fails when a test tells it to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose,
};

/// The outcome that a test chooses for an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No fault: the operation is done.
    #[default]
    None,
    /// The operation is not done, and fails.
    Fails,
    /// The operation is done, but its reply is lost. The caller gets an error.
    LosesReply,
    /// The operation is done, but not at once.
    Waits,
    /// The operation is not done, and never answers.
    Hangs,
    /// The operation is not done, and is refused. A `swap` answers that it found no entry. A `lock` answers that
    /// somebody else has it. Every other operation answers that nothing is there.
    Refuses,
}

/// Wraps a store, so that a test can make its operations fail.
///
/// The function `fault` of [`new`](Self::new) is called before each operation. It gets the name of the operation and
/// its number. The name is `"load"`, `"renew"` and so on; a swap is a `"create"` if it expects nothing, else a
/// `"commit"`. The number counts all operations, from 0.
///
/// ```
/// # use bsession::testing::{self, Fault, FaultyStore};
/// # use bsession::{Mode, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// let store = FaultyStore::new(testing::store(Mode::Memory), |operation, _| match operation {
///     "commit" => Fault::Fails,
///     _ => Fault::None,
/// });
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(store)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct FaultyStore {
    /// True if the inner store has its own locks.
    locks: bool,
    inner: Arc<dyn Store>,
    fault: Mutex<Box<dyn FnMut(&'static str, usize) -> Fault + Send>>,
    operations: AtomicUsize,
}

impl FaultyStore {
    /// Wraps `inner`. `fault` chooses the outcome of each operation.
    pub fn new(
        inner: impl Store,
        fault: impl FnMut(&'static str, usize) -> Fault + Send + 'static,
    ) -> Self {
        let locks = inner.lock(Key([0; 16])).is_some();
        Self {
            locks,
            inner: Arc::new(inner),
            fault: Mutex::new(Box::new(fault)),
            operations: AtomicUsize::new(0),
        }
    }

    /// Returns the number of operations so far.
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
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        self.run("load", None, move || self.inner.load(key))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        let name = match expected {
            Expected::Nothing => "create",
            Expected::At(_) | Expected::Over => "commit",
        };
        self.run(name, Swap::Found(None), move || {
            self.inner.swap(key, expected, entry, now)
        })
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let nothing = Listed {
            entries: Vec::new(),
            whole: true,
        };
        self.run("list", nothing, move || self.inner.list(users))
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        self.run("scan", Scanned::default(), move || {
            self.inner.scan(cursor, budget)
        })
    }

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        let nothing = vec![None; keys.len()];
        self.run("heads", nothing, move || self.inner.heads(keys))
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        self.run("touch", (), move || self.inner.touch(key, head, now))
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        self.run("renew", Swap::Found(None), move || {
            self.inner.renew(old, over, new, record, now)
        })
    }

    fn renews_at_once(&self) -> bool {
        self.inner.renews_at_once()
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        self.run("end", Ending::Nothing, move || {
            self.inner.end(key, whose, now)
        })
    }

    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        self.run("sweep", Swept::default(), move || {
            self.inner.sweep(from, now, budget)
        })
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        self.locks.then(|| {
            self.run("lock", None, move || {
                let none = || Answer::ready(|| Ok(None));
                self.inner.lock(key).unwrap_or_else(none)
            })
        })
    }

    fn outage(&self) -> Option<StoreError> {
        self.inner.outage()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }
}
