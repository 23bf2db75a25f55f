//! Calls on an open file: read, write, lock, sync.

use std::fs::{File, TryLockError};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::FileExt;
#[cfg(unix)]
use std::path::Path;
use std::time::SystemTime;

#[cfg(not(unix))]
use super::portable::read_at;
#[cfg(not(unix))]
pub(in super::super) use super::portable::write_at;

/// Reads from the beginning of `file` until `buffer` is full or the file ends.
pub(in super::super) fn read_start(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    // The first call reads a whole file of the right length, so there is no second one.
    while filled < buffer.len() {
        match read_at(file, &mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(buffer, at)
}

/// Writes all of `bytes` to `file`.
#[cfg(unix)]
pub(in super::super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Takes the lock of a file. It is given back when the file is closed. Answers `false` if somebody held it at
/// each of the `tries`.
pub(in super::super) fn lock(file: &File, tries: usize) -> io::Result<bool> {
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Puts the names in a directory on disk, so that they survive a power cut.
#[cfg(unix)]
pub(in super::super) fn sync_path(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns the time at which a file was last written.
pub(in super::super) fn modified(file: &File) -> io::Result<SystemTime> {
    file.metadata()?.modified()
}

/// Puts what was written to a file on disk, so that it survives a power cut.
pub(in super::super) fn sync(file: &File) -> io::Result<()> {
    file.sync_data()
}
