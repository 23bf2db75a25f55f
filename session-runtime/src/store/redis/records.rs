//! The operations on records, each with as few commands as it can do with.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use redis::{Cmd, Value};

use super::backend::Backend;
use super::failure::unexpected;
use super::layout::{self, Parts};
use super::lists::listed_until;
use super::scripts::LuaScript;
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, TOMBSTONE, UserKey};
use crate::store::{Ending, Entry, Expected, StoreError, Swap, Which, Whose};

/// The number of records that are read or listed at once.
pub(super) const AT_ONCE: usize = 128;

/// The number of heads that one script reads. A script keeps the server from everything else, for less than a
/// millisecond here.
const HEADS_AT_ONCE: usize = 1000;

/// The result of a script that writes an entry.
enum Written {
    Saved {
        /// True if the session must now be put on the list of its user, which the script could not reach.
        is_due: bool,
    },
    /// Written, and the old key must now be taken off the list of this user, whose session it was before.
    Left(UserKey),
    /// Not written: the session must first be put on the list of its user.
    Unlisted,
    /// Not written: something else is under the new key.
    Taken,
    /// Not written: this is under the key, and not what was expected.
    Found {
        entry: Option<Entry>,
        /// True if the script was sent a second time although the server may have run it the first time.
        resent: bool,
    },
}

/// Returns the time that a record has left to live, in ms.
///
/// It is counted by the caller's clock, so that the clock of the server need not agree. Redis refuses a time of
/// zero.
fn time_to_live(expires: Timestamp, now: Timestamp) -> u64 {
    (expires.since(now).as_millis() as u64).max(1)
}

impl Backend {
    /// Loads the entry under a key.
    pub(super) async fn load(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let mut get = Cmd::with_capacity(2, 64);
        get.arg("GET").arg(self.names.record(key));
        match self.ask(&get).await? {
            Value::BulkString(bytes) => Ok(known(layout::read(&bytes))),
            Value::Nil => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Loads the entries under some keys, without summaries and bodies. One server is asked once for each
    /// [`HEADS_AT_ONCE`] of them, and all these questions are under way together.
    pub(super) async fn heads(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        // A script reaches the keys of one hash slot alone, so a cluster is asked for each key.
        let at_once = if self.is_one_server() {
            HEADS_AT_ONCE
        } else {
            1
        };
        let slices: Vec<_> = keys.chunks(at_once).map(<[Key]>::to_vec).collect();
        let ask = async |keys: Vec<Key>| self.heads_by_script(&keys).await;
        let heads = stream::iter(slices).map(ask).buffered(AT_ONCE);
        let heads: Vec<_> = heads.try_collect().await?;
        Ok(heads.into_iter().flatten().collect())
    }

    async fn heads_by_script(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, StoreError> {
        let script = &self.scripts.heads;
        let mut cmd = script.by_hash(keys.len() * 64);
        cmd.arg(keys.len());
        for &key in keys {
            cmd.arg(self.names.record(key));
        }
        cmd.arg(layout::HEAD - 1);
        let Value::Array(values) = self.run(script, cmd).await? else {
            return Err(unexpected());
        };
        let head = |value| match value {
            Value::BulkString(bytes) if bytes.is_empty() => Ok(None),
            Value::BulkString(bytes) => Ok(known(layout::read_head(&bytes))),
            _ => Err(unexpected()),
        };
        values.into_iter().map(head).collect()
    }

    /// Loads the entries under some keys, without their bodies.
    pub(super) async fn load_starts(
        &self,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, Entry)>, StoreError> {
        let load = async |key| {
            let entry = self.load_start(key).await?;
            Ok::<_, StoreError>(entry.map(|entry| (key, entry)))
        };
        stream::iter(keys)
            .map(load)
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |entry| Ok(entry))
            .try_collect()
            .await
    }

    async fn load_start(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let mut range = Cmd::new();
        range
            .arg("GETRANGE")
            .arg(self.names.record(key))
            .arg(0)
            .arg(layout::START - 1);
        let Value::BulkString(bytes) = self.ask(&range).await? else {
            return Err(unexpected());
        };
        match layout::read_start(&bytes) {
            _ if bytes.is_empty() => Ok(None),
            // The note is long, and does not end within these bytes.
            None if bytes.len() == layout::START => self.load(key).await,
            entry => Ok(known(entry)),
        }
    }

    /// Writes or deletes the entry under a key, if what is there is expected.
    pub(super) async fn swap(
        self: &Arc<Self>,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        let head = entry.as_ref().and_then(Entry::head).copied();
        let user = head.and_then(|head| head.user);
        let mut listed = None;
        if let (Expected::Nothing, Some(user), Some(head), false) =
            (expected, user, head, self.is_one_server())
        {
            // A new session is on no list yet.
            let until = listed_until(&head, now);
            Box::pin(self.put_on_list(user, key, until, now)).await?;
            listed = Some(until);
        }
        let script = &self.scripts.swap;
        let keys = [self.names.record(key)];
        loop {
            let mut cmd = self.writing(script, &keys, key, expected, entry.as_ref(), listed, now);
            cmd.arg(TOMBSTONE.as_millis() as u64);
            match (self.written(script, cmd).await?, user, head) {
                (Written::Saved { is_due: true }, Some(user), Some(head)) => {
                    self.list_later(user, key, listed_until(&head, now), now);
                    return Ok(Swap::Done);
                }
                (Written::Saved { .. }, ..) => return Ok(Swap::Done),
                (Written::Unlisted, Some(user), Some(head)) if listed.is_none() => {
                    let until = listed_until(&head, now);
                    Box::pin(self.put_on_list(user, key, until, now)).await?;
                    listed = Some(until);
                }
                (Written::Found { entry, resent }, ..) => {
                    return proven(expected, head, entry, resent);
                }
                (Written::Unlisted | Written::Taken | Written::Left(_), ..) => {
                    return Err(unexpected());
                }
            }
        }
    }

    /// Moves the expiry of a session, if it is live at the revision of `head`.
    pub(super) async fn touch(
        self: &Arc<Self>,
        key: Key,
        head: &Head,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let until = listed_until(head, now);
        let script = &self.scripts.touch;
        let mut cmd = script.by_hash(240);
        match head.user.filter(|_| self.is_one_server()) {
            Some(user) => cmd
                .arg(3)
                .arg(self.names.record(key))
                .arg(self.names.user(user))
                .arg(self.names.mark()),
            None => cmd.arg(1).arg(self.names.record(key)),
        };
        cmd.arg(now.as_millis())
            .arg(time_to_live(head.expires, now))
            .arg(until.as_millis())
            .arg(&head.revision.to_bytes()[..])
            .arg(&layout::visit_bytes(head)[..])
            .arg(&key.0[..]);
        let Value::Int(touched) = self.run(script, cmd).await? else {
            return Err(unexpected());
        };
        if let Some(user) = head.user.filter(|_| touched == 1 && !self.is_one_server()) {
            self.list_later(user, key, until, now);
        }
        Ok(())
    }

    /// Moves a session to a new key in one step, which one server can do because it has both keys.
    pub(super) async fn renew(
        self: &Arc<Self>,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        let script = &self.scripts.renew;
        let keys = [self.names.record(old), self.names.record(new)];
        let head = record.head;
        let entry = Entry::Live(record);
        let expected = Expected::At(over);
        let mut cmd = self.writing(script, &keys, new, expected, Some(&entry), None, now);
        cmd.arg(&old.0[..])
            .arg(layout::tombstone(now, Some(new)))
            .arg(TOMBSTONE.as_millis() as u64);
        match self.written(script, cmd).await? {
            Written::Saved { .. } => Ok(Swap::Done),
            Written::Left(user) => {
                self.unlist(user, old);
                Ok(Swap::Done)
            }
            Written::Taken => Err(StoreError::Taken),
            Written::Found { entry, resent } => proven(expected, Some(head), entry, resent),
            Written::Unlisted => Err(unexpected()),
        }
    }

    /// Ends a session, if it is one that `whose` includes.
    pub(super) async fn end(
        &self,
        key: Key,
        whose: Option<Whose<'_>>,
        now: Timestamp,
    ) -> Result<Ending, StoreError> {
        let script = &self.scripts.end;
        let mut cmd = script.by_hash(200);
        cmd.arg(1)
            .arg(self.names.record(key))
            .arg(now.as_millis())
            .arg(TOMBSTONE.as_millis() as u64)
            .arg(layout::tombstone(now, None));
        if let Some(Whose { users, which }) = whose {
            let users: Vec<u8> = users.iter().flat_map(|user| user.0).collect();
            let (word, handle) = match which {
                Which::All => ("all", [0; 12]),
                Which::AllBut(handle) => ("but", handle.0),
                Which::One(handle) => ("one", handle.0),
            };
            cmd.arg(users).arg(word).arg(&handle[..]);
        }
        let (value, _) = self.write(script, cmd).await?;
        match value {
            Value::Int(0) => Ok(Ending::Nothing),
            Value::BulkString(successor) => {
                let successor = successor.try_into().map_err(|_| unexpected())?;
                Ok(Ending::Renewed(Key(successor)))
            }
            Value::Array(ended) => {
                let [Value::BulkString(head)] = &*ended else {
                    return Err(unexpected());
                };
                let head = head.as_slice().try_into().map_err(|_| unexpected())?;
                Ok(Ending::Ended(Head::from_bytes(head)))
            }
            _ => Err(unexpected()),
        }
    }

    /// Makes the command that writes an entry, and also the list of its user if one server has both.
    #[expect(clippy::too_many_arguments, reason = "the scripts have as many")]
    fn writing(
        &self,
        script: &LuaScript,
        keys: &[String],
        key: Key,
        expected: Expected,
        entry: Option<&Entry>,
        listed: Option<Timestamp>,
        now: Timestamp,
    ) -> Cmd {
        let head = entry.and_then(Entry::head);
        let user = head.and_then(|head| head.user);
        let list = user.filter(|_| self.is_one_server());
        let parts = Parts::of(entry);
        let mut cmd = script.by_hash(360 + parts.behind().len());
        cmd.arg(keys.len() + 2 * usize::from(list.is_some()))
            .arg(keys);
        if let Some(user) = list {
            cmd.arg(self.names.user(user)).arg(self.names.mark());
        }
        let lasts = head.map_or(TOMBSTONE.as_millis() as u64, |head| {
            time_to_live(head.expires, now)
        });
        let until = listed
            .or(head.map(|head| listed_until(head, now)))
            .unwrap_or(now);
        cmd.arg(now.as_millis())
            .arg(lasts)
            .arg(parts.before())
            .arg(parts.behind());
        match expected {
            Expected::Nothing => cmd.arg(""),
            Expected::At(revision) => cmd.arg(&revision.to_bytes()[..]),
            Expected::Over => cmd.arg("over"),
        };
        cmd.arg(user.as_ref().map_or(&[][..], |user| &user.0))
            .arg(until.as_millis())
            .arg(if listed.is_some() { "listed" } else { "" })
            .arg(&key.0[..]);
        cmd
    }

    /// Runs a script that writes an entry, and reads the reply.
    async fn written(&self, script: &LuaScript, cmd: Cmd) -> Result<Written, StoreError> {
        let (value, resent) = self.write(script, cmd).await?;
        match value {
            Value::Int(1) => Ok(Written::Saved { is_due: false }),
            Value::Int(2) => Ok(Written::Unlisted),
            Value::Int(3) => Ok(Written::Saved { is_due: true }),
            Value::Int(4) => Ok(Written::Taken),
            Value::Nil => Ok(Written::Found {
                entry: None,
                resent,
            }),
            Value::Array(left) => match &left[..] {
                [Value::BulkString(user)] => {
                    let user = user[..].try_into().map_err(|_| unexpected())?;
                    Ok(Written::Left(UserKey(user)))
                }
                _ => Err(unexpected()),
            },
            Value::BulkString(found) => match layout::read(&found) {
                Some(entry) => Ok(Written::Found {
                    entry: Some(entry),
                    resent,
                }),
                None => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }
}

/// Returns the entry. Logs a warning if the bytes were not ours, in which case there is no entry.
fn known(entry: Option<Entry>) -> Option<Entry> {
    if entry.is_none() {
        tracing::warn!(
            target: "bsession",
            hint = "somebody else writes under the same prefix",
            "record_of_unknown_format"
        );
    }
    entry
}

/// Returns the entry that a swap found, if it tells whether the swap was done; else an error.
///
/// A swap that was sent twice may have been done the first time, and others may have written over it since then. It
/// must not be done once more. But only one entry directly follows a revision. If that entry is found, it is either
/// ours, and the caller recognises its revision, or it proves that ours was not written.
fn proven(
    expected: Expected,
    own: Option<Head>,
    entry: Option<Entry>,
    resent: bool,
) -> Result<Swap, StoreError> {
    let Some(Entry::Live(found)) = entry.as_ref().filter(|_| resent) else {
        return Ok(Swap::Found(entry));
    };
    let found = found.head.revision;
    let is_proof = own.is_some_and(|own| own.revision == found)
        || matches!(expected, Expected::At(over) if found.number == over.number.wrapping_add(1));
    if is_proof {
        return Ok(Swap::Found(entry));
    }
    Err(StoreError::Other(
        "Redis: the connection was lost, and whether it was written cannot be known any more"
            .into(),
    ))
}
