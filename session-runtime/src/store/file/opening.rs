//! The first look at the directory: whether files in it can be locked, and what has to stand in a new one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::dir::{self, Dir, For, Found, write_at};
use super::file_name::{self, GITIGNORE, LOCK_TEST, WHOLE};
use super::files::Files;
use super::locked_file::ONCE;
use super::settings::Durability;
use super::sweep;

/// Opens the directory. In an empty one the lists of all users are whole.
pub(super) fn open(path: &Path, durability: Durability) -> io::Result<Arc<Dir>> {
    let dir = Arc::new(Dir::open(path, durability)?);
    try_lock(&dir)?;
    let names = dir.list(".")?.into_iter().flatten();
    let names: Vec<String> = names.collect::<io::Result<_>>()?;
    let has = |wanted| names.iter().any(|name| name == wanted);
    if names.iter().all(|name| file_name::is_ours(name)) && !has(GITIGNORE) {
        tell_git(&dir);
    }
    let is_empty = names
        .iter()
        .all(|name| [GITIGNORE, LOCK_TEST].contains(&name.as_str()));
    if is_empty {
        let files = Files {
            dir: &dir,
            path,
            durability,
        };
        sweep::mark(files, WHOLE)?;
    }
    Ok(dir)
}

/// Takes the lock of a file once. A service that cannot lock files loses updates, so it is not built.
///
/// The lock of the directory proves nothing: on NFS, CIFS and FUSE, Linux keeps the locks of directories to itself, and
/// asks the server for those of files only.
fn try_lock(dir: &Dir) -> io::Result<()> {
    let file = match dir.create_file(LOCK_TEST) {
        Ok(file) => file,
        // Another service is starting, or was killed when it did.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match dir.open_file(LOCK_TEST, For::Writing) {
                Ok(Found::File(file)) => file,
                _ => return Ok(()),
            }
        }
        // A full disk keeps no service from its start: sessions can be read, and end.
        Err(_) => return Ok(()),
    };
    // Either answer will do: held by another service, it is a lock that works.
    let tried = dir::lock(&file, ONCE);
    let _ = dir.remove_file(LOCK_TEST);
    tried.map(drop).map_err(|error| {
        let text = format!(
            "files in it cannot be locked ({error}), and without locks updates are lost: \
             name a directory on a local disk, or keep sessions in Redis"
        );
        io::Error::new(error.kind(), text)
    })
}

/// Makes git pass over the directory, which may lie in somebody's repository. Sessions do not need it.
fn tell_git(dir: &Dir) {
    // Not over one that another process made meanwhile.
    let Ok(file) = dir.create_file(GITIGNORE) else {
        return;
    };
    if write_at(&file, b"*\n", 0).is_err() {
        let _ = dir.remove_file(GITIGNORE);
    }
}
