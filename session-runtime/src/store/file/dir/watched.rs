//! The directory in tests. Each thread may have a watcher, who sees its calls and delays them, fails them or writes
//! them down.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use super::super::settings::Durability;
use super::found::{FileFacts, FileId, For, Found};
use super::{Names, SystemDir, file};

/// A call that is about to be made. Names are relative to the directory.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum DirCall<'a> {
    Open(&'a str),
    Create(&'a str),
    MakeDir(&'a str),
    Identify(&'a str),
    Changed(&'a str),
    RemoveFile(&'a str),
    RemoveDir(&'a str),
    Rename {
        from: &'a str,
        to: &'a str,
    },
    Replace {
        old: &'a str,
        new: &'a str,
    },
    List(&'a str),
    SyncDir(&'a str),
    /// Syncs a directory in which the directory of the sessions was made.
    SyncPath(&'a Path),
    Facts(&'a File),
    Read(&'a File),
    Write(&'a File, &'a [u8], u64),
    Lock(&'a File, usize),
    SyncFile(&'a File),
}

/// The decision about a call.
#[derive(Debug)]
pub(in super::super) enum Verdict {
    Go,
    /// Writes only so many bytes, and then fails.
    Partly(usize, io::Error),
    Not(io::Error),
}

pub(in super::super) trait Watcher {
    /// Decides about a call before it is made.
    fn before(&self, call: &DirCall<'_>) -> Verdict;

    /// Hears of a call that succeeded.
    fn after(&self, _call: &DirCall<'_>) {}
}

thread_local! {
    static WATCHER: RefCell<Option<Rc<dyn Watcher>>> = const { RefCell::new(None) };
}

/// Does `work`, and shows its calls to `watcher`.
pub(in super::super) fn under<T>(watcher: Rc<dyn Watcher>, work: impl FnOnce() -> T) -> T {
    WATCHER.set(Some(watcher));
    let result = work();
    WATCHER.set(None);
    result
}

fn watch<T>(call: DirCall<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(watcher) = WATCHER.with_borrow(Clone::clone) else {
        return make();
    };
    match watcher.before(&call) {
        Verdict::Go => {}
        Verdict::Not(error) => return Err(error),
        Verdict::Partly(count, error) => {
            if let DirCall::Write(to, bytes, at) = call {
                file::write_at(to, &bytes[..count], at)?;
            }
            return Err(error);
        }
    }
    let result = make();
    if result.is_ok() {
        watcher.after(&call);
    }
    result
}

#[derive(Debug)]
pub(in super::super) struct WatchedDir(SystemDir);

impl WatchedDir {
    pub(in super::super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        SystemDir::open(path, durability).map(Self)
    }

    pub(in super::super) fn hold(&self) -> io::Result<()> {
        self.0.hold()
    }

    pub(in super::super) fn file_system(&self) -> Option<u32> {
        self.0.file_system()
    }

    pub(in super::super) fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_still_at(path)
    }

    pub(in super::super) fn open_file(&self, name: &str, what_for: For) -> io::Result<Found> {
        watch(DirCall::Open(name), || self.0.open_file(name, what_for))
    }

    pub(in super::super) fn create_file(&self, name: &str) -> io::Result<File> {
        watch(DirCall::Create(name), || self.0.create_file(name))
    }

    pub(in super::super) fn make_dir(&self, name: &str) -> io::Result<bool> {
        watch(DirCall::MakeDir(name), || self.0.make_dir(name))
    }

    pub(in super::super) fn identify(&self, name: &str) -> io::Result<Option<FileId>> {
        watch(DirCall::Identify(name), || self.0.identify(name))
    }

    pub(in super::super) fn facts(&self, file: &File) -> io::Result<FileFacts> {
        watch(DirCall::Facts(file), || self.0.facts(file))
    }

    pub(in super::super) fn changed(&self, name: &str) -> io::Result<i64> {
        watch(DirCall::Changed(name), || self.0.changed(name))
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        watch(DirCall::RemoveFile(name), || self.0.remove_file(name))
    }

    pub(in super::super) fn remove_dir(&self, name: &str) -> io::Result<()> {
        watch(DirCall::RemoveDir(name), || self.0.remove_dir(name))
    }

    pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        watch(DirCall::Rename { from, to }, || self.0.rename(from, to))
    }

    pub(in super::super) fn replace(&self, old: &str, new: &str) -> io::Result<()> {
        watch(DirCall::Replace { old, new }, || self.0.replace(old, new))
    }

    pub(in super::super) fn list(&self, name: &str) -> io::Result<Option<Names>> {
        watch(DirCall::List(name), || self.0.list(name))
    }

    pub(in super::super) fn sync(&self, name: &str) -> io::Result<()> {
        watch(DirCall::SyncDir(name), || self.0.sync(name))
    }
}

pub(in super::super) fn read_start(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    watch(DirCall::Read(file), || file::read_start(file, buffer))
}

pub(in super::super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    watch(DirCall::Write(file, bytes, at), || {
        file::write_at(file, bytes, at)
    })
}

pub(in super::super) fn lock(file: &File, tries: usize) -> io::Result<bool> {
    watch(DirCall::Lock(file, tries), || file::lock(file, tries))
}

pub(in super::super) fn modified(file: &File) -> io::Result<SystemTime> {
    watch(DirCall::Facts(file), || file::modified(file))
}

pub(in super::super) fn sync(file: &File) -> io::Result<()> {
    watch(DirCall::SyncFile(file), || file::sync(file))
}

#[cfg(unix)]
pub(super) fn sync_path(path: &Path) -> io::Result<()> {
    watch(DirCall::SyncPath(path), || file::sync_path(path))
}
