//! The contract of a store: its operations, and the rules that every store must keep.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::answer::{Answer, StoreError};
use super::entry::{Cursor, Ending, Entry, Expected, Listed, Scanned, Swap, Swept, Whose};
use super::lease::Lease;
use super::ledger::AT_ONCE;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};

/// Keeps entries under keys.
///
/// A store only compares and writes (compare-and-swap). All rules of sessions are in the library: for example, how
/// long a removed session is remembered. A store sees hashed keys, the [`Head`] of a session in clear, and sealed
/// bytes. It sees no ids, no cookies and no HTTP.
///
/// A store has no clock: every call that needs the time gets it as an argument. A store has no time-outs: the service
/// stops waiting after [`store_timeout`](crate::Builder::store_timeout) and drops the answer.
///
/// # The contract
///
/// - **Every call is atomic for its key**, across all threads, processes and hosts that share the
///   store.
/// - **A call that starts after another call was answered sees the effect of that call.**
/// - **After an error** the old state or the new state holds, never a mixture. The new state may also come at any later
///   time.
/// - Keys are random and belong to one session. If a renewal was taken back, the entry under its new key was deleted,
///   but the key may be used again: by a retry of the renewal, or by the session that a login then begins. So the call
///   that deletes an entry is the last one that may take its key off a list. The key of a lock is also used again, but
///   it is on no list.
///
/// The four required operations are enough. The provided operations are made of them. Override those that
/// your database can do in one step. The suite [`testing::contract`](https://docs.rs/bsession/latest/bsession/testing/fn.contract.html)
/// checks every sentence.
///
/// An operation that can finish at once answers with [`Answer::ready`]. Every other operation answers with
/// [`Answer::later`], because it must not block the thread.
///
/// # Example
///
/// A store in a map. It is enough for a test:
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

    /// Puts `entry` under `key` if `expected` [is met](Expected::is_met_by); `None` deletes the entry there.
    ///
    /// If `expected` is not met, the swap changes nothing and returns the entry that it found.
    ///
    /// The key comes on the list of the entry's user before the entry is written, or in the same step.
    ///
    /// [`Swap::Found`] proves that this call changed nothing. A driver that may have sent a call twice, and
    /// cannot prove that, answers with an error. (This can be a proof: the revision that replaces the one in
    /// [`Expected::At`] has its number plus one, and only one revision replaces it. If the revision found has that
    /// number and another tag, this call was not done.)
    ///
    /// `now` is for `expected`. It is also for stores that count down (a time to live) or make room.
    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap>;

    /// Returns the entries that are listed under any of `users`, the keys of one user.
    ///
    /// Every session that is listed before the call and live after it is among them: under its present key, or under
    /// a key that leads to it by successors. An entry may have changed meanwhile.
    ///
    /// A store that reads a list in one atomic step may take a renewed key off the list at once. Every other store
    /// takes a key off when its tombstone is deleted, and never at its renewal.
    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed>;

    /// Returns about `budget` entries from `cursor` on, and the place where the next call goes on.
    ///
    /// Every entry that stays in the store is returned at least once in a round.
    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned>;

    /// Returns the entries under `keys`, in the same order. Bodies and summaries may be left out.
    ///
    /// It may read one key after the other; the answers need not be of the same moment. The library asks for all
    /// sessions that are [watched](crate::Session::watch) in one call, every two seconds.
    ///
    /// Provided: loads, many at a time.
    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Answer::polled(async move {
            let load = async |key: &Key| Ok(self.load(*key).await?.map(Entry::without_body));
            let loads = stream::iter(keys).map(load).buffered(AT_ONCE);
            loads.try_collect().await
        })
    }

    /// Sets `expires` and `seen` of a session to those of `head`, if it is live and at the revision of
    /// `head`.
    ///
    /// A store whose lists can be lost puts the key back on the list of the user.
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

    /// Creates `record` under `new`, and ends `old` at revision `over` with `new` as its successor.
    ///
    /// Returns the result of the swap of `old`. If that swap found something else, `new` is deleted again.
    ///
    /// Provided: two swaps, and a third one that deletes `new`. After an error nothing is taken back, because the
    /// failed swap may still be done. A store that does both in one step also overrides
    /// [`renews_at_once`](Self::renews_at_once).
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another entry is under `new`. Then nothing was changed.
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

    /// True if a renewal is one step and so never stops half way.
    ///
    /// If false, a logout also looks for the twin that a renewal may have left behind.
    fn renews_at_once(&self) -> bool {
        false
    }

    /// Puts a tombstone in place of the session under `key`, at any revision, if `whose` includes the session.
    ///
    /// It follows no successor. An expired session gets a tombstone, too: a clock that is set back must not revive it.
    /// A store that has no room for a tombstone deletes the session instead.
    ///
    /// Provided: a load and swaps, until one of them succeeds. Requests that write all the time delay it, so override
    /// it if your database can do it in one step.
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

    /// Visits about `budget` entries from `from` on, deletes those that [are over](Entry::is_over), and puts sessions
    /// back on lists that lack them.
    ///
    /// The library calls it on a separate thread, which it may block.
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

    /// Takes the lock of a session, for requests that go one after the other. The answer is `None` while somebody
    /// else has the lock.
    ///
    /// The lock stops nobody from reading or writing the entry under `key`, and that entry need not exist. In one
    /// service the requests of a session ask for the lock one at a time. A request asks again until
    /// [`lock_timeout`](crate::Builder::lock_timeout) is over. If a holder is killed, the lock must become free
    /// again.
    ///
    /// Provided: returns `None` in place of an answer. Then the library makes a lock of swaps, as an entry that
    /// expires.
    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        let _ = key;
        None
    }

    /// Returns the reason why the store cannot answer at present, if it knows one. An example is a server that refuses
    /// the password.
    ///
    /// The library asks this when [`store_timeout`](crate::Builder::store_timeout) is over and an operation still waits.
    /// The log and the error then have this reason in place of [`TimedOut`](StoreError::TimedOut). It must not wait.
    ///
    /// Provided: no reason.
    fn outage(&self) -> Option<StoreError> {
        None
    }

    /// True if entries stay in the memory of this process. Their bodies need no sealing then.
    fn in_process(&self) -> bool {
        false
    }
}

/// True if `found` is the tombstone of a session that moved to `new`.
pub(crate) fn is_renewed_to(found: Option<&Entry>, new: Key) -> bool {
    matches!(found, Some(Entry::Ended { successor: Some(successor), .. }) if *successor == new)
}

/// Renews by two swaps. A third swap deletes `new` if the second one found something else. After an error nothing is
/// taken back.
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
