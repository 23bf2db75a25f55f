//! The sessions directory itself on Unix: it is made, opened, and checked before anything is put into it.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::super::file_name;
use super::unix::{DIRECTORY, OWNER_ONLY};
use crate::one_line::OneLine;

/// The permissions in a mode, without the setgid bit, which a directory inherits from the one above it.
const PERMISSIONS: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

/// Makes the directory, and those above it that are missing. Answers `false` if there is one.
pub(super) fn make(path: &Path) -> io::Result<bool> {
    let result = match make_one(path, OWNER_ONLY) {
        Err(Errno::NOENT) => make_above(path).and_then(|()| make_one(path, OWNER_ONLY)),
        result => result,
    };
    match result {
        Ok(made) => Ok(made),
        // The one above may be read-only, for example. That does not matter if this one is there.
        Err(_) if rustix::fs::lstat(path).is_ok() => Ok(false),
        Err(error) => {
            let text = format!(
                "it cannot be created ({error}): create it for the user this runs as, or name another one"
            );
            Err(io::Error::new(error.kind(), text))
        }
    }
}

/// Makes the missing directories above, the outermost first. Other users get the rights that the umask leaves them.
fn make_above(path: &Path) -> Result<(), Errno> {
    let above = path.ancestors().skip(1);
    let missing: Vec<_> = above.take_while(|path| is_missing(path)).collect();
    let mut missing = missing.into_iter().rev();
    missing.try_for_each(|path| make_one(path, PERMISSIONS).map(drop))
}

pub(super) fn is_missing(path: &Path) -> bool {
    matches!(rustix::fs::lstat(path), Err(Errno::NOENT))
}

/// Makes one directory, which its owner may use whatever the umask. Answers `false` if there is one.
fn make_one(path: &Path, mode: Mode) -> Result<bool, Errno> {
    match rustix::fs::mkdir(path, mode) {
        // If this fails, the next call that uses the directory says so.
        Ok(()) => drop(give_to_owner(path)),
        Err(Errno::EXIST) => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Gives the owner of a directory that was made a moment ago what the umask took away.
///
/// Without the right to read it, it cannot be opened as usual. To change it by name is not safe: where others may
/// write to the directory above, something else may have that name by now. So it is opened with `O_PATH`, which needs
/// no right, then looked at, and then changed through the descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn give_to_owner(path: &Path) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;

    let made = rustix::fs::open(path, OFlags::PATH | DIRECTORY, Mode::empty())?;
    match lacking(&rustix::fs::fstat(&made)?) {
        // `fchmod` refuses such a descriptor. Its link in /proc leads to the open directory, and nowhere else.
        Some(mode) => rustix::fs::chmod(format!("/proc/self/fd/{}", made.as_raw_fd()), mode),
        None => Ok(()),
    }
}

/// Does the same by name, and follows no symbolic link. At worst it meets another directory of our own user.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn give_to_owner(path: &Path) -> Result<(), Errno> {
    match lacking(&rustix::fs::lstat(path)?) {
        Some(mode) => rustix::fs::chmodat(rustix::fs::CWD, path, mode, AtFlags::SYMLINK_NOFOLLOW),
        None => Ok(()),
    }
}

/// The mode that a directory of our user should have, if the owner lacks a right to it.
fn lacking(stat: &Stat) -> Option<Mode> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    (is_ours && !mode.contains(Mode::RWXU)).then_some(mode | Mode::RWXU)
}

/// Opens the directory, if it is one and no symbolic link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | DIRECTORY;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(File::from(fd)),
        Err(error) => Err(explain(path, error)),
    }
}

/// Says why the directory could not be opened.
fn explain(path: &Path, error: Errno) -> io::Error {
    let found = rustix::fs::lstat(path).map(|stat| FileType::from_raw_mode(stat.st_mode));
    let text = match found {
        Ok(FileType::Symlink) => "it is a symbolic link: name the directory itself".to_owned(),
        Ok(FileType::Directory) => {
            format!("it cannot be opened ({error}): change its permissions, or name another one")
        }
        Ok(_) => "it is not a directory: name another one, or remove what is there".to_owned(),
        Err(_) => format!("it cannot be opened ({error})"),
    };
    io::Error::new(error.kind(), text)
}

/// Refuses a directory of another user, who could put anything into it.
pub(super) fn check_owner(dir: &File, path: &Path, stat: &Stat, ours: u32) -> io::Result<()> {
    let theirs = stat.st_uid;
    if theirs == ours {
        return Ok(());
    }
    let text = if may_write(dir).is_ok() {
        format!(
            "it belongs to the user with the number {theirs} and this process runs as {ours}, who may write there, \
             as into a volume of Kubernetes with `fsGroup`: name a directory inside it, as in `{}`, which is then created",
            path.join("sessions").display()
        )
    } else {
        format!(
            "it belongs to the user with the number {theirs} and this process runs as {ours}: \
             give it to this one with `chown`, or name another directory"
        )
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Closes the directory to other users, if it was made a moment ago or holds nothing but our own names.
///
/// Kubernetes opens it to the group of a volume with `fsGroup` at every start of a pod.
pub(super) fn close_to_others(dir: &File, path: &Path, stat: &Stat, made: bool) -> io::Result<()> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let close = || rustix::fs::fchmod(dir, mode.difference(PERMISSIONS) | OWNER_ONLY);
    if made && mode.intersection(PERMISSIONS) != OWNER_ONLY {
        // The umask took away what the owner needs.
        close()?;
    } else if mode.intersects(Mode::RWXG | Mode::RWXO) {
        // Somebody's home or `.` may have been named by mistake: it is not ours to close.
        let is_ours =
            |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(file_name::is_ours);
        let mut entries = std::fs::read_dir(path)?;
        if !entries.all(|entry| entry.as_ref().is_ok_and(is_ours)) {
            let text = "other users may open it, and there is something in it that is not ours: close it with \
                        `chmod 700`, or name a directory for sessions alone";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        close()?;
        tracing::warn!(
            target: "bsession",
            path = %OneLine(path.display()),
            "sessions_directory_closed"
        );
    }
    Ok(())
}

/// Refuses a directory in which this process can make no file.
pub(super) fn check_writable(dir: &File) -> io::Result<()> {
    may_write(dir).map_err(|error| {
        let text = format!(
            "it is not writable ({error}): change its permissions, or name another directory"
        );
        io::Error::new(error.kind(), text)
    })
}

fn may_write(dir: &File) -> Result<(), Errno> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(dir, ".", wanted, AtFlags::EACCESS)
}
