//! The contract of a store, and the stores that come with the library.

pub(crate) mod file;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::clock::Timestamp;
use crate::record::{Handle, Key, Record, Revision, Summary, UserKey};

/// Where sessions are kept.
///
/// A store knows records under keys. It sees hashed keys, the clear fields of a [`Record`] and
/// sealed bytes, and nothing of ids, cookies or HTTP. It has no clock: every call says what time
/// it is. It bounds nothing by time: the service stops waiting after
/// [`store_timeout`](crate::Builder::store_timeout) and drops the answer.
///
/// # The contract
///
/// A key is *live* when it has a record whose `expires` is later than `now`; *retired* when it
/// was removed or renewed less than [`RETIRED`](crate::RETIRED) ago; else there is *nothing*.
/// Every operation is atomic: no other one on the same key, by whichever thread, process or
/// host that shares the store, falls into its middle.
///
/// - **Nothing but [`create`](Store::create) and [`renew`](Store::renew) brings a key to life.**
///   `commit` and `touch` on a key that is not live change nothing. What was removed stays
///   removed.
/// - **A revision is written over once.** Of two commits over one revision the second gets a
///   conflict with the record that the first one wrote.
/// - **A lost reply does no harm.** A commit or a renewal that finds its own revision already
///   written is *saved*.
/// - **An acknowledged write is seen** by every load that starts after it, from wherever.
/// - **An error leaves the old state**, or, where the reply was lost, the new one; never a
///   mixture.
///
/// Waiting never blocks the thread: an operation that can finish at once answers
/// [`Answer::Now`], any other one [`Answer::Later`].
pub trait Store: Send + Sync + 'static {
    /// Whether records stay in the memory of this process, so that their bodies need no sealing.
    fn in_process(&self) -> bool {
        false
    }

    /// Reads the record under `key`.
    ///
    /// An expired record is nothing, whether it was swept already or not.
    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded>;

    /// Writes the first record under `key`.
    ///
    /// Answers `false` and changes nothing if the key was ever used and is still known, be it
    /// live, expired or retired: no key is ever shared.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is no room, after what may be thrown out was.
    fn create(&self, key: Key, record: Record, now: Timestamp) -> Answer<'_, bool>;

    /// Replaces the record under `key`, if it is live and at revision `over`.
    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit>;

    /// Moves `expires` of the record under `key`, and its `seen` to `now`, if it is live and at
    /// `revision`; else nothing.
    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()>;

    /// Moves a session to a new key, which nobody else knows yet.
    ///
    /// Creates `new` with `record`, then retires `old` if it is live and at revision `over`,
    /// naming `new` as its successor; if it is not, removes `new` again, as if it had never been,
    /// and answers as [`commit`](Store::commit) does. Stopped in between, it leaves `old` live and
    /// at `new` an orphan that expires. A store with transactions does both at once. Where `new`
    /// is taken by anything but this very revision, the answer is [`Commit::Gone`].
    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit>;

    /// Removes the record under `key` and leaves a tombstone, kept for
    /// [`TOMBSTONE`](crate::TOMBSTONE).
    ///
    /// Where there is a tombstone with a successor already, removes the successor, and so on to the
    /// last one. An expired record gets a tombstone too, lest a clock that is set back revives it.
    /// Answers whether a live record was removed.
    fn remove(&self, key: Key, now: Timestamp) -> Answer<'_, bool>;

    /// The live sessions of a user, in no order.
    ///
    /// One that is renewed meanwhile is not missed, but may be listed twice, under both keys.
    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>>;

    /// Removes those sessions of a user that are [included](Which::includes), as
    /// [`remove`](Store::remove) does; answers how many live ones there were.
    ///
    /// Whose a session is, and its handle, is looked at in the same atomic step as the removal:
    /// one that is renewed meanwhile, handle and all, does not slip through, and one that has
    /// become another user's is not touched.
    fn remove_user(&self, user: UserKey, which: Which, now: Timestamp) -> Answer<'_, usize>;

    /// Takes the lock of a session, for requests that go one after the other; `None` while
    /// somebody else has it.
    ///
    /// It keeps nobody from the record under `key`, which need not be there. The requests of one
    /// service come here one at a time, and ask again while the answer is `None`, for as long as
    /// [`lock_timeout`](crate::Builder::lock_timeout) says. So the default, which always gives the lock,
    /// is right for a store that processes do not share. A store that is shared has to override it: it
    /// gives a lease to one of all who ask, until that is dropped. The lock must come back from
    /// a holder that was killed: by the operating system, or by an expiry that the holder moves.
    fn lock(&self, key: Key) -> Answer<'_, Option<Lease>> {
        let _ = key;
        Answer::Now(Ok(Some(Lease::default())))
    }

    /// Looks at about `budget` records and tombstones, from where the last call stopped, and
    /// deletes those that have expired.
    ///
    /// Called from a thread of its own, which it may block.
    ///
    /// # Errors
    /// The store cannot be reached, or did not let itself be cleaned.
    fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError>;
}

/// What [`Store::load`] finds.
#[derive(Clone, Debug)]
pub enum Loaded {
    /// A live record.
    Live(Record),
    /// The session was removed or got a new id a moment ago.
    Retired,
    /// Nothing, or nothing any more.
    Nothing,
}

/// How a [`Store::commit`] or [`Store::renew`] ended.
#[derive(Clone, Debug)]
pub enum Commit {
    /// It is written.
    Saved,
    /// Somebody else committed meanwhile; here is what they wrote.
    Conflict(Record),
    /// The session is not live any more; nothing was written.
    Gone,
}

/// A line of [`Store::of_user`]: where a session is, its clear fields, and its summary.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Its key.
    pub key: Key,
    /// Its public name.
    pub handle: Handle,
    /// When it was created.
    pub created: Timestamp,
    /// When it ends unless it is visited.
    pub expires: Timestamp,
    /// When it was last visited, as far as that was written.
    pub seen: Timestamp,
    /// What its record has for lists.
    pub summary: Option<Summary>,
}

impl Listing {
    /// The line of a record.
    #[must_use]
    pub fn of(key: Key, record: &Record) -> Self {
        Self {
            key,
            handle: record.handle,
            created: record.created,
            expires: record.expires,
            seen: record.seen,
            summary: record.summary.clone(),
        }
    }
}

/// Which sessions of a user a [`Store::remove_user`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    All,
    /// Every one but that with this handle.
    AllBut(Handle),
    /// The one with this handle.
    One(Handle),
}

impl Which {
    /// Whether the session with this handle is among them.
    #[must_use]
    pub fn includes(self, handle: Handle) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(spared) => handle != spared,
            Self::One(meant) => handle == meant,
        }
    }
}

/// The lock of a session, held by whoever has this: see [`Store::lock`].
#[derive(Default)]
#[must_use = "a lease that is dropped is over"]
pub struct Lease {
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Lease {
    /// A lease that ends when `guard` is dropped, be it on a thread that serves requests.
    ///
    /// The default one guards nothing.
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

/// What a [`Store::sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many it deleted.
    pub deleted: usize,
    /// Whether it came to the end; the next call starts from the beginning.
    pub finished: bool,
}

/// A store's answer: there already, or still to be waited for.
///
/// It is a future; a store that never waits costs its callers no allocation and no task.
#[must_use = "a store does nothing more than its answer says"]
pub enum Answer<'a, T> {
    /// The operation is over.
    Now(Result<T, StoreError>),
    /// The operation goes on while this is polled, which happens on a tokio runtime.
    Later(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// An answer to be waited for.
    pub fn later(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(result) => Poll::Ready(std::mem::replace(result, Err(StoreError::Stopped))),
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
