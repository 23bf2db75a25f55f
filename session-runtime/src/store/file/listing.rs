//! The sessions of a user, and all sessions: read one by one, without their bodies.

use super::buffer::Buffer;
use super::file_name::{FileName, Named, WHOLE};
use super::files::Files;
use super::index;
use super::layout::{Content, Tombstone};
use super::locked_file::{LockedFile, ONCE, PATIENT, peek};
use super::operations::ended;
use super::stop::{Doing, Stop, Try};
use crate::record::{Key, UserKey};
use crate::store::{Cursor, Entry, Listed, Scanned};

pub(super) fn list(files: Files<'_>, users: &[UserKey]) -> Try<Listed> {
    there(files)?;
    let mut entries = Vec::new();
    for &user in users {
        for key in index::keys(files, user)? {
            entries.extend(look_up(files, key)?.map(|entry| (key, entry)));
        }
    }
    // After the reading: a program that deletes by age deletes the mark before any list.
    let mark = files.dir.identify(WHOLE);
    let whole = mark.doing("looking whether the lists are whole")?.is_some();
    Ok(Listed { entries, whole })
}

/// Reads the sessions in some of the 256 directories.
pub(super) fn scan(files: Files<'_>, from: &Cursor, budget: usize) -> Try<Scanned> {
    const LISTING: &str = "listing a directory of the sessions";
    there(files)?;
    let mut entries = Vec::new();
    for bucket in from.0.first().copied().unwrap_or_default()..=u8::MAX {
        if entries.len() >= budget {
            let next = Some(Cursor(vec![bucket]));
            return Ok(Scanned { entries, next });
        }
        let names = files
            .dir
            .list(FileName::bucket(bucket).as_str())
            .doing(LISTING)?;
        for name in names.into_iter().flatten() {
            if let Some(Named::Session(key)) = Named::parse(&name.doing(LISTING)?) {
                entries.extend(look_up(files, key)?.map(|entry| (key, entry)));
            }
        }
    }
    Ok(Scanned {
        entries,
        next: None,
    })
}

/// Stops if the directory was moved away: what is in it is no longer anybody's session.
fn there(files: Files<'_>) -> Try<()> {
    match files.is_there()? {
        true => Ok(()),
        false => Err(Stop::Missing),
    }
}

fn look_up(files: Files<'_>, key: Key) -> Try<Option<Entry>> {
    let entry = peek(files, key, |content| match content {
        Content::Live(live) => Some(Entry::Live(live.without_body())),
        Content::Tombstone(tombstone) => Some(ended(&tombstone)),
        Content::Empty | Content::Doubtful => None,
    });
    match entry {
        Err(Stop::Missing) => Ok(None),
        result => result,
    }
}

/// Puts a session on the list of its user, if the record says so and the list lacks it.
pub(super) fn heal(files: Files<'_>, user: UserKey, key: Key) -> Try<()> {
    let entry = FileName::user_session(user, key);
    let found = files.dir.identify(entry.as_str());
    if found
        .doing("looking for an entry in a user's list")?
        .is_some()
    {
        return Ok(());
    }
    let locked = LockedFile::hold(files, key, PATIENT)?;
    match locked.content(&mut Buffer::take())? {
        Content::Live(live) if live.head.user == Some(user) => Ok(index::add(files, user, key)?),
        _ => Ok(()),
    }
}

/// Removes an entry from a user's list if it is stale. Answers `true` if it did.
///
/// The entry of a session that was renewed is not stale as long as its tombstone is there.
pub(super) fn unlist_if_stale(files: Files<'_>, user: UserKey, key: Key) -> Try<bool> {
    let is_stale = |content: &Content<'_>| match content {
        Content::Live(live) => live.head.user != Some(user),
        Content::Tombstone(Tombstone { successor, .. }) => successor.is_none(),
        // The session is being created.
        Content::Empty | Content::Doubtful => false,
    };
    match peek(files, key, |content| is_stale(&content)) {
        Ok(false) => return Ok(false),
        Ok(true) | Err(Stop::Missing) => {}
        Err(stop) => return Err(stop),
    }
    // Again under the lock, since an entry is made under the lock a moment before the record says the same. The lock
    // is held until the entry is gone.
    let _locked = match LockedFile::hold(files, key, ONCE) {
        Ok(locked) => match locked.content(&mut Buffer::take()) {
            Ok(content) if is_stale(&content) => Some(locked),
            Ok(_) => return Ok(false),
            Err(Stop::Missing) => None,
            Err(stop) => return Err(stop),
        },
        // No file, so the entry is stale: the file is made before it, and its key is never used again.
        Err(Stop::Missing) => None,
        Err(Stop::Busy) => return Ok(false),
        Err(stop) => return Err(stop),
    };
    index::remove(files, user, key);
    Ok(true)
}
