//! The directory on Unix. It is kept open, and every call is relative to it and follows no symbolic link.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::super::settings::Durability;
use super::found::{FileFacts, FileId, For, Found};
use super::look::{self, Look};
use super::root;
use crate::one_line::OneLine;

/// Flags for a session's file: with `NONBLOCK`, so that a FIFO in the place of a session's file is opened, seen and refused. Without it, the call
/// would wait for a writer.
const NEVER_FOLLOW: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
pub(super) const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
pub(super) const OWNER_ONLY: Mode = Mode::RWXU;
const OWNER_ONLY_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The directory of the sessions, kept open.
#[derive(Debug)]
pub(in super::super) struct UnixDir {
    fd: File,
    id: FileId,
    /// The user who opened it, to whom the files must belong.
    owner: u32,
    /// True if this has the directory's shared lock.
    is_held: AtomicBool,
}

impl UnixDir {
    /// Opens the directory, and makes it and those above it if they are missing.
    ///
    /// # Errors
    /// At the path is a symbolic link or something else that is no directory, or the directory is another user's,
    /// open to others with strange files in it, or not writable.
    pub(in super::super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        let missing: Vec<_> = match durability {
            Durability::Process => vec![],
            Durability::Disk => path
                .ancestors()
                .take_while(|path| root::is_missing(path))
                .collect(),
        };
        let made = root::make(path)?;
        // Each new directory is a name in the one above it. The innermost is synced first.
        for above in missing.into_iter().filter_map(Path::parent) {
            super::sync_path(above)?;
        }
        let fd = root::open(path)?;
        let stat = rustix::fs::fstat(&fd)?;
        let owner = rustix::process::geteuid().as_raw();
        root::check_owner(&fd, path, &stat, owner)?;
        root::close_to_others(&fd, path, &stat, made)?;
        root::check_writable(&fd)?;
        let dir = Self {
            fd,
            id: Look::from(&stat).id,
            owner,
            is_held: AtomicBool::new(false),
        };
        if let Err(error) = dir.hold() {
            tracing::warn!(
                target: "bsession",
                path = %OneLine(path.display()),
                error = %OneLine(&error),
                hint = "a program that deletes by age may be there; every sweep tries again",
                "sessions_directory_not_held"
            );
        }
        Ok(dir)
    }

    /// Takes a shared lock of the directory, unless this has it already. It is given back when this is dropped.
    ///
    /// systemd-tmpfiles passes over a directory that somebody has locked, and over all that is below
    /// (<https://systemd.io/TEMPORARY_DIRECTORIES>). It locks the directory itself while it deletes, and is not
    /// waited for: the next sweep calls this again.
    pub(in super::super) fn hold(&self) -> io::Result<()> {
        if !self.is_held.load(Ordering::Relaxed) {
            self.fd.try_lock_shared()?;
            self.is_held.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The number by which Linux knows the kind of the file system.
    pub(in super::super) fn file_system(&self) -> Option<u32> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return rustix::fs::fstatfs(&self.fd)
            .ok()
            .map(|found| found.f_type as u32);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        None
    }

    /// Answers whether `path` still names this directory.
    pub(in super::super) fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        match rustix::fs::lstat(path) {
            Ok(stat) => Ok(Look::from(&stat).id == self.id),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens what `name` names, if it is a file.
    pub(in super::super) fn open_file(&self, name: &str, what_for: For) -> io::Result<Found> {
        let access = match what_for {
            For::Reading => OFlags::RDONLY,
            For::Writing => OFlags::RDWR,
        };
        Ok(
            match self.open_at(name, access | NEVER_FOLLOW, Mode::empty()) {
                Ok(fd) => Found::File(File::from(fd)),
                // `NOTDIR`: something else is in the place of the directory it would be in.
                Err(Errno::NOENT | Errno::NOTDIR) => Found::Nothing,
                Err(Errno::LOOP | Errno::MLINK) => Found::Stranger("a symbolic link"),
                Err(Errno::ISDIR) => Found::Stranger("a directory"),
                Err(Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP) => {
                    Found::Stranger("a device or a socket")
                }
                Err(error) => return Err(error.into()),
            },
        )
    }

    /// Creates an empty file for the owner alone, whatever the umask.
    pub(in super::super) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | NEVER_FOLLOW;
        let fd = self.open_at(name, flags, OWNER_ONLY_FILE)?;
        // A umask may take away what the owner needs. To ask costs less than to set it each time.
        if Mode::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != OWNER_ONLY_FILE {
            rustix::fs::fchmod(&fd, OWNER_ONLY_FILE)?;
        }
        Ok(File::from(fd))
    }

    /// Makes a directory in this one. Answers `false` if there is one.
    pub(in super::super) fn make_dir(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::mkdirat(&self.fd, name, OWNER_ONLY) {
            // The umask again. By name it is safe here: nobody else may put a link into our directory.
            Ok(()) => rustix::fs::chmodat(&self.fd, name, OWNER_ONLY, AtFlags::empty())?,
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Returns the identity of the file `name`, if there is one.
    pub(in super::super) fn identify(&self, name: &str) -> io::Result<Option<FileId>> {
        match look::at_name(&self.fd, name) {
            Ok(found) => Ok(Some(found.id)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(in super::super) fn facts(&self, file: &File) -> io::Result<FileFacts> {
        let found = look::at_file(file)?;
        let stranger = if found.kind != FileType::RegularFile {
            Some("not a regular file")
        } else if found.owner != self.owner {
            Some("a file of another user")
        } else {
            None
        };
        Ok(FileFacts {
            id: found.id,
            len: found.len,
            stranger,
        })
    }

    /// Returns the time at which `name` was last renamed, written or otherwise changed, in seconds.
    pub(in super::super) fn changed(&self, name: &str) -> io::Result<i64> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        #[allow(clippy::unnecessary_cast, reason = "its type differs between systems")]
        Ok(stat.st_ctime as i64)
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(in super::super) fn remove_dir(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Renames a file, and replaces what has the new name.
    pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Puts the file `new` in the place of the file `old`. Afterwards `old` has the name `new`, or is gone.
    ///
    /// Where the system can exchange two names, a file that was deleted meanwhile stays deleted, and the error is
    /// `NotFound`. Elsewhere there are two calls, and a file that somebody deletes by hand between them comes back.
    pub(in super::super) fn replace(&self, old: &str, new: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(&self.fd, new, &self.fd, old, RenameFlags::EXCHANGE) {
                Ok(()) => return Ok(()),
                // The file system, the kernel or a sandbox does not know the exchange.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.identify(old)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.rename(new, old)
    }

    /// Lists the names in a directory, one by one. Answers `None` if there is no such directory.
    pub(in super::super) fn list(&self, name: &str) -> io::Result<Option<UnixNames>> {
        match self.open_at(name, OFlags::RDONLY | DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(UnixNames(rustix::fs::Dir::new(fd)?))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the names in a directory on disk, so that they survive a power cut.
    pub(in super::super) fn sync(&self, name: &str) -> io::Result<()> {
        let fd = self.open_at(name, OFlags::RDONLY | DIRECTORY, Mode::empty())?;
        Ok(rustix::fs::fsync(fd)?)
    }

    /// Opens as `openat` does. On Linux it also refuses symbolic links in the middle of `name`, which costs 0.01 µs of
    /// 0.5.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        #[cfg(target_os = "linux")]
        match rustix::fs::openat2(
            &self.fd,
            name,
            flags,
            mode,
            rustix::fs::ResolveFlags::NO_SYMLINKS,
        ) {
            // A kernel before 5.6, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            result => return result,
        }
        rustix::fs::openat(&self.fd, name, flags, mode)
    }
}

/// The names in a directory.
#[derive(Debug)]
pub(in super::super) struct UnixNames(rustix::fs::Dir);

impl Iterator for UnixNames {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.read()? {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => return Some(Ok(lossy(entry.file_name()))),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// Our own names are ASCII. It does not matter if others are changed here.
fn lossy(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}
