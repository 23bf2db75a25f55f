//! The memory store: a sharded map of records that stay as they are, shared and unsealed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose,
};
use crate::clock::Timestamp;
use crate::error::InitError;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::stats::Counters;

/// Keeps sessions in the memory of this process.
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct MemoryStore {
    max_sessions: Option<usize>,
}

impl MemoryStore {
    /// Memory without a limit.
    pub const fn new() -> Self {
        Self { max_sessions: None }
    }

    /// How many sessions are kept.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = Some(count);
        self
    }

    pub(crate) fn open(&self, _: &Arc<Counters>) -> Result<OpenMemory, InitError> {
        if self.max_sessions == Some(0) {
            let text = "`max_sessions(0)` leaves no room for a session: leave it out for no limit";
            return Err(InitError::Setting(text.to_owned()));
        }
        Ok(OpenMemory::new(self.max_sessions))
    }
}

/// How many locks the map has: far more than a machine has threads that could meet at one.
const SHARDS: usize = 128;

/// How often a full store looks for a session to throw out before it refuses a new one.
const LOOKS: usize = 16;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Keeps sessions in the memory of this process; they end with it.
pub(crate) struct OpenMemory {
    shards: Box<[Mutex<Shard>]>,
    users: Mutex<Map<UserKey, HashSet<Key, RandomState>>>,
    max_sessions: Option<usize>,
    live: AtomicUsize,
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

/// A poisoned lock means a panic between two whole states, since none is made in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the books have of a session.
#[derive(Clone, Copy)]
struct Known {
    user: Option<UserKey>,
    expires: Timestamp,
}

impl Known {
    fn of(entry: Option<&Entry>) -> Option<Self> {
        entry?.head().map(|head| Self {
            user: head.user,
            expires: head.expires,
        })
    }

    fn place(&self, key: Key) -> Place {
        place_in_queue(key, self.user, self.expires)
    }
}

fn place_in_queue(key: Key, user: Option<UserKey>, expires: Timestamp) -> Place {
    (user.is_some(), expires, key)
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

impl OpenMemory {
    pub(crate) fn new(max_sessions: Option<usize>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: Mutex::default(),
            max_sessions,
            live: AtomicUsize::new(0),
        }
    }

    /// Keys are hashes, so any of their bytes will do.
    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.0[0]) % SHARDS])
    }

    /// Puts an entry under a key, or nothing, in place of what is there. The counter, the queue and the lists follow.
    fn put(&self, shard: &mut Shard, key: Key, entry: Option<Entry>) {
        let new = Known::of(entry.as_ref());
        let old = match entry {
            Some(entry) => shard.entries.insert(key, entry),
            None => shard.entries.remove(&key),
        };
        self.book(&mut shard.queue, key, Known::of(old.as_ref()), new);
    }

    /// Lets the counter, the queue and the lists follow what was put under a key.
    fn book(&self, queue: &mut BTreeSet<Place>, key: Key, old: Option<Known>, new: Option<Known>) {
        match (&old, &new) {
            (None, Some(_)) => drop(self.live.fetch_add(1, Ordering::Relaxed)),
            (Some(_), None) => drop(self.live.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if self.max_sessions.is_some() {
            if let Some(old) = &old {
                queue.remove(&old.place(key));
            }
            if let Some(new) = &new {
                queue.insert(new.place(key));
            }
        }
        let user = |known: Option<Known>| known.and_then(|known| known.user);
        self.index(key, user(old), user(new));
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
        if shard.queue.contains(&victim) {
            self.put(&mut shard, key, None);
        }
    }

    /// Visits shards from a place on until there were about `budget` entries; returns where to go on.
    fn each_shard(
        &self,
        from: &Cursor,
        budget: usize,
        mut visit: impl FnMut(&mut Shard),
    ) -> Option<Cursor> {
        let mut seen = 0;
        let first = from.0.first().copied().unwrap_or_default();
        for (place, shard) in (0_u8..).zip(&self.shards).skip(usize::from(first)) {
            if seen >= budget {
                return Some(Cursor(vec![place]));
            }
            let mut shard = lock(shard);
            seen += shard.entries.len().max(1);
            visit(&mut shard);
        }
        None
    }

    fn swap_now(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        if expected == Expected::Nothing && matches!(entry, Some(Entry::Live(_))) {
            self.make_room(now)?;
        }
        let mut guard = self.shard(key);
        let shard = &mut *guard;
        let Some(found) = shard.entries.get_mut(&key) else {
            if expected != Expected::Nothing {
                return Ok(Swap::Found(None));
            }
            self.put(shard, key, entry);
            return Ok(Swap::Done);
        };
        if !expected.is_met_by(Some(found), now) {
            return Ok(Swap::Found(Some(found.clone())));
        }
        // In its place, so that the key is looked up once.
        match entry {
            Some(entry) => {
                let (old, new) = (Known::of(Some(found)), Known::of(Some(&entry)));
                *found = entry;
                self.book(&mut shard.queue, key, old, new);
            }
            None => self.put(shard, key, None),
        }
        Ok(Swap::Done)
    }

    fn listing(&self, key: Key) -> Option<(Key, Entry)> {
        let shard = self.shard(key);
        Some((key, shard.entries.get(&key)?.clone()))
    }
}

impl Store for OpenMemory {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        Answer::ready(|| Ok(self.shard(key).entries.get(&key).cloned()))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::ready(|| self.swap_now(key, expected, entry, now))
    }

    /// One look at the lists, so that a session that is renewed meanwhile is on one of them, under either key.
    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let lists = lock(&self.users);
        let keys = users.iter().filter_map(|user| lists.get(user)).flatten();
        let keys: Vec<_> = keys.copied().collect();
        drop(lists);
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
        let mut entries = Vec::new();
        let next = self.each_shard(&cursor, budget, |shard| {
            let of_shard = shard.entries.iter();
            entries.extend(of_shard.map(|(key, entry)| (*key, entry.clone())));
        });
        Answer::ready(|| Ok(Scanned { entries, next }))
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        let mut guard = self.shard(key);
        let shard = &mut *guard;
        if let Some(Entry::Live(record)) = shard.entries.get_mut(&key)
            && Expected::At(head.revision).is_met_by_head(&record.head, now)
        {
            if self.max_sessions.is_some() {
                shard
                    .queue
                    .remove(&place_in_queue(key, record.head.user, record.head.expires));
                shard
                    .queue
                    .insert(place_in_queue(key, record.head.user, head.expires));
            }
            (record.head.expires, record.head.seen) = (head.expires, head.seen);
        }
        Answer::Now(Ok(()))
    }

    /// Never makes room: what would be thrown out may be the session that is renewed.
    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::ready(|| {
            let own = record.head.revision;
            // The new key is nobody's yet, so the two need not be locked together.
            {
                let mut shard = self.shard(new);
                match shard.entries.get(&new) {
                    None => self.put(&mut shard, new, Some(Entry::Live(record))),
                    Some(Entry::Live(found)) if found.head.revision == own => {}
                    Some(_) => return Err(StoreError::Taken),
                }
            }
            let ended = Entry::Ended {
                at: now,
                successor: Some(new),
            };
            let swap = self.swap_now(old, Expected::At(over), Some(ended), now)?;
            if let Swap::Found(found) = &swap
                && !super::is_renewed_to(found.as_ref(), new)
            {
                drop(self.swap_now(new, Expected::At(own), None, now)?);
            }
            Ok(swap)
        })
    }

    fn renews_at_once(&self) -> bool {
        true
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        Answer::ready(|| {
            let mut shard = self.shard(key);
            let head = match Ending::of(shard.entries.get(&key), whose) {
                Ok(head) => head,
                Err(ending) => return Ok(ending),
            };
            self.put(&mut shard, key, Some(Entry::removed(now)));
            Ok(Ending::Ended(head))
        })
    }

    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        let mut deleted = 0;
        let next = self.each_shard(&from, budget, |shard| {
            let over = shard.entries.iter().filter(|(_, entry)| entry.is_over(now));
            let over: Vec<_> = over.map(|(key, _)| *key).collect();
            deleted += over.len();
            for key in over {
                self.put(shard, key, None);
            }
            // After a flood the room is given back; a factor apart, so that it is not asked for again.
            if shard.entries.capacity() > 64 && shard.entries.len() < shard.entries.capacity() / 4 {
                let room = shard.entries.len() * 2;
                shard.entries.shrink_to(room);
            }
        });
        Answer::ready(|| Ok(Swept { deleted, next }))
    }

    /// The requests of this process take turns already, and no other process has these sessions.
    fn lock(&self, _: Key) -> Option<Answer<'_, Option<Lease>>> {
        Some(Answer::ready(|| Ok(Some(Lease::default()))))
    }

    fn in_process(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Body, Handle};
    use crate::store::Loaded;
    use crate::store::asked::{Asked, Slice};

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn record(lasting: u64) -> Record {
        Record {
            head: Head {
                revision: Revision::first(),
                expires: NOW + Duration::from_secs(lasting),
                seen: NOW,
                created: NOW,
                handle: Handle([0; 12]),
                user: None,
            },
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

    /// A store, and the same as tests ask it.
    fn stores(max_sessions: Option<usize>) -> (Arc<OpenMemory>, Asked) {
        let memory = Arc::new(OpenMemory::new(max_sessions));
        let asked = Asked::new(Arc::<OpenMemory>::clone(&memory));
        (memory, asked)
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
        let (memory, store) = stores(Some(2));
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
        assert!(memory.live.load(Ordering::Relaxed) <= 2);
    }

    #[test]
    fn whoever_came_back_meanwhile_is_not_thrown_out() {
        let (memory, store) = stores(Some(9));
        let [visited, gone, meant] = [1, 2, 3].map(|number| key(0, number));
        let first = record(60);
        for key in [visited, gone, meant] {
            assert!(done(store.create(key, first.clone(), NOW)).unwrap());
        }
        let chosen = [visited, gone, meant]
            .map(|key| place_in_queue(key, first.head.user, first.head.expires));
        let later = NOW + Duration::from_secs(90);
        done(store.touch(visited, first.head.revision, later, NOW)).unwrap();
        assert!(done(store.remove(gone, NOW)).unwrap());
        chosen
            .into_iter()
            .for_each(|victim| memory.throw_out(victim));
        let loaded = |key| done(store.load(key, NOW)).unwrap();
        assert!(matches!(loaded(visited), Loaded::Live(_)));
        assert!(matches!(loaded(gone), Loaded::Retired));
        assert!(matches!(loaded(meant), Loaded::Nothing));
    }

    #[test]
    fn memory_is_given_back_after_a_flood() {
        let (memory, store) = stores(None);
        for number in 0..100_000 {
            assert!(done(store.create(key(0, number), record(60), NOW)).unwrap());
        }
        let capacity = |store: &OpenMemory| -> usize {
            store
                .shards
                .iter()
                .map(|shard| lock(shard).entries.capacity())
                .sum()
        };
        let flooded = capacity(&memory);
        let swept = store
            .sweep(NOW + Duration::from_secs(60), usize::MAX)
            .unwrap();
        assert_eq!(
            swept,
            Slice {
                deleted: 100_000,
                finished: true
            }
        );
        assert!(
            capacity(&memory) < flooded / 10,
            "{} of {flooded}",
            capacity(&memory)
        );
        assert_eq!(memory.live.load(Ordering::Relaxed), 0);
    }
}
