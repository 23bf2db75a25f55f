//! The ledger: the rules of sessions, written once over any store.
//!
//! A key is *live* when its entry is a session that has not expired; *retired* when that was
//! removed or renewed less than [`RETIRED`](crate::RETIRED) ago; else there is *nothing*.
//!
//! - Only [`create`](Ledger::create) and [`renew`](Ledger::renew) bring a key to life. What was removed stays removed.
//! - A revision is written over once. The second of two commits gets a conflict with the record of the first.
//! - A lost reply does no harm: a commit or a renewal that finds its own revision is saved.
//! - A loop that gives up is an error, never "done". Only what a store answered entitles to clean up; after an
//!   error nothing is taken back.

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

/// How many renewals are followed from one key: more than one visitor makes while a tombstone is kept. A
/// circle of tombstones, which nobody makes, has an end, too.
pub(crate) const RENEWALS: usize = 10_000;

/// How many sessions of a user are ended or looked up at once.
pub(crate) const AT_ONCE: usize = 128;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a [`Ledger::load`] finds.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// A live record.
    Live(Record),
    /// The session was removed or got a new id a moment ago.
    Retired,
    /// Nothing, or nothing any more.
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

/// The end of a [`Ledger::commit`] or [`Ledger::renew`].
#[derive(Clone, Debug)]
pub(crate) enum Commit {
    /// The record is written.
    Saved,
    /// Somebody else committed meanwhile; this is their record.
    Conflict(Record),
    /// The session is not live any more; nothing was written.
    Gone,
}

impl Commit {
    /// What a swap comes to that was to write the revision `own`.
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

/// A live session of a user, as far as a list tells of it.
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
    /// Each once, in no order.
    pub(crate) listings: Vec<Listing>,
    /// False if some may be missing.
    pub(crate) whole: bool,
}

/// What is on the list of a user.
pub(crate) struct OnList {
    /// The keys under which they are, or which lead to them.
    pub(crate) keys: Vec<Key>,
    /// The names of all sessions on the list.
    pub(crate) handles: HashSet<Handle>,
    /// False if some may be missing.
    pub(crate) whole: bool,
}

/// The rules of sessions over a store.
pub(crate) struct Ledger {
    store: Arc<dyn Store>,
    /// See [`waits`](Self::waits).
    waits: AtomicBool,
    /// Where the next sweep begins.
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

    /// True if the last load had to wait for the store: then the next one is not tried at once.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Loads what can be loaded without waiting; `None` if it takes [`load`](Self::load).
    pub(crate) fn load_now(&self, key: Key, now: Timestamp) -> Option<Result<Loaded, StoreError>> {
        match self.store.load(key) {
            Answer::Now(answer) => Some(answer.map(|entry| Loaded::of(entry, now))),
            Answer::Later(_) => {
                self.waits.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    // The store is asked before the future is made, which so has its answer in it and not the record.

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

    /// Writes the first record under a key; false if the key is known already, be it live, expired or
    /// retired. No key is ever shared.
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

    /// Moves `expires` and `seen` to those of `head`, if the session is live and at its revision.
    pub(crate) fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        self.store.touch(key, head, now)
    }

    /// Moves a session to a new key, which nobody else knows yet, and retires the old one.
    ///
    /// # Errors
    /// [`StoreError::Taken`], and never `Gone`: the old session may be live.
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
                // Boxed, for it is rare and large.
                other => Box::pin(self.not_renewed(other, old, new, own, now)).await,
            }
        }
    }

    /// What a renewal comes to that was not simply done.
    async fn not_renewed(
        &self,
        swap: Result<Swap, StoreError>,
        old: Key,
        new: Key,
        own: Revision,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let swap = match swap {
            // It may have been done, and then the visitor would be left with a dead cookie.
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
            // A clock that is behind must not bring it back beside the session that a login now begins.
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

    /// Ends the session under a key, or the one that it was renewed to; true if it was live.
    ///
    /// An expired one gets a tombstone, too: a clock that is set back must not revive it.
    pub(crate) async fn remove(&self, key: Key, now: Timestamp) -> Result<bool, StoreError> {
        let Some(head) = self.end(key, None, now).await? else {
            return Ok(false);
        };
        if let Some(user) = head.user.filter(|_| !self.store.renews_at_once()) {
            Box::pin(self.end_twins(user, head.handle, now)).await?;
        }
        Ok(head.is_live(now))
    }

    /// Ends what a renewal left behind that stopped half way: nobody has its id, and with its twin alive it
    /// is on no list that is shown.
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
        self.end_all(&listed.keys, whose, now, &mut 0).await
    }

    /// Ends the session under a key, or the one that it was renewed to, if it is meant; returns its
    /// head.
    async fn end(
        &self,
        mut key: Key,
        whose: Option<Whose<'_>>,
        now: Timestamp,
    ) -> Result<Option<Head>, StoreError> {
        for _ in 0..=RENEWALS {
            match self.store.end(key, whose, now).await? {
                Ending::Ended(head) => return Ok(Some(head)),
                Ending::Renewed(successor) => key = successor,
                Ending::Nothing => return Ok(None),
            }
        }
        Err(StoreError::Endless(RENEWALS))
    }

    /// Ends those sessions under `keys` that are meant: all that can be ended, and then the first
    /// error is told. Adds to `ended` how many live ones there were.
    ///
    /// In each case it is looked at in the same step whose session it is: one that is renewed meanwhile does
    /// not slip through, and one that has become another user's is not touched.
    pub(crate) async fn end_all(
        &self,
        keys: &[Key],
        whose: Whose<'_>,
        now: Timestamp,
        ended: &mut usize,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        for keys in keys.chunks(AT_ONCE) {
            let mut ends = FuturesUnordered::<Boxed<'_, Option<Head>>>::new();
            for &key in keys {
                ends.push(Box::pin(self.end(key, Some(whose), now)));
            }
            while let Some(end) = ends.next().await {
                match end {
                    Ok(head) => *ended += usize::from(head.is_some_and(|head| head.is_live(now))),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        result
    }

    /// The sessions on the list of a user that are meant.
    pub(crate) async fn on_list(&self, whose: Whose<'_>) -> Result<OnList, StoreError> {
        let listed = self.store.list(whose.users).await?;
        let there: HashSet<Key> = listed.entries.iter().map(|&(key, _)| key).collect();
        let mut keys = Vec::new();
        let mut handles = HashSet::new();
        for (key, entry) in &listed.entries {
            match entry {
                Entry::Live(record) => {
                    handles.insert(record.head.handle);
                    // A key has one session, and that one handle, whoever logs in.
                    if whose.which.includes(record.head.handle) {
                        keys.push(*key);
                    }
                }
                // One that is on the list, too, is looked at there.
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

    /// The keys of a user's sessions among about `budget` entries from a place on, and where to go on.
    pub(crate) async fn scan_for(
        &self,
        whose: Whose<'_>,
        from: Cursor,
        budget: usize,
    ) -> Result<(Vec<Key>, Option<Cursor>), StoreError> {
        let Scanned { entries, next } = self.store.scan(from, budget).await?;
        // A session that is renewed meanwhile may be seen neither under its old key, which leads to it, nor under
        // the new one.
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

    /// The live sessions of a user.
    pub(crate) async fn sessions_of(
        &self,
        users: &[UserKey],
        now: Timestamp,
    ) -> Result<UserSessions, StoreError> {
        let listed = self.store.list(users).await?;
        let is_live = |entry: &Entry| entry.head().is_some_and(|head| head.is_live(now));
        let live = listed.entries.iter().filter(|(_, entry)| is_live(entry));
        let live: HashSet<Key> = live.map(|&(key, _)| key).collect();
        // The new key of a session that is renewed meanwhile may not be on the list that was read.
        let mut followed = FuturesUnordered::<Boxed<'_, Option<(Key, Record)>>>::new();
        let mut found = Vec::new();
        for (key, entry) in listed.entries {
            match entry {
                Entry::Live(record) => found.push((key, record)),
                Entry::Ended { successor, .. } => {
                    if let Some(successor) = successor.filter(|key| !live.contains(key)) {
                        followed.push(Box::pin(self.follow(successor)));
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

    /// The session that one was renewed to, through as many renewals as there were.
    async fn follow(&self, mut key: Key) -> Result<Option<(Key, Record)>, StoreError> {
        for _ in 0..=RENEWALS {
            match self.store.load(key).await? {
                Some(Entry::Live(record)) => return Ok(Some((key, record))),
                Some(Entry::Ended {
                    successor: Some(successor),
                    ..
                }) => key = successor,
                _ => return Ok(None),
            }
        }
        Err(StoreError::Endless(RENEWALS))
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
        // After an error the next one begins anew.
        let swept = self.store.sweep(from, now, budget).await?;
        self.cursor()
            .clone_from(&swept.next.clone().unwrap_or_default());
        Ok(swept)
    }

    fn cursor(&self) -> std::sync::MutexGuard<'_, Cursor> {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
