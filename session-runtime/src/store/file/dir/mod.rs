//! The directory of the sessions, and how its files are opened: here all hardening is.
//!
//! On Unix the directory is kept open and everything happens relative to it, follows no symbolic
//! link and is for our own user only. Elsewhere it is plain paths, and the directory is as safe
//! as its owner made it.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::{Dir, Names};

#[cfg(not(unix))]
mod portable;
#[cfg(not(unix))]
pub(super) use portable::{Dir, Names};

use std::fs::File;
use std::io;
use std::time::SystemTime;

/// For what a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

/// What is found under a name.
#[derive(Debug)]
pub(super) enum Opened {
    File(File),
    Nothing,
    /// Something that no session is in; this is what it is.
    Stranger(&'static str),
}

/// What is known of an open file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) id: FileId,
    pub(super) len: u64,
    pub(super) modified: SystemTime,
    /// Why no session is in it, if it is not a regular file of our user.
    pub(super) stranger: Option<&'static str>,
}

/// Which file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

/// Reads from the beginning of `file` until `buffer` is full or the file ends.
pub(super) fn read_start(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    // A file of sound length is read by the first call, and there is no second one.
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
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(buffer, at)
}

/// Writes all of `bytes` to `file`.
#[cfg(unix)]
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

#[cfg(not(unix))]
use portable::read_at;
#[cfg(not(unix))]
pub(super) use portable::write_at;
