//! The store of memory mode: a sharded map of records that stay as they are, shared and unsealed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::lists::Lists;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::stats::Counters;
use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose, is_renewed_to,
};
use crate::throttle::Throttle;

/// The number of locks of the map: many more than the threads that could meet at one.
const SHARDS: usize = 128;

type Entries = HashMap<Key, Entry, RandomState>;

/// Keeps sessions in the memory of this process. They end with it.
pub(crate) struct OpenMemory {
    pub(super) shards: Box<[Mutex<Entries>]>,
    /// Changed only while the shard of the key is locked, so that they agree with the entries for the thread that
    /// holds that lock. A shard is never locked while this is.
    pub(super) lists: Mutex<Lists>,
    /// True with `max_sessions`.
    is_limited: bool,
    counters: Arc<Counters>,
    warnings: Throttle,
}

/// Locks a mutex. A poisoned lock is used all the same: the code that runs under these locks does not panic half way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shard of a key. Keys are hashes, so any of their bytes will do.
fn place_of(key: Key) -> usize {
    usize::from(key.0[0]) % SHARDS
}

/// The shards of two keys, both locked.
struct TwoShards<'a> {
    low: MutexGuard<'a, Entries>,
    /// The other shard and its place. `None` if both keys are in one shard.
    high: Option<(usize, MutexGuard<'a, Entries>)>,
}

impl TwoShards<'_> {
    fn of(&mut self, key: Key) -> &mut Entries {
        match &mut self.high {
            Some((place, entries)) if *place == place_of(key) => entries,
            _ => &mut self.low,
        }
    }
}

/// A store without a limit.
impl Default for OpenMemory {
    fn default() -> Self {
        Self::new(None, Arc::default())
    }
}

impl OpenMemory {
    pub(super) fn new(max_sessions: Option<usize>, counters: Arc<Counters>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            lists: Mutex::new(Lists::new(max_sessions)),
            is_limited: max_sessions.is_some(),
            counters,
            warnings: Throttle::default(),
        }
    }

    pub(super) fn shard(&self, key: Key) -> MutexGuard<'_, Entries> {
        lock(&self.shards[place_of(key)])
    }

    /// Locks two shards. Every thread locks the lower one first, so that no two wait for each other.
    fn two_shards(&self, one: Key, other: Key) -> TwoShards<'_> {
        let (one, other) = (place_of(one), place_of(other));
        let (low, high) = (one.min(other), one.max(other));
        TwoShards {
            low: lock(&self.shards[low]),
            high: (low != high).then(|| (high, lock(&self.shards[high]))),
        }
    }

    /// Puts an entry under a key, or nothing, and returns what was there.
    pub(super) fn put(
        &self,
        entries: &mut Entries,
        key: Key,
        entry: Option<Entry>,
    ) -> Option<Entry> {
        let new = entry.as_ref().and_then(Entry::head).copied();
        let old = match entry {
            Some(entry) => entries.insert(key, entry),
            None => entries.remove(&key),
        };
        self.follow(key, old.as_ref().and_then(Entry::head), new.as_ref());
        old
    }

    /// Lets the lists follow what was put under a key.
    fn follow(&self, key: Key, old: Option<&Head>, new: Option<&Head>) {
        let user = |head: Option<&Head>| head.and_then(|head| head.user);
        if self.is_limited || user(old) != user(new) {
            lock(&self.lists).follow(key, old, new);
        }
    }

    /// Evicts sessions until there are no more than `max_sessions`, but not the one that was created under
    /// `spared` just now.
    fn make_room(&self, spared: Key, now: Timestamp) {
        if !self.is_limited {
            return;
        }
        while let Some(victim) = self.victim(spared, now)
            && self.evict(victim, spared, now)
        {}
    }

    pub(super) fn victim(&self, spared: Key, now: Timestamp) -> Option<Key> {
        lock(&self.lists).victim(spared, now)
    }

    /// Deletes a session that was chosen to go, if the choice is still the same now that its shard is locked.
    /// Meanwhile it may have been visited, logged in, renewed or removed, or another thread may have made room.
    ///
    /// False if the session is not there, which would be a fault of the lists: then another try cannot help.
    pub(super) fn evict(&self, victim: Key, spared: Key, now: Timestamp) -> bool {
        let evicted = {
            let mut entries = self.shard(victim);
            if self.victim(spared, now) != Some(victim) {
                return true;
            }
            self.put(&mut entries, victim, None)
        };
        debug_assert!(
            evicted.is_some(),
            "the lists have a session that is not there"
        );
        if let Some(head) = evicted.as_ref().and_then(Entry::head)
            && head.user.is_some()
            && head.is_live(now)
        {
            self.tell(head, now);
        }
        evicted.is_some()
    }

    /// Counts and logs the eviction of a logged-in session.
    fn tell(&self, head: &Head, now: Timestamp) {
        self.counters.evicted.count();
        tracing::info!(target: "bsession", handle = %head.handle, user = head.user.map(tracing::field::display), "evicted");
        if self.warnings.lets_through(now) {
            tracing::warn!(
                target: "bsession",
                hint = "raise `max_sessions`, or bound the sessions of each user with `max_per_user`",
                "store_full"
            );
        }
    }

    /// Visits shards from a cursor on until there were about `budget` entries. Returns where to go on.
    fn each_shard(
        &self,
        from: &Cursor,
        budget: usize,
        mut visit: impl FnMut(&mut Entries),
    ) -> Option<Cursor> {
        let mut seen = 0;
        let first = from.0.first().copied().unwrap_or_default();
        for (place, shard) in (0_u8..).zip(&self.shards).skip(usize::from(first)) {
            if seen >= budget {
                return Some(Cursor(vec![place]));
            }
            let mut entries = lock(shard);
            seen += entries.len().max(1);
            visit(&mut entries);
        }
        None
    }

    fn swap_now(&self, key: Key, expected: Expected, entry: Option<Entry>, now: Timestamp) -> Swap {
        let mut guard = self.shard(key);
        let entries = &mut *guard;
        let Some(found) = entries.get_mut(&key) else {
            if expected != Expected::Nothing {
                return Swap::Found(None);
            }
            let is_new = entry.as_ref().is_some_and(|entry| entry.head().is_some());
            self.put(entries, key, entry);
            drop(guard);
            if is_new {
                self.make_room(key, now);
            }
            return Swap::Done;
        };
        if !expected.is_met_by(Some(found), now) {
            return Swap::Found(Some(found.clone()));
        }
        // In its place, so that the key is looked up once.
        match entry {
            Some(entry) => {
                let old = std::mem::replace(found, entry);
                self.follow(key, old.head(), found.head());
            }
            None => drop(self.put(entries, key, None)),
        }
        Swap::Done
    }

    /// Renews a session while both shards are locked: no other thread sees it under both keys, or under neither.
    fn renew_now(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        let mut shards = self.two_shards(old, new);
        let head = record.head;
        let is_taken = |entry: &Entry| {
            entry
                .head()
                .is_none_or(|found| found.revision != head.revision)
        };
        if shards.of(new).get(&new).is_some_and(is_taken) {
            return Err(StoreError::Taken);
        }
        let found = shards.of(old).get(&old);
        if !Expected::At(over).is_met_by(found, now) {
            let found = found.cloned();
            if !is_renewed_to(found.as_ref(), new) {
                self.put(shards.of(new), new, None);
            }
            return Ok(Swap::Found(found));
        }
        let ended = Entry::Ended {
            at: now,
            successor: Some(new),
        };
        let retired = shards.of(old).insert(old, ended);
        let replaced = shards.of(new).insert(new, Entry::Live(record));
        let retired = retired.as_ref().and_then(Entry::head);
        if self.is_limited || head.user.is_some() || retired.is_some_and(|it| it.user.is_some()) {
            // Under one lock: the session is on its list, and counts, exactly once at any moment.
            let mut lists = lock(&self.lists);
            lists.follow(old, retired, None);
            lists.follow(new, replaced.as_ref().and_then(Entry::head), Some(&head));
        }
        Ok(Swap::Done)
    }

    fn listing(&self, key: Key) -> Option<(Key, Entry)> {
        let entries = self.shard(key);
        Some((key, entries.get(&key)?.clone()))
    }
}

impl Store for OpenMemory {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        Answer::ready(|| Ok(self.shard(key).get(&key).cloned()))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::ready(|| Ok(self.swap_now(key, expected, entry, now)))
    }

    /// Reads the lists in one look: a session that is renewed meanwhile is on one of them, under either key.
    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let keys = lock(&self.lists).keys(users);
        Answer::ready(|| {
            Ok(Listed {
                entries: keys
                    .into_iter()
                    .filter_map(|key| self.listing(key))
                    .collect(),
                whole: true,
            })
        })
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        let mut found = Vec::new();
        let next = self.each_shard(&cursor, budget, |entries| {
            found.extend(entries.iter().map(|(key, entry)| (*key, entry.clone())));
        });
        Answer::ready(|| {
            Ok(Scanned {
                entries: found,
                next,
            })
        })
    }

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        let head = |key: &Key| {
            let entries = self.shard(*key);
            entries.get(key).cloned().map(Entry::without_body)
        };
        Answer::ready(|| Ok(keys.iter().map(head).collect()))
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        let mut guard = self.shard(key);
        if let Some(Entry::Live(record)) = guard.get_mut(&key)
            && Expected::At(head.revision).is_met_by_head(&record.head, now)
        {
            let old = record.head;
            (record.head.expires, record.head.seen) = (head.expires, head.seen);
            self.follow(key, Some(&old), Some(&record.head));
        }
        Answer::Now(Ok(()))
    }

    /// Evicts no session: the number of sessions stays the same.
    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::ready(|| self.renew_now(old, over, new, record, now))
    }

    fn renews_at_once(&self) -> bool {
        true
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        Answer::ready(|| {
            let mut entries = self.shard(key);
            let head = match Ending::of(entries.get(&key), whose) {
                Ok(head) => head,
                Err(ending) => return Ok(ending),
            };
            self.put(&mut entries, key, Some(Entry::removed(now)));
            Ok(Ending::Ended(head))
        })
    }

    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        let mut deleted = 0;
        let next = self.each_shard(&from, budget, |entries| {
            let over = entries.iter().filter(|(_, entry)| entry.is_over(now));
            let over: Vec<_> = over.map(|(key, _)| *key).collect();
            deleted += over.len();
            for key in over {
                self.put(entries, key, None);
            }
            // Gives memory back after a flood. The two factors differ, so that it is not allocated again at once.
            if entries.capacity() > 64 && entries.len() < entries.capacity() / 4 {
                let room = entries.len() * 2;
                entries.shrink_to(room);
            }
        });
        Answer::ready(|| Ok(Swept { deleted, next }))
    }

    /// Succeeds always: requests of this process take turns already, and no other process has these sessions.
    fn lock(&self, _: Key) -> Option<Answer<'_, Option<Lease>>> {
        Some(Answer::ready(|| Ok(Some(Lease::default()))))
    }

    fn in_process(&self) -> bool {
        true
    }
}
