//! The directory on systems other than Unix: plain paths.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::settings::Durability;
use super::found::{FileFacts, FileId, For, Found};

/// The directory of the sessions.
#[derive(Debug)]
pub(in super::super) struct PlainDir {
    path: PathBuf,
}

impl PlainDir {
    pub(in super::super) fn open(path: &Path, _durability: Durability) -> io::Result<Self> {
        fs::create_dir_all(path).map_err(|error| {
            let text = format!("it cannot be created ({error}): create it for the user this runs as, or name another one");
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Does nothing: only systemd-tmpfiles looks for a lock on a directory.
    pub(in super::super) fn hold(&self) -> io::Result<()> {
        Ok(())
    }

    /// Answers `None`: only Linux has numbers for the kinds of file systems.
    pub(in super::super) fn file_system(&self) -> Option<u32> {
        None
    }

    pub(in super::super) fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        Ok(path.is_dir())
    }

    pub(in super::super) fn open_file(&self, name: &str, what_for: For) -> io::Result<Found> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => return Ok(Found::Stranger("not a regular file")),
            Ok(_) => {}
            Err(error) if is_missing(&error) => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        }
        match OpenOptions::new()
            .read(true)
            .write(what_for == For::Writing)
            .open(path)
        {
            Ok(file) => Ok(Found::File(file)),
            Err(error) if is_missing(&error) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn create_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path.join(name))
    }

    pub(in super::super) fn make_dir(&self, name: &str) -> io::Result<bool> {
        match fs::create_dir(self.path.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn identify(&self, name: &str) -> io::Result<Option<FileId>> {
        match fs::symlink_metadata(self.path.join(name)) {
            Ok(found) => Ok(Some(id_of(found.len()))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn facts(&self, file: &File) -> io::Result<FileFacts> {
        let found = file.metadata()?;
        Ok(FileFacts {
            id: id_of(found.len()),
            len: found.len(),
            stranger: None,
        })
    }

    pub(in super::super) fn changed(&self, name: &str) -> io::Result<i64> {
        let modified = fs::symlink_metadata(self.path.join(name))?.modified()?;
        let since = modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    pub(in super::super) fn remove_dir(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    pub(in super::super) fn replace(&self, old: &str, new: &str) -> io::Result<()> {
        if self.identify(old)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.rename(new, old)
    }

    pub(in super::super) fn list(&self, name: &str) -> io::Result<Option<PlainNames>> {
        match fs::read_dir(self.path.join(name)) {
            Ok(entries) => Ok(Some(PlainNames(entries))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does nothing: not every system can sync a directory, and those that cannot do it by themselves.
    pub(in super::super) fn sync(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }
}

/// The names in a directory.
#[derive(Debug)]
pub(in super::super) struct PlainNames(fs::ReadDir);

impl Iterator for PlainNames {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(
            self.0
                .next()?
                .map(|entry| entry.file_name().to_string_lossy().into_owned()),
        )
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Tells files apart by their length: a session only ever moves into a longer file.
fn id_of(len: u64) -> FileId {
    FileId {
        device: 0,
        inode: len,
    }
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    /// `ERROR_LOCK_VIOLATION`: on Windows a lock also stops readers that take no lock.
    const LOCKED: i32 = 33;
    std::os::windows::fs::FileExt::seek_read(file, buffer, at).map_err(|error| {
        match error.raw_os_error() {
            Some(LOCKED) => io::ErrorKind::WouldBlock.into(),
            _ => error,
        }
    })
}

#[cfg(not(windows))]
pub(super) fn read_at(mut file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.read(buffer)
}

/// Writes all of `bytes` to `file`.
pub(in super::super) fn write_at(mut file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}
