//! The lists of users: the sessions of each user.

use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::{Cmd, Value};

use super::backend::Backend;
use super::failure::unexpected;
use crate::clock::Timestamp;
use crate::record::{Head, Key, UserKey};
use crate::store::{Cursor, Listed, StoreError};

/// Returns the time until which a session is listed: twice its remaining lifetime, so that most visits need not move
/// it.
pub(super) fn listed_until(head: &Head, now: Timestamp) -> Timestamp {
    head.expires + head.expires.since(now)
}

impl Backend {
    /// Puts a session on the list of its user; returns true if it was not there.
    pub(super) async fn put_on_list(
        &self,
        user: UserKey,
        key: Key,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let script = &self.scripts.place;
        let mut cmd = script.by_hash(160);
        cmd.arg(1)
            .arg(self.names.user(user))
            .arg(now.as_millis())
            .arg(until.as_millis())
            .arg(&key.0[..]);
        match self.write(script, cmd).await? {
            (Value::Int(added), _) => Ok(added == 1),
            _ => Err(unexpected()),
        }
    }

    /// Puts an existing session on the list of its user, without making the request wait. If it was missing there,
    /// the list is not whole, and the mark is deleted.
    pub(super) fn list_later(
        self: &Arc<Self>,
        user: UserKey,
        key: Key,
        until: Timestamp,
        now: Timestamp,
    ) {
        let backend = Arc::clone(self);
        self.later(async move {
            let put = backend.put_on_list(user, key, until, now);
            if let Ok(true) = backend.in_time(put).await {
                drop(backend.in_time(backend.unmark()).await);
            }
        });
    }

    /// Takes an ended session off the list, without making the request wait.
    ///
    /// If this fails, readers of the list look the key up and find nothing, until its time on the list is over.
    /// Nobody puts an ended session back on a list.
    pub(super) fn unlist(self: &Arc<Self>, user: UserKey, key: Key) {
        let backend = Arc::clone(self);
        self.later(async move {
            let mut zrem = Cmd::new();
            zrem.arg("ZREM")
                .arg(backend.names.user(user))
                .arg(&key.0[..]);
            drop(backend.in_time(backend.ask(&zrem)).await);
        });
    }

    /// Loads the entries on the lists of some users, without their bodies.
    pub(super) async fn list(self: Arc<Self>, users: Vec<UserKey>) -> Result<Listed, StoreError> {
        let mut whole = self.is_marked().await?;
        let (_, slices) = match whole {
            true => Default::default(),
            false => self.evidence().await?,
        };
        if let Some(slices) = slices {
            // New servers, and servers with few keys, are healed at once: a slice for each server.
            let mut from = Some(Cursor::default());
            for _ in 0..slices {
                if let Some(cursor) = from {
                    from = self.heal(cursor).await?.next;
                }
            }
            whole = from.is_none() && self.is_marked().await?;
        }
        // All lists are read before any record, or a session that moves from one list to another could be missed.
        let lists = try_join_all(users.iter().map(|&user| self.keys_of(user))).await?;
        let entries = self.load_starts(lists.concat()).await?;
        Ok(Listed { entries, whole })
    }

    async fn keys_of(&self, user: UserKey) -> Result<Vec<Key>, StoreError> {
        let mut range = Cmd::new();
        range
            .arg("ZRANGE")
            .arg(self.names.user(user))
            .arg(0)
            .arg(-1);
        let Value::Array(members) = self.ask(&range).await? else {
            return Err(unexpected());
        };
        let key = |member| match member {
            Value::BulkString(bytes) => bytes.try_into().map(Key).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        };
        members.into_iter().map(key).collect()
    }
}
