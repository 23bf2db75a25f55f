//! The contract of a store: what it does, and what it must keep to.

use super::answer::{Answer, StoreError};
use super::entry::{Cursor, Ending, Entry, Expected, Listed, Scanned, Swap, Swept, Whose};
use super::lease::Lease;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};

/// Keeps entries under keys.
///
/// A store compares and writes, and no more: all rules of sessions, such as how long a removed one is
/// remembered, are in the library. It sees hashed keys, the [`Head`] of a session in clear and sealed bytes, and
/// nothing of ids, cookies or HTTP. It has no clock and no time-outs: every call that needs the time is
/// told it, and the service stops waiting after [`store_timeout`](crate::Builder::store_timeout) and drops the answer.
///
/// # The contract
///
/// - **Every call is atomic for its key**, across all threads, processes and hosts that share the
///   store.
/// - **A call that starts after another one was answered sees what that one did.**
/// - **An error means** the old state, or the new one, now or at any later time; never a mixture.
/// - Keys are random and belong to one session. Only a renewal that was taken back, and is tried again,
///   uses a key once more whose entry was deleted: so a key must not come off a list later than in the call that deletes
///   its entry.
///
/// The four required operations are enough. The provided ones are made of them; override those that
/// your database can do in one step. The suite [`testing::contract`](https://docs.rs/bsession/latest/bsession/testing/fn.contract.html)
/// checks every sentence.
///
/// An operation that can finish at once answers with [`Answer::ready`], any other one with
/// [`Answer::later`], for it must not block the thread.
///
/// # Example
///
/// A store in a map, which is enough for a test:
///
/// ```
/// # use std::collections::BTreeMap;
/// # use std::sync::{Mutex, MutexGuard, PoisonError};
/// use bsession::Timestamp;
/// use bsession::store::{Answer, Cursor, Entry, Expected, Key, Listed, Scanned, Store, Swap, UserKey};
///
/// #[derive(Default)]
/// struct MapStore(Mutex<BTreeMap<Key, Entry>>);
///
/// impl MapStore {
///     fn map(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner)
///     }
/// }
///
/// impl Store for MapStore {
///     fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
///         Answer::ready(|| Ok(self.map().get(&key).cloned()))
///     }
///
///     fn swap(&self, key: Key, expected: Expected, entry: Option<Entry>, now: Timestamp) -> Answer<'_, Swap> {
///         Answer::ready(|| {
///             let mut map = self.map();
///             let found = map.get(&key);
///             if !expected.is_met_by(found, now) {
///                 return Ok(Swap::Found(found.cloned()));
///             }
///             match entry {
///                 Some(entry) => drop(map.insert(key, entry)),
///                 None => drop(map.remove(&key)),
///             }
///             Ok(Swap::Done)
///         })
///     }
///
///     fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
///         let of_users = |entry: &Entry| entry.head().and_then(|head| head.user).is_some_and(|user| users.contains(&user));
///         Answer::ready(|| {
///             let map = self.map();
///             let entries = map.iter().filter(|(_, entry)| of_users(entry));
///             Ok(Listed { entries: entries.map(|(key, entry)| (*key, entry.clone())).collect(), whole: true })
///         })
///     }
///
///     fn scan(&self, _: Cursor, _: usize) -> Answer<'_, Scanned> {
///         Answer::ready(|| {
///             let entries = self.map().iter().map(|(key, entry)| (*key, entry.clone())).collect();
///             Ok(Scanned { entries, next: None })
///         })
///     }
/// }
/// # #[actix_web::main]
/// # async fn main() {
/// # bsession::testing::contract(|| std::sync::Arc::new(MapStore::default())).await;
/// # }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Returns the entry under `key`, expired or not.
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>>;

    /// Puts `entry` under `key`, or deletes what is there (`None`), if `expected`
    /// [is met](Expected::is_met_by); else returns what it found.
    ///
    /// The key is on the list of the entry's user before the entry is there, or in the same step.
    ///
    /// [`Swap::Found`] proves that this call changed nothing. A driver that may have sent a call twice, and
    /// cannot prove that, answers with an error. (Of the revisions that follow [`Expected::At`] only one has its
    /// number plus one: if the one found has that number and another tag, this call was not done.)
    ///
    /// `now` is for `expected`, and for stores that count down (a time to live) or make room.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is no room, after what may be thrown out was.
    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap>;

    /// Returns the entries that are listed under any of `users`, the keys of one user.
    ///
    /// Every session that is listed before the call and live after it is among them, under this key or
    /// under one that leads to it by successors. An entry may have changed meanwhile. A store whose list is
    /// one atomic look may take a renewed key off at once; any other one takes a key off when its tombstone is deleted, never
    /// with its renewal.
    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed>;

    /// Visits about `budget` entries from `cursor` on, and returns where to go on.
    ///
    /// Each entry that stays is visited at least once in a round.
    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned>;

    /// Moves `expires` and `seen` of a session to those of `head`, if it is live and at the revision of
    /// `head`. A store whose lists can be lost puts the key back on the list of the user.
    ///
    /// Provided: a load and a swap.
    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        Answer::polled(async move {
            let Some(Entry::Live(record)) = self.load(key).await? else {
                return Ok(());
            };
            if record.head.revision == head.revision && record.head.is_live(now) {
                let touched = Record {
                    head: Head {
                        expires: head.expires,
                        seen: head.seen,
                        ..record.head
                    },
                    ..record
                };
                let at = Expected::At(head.revision);
                drop(self.swap(key, at, Some(Entry::Live(touched)), now).await?);
            }
            Ok(())
        })
    }

    /// Creates `record` under `new`, and ends `old` at revision `over` with `new` as its successor; returns
    /// what the swap of `old` came to. If that found something else, `new` is deleted again.
    ///
    /// Provided: two swaps, and a third one that deletes `new`. After an error nothing is taken back, since what
    /// failed may still be done. A store that does both in one step also overrides
    /// [`renews_at_once`](Self::renews_at_once).
    ///
    /// # Errors
    /// [`StoreError::Taken`] if something else is under `new`; then nothing was changed.
    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::polled(renew_by_swaps(self, old, over, new, record, now))
    }

    /// True if a renewal is one step, so that none ever stops half way.
    ///
    /// Else a logout also looks for the twin that a renewal may have left behind.
    fn renews_at_once(&self) -> bool {
        false
    }

    /// Puts a tombstone in place of the session under `key`, whatever its revision, if it is one that
    /// `whose` includes. Follows no successor.
    ///
    /// An expired session gets a tombstone, too: a clock that is set back must not revive it. A store that has no
    /// room for a tombstone deletes the session instead.
    ///
    /// Provided: a load and swaps, until one of them succeeds. Somebody who writes all the time delays it, so override it if
    /// your database can do it in one step.
    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        Answer::polled(async move {
            let mut found = self.load(key).await?;
            loop {
                let head = match Ending::of(found.as_ref(), whose) {
                    Ok(head) => head,
                    Err(ending) => return Ok(ending),
                };
                let expected = if head.is_live(now) {
                    Expected::At(head.revision)
                } else {
                    Expected::Over
                };
                let removed = Entry::removed(now);
                match self.swap(key, expected, Some(removed), now).await? {
                    Swap::Done => return Ok(Ending::Ended(head)),
                    Swap::Found(other) => found = other,
                }
            }
        })
    }

    /// Deletes what is over among about `budget` entries from `from` on, and puts sessions back on lists that
    /// lack them. Called from a thread of its own, which it may block.
    ///
    /// Provided: a scan, and a swap for each entry that is over. A store that expires its entries by itself
    /// overrides it.
    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        Answer::polled(async move {
            let Scanned { entries, next } = self.scan(from, budget).await?;
            let mut deleted = 0;
            for (key, entry) in entries {
                if entry.is_over(now) {
                    let swap = self.swap(key, Expected::Over, None, now).await?;
                    deleted += usize::from(matches!(swap, Swap::Done));
                }
            }
            Ok(Swept { deleted, next })
        })
    }

    /// Takes the lock of a session, for requests that go one after the other: `Some(None)` while somebody else
    /// has it.
    ///
    /// It keeps nobody from the entry under `key`, which need not be there. The requests of one service come here one
    /// at a time, and ask again for as long as [`lock_timeout`](crate::Builder::lock_timeout) says. The lock
    /// must come back from a holder that was killed.
    ///
    /// Provided: `None`. Then the library makes a lock of swaps, as an entry that expires.
    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        let _ = key;
        None
    }

    /// True if entries stay in the memory of this process, so that their bodies need no sealing.
    fn in_process(&self) -> bool {
        false
    }
}

/// True for the tombstone of a session that moved to `new`.
pub(crate) fn is_renewed_to(found: Option<&Entry>, new: Key) -> bool {
    matches!(found, Some(Entry::Ended { successor: Some(successor), .. }) if *successor == new)
}

/// A renewal of two swaps, and of a third one that deletes `new` if the second found something else. After an error
/// nothing is taken back.
pub(crate) async fn renew_by_swaps(
    store: &(impl Store + ?Sized),
    old: Key,
    over: Revision,
    new: Key,
    record: Record,
    now: Timestamp,
) -> Result<Swap, StoreError> {
    let own = record.head.revision;
    let created = Some(Entry::Live(record));
    match store.swap(new, Expected::Nothing, created, now).await? {
        Swap::Found(Some(Entry::Live(found))) if found.head.revision == own => {}
        Swap::Found(_) => return Err(StoreError::Taken),
        Swap::Done => {}
    }
    let ended = Entry::Ended {
        at: now,
        successor: Some(new),
    };
    let swap = store
        .swap(old, Expected::At(over), Some(ended), now)
        .await?;
    if let Swap::Found(found) = &swap
        && !is_renewed_to(found.as_ref(), new)
    {
        drop(store.swap(new, Expected::At(own), None, now).await?);
    }
    Ok(swap)
}
