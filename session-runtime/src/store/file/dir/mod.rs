//! The directory of the sessions, and how its files are opened. All hardening is here.
//!
//! On Unix the directory is kept open. Every call is relative to it, follows no symbolic link, and what it makes is
//! for our own user alone. On other systems, calls use plain paths, and the directory is as safe as its owner made it.

mod file;
mod found;
#[cfg(unix)]
mod look;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod root;
#[cfg(unix)]
mod unix;
#[cfg(test)]
pub(super) mod watched;

#[cfg(all(unix, not(test)))]
use file::sync_path;
#[cfg(not(test))]
pub(super) use file::{lock, modified, read_start, sync, write_at};
pub(super) use found::{FileId, For, Found};
#[cfg(all(not(unix), not(test)))]
pub(super) use portable::PlainDir as Dir;
#[cfg(all(not(unix), test))]
use portable::PlainDir as SystemDir;
#[cfg(not(unix))]
pub(super) use portable::PlainNames as Names;
#[cfg(all(unix, not(test)))]
pub(super) use unix::UnixDir as Dir;
#[cfg(all(unix, test))]
use unix::UnixDir as SystemDir;
#[cfg(unix)]
pub(super) use unix::UnixNames as Names;
#[cfg(all(unix, test))]
use watched::sync_path;
#[cfg(test)]
pub(super) use watched::{WatchedDir as Dir, lock, modified, read_start, sync, write_at};
