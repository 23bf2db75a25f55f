//! The directory of the sessions, and how its files are opened: here all hardening is.
//!
//! On Unix the directory is kept open and everything happens relative to it, follows no symbolic
//! link and is for our own user only. Elsewhere it is plain paths, and the directory is as safe
//! as its owner made it.

mod file;
#[cfg(unix)]
mod look;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(test)]
pub(super) mod watched;

#[cfg(not(unix))]
use portable as system;
#[cfg(unix)]
use unix as system;

#[cfg(all(unix, not(test)))]
use file::sync_path;
#[cfg(not(test))]
pub(super) use file::{lock, modified, read_start, sync, write_at};
#[cfg(not(test))]
pub(super) use system::Dir;
pub(super) use system::Names;
#[cfg(all(unix, test))]
use watched::sync_path;
#[cfg(test)]
pub(super) use watched::{Dir, lock, modified, read_start, sync, write_at};

use std::fs::File;

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
    /// Why no session is in it, if it is not a regular file of our user.
    pub(super) stranger: Option<&'static str>,
}

/// Which file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}
