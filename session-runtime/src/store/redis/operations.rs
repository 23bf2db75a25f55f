//! What the store does, and how often it asks for that.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::layout::{self, Parts};
use super::scripts::Scripted;
use super::{Shared, unexpected};
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, TOMBSTONE};
use crate::store::{Ending, Entry, Expected, StoreError, Swap, Which, Whose};

/// What a script that writes comes to.
enum Written {
    Saved {
        /// Whether the list of the user has to be told, which is not within its reach.
        is_due: bool,
    },
    /// It must be put on the list of its user first.
    Unlisted,
    /// Something else is under the new key.
    Taken,
    Found {
        entry: Option<Entry>,
        /// Whether it was sent a second time though it may have been done.
        again: bool,
    },
}

/// How long a record lasts, in ms: counted by the caller's clock, so that the server's need not agree
/// with it. Redis knows no such time of zero.
fn lasting(expires: Timestamp, now: Timestamp) -> u64 {
    (expires.since(now).as_millis() as u64).max(1)
}

/// Until when a session is listed: for twice as long as it lasts, so that its visits need not move that.
pub(super) fn till(head: &Head, now: Timestamp) -> Timestamp {
    head.expires + head.expires.since(now)
}

impl Shared {
    pub(super) async fn load(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let mut get = Cmd::with_capacity(2, 64);
        get.arg("GET").arg(self.keys.record(key));
        match self.ask(&get).await? {
            Value::BulkString(bytes) => Ok(known(layout::read(&bytes))),
            Value::Nil => Ok(None),
            _ => Err(unexpected()),
        }
    }

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
            (expected, user, head, self.servers.is_one())
        {
            // A new one is on no list yet.
            Box::pin(self.put_on_list(user, key, till(&head, now), now)).await?;
            listed = Some(till(&head, now));
        }
        let script = &self.scripts.swap;
        let keys = [self.keys.record(key)];
        loop {
            let mut cmd = self.writing(script, &keys, key, expected, entry.as_ref(), listed, now);
            cmd.arg(TOMBSTONE.as_millis() as u64);
            match (self.written(script, cmd).await?, user, head) {
                (Written::Saved { is_due: true }, Some(user), Some(head)) => {
                    self.list_later(user, key, till(&head, now), now);
                    return Ok(Swap::Done);
                }
                (Written::Saved { .. }, ..) => return Ok(Swap::Done),
                (Written::Unlisted, Some(user), Some(head)) if listed.is_none() => {
                    let till = till(&head, now);
                    Box::pin(self.put_on_list(user, key, till, now)).await?;
                    listed = Some(till);
                }
                (Written::Found { entry, again }, ..) => {
                    return proven(expected, head, entry, again);
                }
                (Written::Unlisted | Written::Taken, ..) => return Err(unexpected()),
            }
        }
    }

    pub(super) async fn touch(
        self: &Arc<Self>,
        key: Key,
        head: &Head,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let till = till(head, now);
        let script = &self.scripts.touch;
        let mut cmd = script.by_hash(240);
        match head.user.filter(|_| self.servers.is_one()) {
            Some(user) => cmd
                .arg(3)
                .arg(self.keys.record(key))
                .arg(self.keys.user(user))
                .arg(self.keys.mark()),
            None => cmd.arg(1).arg(self.keys.record(key)),
        };
        cmd.arg(now.as_millis())
            .arg(lasting(head.expires, now))
            .arg(till.as_millis())
            .arg(&head.revision.to_bytes()[..])
            .arg(&layout::visit(head)[..])
            .arg(&key.0[..]);
        let Value::Int(touched) = self.run(script, cmd).await? else {
            return Err(unexpected());
        };
        if let Some(user) = head.user.filter(|_| touched == 1 && !self.servers.is_one()) {
            self.list_later(user, key, till, now);
        }
        Ok(())
    }

    /// Both at once, where one server has both keys.
    pub(super) async fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Result<Swap, StoreError> {
        let script = &self.scripts.renew;
        let keys = [self.keys.record(old), self.keys.record(new)];
        let head = record.head;
        let entry = Entry::Live(record);
        let expected = Expected::At(over);
        let mut cmd = self.writing(script, &keys, new, expected, Some(&entry), None, now);
        cmd.arg(&old.0[..])
            .arg(layout::tombstone(now, Some(new)))
            .arg(TOMBSTONE.as_millis() as u64);
        match self.written(script, cmd).await? {
            Written::Saved { .. } => Ok(Swap::Done),
            Written::Taken => Err(StoreError::Taken),
            Written::Found { entry, again } => proven(expected, Some(head), entry, again),
            Written::Unlisted => Err(unexpected()),
        }
    }

    pub(super) async fn end(
        &self,
        key: Key,
        whose: Option<Whose<'_>>,
        now: Timestamp,
    ) -> Result<Ending, StoreError> {
        let script = &self.scripts.end;
        let mut cmd = script.by_hash(200);
        cmd.arg(1)
            .arg(self.keys.record(key))
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

    /// The command to write an entry: with the list of its user, if that is within reach.
    #[expect(clippy::too_many_arguments, reason = "as many as the scripts have")]
    fn writing(
        &self,
        script: &Scripted,
        keys: &[String],
        key: Key,
        expected: Expected,
        entry: Option<&Entry>,
        listed: Option<Timestamp>,
        now: Timestamp,
    ) -> Cmd {
        let head = entry.and_then(Entry::head);
        let user = head.and_then(|head| head.user);
        let list = user.filter(|_| self.servers.is_one());
        let parts = Parts::of(entry);
        let mut cmd = script.by_hash(360 + parts.behind().len());
        cmd.arg(keys.len() + 2 * usize::from(list.is_some()))
            .arg(keys);
        if let Some(user) = list {
            cmd.arg(self.keys.user(user)).arg(self.keys.mark());
        }
        let lasting = head.map_or(TOMBSTONE.as_millis() as u64, |head| {
            lasting(head.expires, now)
        });
        let till = listed.or(head.map(|head| till(head, now))).unwrap_or(now);
        cmd.arg(now.as_millis())
            .arg(lasting)
            .arg(parts.before())
            .arg(parts.behind());
        match expected {
            Expected::Nothing => cmd.arg(""),
            Expected::At(revision) => cmd.arg(&revision.to_bytes()[..]),
            Expected::Over => cmd.arg("over"),
        };
        cmd.arg(user.as_ref().map_or(&[][..], |user| &user.0))
            .arg(till.as_millis())
            .arg(if listed.is_some() { "listed" } else { "" })
            .arg(&key.0[..]);
        cmd
    }

    async fn written(&self, script: &Scripted, cmd: Cmd) -> Result<Written, StoreError> {
        let (value, again) = self.write(script, cmd).await?;
        match value {
            Value::Int(1) => Ok(Written::Saved { is_due: false }),
            Value::Int(2) => Ok(Written::Unlisted),
            Value::Int(3) => Ok(Written::Saved { is_due: true }),
            Value::Int(4) => Ok(Written::Taken),
            Value::Nil => Ok(Written::Found { entry: None, again }),
            Value::BulkString(found) => match layout::read(&found) {
                Some(entry) => Ok(Written::Found {
                    entry: Some(entry),
                    again,
                }),
                None => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }
}

/// An entry, or nothing, with a line in the log, if the bytes were not ours.
pub(super) fn known(entry: Option<Entry>) -> Option<Entry> {
    if entry.is_none() {
        tracing::warn!(
            target: "bsession",
            hint = "somebody else writes under the same prefix",
            "record_of_unknown_format"
        );
    }
    entry
}

/// What was found, if it proves that the swap was not done. One that was sent twice may have been done the first time,
/// and others may have written over it; it must not be done once more. Of what follows a revision, though,
/// there is one.
fn proven(
    expected: Expected,
    own: Option<Head>,
    entry: Option<Entry>,
    again: bool,
) -> Result<Swap, StoreError> {
    let Some(Entry::Live(found)) = entry.as_ref().filter(|_| again) else {
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
