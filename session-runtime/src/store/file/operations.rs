//! What a store does, each once and without waiting; a lock that is held stops it.

use std::fs::File;
use std::io;

use super::buffer::Buffer;
use super::layout::{self, Content, Live, Tombstone};
use super::name::Name;
use super::session::{ONCE, PATIENT, Place, Session, fill, lock, peek, sync_names};
use super::stop::{Doing, Stop, Try};
use super::{Durability, Files, index};
use crate::clock::Timestamp;
use crate::record::{Key, RETIRED, Record, Revision};
use crate::store::{Commit, Loaded, StoreError};

/// How many renewals are followed. One visitor does not log in a thousand times before the
/// first tombstone is swept; a file that somebody made to name itself would be followed forever.
pub(super) const RENEWALS: usize = 1000;

pub(super) fn load(files: Files<'_>, key: Key, now: Timestamp) -> Try<Loaded> {
    peek(files, key, |content| match content {
        Content::Live(live) if live.expires > now => Loaded::Live(live.record()),
        Content::Tombstone(tombstone) if now.since(tombstone.since) < RETIRED => Loaded::Retired,
        Content::Newer => {
            tracing::warn!(
                target: "bsession",
                hint = "its visitor has no session here; bring this process up to the newer version",
                "record_of_newer_version"
            );
            Loaded::Nothing
        }
        _ => Loaded::Nothing,
    })
}

pub(super) fn create(files: Files<'_>, key: Key, record: &Record) -> Try<bool> {
    check(record)?;
    let name = Name::session(key);
    let file = match create_file(files, key, &name)? {
        Some(file) => file,
        None => return Ok(false),
    };
    // With the file there and empty, and its lock held, so that the entry is not taken for stale.
    let written = fill_new(files, key, &file, record);
    if written.is_err() {
        let _ = files.dir.remove_file(name.as_str());
        if let Some(user) = record.user {
            index::remove(files, user, key);
        }
    }
    written.map(|()| true)
}

fn fill_new(files: Files<'_>, key: Key, file: &File, record: &Record) -> Try<()> {
    // Free, but for a sweeper that looks at it this moment.
    lock(file, PATIENT)?;
    if let Some(user) = record.user {
        index::add(files, user, key)?;
    }
    // Of a size that leaves room to grow.
    let capacity = layout::capacity_for(layout::payload_len(record));
    fill(files, file, record, capacity, &mut Buffer::take())?;
    Ok(sync_names(files, key)?)
}

/// `None` if there is one.
fn create_file(files: Files<'_>, key: Key, name: &Name) -> Try<Option<File>> {
    let mut result = files.dir.create_file(name.as_str());
    if matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        match files.dir.make_dir(Name::bucket_of(key).as_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Stop::Missing),
            Ok(true) if files.durability == Durability::Disk => files.dir.sync("."),
            made => made.map(drop),
        }
        .doing("making a directory for session files")?;
        result = files.dir.create_file(name.as_str());
    }
    match result {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Ok(Err(error).doing("creating a session file")?),
    }
}

pub(super) fn commit(
    files: Files<'_>,
    key: Key,
    over: Revision,
    record: &Record,
    now: Timestamp,
) -> Try<Commit> {
    check(record)?;
    let session = Session::hold(files, key, PATIENT)?;
    let mut buffer = Buffer::take();
    let (place, user) = match session.content(&mut buffer)? {
        Content::Live(live) if live.expires > now => {
            match refusal(&live, over, Some(record.revision)) {
                Some(refusal) => return Ok(refusal),
                None => (Place::from(&live), live.user),
            }
        }
        _ => return Ok(Commit::Gone),
    };
    if record.revision.number <= over.number {
        // The higher number is the record: this one would be written and never read.
        let text = "a commit needs a revision that follows the one it replaces";
        return Err(StoreError::Io(io::Error::new(io::ErrorKind::InvalidInput, text)).into());
    }
    if let Some(new) = record.user.filter(|_| record.user != user) {
        index::add(files, new, key)?;
    }
    if !session.write(place, record, &mut buffer)? {
        return Ok(Commit::Gone);
    }
    if let Some(old) = user.filter(|_| record.user != user) {
        index::remove(files, old, key);
    }
    Ok(Commit::Saved)
}

/// Why a live record is not written over, if it is not.
fn refusal(live: &Live<'_>, over: Revision, own: Option<Revision>) -> Option<Commit> {
    if own == Some(live.revision) {
        return Some(Commit::Saved);
    }
    (live.revision != over).then(|| Commit::Conflict(live.record()))
}

/// A lock that is held is not waited for: its holder commits or removes, and either leaves
/// nothing for a touch to do; or touches, and this moves the expiry by no more than a window.
pub(super) fn touch(
    files: Files<'_>,
    key: Key,
    revision: Revision,
    expires: Timestamp,
    now: Timestamp,
) -> Try<()> {
    let session = match Session::hold(files, key, ONCE) {
        Err(Stop::Busy) => return Ok(()),
        result => result?,
    };
    let mut buffer = Buffer::take();
    match session.content(&mut buffer)? {
        Content::Live(live) if live.expires > now && live.revision == revision => {
            if !live.is_old {
                return Ok(session.touch(revision, expires, now)?);
            }
            // Its touch has no room for the visit, and each visit would be one.
            let place = Place::from(&live);
            let record = Record {
                expires,
                seen: now,
                ..live.record()
            };
            session.write(place, &record, &mut buffer).map(drop)
        }
        _ => Ok(()),
    }
}

/// The old key is locked first, so that a renewal which is refused creates nothing.
pub(super) fn renew(
    files: Files<'_>,
    old: Key,
    over: Revision,
    new: Key,
    record: &Record,
    now: Timestamp,
) -> Try<Commit> {
    let session = Session::hold(files, old, PATIENT)?;
    let mut buffer = Buffer::take();
    let (place, user) = match session.content(&mut buffer)? {
        Content::Live(live) if live.expires > now => match refusal(&live, over, None) {
            Some(refusal) => return Ok(refusal),
            None => (Place::from(&live), live.user),
        },
        // The reply to this very renewal was lost.
        Content::Tombstone(Tombstone {
            successor: Some(successor),
            ..
        }) if successor == new => {
            let saved = is_at(files, new, record.revision)?;
            return Ok(if saved { Commit::Saved } else { Commit::Gone });
        }
        _ => return Ok(Commit::Gone),
    };
    // One that is there was left by this very renewal, which was stopped here; or is not ours.
    if !create(files, new, record)? && !is_at(files, new, record.revision)? {
        return Ok(Commit::Gone);
    }
    if let Err(error) = session.bury(
        place,
        Tombstone {
            since: now,
            successor: Some(new),
        },
    ) {
        let _ = files.dir.remove_file(Name::session(new).as_str());
        if let Some(user) = record.user {
            index::remove(files, user, new);
        }
        return Err(error.into());
    }
    // From here on the new one is the session, so an error does not take it back.
    session.sync()?;
    if let Some(user) = user {
        index::remove(files, user, old);
    }
    Ok(Commit::Saved)
}

fn is_at(files: Files<'_>, key: Key, revision: Revision) -> Try<bool> {
    match peek(
        files,
        key,
        |content| matches!(content, Content::Live(live) if live.revision == revision),
    ) {
        Err(Stop::Missing) => Ok(false),
        result => result,
    }
}

/// Removes a session, or the one that it was renewed to, if that is to go; answers whether it was
/// live.
pub(super) fn remove(
    files: Files<'_>,
    key: Key,
    now: Timestamp,
    goes: impl Fn(&Live<'_>) -> bool,
) -> Try<bool> {
    let mut key = key;
    for _ in 0..RENEWALS {
        let session = Session::hold(files, key, PATIENT)?;
        let mut buffer = Buffer::take();
        let (place, user, was_live) = match session.content(&mut buffer)? {
            Content::Live(live) if !goes(&live) => return Ok(false),
            Content::Live(live) => (Place::from(&live), live.user, live.expires > now),
            Content::Tombstone(Tombstone {
                successor: Some(successor),
                ..
            }) => {
                key = successor;
                continue;
            }
            _ => return Ok(false),
        };
        // An expired one too, lest a clock that is set back revives what was logged out of.
        session.bury(
            place,
            Tombstone {
                since: now,
                successor: None,
            },
        )?;
        // First, or a power cut could leave a session that no list of its user's has.
        session.sync()?;
        if let Some(user) = user {
            index::remove(files, user, key);
        }
        return Ok(was_live);
    }
    Ok(false)
}

fn check(record: &Record) -> Result<(), StoreError> {
    let len = layout::payload_len(record);
    if len <= layout::LONGEST_BODY {
        return Ok(());
    }
    let text = format!(
        "a session of {len} bytes is too large for a file, which takes {}",
        layout::LONGEST_BODY
    );
    Err(StoreError::Io(io::Error::new(
        io::ErrorKind::FileTooLarge,
        text,
    )))
}
