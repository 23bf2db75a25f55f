//! The open store, which a service uses.

use std::sync::Arc;

use super::backend::Backend;
use super::lock;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose, renew_by_swaps,
};

/// Sessions in Redis: one server, a master with replicas, or a cluster.
#[derive(Clone)]
pub(crate) struct OpenRedis(Arc<Backend>);

impl OpenRedis {
    pub(super) fn new(backend: Backend) -> Self {
        Self(Arc::new(backend))
    }

    #[cfg(test)]
    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.0
    }
}

impl Store for OpenRedis {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        Answer::later(self.0.load(key))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::later(self.0.swap(key, expected, entry, now))
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        Answer::later(Arc::clone(&self.0).list(users.to_vec()))
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        Answer::later(Arc::clone(&self.0).scan(cursor, budget))
    }

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Answer::later(self.0.heads(keys))
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        Answer::later(async move { self.0.touch(key, &head, now).await })
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        if self.0.is_one_server() {
            return Answer::later(self.0.renew(old, over, new, record, now));
        }
        Answer::later(renew_by_swaps(self, old, over, new, record, now))
    }

    fn renews_at_once(&self) -> bool {
        self.0.is_one_server()
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        Answer::later(async move {
            let ending = self.0.end(key, whose, now).await?;
            if let Ending::Ended(Head {
                user: Some(user), ..
            }) = ending
            {
                self.0.unlist(user, key);
            }
            Ok(ending)
        })
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        Some(Answer::later(lock::take(Arc::clone(&self.0), key)))
    }

    fn outage(&self) -> Option<StoreError> {
        self.0.outage()
    }

    /// Repairs lists. The servers delete what has expired by themselves.
    fn sweep(&self, from: Cursor, _now: Timestamp, _budget: usize) -> Answer<'_, Swept> {
        Answer::later(async move { self.0.heal(from).await })
    }
}
