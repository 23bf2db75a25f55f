//! A store behind an [`Arc`], so that several services can share it.

use std::sync::Arc;

use super::answer::{Answer, StoreError};
use super::contract::Store;
use super::entry::{Cursor, Ending, Entry, Expected, Listed, Scanned, Swap, Swept, Whose};
use super::lease::Lease;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};

/// Every method calls the same method of the store behind the pointer. A provided method that is left out here would
/// hide the override of that store.
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        (**self).load(key)
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        (**self).swap(key, expected, entry, now)
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        (**self).list(users)
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        (**self).scan(cursor, budget)
    }

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        (**self).heads(keys)
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        (**self).touch(key, head, now)
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        (**self).renew(old, over, new, record, now)
    }

    fn renews_at_once(&self) -> bool {
        (**self).renews_at_once()
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        (**self).end(key, whose, now)
    }

    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        (**self).sweep(from, now, budget)
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        (**self).lock(key)
    }

    fn outage(&self) -> Option<StoreError> {
        (**self).outage()
    }

    fn in_process(&self) -> bool {
        (**self).in_process()
    }
}
