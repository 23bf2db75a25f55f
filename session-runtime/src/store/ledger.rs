//! The ledger: the rules of sessions, written once for all stores.
//!
//! A key is *live* if its entry is a session that is not expired. It is *retired* if the session was
//! removed or renewed less than [`RETIRED`](crate::RETIRED) ago. Otherwise the key is *nothing*.
//!
//! - Only [`create`](Ledger::create) and [`renew`](Ledger::renew) make a key live. A removed session stays removed.
//! - A revision is overwritten once (compare-and-swap). The second of two commits gets a conflict, with the record of
//!   the first.
//! - A lost reply does no harm: a commit or a renewal that finds its own revision counts as saved.
//! - A loop that gives up returns an error, and never success. Only after an answer of the store is anything cleaned
//!   up. After an error nothing is taken back.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::answer::{Answer, StoreError};
use super::contract::{Store, is_renewed_to};
use super::entry::is_retired;
use super::entry::{Cursor, Ending, Entry, Expected, Scanned, Swap, Swept, Which, Whose};
use super::lease::{self, Lease};
use crate::clock::Timestamp;
use crate::record::{Handle, Head, Key, Record, Revision, Summary, UserKey};

/// The number of renewals that are followed from one key. It is more than one visitor makes while a tombstone is
/// kept. The limit also ends a search in a circle of tombstones, which nobody makes.
pub(crate) const RENEWALS: usize = 10_000;

/// The number of sessions that are read or ended at once.
pub(crate) const AT_ONCE: usize = 128;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The result of a [`Ledger::load`].
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// A live session.
    Live(Record),
    /// The session was removed or got a new id less than [`RETIRED`](crate::RETIRED) ago.
    Retired,
    /// No session, or no session any more.
    Nothing,
}

impl Loaded {
    fn of(entry: Option<Entry>, now: Timestamp) -> Self {
        match entry {
            Some(Entry::Live(record)) if record.head.is_live(now) => Self::Live(record),
            Some(Entry::Ended { at, .. }) if is_retired(at, now) => Self::Retired,
            _ => Self::Nothing,
        }
    }
}

/// The result of a [`Ledger::commit`] or [`Ledger::renew`].
#[derive(Clone, Debug)]
pub(crate) enum Commit {
    /// The record is written.
    Saved,
    /// Another request committed meanwhile. This is its record.
    Conflict(Record),
    /// The session is not live any more. Nothing was written.
    Gone,
}

impl Commit {
    /// Returns the result of a commit from the swap that tried to write the revision `own`.
    fn of(swap: Swap, own: Revision, now: Timestamp) -> Self {
        match swap {
            Swap::Done => Self::Saved,
            Swap::Found(Some(Entry::Live(found))) if found.head.revision == own => Self::Saved,
            Swap::Found(Some(Entry::Live(found))) if found.head.is_live(now) => {
                Self::Conflict(found)
            }
            Swap::Found(_) => Self::Gone,
        }
    }
}

/// A live session of a user, without its body.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(crate) key: Key,
    pub(crate) head: Head,
    pub(crate) summary: Option<Summary>,
}

/// The live sessions of a user.
#[derive(Clone, Debug)]
pub(crate) struct UserSessions {
    /// The sessions, each once, in any order.
    pub(crate) listings: Vec<Listing>,
    /// False if some may be missing.
    pub(crate) whole: bool,
}

/// The sessions on the list of a user.
pub(crate) struct OnList {
    /// The keys of the sessions that are meant, or keys that lead to them.
    pub(crate) keys: Vec<Key>,
    /// The handles of all sessions on the list, expired or not.
    pub(crate) handles: HashSet<Handle>,
    /// False if some may be missing.
    pub(crate) whole: bool,
}

/// The rules of sessions over a store.
pub(crate) struct Ledger {
    store: Arc<dyn Store>,
    /// True if the last load had to wait: see [`waits`](Self::waits).
    waits: AtomicBool,
    /// The place where the next sweep begins.
    swept: Mutex<Cursor>,
}

impl Ledger {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            waits: AtomicBool::new(false),
            swept: Mutex::default(),
        }
    }

    pub(crate) fn in_process(&self) -> bool {
        self.store.in_process()
    }

    /// The reason why an operation waits in vain: the store's, if it knows one, and else the time-out.
    pub(crate) fn timed_out(&self) -> StoreError {
        self.store.outage().unwrap_or(StoreError::TimedOut)
    }

    /// True if the last load had to wait for the store. The next one is then not tried with
    /// [`load_now`](Self::load_now).
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Loads a session if this needs no waiting; `None` if it needs [`load`](Self::load).
    pub(crate) fn load_now(&self, key: Key, now: Timestamp) -> Option<Result<Loaded, StoreError>> {
        match self.store.load(key) {
            Answer::Now(answer) => Some(answer.map(|entry| Loaded::of(entry, now))),
            Answer::Later(_) => {
                self.waits.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    // Some of the methods below are not `async`: they ask the store before they make the future. So the future holds
    // the store's answer, and not the record.

    pub(crate) fn load(
        &self,
        key: Key,
        now: Timestamp,
    ) -> impl Future<Output = Result<Loaded, StoreError>> {
        let answer = self.store.load(key);
        self.waits
            .store(matches!(answer, Answer::Later(_)), Ordering::Relaxed);
        async move { Ok(Loaded::of(answer.await?, now)) }
    }

    /// Returns the entries under some keys, in the same order, perhaps without bodies.
    ///
    /// # Errors
    /// The store fails, or it has not answered for every key.
    pub(crate) async fn heads(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let heads = self.store.heads(keys).await?;
        if heads.len() == keys.len() {
            return Ok(heads);
        }
        let text = format!(
            "the store was asked for {} heads, and answered with {}",
            keys.len(),
            heads.len()
        );
        Err(StoreError::Other(text.into()))
    }

    /// Writes the first record under a key. False if the key has an entry already: live, expired or
    /// retired. Two sessions never share a key.
    pub(crate) fn create(
        &self,
        key: Key,
        record: Record,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> {
        let own = record.head.revision;
        let entry = Some(Entry::Live(record));
        let swap = self.store.swap(key, Expected::Nothing, entry, now);
        async move { Ok(matches!(Commit::of(swap.await?, own, now), Commit::Saved)) }
    }

    /// Replaces the record under a key, if it is live and at revision `over`.
    pub(crate) fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> impl Future<Output = Result<Commit, StoreError>> {
        let own = record.head.revision;
        let entry = Some(Entry::Live(record));
        let swap = self.store.swap(key, Expected::At(over), entry, now);
        async move { Ok(Commit::of(swap.await?, own, now)) }
    }

    /// Sets `expires` and `seen` to those of `head`, if the session is live and at the revision of `head`.
    pub(crate) fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        self.store.touch(key, head, now)
    }

    /// Moves a session to a new key, which nobody else knows yet, and retires the old key.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if the new key has another entry. This is not `Gone`, because the old session may be
    /// live.
    pub(crate) fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> impl Future<Output = Result<Commit, StoreError>> {
        let own = record.head.revision;
        let swap = self.store.renew(old, over, new, record, now);
        async move {
            match swap.await {
                Ok(Swap::Done) => Ok(Commit::Saved),
                // Boxed, because it is rare and large.
                other => Box::pin(self.not_renewed(other, old, new, own, now)).await,
            }
        }
    }

    /// Returns the result of a renewal whose swap failed or found another entry.
    async fn not_renewed(
        &self,
        swap: Result<Swap, StoreError>,
        old: Key,
        new: Key,
        own: Revision,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let swap = match swap {
            // The renewal may have been done all the same. An error would then leave the visitor with a dead cookie.
            Err(error) if !matches!(error, StoreError::Taken) => {
                return match self.store.load(old).await {
                    Ok(found) if is_renewed_to(found.as_ref(), new) => Ok(Commit::Saved),
                    _ => Err(error),
                };
            }
            result => result?,
        };
        match swap {
            Swap::Found(found) if is_renewed_to(found.as_ref(), new) => Ok(Commit::Saved),
            // The session has expired. Without a tombstone, a process whose clock is behind could revive it beside the
            // session that a login now begins.
            Swap::Found(Some(Entry::Live(found))) if !found.head.is_live(now) => {
                let removed = Entry::removed(now);
                match self
                    .store
                    .swap(old, Expected::Over, Some(removed), now)
                    .await?
                {
                    Swap::Done => Ok(Commit::Gone),
                    found @ Swap::Found(_) => Ok(Commit::of(found, own, now)),
                }
            }
            swap => Ok(Commit::of(swap, own, now)),
        }
    }

    /// Ends the session under a key, or the session that it was renewed to. Returns its head if it was live.
    ///
    /// A renewal to one of `others` is not followed, because the caller removes them, too. They are sorted.
    ///
    /// An expired session gets a tombstone, too: a clock that is set back must not revive it.
    pub(crate) async fn remove(
        &self,
        key: Key,
        others: &[Key],
        now: Timestamp,
    ) -> Result<Option<Head>, StoreError> {
        let Some(head) = self.end(key, others, None, now).await? else {
            return Ok(None);
        };
        if let Some(user) = head.user.filter(|_| !self.store.renews_at_once()) {
            Box::pin(self.end_twins(user, head.handle, now)).await?;
        }
        Ok(Some(head).filter(|head| head.is_live(now)))
    }

    /// Ends the session under a key if it is live and at revision `over`. False if it is not.
    pub(crate) async fn end_unchanged(
        &self,
        key: Key,
        over: Revision,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let removed = Some(Entry::removed(now));
        let swap = self.store.swap(key, Expected::At(over), removed, now);
        Ok(matches!(swap.await?, Swap::Done))
    }

    /// Ends the twin of a session, left behind by a renewal that stopped half way. Nobody has the twin's id, and a
    /// list shows the two as one session.
    async fn end_twins(
        &self,
        user: UserKey,
        handle: Handle,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let whose = Whose {
            users: &[user],
            which: Which::One(handle),
        };
        let listed = self.on_list(whose).await?;
        self.end_all(&listed.keys, whose, now, &mut Vec::new())
            .await
    }

    /// Ends the session under a key, or the session that it was renewed to, if `whose` includes it. Returns its
    /// head. A renewal to one of `others` is not followed.
    async fn end(
        &self,
        mut key: Key,
        others: &[Key],
        whose: Option<Whose<'_>>,
        now: Timestamp,
    ) -> Result<Option<Head>, StoreError> {
        for _ in 0..=RENEWALS {
            match self.store.end(key, whose, now).await? {
                Ending::Ended(head) => return Ok(Some(head)),
                Ending::Renewed(other) if others.binary_search(&other).is_ok() => return Ok(None),
                Ending::Renewed(successor) => key = successor,
                Ending::Nothing => return Ok(None),
            }
        }
        Err(StoreError::Endless(RENEWALS))
    }

    /// Ends the sessions under `keys` that `whose` includes, and adds the handles of live ones to `ended`. After an
    /// error it still tries all the others, and then returns the first error.
    ///
    /// The store checks the session's user in the same step as it ends the session. So a session that is renewed
    /// meanwhile is not missed, and a session that now belongs to another user is not touched.
    pub(crate) async fn end_all(
        &self,
        keys: &[Key],
        whose: Whose<'_>,
        now: Timestamp,
        ended: &mut Vec<Handle>,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        for keys in keys.chunks(AT_ONCE) {
            let mut ends = FuturesUnordered::<Boxed<'_, Option<Head>>>::new();
            for &key in keys {
                ends.push(Box::pin(self.end(key, &[], Some(whose), now)));
            }
            while let Some(end) = ends.next().await {
                match end {
                    Ok(head) => {
                        let live = head.filter(|head| head.is_live(now));
                        ended.extend(live.map(|head| head.handle));
                    }
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        result
    }

    /// Reads the list of a user, and returns the keys of the sessions that `whose` includes.
    pub(crate) async fn on_list(&self, whose: Whose<'_>) -> Result<OnList, StoreError> {
        let listed = self.store.list(whose.users).await?;
        let there: HashSet<Key> = listed.entries.iter().map(|&(key, _)| key).collect();
        let mut keys = Vec::new();
        let mut handles = HashSet::new();
        for (key, entry) in &listed.entries {
            match entry {
                Entry::Live(record) => {
                    handles.insert(record.head.handle);
                    // A key has one session, and a session keeps its handle when a user logs in. So the handle that was
                    // read is still right when the session is ended.
                    if whose.which.includes(record.head.handle) {
                        keys.push(*key);
                    }
                }
                // A successor that is also on the list is looked at there.
                Entry::Ended { successor, .. } => {
                    if successor.is_some_and(|successor| !there.contains(&successor)) {
                        keys.push(*key);
                    }
                }
            }
        }
        Ok(OnList {
            keys,
            handles,
            whole: listed.whole,
        })
    }

    /// Scans about `budget` entries from a place on. Returns the keys of a user's sessions among them, and the place
    /// where the next call goes on.
    pub(crate) async fn scan_for(
        &self,
        whose: Whose<'_>,
        from: Cursor,
        budget: usize,
    ) -> Result<(Vec<Key>, Option<Cursor>), StoreError> {
        let Scanned { entries, next } = self.store.scan(from, budget).await?;
        // A scan may miss a session that is renewed meanwhile: its old key has only a tombstone, and the place of its
        // new key may have been passed. The tombstone leads to the session, so its key counts, too.
        let meant = |entry: &Entry| match entry {
            Entry::Live(record) => whose.includes(&record.head),
            Entry::Ended { successor, .. } => successor.is_some(),
        };
        let keys = entries
            .iter()
            .filter(|(_, entry)| meant(entry))
            .map(|&(key, _)| key);
        Ok((keys.collect(), next))
    }

    /// Returns the live sessions of a user.
    pub(crate) async fn sessions_of(
        &self,
        users: &[UserKey],
        now: Timestamp,
    ) -> Result<UserSessions, StoreError> {
        let listed = self.store.list(users).await?;
        let is_live = |entry: &Entry| entry.head().is_some_and(|head| head.is_live(now));
        let live = listed.entries.iter().filter(|(_, entry)| is_live(entry));
        let live: HashSet<Key> = live.map(|&(key, _)| key).collect();
        // If a session is renewed meanwhile, its new key may be missing on the list that was read.
        let mut followed = FuturesUnordered::<Boxed<'_, Option<(Key, Record)>>>::new();
        let mut found = Vec::new();
        for (key, entry) in listed.entries {
            match entry {
                Entry::Live(record) => found.push((key, record)),
                Entry::Ended { successor, .. } => {
                    if let Some(successor) = successor.filter(|key| !live.contains(key)) {
                        followed.push(Box::pin(self.follow(successor, &[])));
                    }
                }
            }
        }
        while let Some(session) = followed.next().await {
            found.extend(session?);
        }
        // A renewal that stopped half way leaves a session under two keys.
        let mut sessions: HashMap<Handle, Listing> = HashMap::new();
        let age = |head: &Head| (head.revision.number, head.seen);
        for (_key, Record { head, summary, .. }) in found {
            let is_theirs = head.user.is_some_and(|user| users.contains(&user));
            let twin = sessions.get(&head.handle);
            if is_theirs && head.is_live(now) && twin.is_none_or(|it| age(&it.head) < age(&head)) {
                let listing = Listing {
                    #[cfg(any(test, fuzzing, feature = "testing"))]
                    key: _key,
                    head,
                    summary,
                };
                sessions.insert(head.handle, listing);
            }
        }
        Ok(UserSessions {
            listings: sessions.into_values().collect(),
            whole: listed.whole,
        })
    }

    /// Returns the session that a session was renewed to, through any number of renewals up to [`RENEWALS`]. A renewal
    /// to one of `others` is not followed.
    async fn follow(
        &self,
        mut key: Key,
        others: &[Key],
    ) -> Result<Option<(Key, Record)>, StoreError> {
        for _ in 0..=RENEWALS {
            match self.store.load(key).await? {
                Some(Entry::Live(record)) => return Ok(Some((key, record))),
                Some(Entry::Ended {
                    successor: Some(successor),
                    ..
                }) if others.binary_search(&successor).is_err() => key = successor,
                _ => return Ok(None),
            }
        }
        Err(StoreError::Endless(RENEWALS))
    }

    /// Returns the session under a key, or the session that it was renewed to. A renewal to one of `others` is not followed,
    /// because the caller asks for them, too. They are sorted.
    pub(crate) async fn session_under(
        &self,
        key: Key,
        others: &[Key],
    ) -> Result<Option<(Key, Head)>, StoreError> {
        let found = self.follow(key, others).await?;
        Ok(found.map(|(key, record)| (key, record.head)))
    }

    /// Takes the lock of a session; `None` while somebody else has it.
    pub(crate) async fn lock(&self, key: Key, now: Timestamp) -> Result<Option<Lease>, StoreError> {
        match self.store.lock(key) {
            Some(answer) => answer.await,
            None => lease::of_swaps(Arc::clone(&self.store), key, now).await,
        }
    }

    /// Sweeps about `budget` entries, from where the last call stopped.
    pub(crate) async fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError> {
        let from = std::mem::take(&mut *self.cursor());
        // The cursor was taken out above, so after an error the next sweep starts from the beginning.
        let swept = self.store.sweep(from, now, budget).await?;
        self.cursor()
            .clone_from(&swept.next.clone().unwrap_or_default());
        Ok(swept)
    }

    fn cursor(&self) -> std::sync::MutexGuard<'_, Cursor> {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
