//! The kind, owner, length and identity of a file, without its times.
//!
//! Since Linux 6.13, a file whose times were asked for gets a finer time at its next write (*multigrain
//! timestamps*), and its inode is written for that. The system calls of a save then took a quarter longer. `stat`
//! always asks for the times; `statx` need not, so it is used where it exists.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::found::FileId;

/// The answer about one file.
pub(super) struct Look {
    pub(super) kind: FileType,
    pub(super) owner: u32,
    pub(super) len: u64,
    pub(super) id: FileId,
}

/// Looks at an open file.
pub(super) fn at_file(file: impl AsFd) -> Result<Look, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(found) = without_times(&file, "", AtFlags::EMPTY_PATH) {
        return found;
    }
    Ok(Look::from(&rustix::fs::fstat(file)?))
}

/// Looks at the file under a name in a directory. A symbolic link is not followed.
pub(super) fn at_name(dir: impl AsFd, name: &str) -> Result<Look, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(found) = without_times(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        return found;
    }
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Look::from(&stat))
}

/// Asks for all but the times. Answers `None` where the kernel or a sandbox does not know the call.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn without_times(at: impl AsFd, name: &str, flags: AtFlags) -> Option<Result<Look, Errno>> {
    use rustix::fs::{StatxFlags, makedev, statx};
    let wanted = StatxFlags::TYPE | StatxFlags::UID | StatxFlags::SIZE | StatxFlags::INO;
    match statx(at, name, flags, wanted) {
        Ok(found) => Some(Ok(Look {
            kind: FileType::from_raw_mode(u32::from(found.stx_mode)),
            owner: found.stx_uid,
            len: found.stx_size,
            id: FileId {
                device: makedev(found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
            },
        })),
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(error) => Some(Err(error)),
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "their types differ between systems"
)]
impl From<&Stat> for Look {
    fn from(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            owner: stat.st_uid,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            id: FileId {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
            },
        }
    }
}
