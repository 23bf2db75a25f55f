//! The list of a user's sessions: a directory with an empty file for each session.
//!
//! An entry is made under the lock of its session's file, after that file and before the record in it. So an entry
//! without a file is stale, and so is one whose record, read under the lock, names another user. A stale entry that a
//! crash left does no harm: an entry is never trusted without its record.

use std::io;

use super::file_name::{FileName, USERS};
use super::files::Files;
use super::settings::Durability;
use super::stop::Doing;
use crate::one_line::OneLine;
use crate::record::{Key, UserKey};
use crate::store::StoreError;

/// The number of times that a directory is made which the sweeper has just deleted.
const ATTEMPTS: usize = 8;

/// Puts a session on the list of a user. Call it under the session's lock, before the record names the user.
pub(super) fn add(files: Files<'_>, user: UserKey, key: Key) -> Result<(), StoreError> {
    let entry = FileName::user_session(user, key);
    let mut result = create(files, &entry);
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
        // The sweeper may delete a directory even between two calls that make one in another.
        result = make_dirs(files, user).and_then(|()| create(files, &entry));
    }
    result.doing("listing a session under its user")
}

fn create(files: Files<'_>, entry: &FileName) -> io::Result<()> {
    match files.dir.create_file(entry.as_str()) {
        Ok(_) if files.durability == Durability::Disk => {
            let (dir, _) = entry.as_str().rsplit_once('/').unwrap_or_default();
            files.dir.sync(dir)
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn make_dirs(files: Files<'_>, user: UserKey) -> io::Result<()> {
    let bucket = FileName::users_bucket(user.0[0]);
    let steps = [
        (".", USERS),
        (USERS, bucket.as_str()),
        (bucket.as_str(), FileName::user(user).as_str()),
    ]
    .map(|(parent, dir)| {
        let made = files.dir.make_dir(dir)?;
        if made && files.durability == Durability::Disk {
            files.dir.sync(parent)
        } else {
            Ok(())
        }
    });
    steps.into_iter().collect()
}

/// Takes a session off the list of a user. Call it under the session's lock, after the record says so.
pub(super) fn remove(files: Files<'_>, user: UserKey, key: Key) {
    if let Err(error) = files
        .dir
        .remove_file(FileName::user_session(user, key).as_str())
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(target: "bsession", user = %user, error = %OneLine(&error), "index_entry_left");
    }
}

/// Returns the sessions on the list of a user.
pub(super) fn keys(files: Files<'_>, user: UserKey) -> Result<Vec<Key>, StoreError> {
    let names = files
        .dir
        .list(FileName::user(user).as_str())
        .doing("listing the sessions of a user")?;
    let mut keys = Vec::new();
    for name in names.into_iter().flatten() {
        keys.extend(
            name.doing("listing the sessions of a user")?
                .parse::<Key>()
                .ok(),
        );
    }
    Ok(keys)
}
