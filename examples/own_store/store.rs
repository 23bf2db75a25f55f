//! The store: each operation is one transaction, so nothing falls into its middle.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bsession::Timestamp;
use bsession::store::{
    Answer, Commit, Key, Listing, Loaded, RETIRED, Record, Revision, Store, StoreError, Swept,
    UserKey, Which,
};
use redb::{Database, ReadableDatabase};

use crate::tables::{Entry, Reading, Result, Writing};

/// Keeps sessions in a file of redb, which one process opens at a time.
pub(crate) struct RedbStore {
    database: Arc<Database>,
    /// Where the next sweep begins.
    unswept: Mutex<Key>,
}

impl RedbStore {
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Database::create(path)?;
        // A reader makes no tables, so they are made here.
        write(&database, |_| Ok(()))?;
        Ok(Self {
            database: Arc::new(database),
            unswept: Mutex::new(Key([0; 16])),
        })
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.run(|database| work(&Reading::open(&database.begin_read()?)?))
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writing<'_>) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.run(|database| write(database, work))
    }

    /// redb blocks, so it runs on a thread that may be blocked, as a worker of actix may not. There
    /// it comes to its end even if nobody waits for the answer any more. It takes a tokio runtime to
    /// ask for such a thread: actix has one.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let database = Arc::clone(&self.database);
        Answer::later(async move {
            let done = tokio::task::spawn_blocking(move || work(&database)).await;
            done.unwrap_or_else(|panicked| Err(panicked.into()))
                .map_err(StoreError::Other)
        })
    }
}

/// Writers take turns, and a commit ends when it is on the disk. An error before it drops the
/// transaction, and all is as it was.
fn write<T>(database: &Database, work: impl FnOnce(&mut Writing<'_>) -> Result<T>) -> Result<T> {
    let transaction = database.begin_write()?;
    let done = work(&mut Writing::open(&transaction)?)?;
    transaction.commit()?;
    Ok(done)
}

impl Store for RedbStore {
    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        self.read(move |tables| {
            Ok(match tables.find(key)? {
                Some(Entry::Session(record)) if record.expires > now => Loaded::Live(record),
                Some(Entry::Tombstone(since, _)) if now.since(since) < RETIRED => Loaded::Retired,
                _ => Loaded::Nothing,
            })
        })
    }

    fn create(&self, key: Key, record: Record, _: Timestamp) -> Answer<'_, bool> {
        self.write(move |tables| {
            // What has expired holds its key too, until it is swept.
            let free = tables.find(key)?.is_none();
            if free {
                tables.set(key, Some(Entry::Session(record)))?;
            }
            Ok(free)
        })
    }

    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.write(move |tables| {
            let Some(current) = tables.live(key, now)? else {
                return Ok(Commit::Gone);
            };
            // First of all: the reply may have been lost, and this is the second time.
            if current.revision == record.revision {
                return Ok(Commit::Saved);
            }
            if current.revision != over {
                return Ok(Commit::Conflict(current));
            }
            tables.set(key, Some(Entry::Session(record)))?;
            Ok(Commit::Saved)
        })
    }

    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        self.write(move |tables| match tables.live(key, now)? {
            Some(current) if current.revision == revision => {
                let touched = Record {
                    expires,
                    seen: now,
                    ..current
                };
                tables.set(key, Some(Entry::Session(touched)))
            }
            _ => Ok(()),
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
        self.write(move |tables| {
            match tables.find(new)? {
                None => {}
                Some(Entry::Session(own)) if own.revision == record.revision => {
                    return Ok(Commit::Saved);
                }
                Some(_) => return Ok(Commit::Gone),
            }
            let Some(current) = tables.live(old, now)? else {
                return Ok(Commit::Gone);
            };
            if current.revision != over {
                return Ok(Commit::Conflict(current));
            }
            tables.set(new, Some(Entry::Session(record)))?;
            tables.set(old, Some(Entry::Tombstone(now, Some(new))))?;
            Ok(Commit::Saved)
        })
    }

    fn remove(&self, mut key: Key, now: Timestamp) -> Answer<'_, bool> {
        self.write(move |tables| {
            loop {
                match tables.find(key)? {
                    // An expired one is buried too, lest a clock that is set back revives it.
                    Some(Entry::Session(record)) => {
                        tables.set(key, Some(Entry::Tombstone(now, None)))?;
                        return Ok(record.expires > now);
                    }
                    Some(Entry::Tombstone(_, Some(successor))) => key = successor,
                    _ => return Ok(false),
                }
            }
        })
    }

    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        self.read(move |tables| tables.list(user, now))
    }

    fn remove_user(&self, user: UserKey, which: Which, now: Timestamp) -> Answer<'_, usize> {
        self.write(move |tables| {
            let mut listed = tables.list(user, now)?;
            listed.retain(|listing| which.includes(listing.handle));
            for listing in &listed {
                tables.set(listing.key, Some(Entry::Tombstone(now, None)))?;
            }
            Ok(listed.len())
        })
    }

    fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError> {
        let mut unswept = self.unswept.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |tables: &mut Writing<'_>| tables.sweep(*unswept, budget, now);
        let (deleted, next) = write(&self.database, work).map_err(StoreError::Other)?;
        *unswept = next.unwrap_or(Key([0; 16]));
        Ok(Swept {
            deleted,
            finished: next.is_none(),
        })
    }
}
