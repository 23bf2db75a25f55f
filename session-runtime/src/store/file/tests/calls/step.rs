//! A call that a thread is about to make, and what it has to do with the calls of others.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, LazyLock};

use super::scenario::{ONE, THREE, TWO};
use super::*;
use crate::store::file::dir::watched::DirCall;
use crate::store::file::file_name::LOCKS;

/// Two of them come to the same in either order if neither changes what the other sees or changes.
#[derive(Clone, Debug)]
pub(super) struct CallStep {
    pub(super) what: String,
    pub(super) reads: Vec<String>,
    pub(super) writes: Vec<String>,
    /// The file whose lock is asked for, opened by nobody who has to do with it.
    pub(super) lock: Option<Arc<File>>,
    /// True if it waits for that lock.
    pub(super) waits: bool,
}

impl CallStep {
    /// Describes the files and names that a call reads and writes. Answers `None` if it never matters who makes it
    /// first.
    pub(super) fn of(call: &DirCall<'_>) -> Option<Self> {
        let name = |name: &str| format!("name {name}");
        // Its names, as they are listed.
        let dir = |of: &str| format!("dir {}", of.rsplit_once('/').map_or(".", |(dir, _)| dir));
        let data = |file: &File| format!("data {}", file.metadata().unwrap().ino());
        let (reads, writes) = match *call {
            DirCall::Open(of) | DirCall::Identify(of) | DirCall::Changed(of) => {
                (vec![name(of)], vec![])
            }
            // A directory in which nobody of the scenario is.
            DirCall::List(of) if !matters(of) => return None,
            DirCall::List(of) => (vec![name(of), format!("dir {of}")], vec![]),
            DirCall::Create(of) | DirCall::RemoveFile(of) => (vec![], vec![name(of), dir(of)]),
            DirCall::MakeDir(of) | DirCall::RemoveDir(of) => (
                vec![format!("dir {of}")],
                vec![name(of), dir(of), format!("dir {of}")],
            ),
            DirCall::Rename { from, to } | DirCall::Replace { old: from, new: to } => {
                (vec![], vec![name(from), name(to), dir(from), dir(to)])
            }
            DirCall::Facts(file) | DirCall::Read(file) => (vec![data(file)], vec![]),
            DirCall::Write(file, ..) => (vec![], vec![data(file)]),
            // The lock itself is in `CallState::locks`.
            DirCall::Lock(..) => (vec![], vec![]),
            DirCall::SyncDir(_) | DirCall::SyncPath(_) | DirCall::SyncFile(_) => return None,
        };
        let (lock, waits) = match call {
            DirCall::Lock(file, tries) => {
                let again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
                (Some(Arc::new(again.unwrap())), *tries > 1)
            }
            _ => (None, false),
        };
        Some(Self {
            what: described(call),
            reads,
            writes,
            lock,
            waits,
        })
    }

    pub(super) fn has_to_do_with(&self, other: &Self) -> bool {
        let meets = |one: &[String], two: &[String]| one.iter().any(|thing| two.contains(thing));
        meets(&self.writes, &other.writes)
            || meets(&self.writes, &other.reads)
            || meets(&self.reads, &other.writes)
    }

    /// False while it waits for a lock that is held.
    pub(super) fn can_go_on(&self) -> bool {
        !self.waits || !self.lock.as_deref().is_some_and(is_held)
    }
}

pub(super) fn is_held(lock: &File) -> bool {
    let is_free = lock.try_lock_shared().is_ok();
    if is_free {
        lock.unlock().unwrap();
    }
    !is_free
}

pub(super) fn lock_of(file: &File) -> String {
    format!("lock {}", file.metadata().unwrap().ino())
}

/// True for the directory of a session or a user of the scenarios.
pub(super) fn matters(dir: &str) -> bool {
    static THEIRS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let sessions = [ONE, TWO, THREE].map(FileName::bucket_of);
        let users = [1, 2].map(user);
        let buckets = users.map(|user| FileName::users_bucket(user.0[0]));
        let names = sessions
            .into_iter()
            .chain(buckets)
            .chain(users.map(FileName::user));
        let names = names.map(|name| name.to_string());
        names.chain([LOCKS.to_owned()]).collect()
    });
    THEIRS.contains(dir)
}

fn described(call: &DirCall<'_>) -> String {
    match call {
        DirCall::Write(_, bytes, at) => format!("Write {} bytes at {at}", bytes.len()),
        DirCall::Facts(_) => "Facts".to_owned(),
        DirCall::Read(_) => "Read".to_owned(),
        DirCall::Lock(..) => "Lock".to_owned(),
        call => format!("{call:?}"),
    }
}
