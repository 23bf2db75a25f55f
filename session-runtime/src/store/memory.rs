//! The memory store: a sharded map of records that stay as they are, shared and unsealed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::{Answer, Commit, Listing, Loaded, Store, StoreError, Swept, Which};
use crate::clock::Timestamp;
use crate::record::{Key, RETIRED, Record, Revision, TOMBSTONE, UserKey};

/// How many locks the map has: far more than a machine has threads that could meet at one.
const SHARDS: usize = 128;

/// How often a full store looks for a session to throw out before it refuses a new one.
const LOOKS: usize = 16;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Keeps sessions in the memory of this process; they end with it.
pub(crate) struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    users: Mutex<Map<UserKey, HashSet<Key, RandomState>>>,
    max_sessions: Option<usize>,
    live: AtomicUsize,
    swept: AtomicUsize,
}

/// Where a session stands among those that may be thrown out: whether somebody is logged in, when
/// it expires, and which it is.
type Place = (bool, Timestamp, Key);

#[derive(Default)]
struct Shard {
    entries: Map<Key, Entry>,
    /// With `max_sessions`, whom to throw out first: anonymous before logged-in, then those that
    /// expire first, which are the longest idle ones unless they have an expiry of their own.
    queue: BTreeSet<Place>,
}

enum Entry {
    Live(Record),
    Tombstone {
        since: Timestamp,
        successor: Option<Key>,
    },
}

/// A poisoned lock means a panic between two whole states, since none is made in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place_in_queue(key: Key, record: &Record) -> Place {
    (record.user.is_some(), record.expires, key)
}

impl Shard {
    /// Whom to throw out first: anonymous sessions, and logged-in ones that have expired.
    fn first_to_go(&self, now: Timestamp) -> Option<Place> {
        let first_of = |user: bool| {
            let from = (user, Timestamp::default(), Key([0; 16]));
            self.queue.range(from..).next().copied()
        };
        let anonymous = first_of(false).filter(|(user, ..)| !user);
        let expired = first_of(true).filter(|(_, expires, _)| *expires <= now);
        anonymous
            .into_iter()
            .chain(expired)
            .min_by_key(|&(_, expires, key)| (expires, key))
    }
}

impl Entry {
    fn live(&self, now: Timestamp) -> Option<&Record> {
        match self {
            Self::Live(record) if record.expires > now => Some(record),
            _ => None,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        match self {
            Self::Live(record) => record.expires <= now,
            Self::Tombstone { since, .. } => now.since(*since) >= TOMBSTONE,
        }
    }
}

impl MemoryStore {
    pub(crate) fn new(max_sessions: Option<usize>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: Mutex::default(),
            max_sessions,
            live: AtomicUsize::new(0),
            swept: AtomicUsize::new(0),
        }
    }

    /// Keys are hashes, so any of their bytes will do.
    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.0[0]) % SHARDS])
    }

    fn put(&self, shard: &mut Shard, key: Key, record: Record) {
        let (place, user) = (place_in_queue(key, &record), record.user);
        let old = match shard.entries.insert(key, Entry::Live(record)) {
            Some(Entry::Live(old)) => Some(old),
            _ => {
                self.live.fetch_add(1, Ordering::Relaxed);
                None
            }
        };
        if self.max_sessions.is_some() {
            if let Some(old) = &old {
                shard.queue.remove(&place_in_queue(key, old));
            }
            shard.queue.insert(place);
        }
        self.index(key, old.and_then(|old| old.user), user);
    }

    /// Takes a record out of the books, whose entry is gone or replaced by a tombstone.
    fn forget(&self, shard: &mut Shard, key: Key, record: &Record) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        if self.max_sessions.is_some() {
            shard.queue.remove(&place_in_queue(key, record));
        }
        self.index(key, record.user, None);
    }

    fn index(&self, key: Key, from: Option<UserKey>, to: Option<UserKey>) {
        if from == to {
            return;
        }
        let mut users = lock(&self.users);
        if let Some(user) = to {
            users.entry(user).or_default().insert(key);
        }
        if let Some(user) = from
            && let Some(keys) = users.get_mut(&user)
        {
            keys.remove(&key);
            if keys.is_empty() {
                users.remove(&user);
            }
        }
    }

    /// Replaces a live record at a revision.
    fn replace(&self, key: Key, over: Revision, now: Timestamp, entry: Entry) -> Commit {
        let mut shard = self.shard(key);
        let Some(current) = shard.entries.get(&key).and_then(|entry| entry.live(now)) else {
            return Commit::Gone;
        };
        if let Entry::Live(record) = &entry
            && current.revision == record.revision
        {
            return Commit::Saved;
        }
        if current.revision != over {
            return Commit::Conflict(current.clone());
        }
        match entry {
            Entry::Live(record) => self.put(&mut shard, key, record),
            tombstone @ Entry::Tombstone { .. } => {
                if let Some(Entry::Live(old)) = shard.entries.insert(key, tombstone) {
                    self.forget(&mut shard, key, &old);
                }
            }
        }
        Commit::Saved
    }

    /// Makes room for one more session, if there is a limit and it is reached.
    fn make_room(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(max) = self.max_sessions else {
            return Ok(());
        };
        // Looked for again a few times: while the shards are gone through one by one, sessions come
        // in those that are done and go from those that are not.
        let mut looks = 0;
        while self.live.load(Ordering::Relaxed) >= max {
            let first = self
                .shards
                .iter()
                .filter_map(|shard| lock(shard).first_to_go(now));
            let victim = first.min_by_key(|&(_, expires, key)| (expires, key));
            let Some(victim) = victim else {
                looks += 1;
                if looks == LOOKS {
                    return Err(StoreError::Full);
                }
                continue;
            };
            self.throw_out(victim);
        }
        Ok(())
    }

    /// Deletes a session that was chosen to go, unless it has been visited, logged in or removed
    /// since: it was chosen under another lock.
    fn throw_out(&self, victim: Place) {
        let (.., key) = victim;
        let mut shard = self.shard(key);
        if shard.queue.contains(&victim)
            && let Some(Entry::Live(old)) = shard.entries.remove(&key)
        {
            self.forget(&mut shard, key, &old);
        }
    }

    /// Removes what is under a key, or has followed it, if it is to go.
    fn remove_now(&self, mut key: Key, goes: impl Fn(&Record) -> bool, now: Timestamp) -> bool {
        loop {
            let mut shard = self.shard(key);
            match shard.entries.get(&key) {
                Some(Entry::Live(record)) if goes(record) => {}
                Some(Entry::Tombstone {
                    successor: Some(successor),
                    ..
                }) => {
                    key = *successor;
                    continue;
                }
                _ => return false,
            }
            let tombstone = Entry::Tombstone {
                since: now,
                successor: None,
            };
            let Some(Entry::Live(old)) = shard.entries.insert(key, tombstone) else {
                return false;
            };
            self.forget(&mut shard, key, &old);
            return old.expires > now;
        }
    }

    /// The keys of a user's sessions; of one that is renewed meanwhile the old or the new one.
    fn keys_of(&self, user: UserKey) -> Vec<Key> {
        let users = lock(&self.users);
        users.get(&user).into_iter().flatten().copied().collect()
    }

    /// The live session under a key, or under the one that has followed it.
    fn look_up(&self, mut key: Key, user: UserKey, now: Timestamp) -> Option<Listing> {
        loop {
            match self.shard(key).entries.get(&key)? {
                Entry::Live(record) if record.expires > now && record.user == Some(user) => {
                    return Some(Listing::of(key, record));
                }
                Entry::Tombstone {
                    successor: Some(successor),
                    ..
                } => key = *successor,
                _ => return None,
            }
        }
    }
}

/// Which records a removal of a user's sessions is for.
fn chosen(user: UserKey, which: Which) -> impl Fn(&Record) -> bool + Copy {
    move |record| record.user == Some(user) && which.includes(record.handle)
}

impl Store for MemoryStore {
    fn in_process(&self) -> bool {
        true
    }

    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        Answer::Now(Ok(match self.shard(key).entries.get(&key) {
            Some(Entry::Live(record)) if record.expires > now => Loaded::Live(record.clone()),
            Some(Entry::Tombstone { since, .. }) if now.since(*since) < RETIRED => Loaded::Retired,
            _ => Loaded::Nothing,
        }))
    }

    fn create(&self, key: Key, record: Record, now: Timestamp) -> Answer<'_, bool> {
        if let Err(error) = self.make_room(now) {
            return Answer::Now(Err(error));
        }
        let mut shard = self.shard(key);
        let free = !shard.entries.contains_key(&key);
        if free {
            self.put(&mut shard, key, record);
        }
        Answer::Now(Ok(free))
    }

    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        Answer::Now(Ok(self.replace(key, over, now, Entry::Live(record))))
    }

    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        let mut guard = self.shard(key);
        let shard = &mut *guard;
        if let Some(Entry::Live(record)) = shard.entries.get_mut(&key)
            && record.expires > now
            && record.revision == revision
        {
            if self.max_sessions.is_some() {
                shard.queue.remove(&place_in_queue(key, record));
            }
            (record.expires, record.seen) = (expires, now);
            if self.max_sessions.is_some() {
                shard.queue.insert(place_in_queue(key, record));
            }
        }
        Answer::Now(Ok(()))
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        // The new id is nobody's yet, so the two keys need not be locked together.
        {
            let mut shard = self.shard(new);
            match shard.entries.get(&new) {
                None => self.put(&mut shard, new, record),
                Some(Entry::Live(existing)) if existing.revision == record.revision => {
                    return Answer::Now(Ok(Commit::Saved));
                }
                Some(_) => return Answer::Now(Ok(Commit::Gone)),
            }
        }
        let retired = self.replace(
            old,
            over,
            now,
            Entry::Tombstone {
                since: now,
                successor: Some(new),
            },
        );
        if !matches!(retired, Commit::Saved) {
            let mut shard = self.shard(new);
            if let Some(Entry::Live(orphan)) = shard.entries.remove(&new) {
                self.forget(&mut shard, new, &orphan);
            }
        }
        Answer::Now(Ok(retired))
    }

    fn remove(&self, key: Key, now: Timestamp) -> Answer<'_, bool> {
        Answer::Now(Ok(self.remove_now(key, |_| true, now)))
    }

    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        let keys = self.keys_of(user).into_iter();
        Answer::Now(Ok(keys
            .filter_map(|key| self.look_up(key, user, now))
            .collect()))
    }

    fn remove_user(&self, user: UserKey, which: Which, now: Timestamp) -> Answer<'_, usize> {
        let goes = chosen(user, which);
        let keys = self.keys_of(user).into_iter();
        Answer::Now(Ok(keys
            .filter(|&key| self.remove_now(key, goes, now))
            .count()))
    }

    fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut seen = 0;
        while seen < budget && !swept.finished {
            let place = self.swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = lock(&self.shards[place]);
            seen += shard.entries.len().max(1);
            let over: Vec<_> = shard
                .entries
                .extract_if(|_, entry| entry.is_over(now))
                .collect();
            swept.deleted += over.len();
            for (key, entry) in over {
                if let Entry::Live(record) = entry {
                    self.forget(&mut shard, key, &record);
                }
            }
            // After a flood the room is given back; a factor apart, so that it is not asked for again.
            if shard.entries.capacity() > 64 && shard.entries.len() < shard.entries.capacity() / 4 {
                let room = shard.entries.len() * 2;
                shard.entries.shrink_to(room);
            }
            swept.finished = place == SHARDS - 1;
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Body, Handle};

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn record(lasting: u64) -> Record {
        Record {
            revision: Revision::first(),
            expires: NOW + Duration::from_secs(lasting),
            seen: NOW,
            created: NOW,
            handle: Handle([0; 12]),
            user: None,
            summary: None,
            body: Body::from_bytes([]),
        }
    }

    fn key(thread: u32, number: u32) -> Key {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key[4..8].copy_from_slice(&thread.to_le_bytes());
        Key(key)
    }

    fn done<T: std::fmt::Debug>(answer: Answer<'_, T>) -> Result<T, StoreError> {
        match answer {
            Answer::Now(result) => result,
            Answer::Later(_) => panic!("memory does not wait"),
        }
    }

    /// Who is thrown out is chosen under one lock and thrown out under another: meanwhile it may
    /// have been logged out, and its tombstone has to stay.
    #[test]
    fn making_room_harms_no_tombstone_and_refuses_nobody() {
        let store = MemoryStore::new(Some(2));
        let (lost, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (store, lost, refused) = (&store, &lost, &refused);
                scope.spawn(move || {
                    for number in 0..20_000 {
                        let key = key(thread, number);
                        if done(store.create(key, record(60), NOW)).is_err() {
                            refused.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        let removed = done(store.remove(key, NOW)).unwrap();
                        let retired = matches!(done(store.load(key, NOW)), Ok(Loaded::Retired));
                        lost.fetch_add(usize::from(removed && !retired), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(lost.into_inner(), 0, "tombstones were thrown out");
        assert_eq!(
            refused.into_inner(),
            0,
            "there was always an anonymous one to throw out"
        );
        assert!(store.live.load(Ordering::Relaxed) <= 2);
    }

    #[test]
    fn whoever_came_back_meanwhile_is_not_thrown_out() {
        let store = MemoryStore::new(Some(9));
        let [visited, gone, meant] = [1, 2, 3].map(|number| key(0, number));
        let first = record(60);
        for key in [visited, gone, meant] {
            assert!(done(store.create(key, first.clone(), NOW)).unwrap());
        }
        let chosen = [visited, gone, meant].map(|key| place_in_queue(key, &first));
        let later = NOW + Duration::from_secs(90);
        done(store.touch(visited, first.revision, later, NOW)).unwrap();
        assert!(done(store.remove(gone, NOW)).unwrap());
        chosen
            .into_iter()
            .for_each(|victim| store.throw_out(victim));
        let loaded = |key| done(store.load(key, NOW)).unwrap();
        assert!(matches!(loaded(visited), Loaded::Live(_)));
        assert!(matches!(loaded(gone), Loaded::Retired));
        assert!(matches!(loaded(meant), Loaded::Nothing));
    }

    /// Between the listing of a user's sessions and their removal one may have become another
    /// user's.
    #[test]
    fn a_removal_of_a_users_session_does_not_follow_to_another_user() {
        let store = MemoryStore::new(None);
        let [joe, eve] = [1, 2].map(|number| Some(UserKey([number; 16])));
        let first = Record {
            user: joe,
            ..record(60)
        };
        assert!(done(store.create(key(0, 1), first.clone(), NOW)).unwrap());
        let renewed = Record {
            user: eve,
            revision: first.revision.next(),
            ..first.clone()
        };
        let answer = store.renew(key(0, 1), first.revision, key(0, 2), renewed, NOW);
        assert!(matches!(done(answer), Ok(Commit::Saved)));
        let of = |user: Option<UserKey>| chosen(user.unwrap(), Which::All);
        assert!(!store.remove_now(key(0, 1), of(joe), NOW));
        assert!(matches!(
            done(store.load(key(0, 2), NOW)),
            Ok(Loaded::Live(_))
        ));
        // Nor is it listed as the first one's; of the second it is, under whichever key is asked.
        let listed = |user: Option<UserKey>| store.look_up(key(0, 1), user.unwrap(), NOW);
        assert!(listed(joe).is_none());
        assert_eq!(listed(eve).unwrap().key, key(0, 2));
        assert!(store.remove_now(key(0, 1), of(eve), NOW));
    }

    #[test]
    fn memory_is_given_back_after_a_flood() {
        let store = MemoryStore::new(None);
        for number in 0..100_000 {
            assert!(done(store.create(key(0, number), record(60), NOW)).unwrap());
        }
        let capacity = |store: &MemoryStore| -> usize {
            store
                .shards
                .iter()
                .map(|shard| lock(shard).entries.capacity())
                .sum()
        };
        let flooded = capacity(&store);
        let swept = store
            .sweep(NOW + Duration::from_secs(60), usize::MAX)
            .unwrap();
        assert_eq!(
            swept,
            Swept {
                deleted: 100_000,
                finished: true
            }
        );
        assert!(
            capacity(&store) < flooded / 10,
            "{} of {flooded}",
            capacity(&store)
        );
        assert_eq!(store.live.load(Ordering::Relaxed), 0);
    }
}
