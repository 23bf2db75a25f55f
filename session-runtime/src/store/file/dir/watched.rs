//! The directory of the tests: the same, but each thread may have somebody who watches its calls,
//! and lets them wait, fails them or writes them down.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use super::super::Durability;
use super::{Facts, FileId, For, Names, Opened, file, system};

/// What is about to be asked of the system. Names are relative to the directory.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Call<'a> {
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
    /// The directory of the sessions is being made in this one.
    SyncPath(&'a Path),
    Facts(&'a File),
    Read(&'a File),
    Write(&'a File, &'a [u8], u64),
    Lock(&'a File, usize),
    SyncFile(&'a File),
}

/// What becomes of a call.
#[derive(Debug)]
pub(in super::super) enum Verdict {
    Go,
    /// Of a write only so many bytes, and then the error.
    Partly(usize, io::Error),
    Not(io::Error),
}

pub(in super::super) trait Watcher {
    /// Before a call.
    fn before(&self, call: &Call<'_>) -> Verdict;

    /// After one that succeeded.
    fn after(&self, _call: &Call<'_>) {}
}

thread_local! {
    static WATCHER: RefCell<Option<Rc<dyn Watcher>>> = const { RefCell::new(None) };
}

/// Does `work` under the eyes of `watcher`.
pub(in super::super) fn under<T>(watcher: Rc<dyn Watcher>, work: impl FnOnce() -> T) -> T {
    WATCHER.set(Some(watcher));
    let result = work();
    WATCHER.set(None);
    result
}

fn watch<T>(call: Call<'_>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(watcher) = WATCHER.with_borrow(Clone::clone) else {
        return make();
    };
    match watcher.before(&call) {
        Verdict::Go => {}
        Verdict::Not(error) => return Err(error),
        Verdict::Partly(count, error) => {
            if let Call::Write(to, bytes, at) = call {
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
pub(in super::super) struct Dir(system::Dir);

impl Dir {
    pub(in super::super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        system::Dir::open(path, durability).map(Self)
    }

    pub(in super::super) fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_still_at(path)
    }

    pub(in super::super) fn open_file(&self, name: &str, what_for: For) -> io::Result<Opened> {
        watch(Call::Open(name), || self.0.open_file(name, what_for))
    }

    pub(in super::super) fn create_file(&self, name: &str) -> io::Result<File> {
        watch(Call::Create(name), || self.0.create_file(name))
    }

    pub(in super::super) fn make_dir(&self, name: &str) -> io::Result<bool> {
        watch(Call::MakeDir(name), || self.0.make_dir(name))
    }

    pub(in super::super) fn identify(&self, name: &str) -> io::Result<Option<FileId>> {
        watch(Call::Identify(name), || self.0.identify(name))
    }

    pub(in super::super) fn facts(&self, file: &File) -> io::Result<Facts> {
        watch(Call::Facts(file), || self.0.facts(file))
    }

    pub(in super::super) fn changed(&self, name: &str) -> io::Result<i64> {
        watch(Call::Changed(name), || self.0.changed(name))
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        watch(Call::RemoveFile(name), || self.0.remove_file(name))
    }

    pub(in super::super) fn remove_dir(&self, name: &str) -> io::Result<()> {
        watch(Call::RemoveDir(name), || self.0.remove_dir(name))
    }

    pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        watch(Call::Rename { from, to }, || self.0.rename(from, to))
    }

    pub(in super::super) fn replace(&self, old: &str, new: &str) -> io::Result<()> {
        watch(Call::Replace { old, new }, || self.0.replace(old, new))
    }

    pub(in super::super) fn list(&self, name: &str) -> io::Result<Option<Names>> {
        watch(Call::List(name), || self.0.list(name))
    }

    pub(in super::super) fn sync(&self, name: &str) -> io::Result<()> {
        watch(Call::SyncDir(name), || self.0.sync(name))
    }
}

pub(in super::super) fn read_start(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    watch(Call::Read(file), || file::read_start(file, buffer))
}

pub(in super::super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    watch(Call::Write(file, bytes, at), || {
        file::write_at(file, bytes, at)
    })
}

pub(in super::super) fn lock(file: &File, tries: usize) -> io::Result<bool> {
    watch(Call::Lock(file, tries), || file::lock(file, tries))
}

pub(in super::super) fn modified(file: &File) -> io::Result<SystemTime> {
    watch(Call::Facts(file), || file::modified(file))
}

pub(in super::super) fn sync(file: &File) -> io::Result<()> {
    watch(Call::SyncFile(file), || file::sync(file))
}

#[cfg(unix)]
pub(super) fn sync_path(path: &Path) -> io::Result<()> {
    watch(Call::SyncPath(path), || file::sync_path(path))
}
