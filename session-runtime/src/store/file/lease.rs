//! The lease of a session, for requests that go one after the other: an empty file, locked by who
//! has it, and there for only as long.
//!
//! Not the session's own file, which is locked for a write and no longer. Whoever has the lease
//! deletes the file, under its lock; so whoever got the lock of a file that a name does not lead to
//! any more has nothing. The lock of a process that was killed is given back by the kernel, and its
//! file is the next one's, or the sweeper's.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::dir::{self, Dir, For, Opened};
use super::name::{LOCKS, Name};
use super::session::ONCE;
use super::stop::{Doing, Stop, Try};
use super::{Files, Shared};
use crate::record::Key;
use crate::store::StoreError;

/// How often in a row a file may be deleted while it is opened and locked.
const ATTEMPTS: usize = 8;

/// The file of a session's lock, locked.
pub(super) struct Locked {
    dir: Arc<Dir>,
    name: Name,
    _file: File,
}

/// Takes the lock of a session; `None` if somebody has it.
pub(super) fn take(files: Files<'_>, key: Key) -> Try<Option<Locked>> {
    let name = Name::lock(key);
    for _ in 0..ATTEMPTS {
        let file = match files.dir.create_file(name.as_str()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match open(files, &name)? {
                    Some(file) => file,
                    None => continue,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(files)?;
                continue;
            }
            result => result.doing("creating a lock file")?,
        };
        if !dir::lock(&file, ONCE).doing("locking a lock file")? {
            return Ok(None);
        }
        if let Some(locked) = checked(files, name, file)? {
            return Ok(Some(locked));
        }
    }
    Ok(None)
}

/// Deletes the file of a lock that nobody has, and answers whether it did.
pub(super) fn sweep(files: Files<'_>, key: Key) -> Try<bool> {
    let name = Name::lock(key);
    let Some(file) = open(files, &name)? else {
        return Ok(false);
    };
    if !dir::lock(&file, ONCE).doing("locking a lock file")? {
        return Ok(false);
    }
    let Some(left) = checked(files, name, file)? else {
        return Ok(false);
    };
    left.delete().doing("deleting a lock file")?;
    Ok(true)
}

fn open(files: Files<'_>, name: &Name) -> Try<Option<File>> {
    match files
        .dir
        .open_file(name.as_str(), For::Writing)
        .doing("opening a lock file")?
    {
        Opened::File(file) => Ok(Some(file)),
        Opened::Nothing => Ok(None),
        Opened::Stranger(what) => Err(stranger(what)),
    }
}

/// The file, if it is one and still has its name.
fn checked(files: Files<'_>, name: Name, file: File) -> Try<Option<Locked>> {
    let facts = files.dir.facts(&file).doing("looking at a lock file")?;
    if let Some(what) = facts.stranger {
        return Err(stranger(what));
    }
    let named = files
        .dir
        .identify(name.as_str())
        .doing("looking for a lock file")?;
    Ok((named == Some(facts.id)).then(|| Locked {
        dir: Arc::clone(files.dir),
        name,
        _file: file,
    }))
}

/// No request may go on as if it had the lock: what is in its place is an error.
fn stranger(what: &str) -> Stop {
    let text = format!("in the place of a lock file is {what}: delete it");
    Stop::Failed(StoreError::Io(io::Error::other(text)))
}

fn make_dir(files: Files<'_>) -> Try<()> {
    match files.dir.make_dir(LOCKS) {
        // The directory of the sessions itself is gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Stop::Missing),
        result => {
            result.doing("making the directory of locks")?;
            Ok(())
        }
    }
}

impl Locked {
    /// While the lock is held: it is closed behind this.
    fn delete(self) -> io::Result<()> {
        self.dir.remove_file(self.name.as_str())
    }
}

/// The lock of a session, given back when this is dropped: by whoever drops it, or by a thread that
/// may block if the disk is slow.
pub(super) struct Leased {
    pub(super) shared: Arc<Shared>,
    pub(super) locked: Option<Locked>,
}

impl Drop for Leased {
    fn drop(&mut self) {
        let Some(locked) = self.locked.take() else {
            return;
        };
        // What cannot be deleted is what the sweeper finds; the lock ends all the same.
        if !self.shared.pace.is_slow() {
            drop(self.shared.pace.of(|| locked.delete()));
        } else if let Ok(runtime) = Handle::try_current() {
            let shared = Arc::clone(&self.shared);
            runtime.spawn_blocking(move || drop(shared.pace.of(|| locked.delete())));
        } else {
            drop(locked.delete());
        }
    }
}
