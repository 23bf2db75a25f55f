//! The lease of a session, for requests that go one after the other. It is an empty file, which its holder keeps
//! locked and deletes at the end.
//!
//! It is not the session's own file, which is locked only while it is written. The holder deletes the file while it has
//! the lock. So a request that gets the lock of a file which has lost its name has no lease, and tries again. If a
//! process is killed, the kernel gives back its lock; the next request uses the file that is left, or the sweeper
//! deletes it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::dir::{self, Dir, For, Found};
use super::file_name::{FileName, LOCKS};
use super::files::Files;
use super::locked_file::ONCE;
use super::shared_dir::SharedDir;
use super::stop::{Doing, Stop, Try};
use crate::record::Key;
use crate::store::StoreError;

/// The number of times in a row that the file may be deleted while it is opened and locked.
const ATTEMPTS: usize = 8;

/// The lock file of a session, locked.
pub(super) struct Locked {
    dir: Arc<Dir>,
    name: FileName,
    _file: File,
}

/// Takes the lock of a session. Answers `None` if another request has it.
pub(super) fn take(files: Files<'_>, key: Key) -> Try<Option<Locked>> {
    let name = FileName::lock(key);
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

/// Deletes a lock file that nobody has locked. Answers `false` if it did not.
pub(super) fn sweep(files: Files<'_>, key: Key) -> Try<bool> {
    let name = FileName::lock(key);
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

fn open(files: Files<'_>, name: &FileName) -> Try<Option<File>> {
    match files
        .dir
        .open_file(name.as_str(), For::Writing)
        .doing("opening a lock file")?
    {
        Found::File(file) => Ok(Some(file)),
        Found::Nothing => Ok(None),
        Found::Stranger(what) => Err(stranger(what)),
    }
}

/// Returns the file if it still has its name.
fn checked(files: Files<'_>, name: FileName, file: File) -> Try<Option<Locked>> {
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

/// Something else in the place of the file is an error: the request must not go on without a lock.
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
    /// Deletes the file. The lock is held until then, and ends when this is dropped.
    fn delete(self) -> io::Result<()> {
        self.dir.remove_file(self.name.as_str())
    }
}

/// The lock of a session, given back when this is dropped. If the disk is slow, a thread that may block does it.
pub(super) struct Leased {
    pub(super) shared: Arc<SharedDir>,
    pub(super) locked: Option<Locked>,
}

impl Drop for Leased {
    fn drop(&mut self) {
        let Some(locked) = self.locked.take() else {
            return;
        };
        // If the file cannot be deleted, the sweeper does it later. The lock ends all the same.
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
