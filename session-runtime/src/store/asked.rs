//! A store as tests use it: through the ledger, because the rules of sessions are tested, too. The methods return an
//! [`Answer`], so a test sees which operations wait.

use std::sync::Arc;

use super::answer::{Answer, StoreError};
use super::contract::Store;
use super::entry::{Entry, Which, Whose};
use super::lease::Lease;
use super::ledger::{Commit, Ledger, Listing, Loaded};
use crate::clock::Timestamp;
use crate::record::{Handle, Head, Key, Record, Revision, UserKey};

pub(crate) struct Asked {
    ledger: Ledger,
    store: Arc<dyn Store>,
}

/// The result of one slice of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) deleted: usize,
    pub(crate) finished: bool,
}

impl Asked {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            ledger: Ledger::new(Arc::clone(&store)),
            store,
        }
    }

    pub(crate) fn in_process(&self) -> bool {
        self.store.in_process()
    }

    pub(crate) fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        Answer::polled(self.ledger.load(key, now))
    }

    pub(crate) fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Answer::polled(self.ledger.heads(keys))
    }

    pub(crate) fn create(&self, key: Key, record: Record, now: Timestamp) -> Answer<'_, bool> {
        Answer::polled(self.ledger.create(key, record, now))
    }

    pub(crate) fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        Answer::polled(self.ledger.commit(key, over, record, now))
    }

    /// Touches a session without a user, so no list changes.
    pub(crate) fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        let head = Head {
            revision,
            expires,
            seen: now,
            created: now,
            handle: Handle([0; 12]),
            user: None,
        };
        self.visit(key, head, now)
    }

    pub(crate) fn visit(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        Answer::polled(self.ledger.touch(key, head, now))
    }

    pub(crate) fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        Answer::polled(self.ledger.renew(old, over, new, record, now))
    }

    pub(crate) fn remove(&self, key: Key, now: Timestamp) -> Answer<'_, bool> {
        Answer::polled(async move { Ok(self.ledger.remove(key, &[], now).await?.is_some()) })
    }

    pub(crate) fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        Answer::polled(async move { Ok(self.ledger.sessions_of(&[user], now).await?.listings) })
    }

    #[cfg(test)]
    /// The keys on the list of a user, as the store has it, whose sessions are live and belong to that user.
    pub(crate) fn entries_of(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Key>> {
        Answer::polled(async move {
            let listed = self.store.list(&[user]).await?;
            let is_theirs = |head: &&Head| head.is_live(now) && head.user == Some(user);
            let live = listed
                .entries
                .iter()
                .filter(|(_, entry)| entry.head().filter(is_theirs).is_some());
            Ok(live.map(|&(key, _)| key).collect())
        })
    }

    pub(crate) fn remove_user(
        &self,
        user: UserKey,
        which: Which,
        now: Timestamp,
    ) -> Answer<'_, usize> {
        Answer::polled(async move {
            let users = &[user];
            let (whose, mut ended) = (Whose { users, which }, Vec::new());
            let listed = self.ledger.on_list(whose).await?;
            let ends = self.ledger.end_all(&listed.keys, whose, now, &mut ended);
            ends.await?;
            Ok(ended.len())
        })
    }

    pub(crate) fn lock(&self, key: Key) -> Answer<'_, Option<Lease>> {
        // A lock lasts equally long by every clock, so any time will do.
        Answer::polled(self.ledger.lock(key, Timestamp::default()))
    }

    pub(crate) async fn sweep_slice(
        &self,
        now: Timestamp,
        budget: usize,
    ) -> Result<Slice, StoreError> {
        let swept = self.ledger.sweep(now, budget).await?;
        Ok(Slice {
            deleted: swept.deleted,
            finished: swept.next.is_none(),
        })
    }

    /// Sweeps one slice of a store that never waits.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn sweep(&self, now: Timestamp, budget: usize) -> Result<Slice, StoreError> {
        match Answer::polled(self.sweep_slice(now, budget)) {
            Answer::Now(swept) => swept,
            Answer::Later(_) => Err(StoreError::Stopped),
        }
    }
}
