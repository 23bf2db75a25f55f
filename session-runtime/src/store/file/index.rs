//! Which sessions a user has: an empty file for each.
//!
//! An entry is made under the lock of its session's file, when that file is there and before the
//! record in it is. So an entry without a file is stale, and one whose file says otherwise under
//! the lock is too. One that a crash left behind does no harm: nobody believes an entry.

use std::io;

use super::name::{Name, USERS};
use super::stop::Doing;
use super::{Durability, Files};
use crate::record::{Key, UserKey};
use crate::store::StoreError;

/// The sweeper may remove a directory as often as it is made anew, but not forever.
const ATTEMPTS: usize = 8;

/// Lists a session under a user; call it before the record says so, under its lock.
pub(super) fn add(files: Files<'_>, user: UserKey, key: Key) -> Result<(), StoreError> {
    let entry = Name::user_session(user, key);
    let mut result = create(files, &entry);
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
        // Even between the two calls that make a directory.
        result = make_dirs(files, user).and_then(|()| create(files, &entry));
    }
    result.doing("listing a session under its user")
}

fn create(files: Files<'_>, entry: &Name) -> io::Result<()> {
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
    let bucket = Name::users_bucket(user.0[0]);
    let steps = [
        (".", USERS),
        (USERS, bucket.as_str()),
        (bucket.as_str(), Name::user(user).as_str()),
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

/// Takes a session off a user's list; call it after the record says so, under its lock.
pub(super) fn remove(files: Files<'_>, user: UserKey, key: Key) {
    if let Err(error) = files
        .dir
        .remove_file(Name::user_session(user, key).as_str())
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(target: "bsession", %error, "index_entry_left");
    }
}

/// The sessions that a user may have.
pub(super) fn keys(files: Files<'_>, user: UserKey) -> Result<Vec<Key>, StoreError> {
    let names = files
        .dir
        .list(Name::user(user).as_str())
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
