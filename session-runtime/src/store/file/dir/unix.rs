//! The directory on Unix: kept open, relative to itself, without symbolic links.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::super::{Durability, name};
use super::look::{self, Look};
use super::{Facts, FileId, For, Opened};

/// Not blocking, so that a FIFO in the place of a session is opened and seen for what it is.
const NEVER_FOLLOW: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);
const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const OWNER_ONLY: Mode = Mode::RWXU;
const OWNER_ONLY_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The directory of the sessions, kept open.
#[derive(Debug)]
pub(in super::super) struct Dir {
    fd: OwnedFd,
    id: FileId,
    /// Who opened it, and so whose the files must be.
    owner: u32,
}

impl Dir {
    /// Opens the directory, and makes it and those above it if they are missing.
    ///
    /// # Errors
    /// What is there is no directory, a symbolic link, another user's or not writable.
    pub(in super::super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        let missing: Vec<_> = match durability {
            Durability::Process => vec![],
            Durability::Disk => path
                .ancestors()
                .take_while(|path| is_missing(path))
                .collect(),
        };
        let made = make(path)?;
        // Each of them is a name in the one above, from the innermost on.
        for above in missing.into_iter().filter_map(Path::parent) {
            super::sync_path(above)?;
        }
        let flags = OFlags::RDONLY | DIRECTORY;
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| explain(path, error))?;
        let stat = rustix::fs::fstat(&fd)?;
        let owner = rustix::process::geteuid().as_raw();
        if stat.st_uid != owner {
            let text = format!(
                "it belongs to the user with the number {} and this process runs as {owner}: \
                 give it to this one with `chown`, or name another directory",
                stat.st_uid
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if made && mode != OWNER_ONLY {
            // The umask took away what the owner needs.
            rustix::fs::fchmod(&fd, OWNER_ONLY)?;
        } else if mode.intersects(Mode::RWXG | Mode::RWXO) {
            // Somebody's home or `.` may have been named by mistake: it is not ours to close.
            let is_ours =
                |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(name::is_ours);
            let mut entries = std::fs::read_dir(path)?;
            if !entries.all(|entry| entry.as_ref().is_ok_and(is_ours)) {
                let text = "other users may open it, and there is something in it that is not ours: close it with \
                            `chmod 700`, or name a directory of its own";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            rustix::fs::fchmod(&fd, OWNER_ONLY)?;
            tracing::warn!(
                target: "bsession",
                path = %path.display(),
                "sessions_directory_closed"
            );
        }
        rustix::fs::accessat(
            &fd,
            ".",
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        )
        .map_err(|error| {
            let text = format!(
                "it is not writable ({error}): change its permissions, or name another directory"
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self {
            fd,
            id: Look::from(&stat).id,
            owner,
        })
    }

    /// Whether `path` still names this directory.
    pub(in super::super) fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        match rustix::fs::lstat(path) {
            Ok(stat) => Ok(Look::from(&stat).id == self.id),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens what `name` names, if it is a file.
    pub(in super::super) fn open_file(&self, name: &str, what_for: For) -> io::Result<Opened> {
        let access = match what_for {
            For::Reading => OFlags::RDONLY,
            For::Writing => OFlags::RDWR,
        };
        Ok(
            match self.open_at(name, access | NEVER_FOLLOW, Mode::empty()) {
                Ok(fd) => Opened::File(File::from(fd)),
                // The directory it would be in is missing, or something else is in its place.
                Err(Errno::NOENT | Errno::NOTDIR) => Opened::Nothing,
                Err(Errno::LOOP | Errno::MLINK) => Opened::Stranger("a symbolic link"),
                Err(Errno::ISDIR) => Opened::Stranger("a directory"),
                Err(Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP) => {
                    Opened::Stranger("a device or a socket")
                }
                Err(error) => return Err(error.into()),
            },
        )
    }

    /// Creates an empty file, readable by its owner only whatever the umask.
    pub(in super::super) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | NEVER_FOLLOW;
        let fd = self.open_at(name, flags, OWNER_ONLY_FILE)?;
        // A umask may take away what the owner needs; asking costs less than setting.
        if Mode::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != OWNER_ONLY_FILE {
            rustix::fs::fchmod(&fd, OWNER_ONLY_FILE)?;
        }
        Ok(File::from(fd))
    }

    /// Makes a directory in this one; `false` if there is one.
    pub(in super::super) fn make_dir(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::mkdirat(&self.fd, name, OWNER_ONLY) {
            // As above. Nobody can have put a link there meanwhile: the directory is ours alone.
            Ok(()) => rustix::fs::chmodat(&self.fd, name, OWNER_ONLY, AtFlags::empty())?,
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Which file `name` names, if any.
    pub(in super::super) fn identify(&self, name: &str) -> io::Result<Option<FileId>> {
        match look::at_name(&self.fd, name) {
            Ok(found) => Ok(Some(found.id)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(in super::super) fn facts(&self, file: &File) -> io::Result<Facts> {
        let found = look::at_file(file)?;
        let stranger = if found.kind != FileType::RegularFile {
            Some("not a regular file")
        } else if found.owner != self.owner {
            Some("a file of another user")
        } else {
            None
        };
        Ok(Facts {
            id: found.id,
            len: found.len,
            stranger,
        })
    }

    /// When `name` was last renamed, written or otherwise changed, in seconds.
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

    /// Renames a file, over what is there.
    pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Puts the file `new` in the place of the file `old`, which has the name `new` afterwards or is
    /// gone.
    ///
    /// Where the names of two files can be exchanged, a file that was removed meanwhile stays
    /// removed: then the error is `NotFound`. Elsewhere it comes back, if it was removed between
    /// the two calls and not under its lock: by hand, that is.
    pub(in super::super) fn replace(&self, old: &str, new: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(&self.fd, new, &self.fd, old, RenameFlags::EXCHANGE) {
                Ok(()) => return Ok(()),
                // The file system, the kernel or a sandbox does not know it.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.identify(old)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.rename(new, old)
    }

    /// The names in a directory, one by one; `None` if there is no such directory.
    pub(in super::super) fn list(&self, name: &str) -> io::Result<Option<Names>> {
        match self.open_at(name, OFlags::RDONLY | DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Names(rustix::fs::Dir::new(fd)?))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in a directory outlive a power cut.
    pub(in super::super) fn sync(&self, name: &str) -> io::Result<()> {
        let fd = self.open_at(name, OFlags::RDONLY | DIRECTORY, Mode::empty())?;
        Ok(rustix::fs::fsync(fd)?)
    }

    /// `openat`, which on Linux refuses symbolic links in the middle of `name` too. That costs
    /// 0.01 µs of 0.5.
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
pub(in super::super) struct Names(rustix::fs::Dir);

impl Iterator for Names {
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

/// Our own names are ASCII, and what is not ours may as well not be found.
fn lossy(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

fn is_missing(path: &Path) -> bool {
    matches!(rustix::fs::lstat(path), Err(Errno::NOENT))
}

/// Makes the directory if there is nothing, and says whether it did.
fn make(path: &Path) -> io::Result<bool> {
    let make = || rustix::fs::mkdir(path, OWNER_ONLY);
    let result = match make() {
        Err(Errno::NOENT) => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            make()
        }
        result => result,
    };
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // As when the one above is read-only, which does not matter if this one is there.
        Err(_) if rustix::fs::lstat(path).is_ok() => Ok(false),
        Err(error) => {
            let text = format!(
                "it cannot be created ({error}): create it for the user this runs as, or name another one"
            );
            Err(io::Error::new(error.kind(), text))
        }
    }
}

/// Why the directory could not be opened.
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
