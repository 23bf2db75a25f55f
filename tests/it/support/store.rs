//! A store of an application's own, as short as the contract lets it be, that fails, waits or
//! refuses when it is told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bsession::{
    Answer, Commit, Key, Listing, Loaded, RETIRED, Record, Revision, Store, StoreError, Swept,
    TOMBSTONE, Timestamp, UserKey,
};

/// What the store is told; clones tell the same one.
#[derive(Clone, Default)]
pub struct Faults(Arc<Flags>);

#[derive(Default)]
pub struct Flags {
    /// Every operation fails.
    pub down: AtomicBool,
    /// Reading works, writing fails.
    pub read_only: AtomicBool,
    /// No operation ever answers.
    pub black_hole: AtomicBool,
    /// Operations answer, but not at once.
    pub waits: AtomicBool,
    /// So many new ids are said to be taken.
    pub taken: AtomicUsize,
    /// How many operations there were.
    pub calls: AtomicUsize,
}

impl std::ops::Deref for Faults {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.0
    }
}

#[derive(Default)]
pub struct Faulty {
    pub faults: Faults,
    entries: Mutex<HashMap<Key, Entry>>,
}

enum Entry {
    Live(Record),
    Tombstone {
        since: Timestamp,
        successor: Option<Key>,
    },
}

type Entries = HashMap<Key, Entry>;

fn live(entries: &Entries, key: Key, now: Timestamp) -> Option<&Record> {
    match entries.get(&key) {
        Some(Entry::Live(record)) if record.expires > now => Some(record),
        _ => None,
    }
}

fn replace(
    entries: &mut Entries,
    key: Key,
    over: Revision,
    own: Revision,
    entry: Entry,
    now: Timestamp,
) -> Commit {
    match live(entries, key, now) {
        None => return Commit::Gone,
        Some(record) if record.revision == own => return Commit::Saved,
        Some(record) if record.revision != over => return Commit::Conflict(record.clone()),
        Some(_) => {}
    }
    entries.insert(key, entry);
    Commit::Saved
}

impl Faulty {
    /// Runs an operation, or does to it what the faults say.
    fn run<'a, T: Send + Unpin + 'a>(
        &'a self,
        writes: bool,
        operation: impl FnOnce(&mut Entries) -> T + Send + 'a,
    ) -> Answer<'a, T> {
        self.faults.calls.fetch_add(1, SeqCst);
        if self.faults.down.load(SeqCst) || (writes && self.faults.read_only.load(SeqCst)) {
            return Answer::Now(Err(std::io::Error::other("told to fail").into()));
        }
        if self.faults.black_hole.load(SeqCst) {
            return Answer::later(std::future::pending());
        }
        let run = move || {
            Ok(operation(
                &mut self.entries.lock().expect("no panic under the lock"),
            ))
        };
        if self.faults.waits.load(SeqCst) {
            return Answer::later(async move {
                tokio::task::yield_now().await;
                run()
            });
        }
        Answer::Now(run())
    }
}

impl Store for Faulty {
    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        self.run(false, move |entries| match entries.get(&key) {
            Some(Entry::Live(record)) if record.expires > now => Loaded::Live(record.clone()),
            Some(Entry::Tombstone { since, .. }) if now.since(*since) < RETIRED => Loaded::Retired,
            _ => Loaded::Nothing,
        })
    }

    fn create(&self, key: Key, record: Record, _: Timestamp) -> Answer<'_, bool> {
        self.run(true, move |entries| {
            let taken = self
                .faults
                .taken
                .fetch_update(SeqCst, SeqCst, |many| many.checked_sub(1));
            let free = taken.is_err() && !entries.contains_key(&key);
            if free {
                entries.insert(key, Entry::Live(record));
            }
            free
        })
    }

    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.run(true, move |entries| {
            let own = record.revision;
            replace(entries, key, over, own, Entry::Live(record), now)
        })
    }

    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        self.run(true, move |entries| {
            if let Some(Entry::Live(record)) = entries.get_mut(&key)
                && record.expires > now
                && record.revision == revision
            {
                record.expires = expires;
            }
        })
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.run(true, move |entries| {
            let own = record.revision;
            let tombstone = Entry::Tombstone {
                since: now,
                successor: Some(new),
            };
            let retired = replace(entries, old, over, own, tombstone, now);
            if matches!(retired, Commit::Saved) {
                entries.insert(new, Entry::Live(record));
            }
            retired
        })
    }

    fn remove(&self, mut key: Key, now: Timestamp) -> Answer<'_, bool> {
        self.run(true, move |entries| {
            while let Some(Entry::Tombstone {
                successor: Some(successor),
                ..
            }) = entries.get(&key)
            {
                key = *successor;
            }
            let was_live = live(entries, key, now).is_some();
            if matches!(entries.get(&key), Some(Entry::Live(_))) {
                entries.insert(
                    key,
                    Entry::Tombstone {
                        since: now,
                        successor: None,
                    },
                );
            }
            was_live
        })
    }

    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        self.run(false, move |entries| {
            let keys = entries.keys().copied();
            let records = keys.filter_map(|key| Some((key, live(entries, key, now)?)));
            let theirs = records.filter(|(_, record)| record.user == Some(user));
            let listing = |(key, record): (Key, &Record)| {
                let Record {
                    handle,
                    created,
                    expires,
                    ..
                } = *record;
                Listing {
                    key,
                    handle,
                    created,
                    expires,
                }
            };
            theirs.map(listing).collect()
        })
    }

    fn remove_user(&self, user: UserKey, but: Option<Key>, now: Timestamp) -> Answer<'_, usize> {
        self.run(true, move |entries| {
            let theirs = |key: &Key, entry: &Entry| match entry {
                Entry::Live(record) => record.user == Some(user) && Some(*key) != but,
                Entry::Tombstone { .. } => false,
            };
            let keys: Vec<Key> = entries
                .iter()
                .filter(|(key, entry)| theirs(key, entry))
                .map(|(key, _)| *key)
                .collect();
            for key in &keys {
                entries.insert(
                    *key,
                    Entry::Tombstone {
                        since: now,
                        successor: None,
                    },
                );
            }
            keys.len()
        })
    }

    fn sweep(&self, now: Timestamp, _: usize) -> Result<Swept, StoreError> {
        let mut entries = self.entries.lock().expect("no panic under the lock");
        let before = entries.len();
        entries.retain(|_, entry| match entry {
            Entry::Live(record) => record.expires > now,
            Entry::Tombstone { since, .. } => now.since(*since) < TOMBSTONE,
        });
        Ok(Swept {
            deleted: before - entries.len(),
            finished: true,
        })
    }
}
