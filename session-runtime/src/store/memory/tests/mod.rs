//! The store of memory mode: evictions, and what many threads do to it.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

mod evictions;
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::lists::Lists;
use super::open::{OpenMemory, lock};
use super::settings::MemoryStore;
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision, UserKey};
use crate::stats::{Counters, Stats};
use crate::store::asked::{Asked, Slice};
use crate::store::{Answer, Entry, Loaded, StoreError};

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn record(user: Option<UserKey>, created: Timestamp, expires: Timestamp) -> Record {
    Record {
        head: Head {
            revision: Revision::first(),
            expires,
            seen: created,
            created,
            handle: Handle([0; 12]),
            user,
        },
        summary: None,
        body: Body::from_bytes([]),
    }
}

/// An anonymous session of a minute.
fn anonymous() -> Record {
    record(None, NOW, NOW + seconds(60))
}

fn user(number: u32) -> UserKey {
    UserKey(key(u32::MAX, number).0)
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

/// A store, and the same as tests ask it.
struct Observed {
    memory: Arc<OpenMemory>,
    asked: Asked,
    counters: Arc<Counters>,
    /// The number of sessions that [`evictions`] created.
    created: AtomicU64,
}

impl Observed {
    fn new(settings: &MemoryStore) -> Self {
        let counters = Arc::default();
        let memory = Arc::new(settings.open(&counters).unwrap());
        Self {
            asked: Asked::new(Arc::<OpenMemory>::clone(&memory)),
            memory,
            counters,
            created: AtomicU64::new(0),
        }
    }

    fn limited(max_sessions: usize) -> Self {
        Self::new(&MemoryStore::new().max_sessions(max_sessions))
    }

    fn stats(&self) -> Stats {
        self.counters.read()
    }

    fn create(&self, key: Key, record: Record, now: Timestamp) {
        assert!(done(self.asked.create(key, record, now)).unwrap());
    }

    fn is_live(&self, key: Key) -> bool {
        matches!(done(self.asked.load(key, NOW)).unwrap(), Loaded::Live(_))
    }

    /// The numbers of those among `keys` that are live.
    fn live(&self, keys: impl IntoIterator<Item = Key>) -> Vec<usize> {
        let keys = keys.into_iter().enumerate();
        let live = keys.filter(|&(_, key)| self.is_live(key));
        live.map(|(number, _)| number).collect()
    }

    /// The sessions that the store has, expired or not.
    fn heads(&self) -> Vec<(Key, Head)> {
        let mut heads = Vec::new();
        for shard in &self.memory.shards {
            let entries = lock(shard);
            let of_shard = entries.iter();
            heads.extend(of_shard.filter_map(|(key, entry)| Some((*key, *entry.head()?))));
        }
        heads.sort_unstable_by_key(|&(key, _)| key);
        heads
    }

    /// Checks that lists and orders are those of the sessions that are there.
    fn check(&self, max_sessions: Option<usize>) {
        let mut lists = Lists::new(max_sessions);
        for (key, head) in self.heads() {
            lists.follow(key, None, Some(&head));
        }
        assert_eq!(*lock(&self.memory.lists), lists);
    }
}

/// A victim is chosen under one lock and evicted under another. Meanwhile it may have been logged out, and its
/// tombstone has to stay.
#[test]
fn making_room_harms_no_tombstone_and_refuses_nobody() {
    let store = Observed::limited(2);
    let lost = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, lost) = (&store, &lost);
            scope.spawn(move || {
                for number in 0..20_000 {
                    let key = key(thread, number);
                    store.create(key, anonymous(), NOW);
                    let removed = done(store.asked.remove(key, NOW)).unwrap();
                    let retired = matches!(done(store.asked.load(key, NOW)), Ok(Loaded::Retired));
                    lost.fetch_add(usize::from(removed && !retired), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(lost.into_inner(), 0, "tombstones were evicted");
    assert_eq!(store.heads().len(), 0);
    store.check(Some(2));
}

/// Three threads do everything at once that moves a session in the orders of eviction, until they have met.
#[test]
fn the_number_of_sessions_holds_whatever_threads_do() {
    const MAX: usize = 50;
    for _ in 0..100 {
        let store = Observed::limited(MAX);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (store, most) = (&store, &most);
                scope.spawn(move || {
                    for number in 0..5000 {
                        live_on(store, thread, number);
                        let count = lock(&store.memory.lists).count();
                        most.fetch_max(count, Ordering::Relaxed);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!(most <= MAX + 3, "{most} sessions at once");
        let count = store.heads().len();
        assert!((MAX - 10..=MAX).contains(&count), "{count} in the end");
        store.check(Some(MAX));
        if most > MAX {
            return;
        }
    }
    println!("SKIPPED: three threads never met");
}

/// Creates a session, and renews, visits or removes it. Another thread may have evicted it before.
fn live_on(store: &Observed, thread: u32, number: u32) {
    let owner = (!number.is_multiple_of(3)).then(|| user(number % 4));
    let now = NOW + Duration::from_millis(number.into());
    let first = record(owner, now, now + seconds(60));
    let (key_now, over) = (key(thread, number), first.head.revision);
    store.create(key_now, first.clone(), now);
    match number % 4 {
        0 => {
            let new = key(thread + 100, number);
            let login = record(Some(user(9)), now, now + seconds(90));
            drop(done(store.asked.renew(key_now, over, new, login, now)).unwrap());
        }
        1 => {
            let head = Head {
                expires: now + seconds(99),
                ..first.head
            };
            done(store.asked.visit(key_now, head, now)).unwrap();
        }
        2 => drop(done(store.asked.remove(key_now, now)).unwrap()),
        _ => {}
    }
}

#[test]
fn memory_is_given_back_after_a_flood() {
    let store = Observed::new(&MemoryStore::new());
    for number in 0..100_000 {
        store.create(key(0, number), anonymous(), NOW);
    }
    let capacity = |store: &OpenMemory| -> usize {
        let shards = store.shards.iter();
        shards.map(|shard| lock(shard).capacity()).sum()
    };
    let flooded = capacity(&store.memory);
    let swept = store.asked.sweep(NOW + seconds(60), usize::MAX).unwrap();
    assert_eq!(
        swept,
        Slice {
            deleted: 100_000,
            finished: true
        }
    );
    let capacity = capacity(&store.memory);
    assert!(capacity < flooded / 10, "{capacity} of {flooded}");
    assert_eq!(store.heads().len(), 0);
}
