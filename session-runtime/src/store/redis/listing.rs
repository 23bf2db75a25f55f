//! The sessions of a user: the list, what is on it, and the removal of it all.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use redis::{Cmd, Value};

use super::layout::Content;
use super::operations::{RENEWALS, till};
use super::{Shared, unexpected};
use crate::clock::Timestamp;
use crate::record::{Key, Record, UserKey};
use crate::store::{Listing, StoreError, Which};

/// How many records are read or removed at once.
const AT_ONCE: usize = 128;

impl Shared {
    /// Puts a session on the list of its user; answers until when.
    pub(super) async fn list(
        &self,
        user: UserKey,
        key: Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let till = till(expires, now);
        let script = &self.scripts.place;
        let mut cmd = script.by_hash(160);
        cmd.arg(1)
            .arg(self.keys.user(user))
            .arg(now.as_millis())
            .arg(till.as_millis())
            .arg(&key.0[..]);
        self.write(script, cmd).await?;
        Ok(till)
    }

    /// The same for a record that is about to be created where a script cannot reach the list.
    pub(super) async fn listed_before(
        &self,
        key: Key,
        record: &Record,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        match record.user {
            Some(user) if !self.servers.is_one() => {
                self.list(user, key, record.expires, now).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Takes a session that is over off the list, without waiting: what stays on it is looked up in
    /// vain until its time is over.
    pub(super) fn unlist(self: &Arc<Self>, user: UserKey, key: Key) {
        let shared = Arc::clone(self);
        self.later(async move {
            let mut zrem = Cmd::new();
            zrem.arg("ZREM").arg(shared.keys.user(user)).arg(&key.0[..]);
            drop(shared.in_time(shared.ask(&zrem)).await);
        });
    }

    async fn keys_of(&self, user: UserKey) -> Result<Vec<Key>, StoreError> {
        let mut range = Cmd::new();
        range.arg("ZRANGE").arg(self.keys.user(user)).arg(0).arg(-1);
        let Value::Array(members) = self.ask(&range).await? else {
            return Err(unexpected());
        };
        let key = |member| match member {
            Value::BulkString(bytes) => bytes.try_into().map(Key).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        };
        members.into_iter().map(key).collect()
    }

    pub(super) async fn of_user(
        self: &Arc<Self>,
        user: UserKey,
        now: Timestamp,
    ) -> Result<Vec<Listing>, StoreError> {
        let keys = stream::iter(self.keys_of(user).await?);
        let mut listings: Vec<Listing> = keys
            .map(|key| self.followed(user, key))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |found| {
                let shown =
                    found.filter(|(_, record)| record.user == Some(user) && record.expires > now);
                Ok(shown.map(|(key, record)| Listing::of(key, &record)))
            })
            .try_collect()
            .await?;
        // One that was renewed may still be on the list under both its keys, and of a renewal that stopped
        // half way the new key leads nobody there, so that it is seen no more.
        listings.sort_unstable_by_key(|listing| (listing.handle, Reverse(listing.seen)));
        listings.dedup_by_key(|listing| listing.handle);
        Ok(listings)
    }

    /// The record that a session has by now: one that is renewed meanwhile has another key.
    async fn followed(
        self: &Arc<Self>,
        user: UserKey,
        listed: Key,
    ) -> Result<Option<(Key, Record)>, StoreError> {
        let mut key = listed;
        for _ in 0..RENEWALS {
            match self.read(key).await? {
                Some(Content::Live(record)) => return Ok(Some((key, record))),
                Some(Content::Tombstone { successor, .. }) => {
                    if key == listed {
                        // It is never anybody's again.
                        self.unlist(user, key);
                    }
                    match successor {
                        Some(successor) => key = successor,
                        None => return Ok(None),
                    }
                }
                None => return Ok(None),
            }
        }
        Err(unexpected())
    }

    pub(super) async fn remove_user(
        self: &Arc<Self>,
        user: UserKey,
        which: Which,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let keys = self.keys_of(user).await?;
        stream::iter(keys)
            .map(|key| self.remove(key, Some((user, which)), now))
            .buffer_unordered(AT_ONCE)
            .try_fold(0, async |count, was_live| Ok(count + usize::from(was_live)))
            .await
    }
}
