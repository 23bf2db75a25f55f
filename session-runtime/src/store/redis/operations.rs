//! What the store does, and how often it asks for that.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::layout::{self, Content, Parts};
use super::scripts::Scripted;
use super::{Shared, unexpected};
use crate::clock::Timestamp;
use crate::record::{Key, RETIRED, Record, Revision, TOMBSTONE, UserKey};
use crate::store::{Commit, Loaded, StoreError, Which};

/// How many renewals a removal follows: as many as there may be while a tombstone is kept, and then
/// some; a ring of them, which nobody makes, has an end.
pub(super) const RENEWALS: usize = 10_000;

/// What a script that writes a record comes to.
enum Written {
    Saved,
    Gone,
    /// It must be put on the list of its user first.
    Unlisted,
    Conflict {
        latest: Record,
        /// Whether it was sent a second time though it may have been done.
        again: bool,
    },
}

impl Written {
    /// What it is to a renewal, which does not ask to be listed.
    fn renewed(self) -> Result<Commit, StoreError> {
        match self {
            Self::Saved => Ok(Commit::Saved),
            Self::Gone => Ok(Commit::Gone),
            Self::Conflict { latest, .. } => Ok(Commit::Conflict(latest)),
            Self::Unlisted => Err(unexpected()),
        }
    }
}

/// How long a record lasts, in ms: counted by the caller's clock, so that the server's need not agree
/// with it. Redis knows no such time of zero.
fn lasting(expires: Timestamp, now: Timestamp) -> u64 {
    (expires.since(now).as_millis() as u64).max(1)
}

/// Until when a session is listed: for twice as long as it lasts, so that its visits need not move that.
pub(super) fn till(expires: Timestamp, now: Timestamp) -> Timestamp {
    expires + expires.since(now)
}

impl Shared {
    pub(super) async fn load(&self, key: Key, now: Timestamp) -> Result<Loaded, StoreError> {
        Ok(match self.read(key).await? {
            Some(Content::Live(record)) if record.expires > now => Loaded::Live(record),
            Some(Content::Tombstone { since, .. }) if now.since(since) < RETIRED => Loaded::Retired,
            _ => Loaded::Nothing,
        })
    }

    pub(super) async fn read(&self, key: Key) -> Result<Option<Content>, StoreError> {
        let mut get = Cmd::with_capacity(2, 64);
        get.arg("GET").arg(self.keys.record(key));
        match self.ask(&get).await? {
            Value::BulkString(bytes) => Ok(self.parsed(&bytes)),
            Value::Nil => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// What bytes say; of another format they say nothing.
    pub(super) fn parsed(&self, bytes: &[u8]) -> Option<Content> {
        let content = layout::read(bytes);
        if content.is_none() {
            tracing::warn!(
                target: "bsession",
                hint = "a newer version wrote it, or somebody else writes under the same prefix",
                "record_of_unknown_format"
            );
        }
        content
    }

    pub(super) async fn create(
        &self,
        key: Key,
        record: Record,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let listed = self.listed_before(key, &record, now).await?;
        let script = &self.scripts.create;
        let keys = [self.keys.record(key)];
        let cmd = self.writing(script, &keys, key, None, &record, listed, now);
        match self.written(script, cmd).await? {
            Written::Saved => Ok(true),
            Written::Gone => Ok(false),
            Written::Unlisted | Written::Conflict { .. } => Err(unexpected()),
        }
    }

    pub(super) async fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let script = &self.scripts.commit;
        let keys = [self.keys.record(key)];
        let mut listed = None;
        loop {
            let cmd = self.writing(script, &keys, key, Some(over), &record, listed, now);
            match (self.written(script, cmd).await?, record.user) {
                (Written::Saved, _) => return Ok(Commit::Saved),
                (Written::Gone, _) => return Ok(Commit::Gone),
                // What others wrote may be on top of this, which must not be put on top of it once more. Of
                // what follows `over`, though, there is one.
                (
                    Written::Conflict {
                        latest,
                        again: true,
                    },
                    _,
                ) if latest.revision.number != over.number.wrapping_add(1) => {
                    return Err(StoreError::Other(
                        "Redis: the connection was lost, and whether it was written cannot be known any more".into(),
                    ));
                }
                (Written::Conflict { latest, .. }, _) => return Ok(Commit::Conflict(latest)),
                (Written::Unlisted, Some(user)) if listed.is_none() => {
                    listed = Some(Box::pin(self.list(user, key, record.expires, now)).await?);
                }
                (Written::Unlisted, _) => return Err(unexpected()),
            }
        }
    }

    pub(super) async fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut listed = None;
        loop {
            let script = &self.scripts.touch;
            let mut cmd = script.by_hash(160);
            cmd.arg(1)
                .arg(self.keys.record(key))
                .arg(now.as_millis())
                .arg(lasting(expires, now))
                .arg(listed.map_or(0, Timestamp::as_millis))
                .arg(&layout::revision(revision)[..])
                .arg(&layout::visit(expires, now)[..]);
            match self.run(script, cmd).await? {
                Value::Int(_) => return Ok(()),
                Value::BulkString(user) if listed.is_none() => {
                    let user = user.try_into().map_err(|_| unexpected())?;
                    listed = Some(Box::pin(self.list(UserKey(user), key, expires, now)).await?);
                }
                _ => return Err(unexpected()),
            }
        }
    }

    pub(super) async fn renew(
        self: &Arc<Self>,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        if self.servers.is_one() {
            return self.renew_at_once(old, over, new, &record, now).await;
        }
        if !self.create(new, record.clone(), now).await? {
            return Ok(Commit::Gone);
        }
        let commit = self.retire(old, over, new, now).await?;
        if let Commit::Saved = commit {
            if let Some(user) = record.user {
                self.unlist(user, old);
            }
            return Ok(commit);
        }
        // It stays on the list: whoever tries again does so with the same new key, and what takes it off
        // might arrive after that.
        self.undo(new, record.revision).await?;
        Ok(commit)
    }

    /// Takes the first half of a renewal across servers back.
    pub(super) async fn undo(&self, new: Key, written: Revision) -> Result<(), StoreError> {
        let script = &self.scripts.undo;
        let mut cmd = script.by_hash(96);
        cmd.arg(1)
            .arg(self.keys.record(new))
            .arg(&layout::revision(written)[..]);
        self.write(script, cmd).await?;
        Ok(())
    }

    /// The second half of a renewal across servers. Until then the old key is the session's, and the
    /// new one is nobody's: whoever stops in between has told no browser of it.
    pub(super) async fn retire(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let script = &self.scripts.retire;
        let mut cmd = script.by_hash(160);
        cmd.arg(1)
            .arg(self.keys.record(old))
            .arg(now.as_millis())
            .arg(TOMBSTONE.as_millis() as u64)
            .arg(&layout::revision(over)[..])
            .arg(layout::tombstone(now, Some(new)));
        self.written(script, cmd).await?.renewed()
    }

    async fn renew_at_once(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: &Record,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let script = &self.scripts.renew;
        let keys = [self.keys.record(old), self.keys.record(new)];
        let mut cmd = self.writing(script, &keys, new, Some(over), record, None, now);
        cmd.arg(&old.0[..])
            .arg(layout::tombstone(now, Some(new)))
            .arg(TOMBSTONE.as_millis() as u64);
        self.written(script, cmd).await?.renewed()
    }

    /// Removes what is under a key, or has followed it; of a user only what is meant.
    pub(super) async fn remove(
        self: &Arc<Self>,
        mut key: Key,
        of: Option<(UserKey, Which)>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for _ in 0..RENEWALS {
            let script = &self.scripts.remove;
            let mut cmd = script.by_hash(200);
            cmd.arg(1)
                .arg(self.keys.record(key))
                .arg(now.as_millis())
                .arg(TOMBSTONE.as_millis() as u64)
                .arg(layout::tombstone(now, None));
            if let Some((user, which)) = of {
                let (word, handle) = match which {
                    Which::All => ("all", [0; 12]),
                    Which::AllBut(handle) => ("but", handle.0),
                    Which::One(handle) => ("one", handle.0),
                };
                cmd.arg(&user.0[..]).arg(word).arg(&handle[..]);
            }
            let (value, _) = self.write(script, cmd).await?;
            let removed = match value {
                Value::Int(0) => return Ok(false),
                Value::BulkString(successor) => {
                    key = Key(successor.try_into().map_err(|_| unexpected())?);
                    continue;
                }
                Value::Array(removed) => removed,
                _ => return Err(unexpected()),
            };
            let [Value::Int(live), Value::BulkString(user)] = &*removed else {
                return Err(unexpected());
            };
            if let Ok(user) = user.as_slice().try_into() {
                self.unlist(UserKey(user), key);
            }
            return Ok(*live == 2);
        }
        Err(unexpected())
    }

    /// The command to write a record: with the list of its user, if that is within reach.
    #[expect(clippy::too_many_arguments, reason = "as many as the scripts have")]
    fn writing(
        &self,
        script: &Scripted,
        keys: &[String],
        key: Key,
        over: Option<Revision>,
        record: &Record,
        listed: Option<Timestamp>,
        now: Timestamp,
    ) -> Cmd {
        let list = record.user.filter(|_| self.servers.is_one());
        let parts = Parts::of(record);
        let mut cmd = script.by_hash(320 + parts.behind().len());
        cmd.arg(keys.len() + usize::from(list.is_some())).arg(keys);
        if let Some(user) = list {
            cmd.arg(self.keys.user(user));
        }
        let till = listed.unwrap_or_else(|| till(record.expires, now));
        cmd.arg(now.as_millis())
            .arg(lasting(record.expires, now))
            .arg(parts.before())
            .arg(parts.behind())
            .arg(&over.map(layout::revision).unwrap_or_default()[..])
            .arg(record.user.as_ref().map_or(&[][..], |user| &user.0))
            .arg(till.as_millis())
            .arg(if listed.is_some() { "listed" } else { "" })
            .arg(&key.0[..]);
        cmd
    }

    async fn written(&self, script: &Scripted, cmd: Cmd) -> Result<Written, StoreError> {
        let (value, again) = self.write(script, cmd).await?;
        match value {
            Value::Int(0) => Ok(Written::Gone),
            Value::Int(1) => Ok(Written::Saved),
            Value::Int(2) => Ok(Written::Unlisted),
            Value::BulkString(latest) => match layout::read(&latest) {
                Some(Content::Live(latest)) => Ok(Written::Conflict { latest, again }),
                _ => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }
}
