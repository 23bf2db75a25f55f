//! The operations of a store. Each is tried once and does not sleep; a lock that is held stops it.

use std::fs::File;
use std::io;

use super::buffer::Buffer;
use super::dir::write_at;
use super::file_name::FileName;
use super::files::Files;
use super::index;
use super::layout::{self, Content, FileState, Tombstone};
use super::locked_file::{
    LockedFile, ONCE, PATIENT, RecordPlace, fill, lock, peek, sync_file, sync_names,
};
use super::settings::Durability;
use super::stop::{Doing, Stop, Try};
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::store::{Ending, Entry, Expected, StoreError, Swap};

pub(super) fn load(files: Files<'_>, key: Key) -> Try<Option<Entry>> {
    peek(files, key, |content| entry(&content))
}

/// Loads the entries under some keys, without their bodies.
pub(super) fn heads(files: Files<'_>, keys: &[Key]) -> Try<Vec<Option<Entry>>> {
    let load = |key: &Key| match load(files, *key) {
        Err(Stop::Missing) => Ok(None),
        found => Ok(found?.map(Entry::without_body)),
    };
    let heads: Vec<_> = keys.iter().map(load).collect::<Try<_>>()?;
    // The files in a directory that was moved away say nothing about the new one.
    if heads.iter().any(Option::is_none) && !files.is_there()? {
        return Err(Stop::Missing);
    }
    Ok(heads)
}

/// Returns the entry in a file. A file that is being created has no entry.
fn entry(content: &Content<'_>) -> Option<Entry> {
    match content {
        Content::Live(live) => Some(Entry::Live(live.record())),
        Content::Tombstone(tombstone) => Some(ended(tombstone)),
        Content::Empty | Content::Doubtful => None,
    }
}

pub(super) fn ended(&Tombstone { at, successor }: &Tombstone) -> Entry {
    Entry::Ended { at, successor }
}

/// True for the session of a newer version. It may be ended, and is never written over.
fn is_foreign(content: &Content<'_>) -> bool {
    matches!(content, Content::Live(live) if !live.is_known)
}

fn is_met(expected: Expected, content: &Content<'_>, now: Timestamp) -> bool {
    match content {
        Content::Live(live) => expected.is_met_by_head(&live.head, now),
        Content::Tombstone(tombstone) => expected.is_met_by(Some(&ended(tombstone)), now),
        Content::Empty | Content::Doubtful => false,
    }
}

pub(super) fn swap(
    files: Files<'_>,
    key: Key,
    expected: Expected,
    new: Option<&Entry>,
    now: Timestamp,
) -> Try<Swap> {
    if let Some(Entry::Live(record)) = new {
        check(record)?;
    }
    if expected == Expected::Nothing {
        return match new {
            Some(new) => create(files, key, new.into()),
            None => match load(files, key) {
                Ok(None) | Err(Stop::Missing) => Ok(Swap::Done),
                found => Ok(Swap::Found(found?)),
            },
        };
    }
    let locked = LockedFile::hold(files, key, PATIENT)?;
    let mut buffer = Buffer::take();
    let content = locked.content(&mut buffer)?;
    let writes = matches!(new, Some(Entry::Live(_)));
    if !is_met(expected, &content, now) || (writes && is_foreign(&content)) {
        return Ok(Swap::Found(entry(&content)));
    }
    let (place, user) = match content {
        Content::Live(live) => (RecordPlace::from(&live), live.head.user),
        // A tombstone, or a file that was never written. It is deleted first: no two files share a name.
        _ => {
            locked.delete()?;
            return match new {
                Some(new) => create(files, key, new.into()),
                None => Ok(Swap::Done),
            };
        }
    };
    match new {
        Some(Entry::Live(record)) => {
            // The entry on the list of the old user stays. A request that reads both lists then misses nothing.
            if let Some(theirs) = record.head.user.filter(|_| record.head.user != user) {
                index::add(files, theirs, key)?;
            }
            if !locked.write(place, record, &mut buffer)? {
                return Ok(Swap::Found(None));
            }
        }
        Some(&Entry::Ended { at, successor }) => {
            locked.bury(place, Tombstone { at, successor })?;
            // Before the entry goes: a power cut must not leave a live session that is on no list.
            locked.sync()?;
            if successor.is_none() {
                unlist(files, key, user);
            }
        }
        None => {
            locked.delete()?;
            unlist(files, key, user);
        }
    }
    Ok(Swap::Done)
}

fn unlist(files: Files<'_>, key: Key, user: Option<UserKey>) {
    if let Some(user) = user {
        index::remove(files, user, key);
    }
}

/// The content of a new file.
#[derive(Clone, Copy)]
enum New<'e> {
    Session(&'e Record),
    Tombstone(Tombstone),
}

impl<'e> From<&'e Entry> for New<'e> {
    fn from(entry: &'e Entry) -> Self {
        match *entry {
            Entry::Live(ref record) => Self::Session(record),
            Entry::Ended { at, successor } => Self::Tombstone(Tombstone { at, successor }),
        }
    }
}

fn create(files: Files<'_>, key: Key, new: New<'_>) -> Try<Swap> {
    let name = FileName::session(key);
    let Some(file) = create_file(files, key, &name)? else {
        return match load(files, key) {
            Ok(found) => Ok(Swap::Found(found)),
            // It was deleted a moment ago, and its key is not used again.
            Err(Stop::Missing) => Ok(Swap::Found(None)),
            Err(stop) => Err(stop),
        };
    };
    // The file is there and empty, and its lock is held, so that nobody takes the new entry for stale.
    let written = fill_new(files, key, &file, new);
    if written.is_err() {
        let _ = files.dir.remove_file(name.as_str());
        if let New::Session(record) = new {
            unlist(files, key, record.head.user);
        }
    }
    written.map(|()| Swap::Done)
}

fn fill_new(files: Files<'_>, key: Key, file: &File, new: New<'_>) -> Try<()> {
    // Only the sweeper can hold this lock, for a moment.
    lock(file, PATIENT)?;
    match new {
        New::Session(record) => {
            if let Some(user) = record.head.user {
                index::add(files, user, key)?;
            }
            // The file gets room to grow.
            let capacity = layout::capacity_for(layout::payload_len(record));
            fill(files, file, record, capacity, &mut Buffer::take())?;
        }
        New::Tombstone(tombstone) => {
            let state = layout::state(layout::capacity_for(0), FileState::Tombstone(tombstone));
            write_at(file, &state, 0).doing("writing a new tombstone")?;
            sync_file(files, file)?;
        }
    }
    Ok(sync_names(files, key)?)
}

/// Creates the file of a session. Answers `None` if there is one.
fn create_file(files: Files<'_>, key: Key, name: &FileName) -> Try<Option<File>> {
    let mut result = files.dir.create_file(name.as_str());
    if matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        match files.dir.make_dir(FileName::bucket_of(key).as_str()) {
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

/// Writes a later expiry. A lock that is held is not waited for: its holder commits, removes or touches. After the first
/// two there is nothing to do, and after a touch the expiry differs by less than the time between two touches.
pub(super) fn touch(files: Files<'_>, key: Key, head: &Head, now: Timestamp) -> Try<()> {
    let locked = match LockedFile::hold(files, key, ONCE) {
        Err(Stop::Busy) => return Ok(()),
        result => result?,
    };
    let mut buffer = Buffer::take();
    let content = locked.content(&mut buffer)?;
    if is_met(Expected::At(head.revision), &content, now) && !is_foreign(&content) {
        locked.touch(head)?;
        // If somebody has deleted the list, visits put their sessions back.
        if let Some(user) = head.user {
            index::add(files, user, key)?;
        }
    }
    Ok(())
}

/// Gives a session another key. The old one is locked first, so that a renewal which is refused creates nothing.
pub(super) fn renew(
    files: Files<'_>,
    old: Key,
    over: Revision,
    new: Key,
    record: &Record,
    now: Timestamp,
) -> Try<Swap> {
    check(record)?;
    let locked = LockedFile::hold(files, old, PATIENT)?;
    let mut buffer = Buffer::take();
    let place = match locked.content(&mut buffer)? {
        Content::Live(live)
            if live.is_known && Expected::At(over).is_met_by_head(&live.head, now) =>
        {
            RecordPlace::from(&live)
        }
        content => return Ok(Swap::Found(entry(&content))),
    };
    match create(files, new, New::Session(record))? {
        Swap::Done => {}
        // This very renewal was tried before, and stopped here.
        Swap::Found(Some(Entry::Live(left))) if left.head.revision == record.head.revision => {}
        Swap::Found(_) => return Err(StoreError::Taken.into()),
    }
    let tombstone = Tombstone {
        at: now,
        successor: Some(new),
    };
    if let Err(error) = locked.bury(place, tombstone) {
        let _ = files.dir.remove_file(FileName::session(new).as_str());
        unlist(files, new, record.head.user);
        return Err(error.into());
    }
    // From here on the new file is the session, so an error does not take it back. The old entry stays on the list
    // until the tombstone goes: a request that is reading the list may not see the new one.
    locked.sync()?;
    Ok(Swap::Done)
}

pub(super) fn end(
    files: Files<'_>,
    key: Key,
    goes: impl Fn(&Head) -> bool,
    now: Timestamp,
) -> Try<Ending> {
    let locked = LockedFile::hold(files, key, PATIENT)?;
    let mut buffer = Buffer::take();
    let (place, head) = match locked.content(&mut buffer)? {
        Content::Live(live) if goes(&live.head) => (RecordPlace::from(&live), live.head),
        Content::Tombstone(Tombstone {
            successor: Some(successor),
            ..
        }) => return Ok(Ending::Renewed(successor)),
        _ => return Ok(Ending::Nothing),
    };
    let tombstone = Tombstone {
        at: now,
        successor: None,
    };
    locked.bury(place, tombstone)?;
    // Before the entry goes: a power cut must not leave a live session that is on no list.
    locked.sync()?;
    unlist(files, key, head.user);
    Ok(Ending::Ended(head))
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
