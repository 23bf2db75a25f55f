//! The file store: one file a session, two slots a file, one lock for those who write.
//!
//! `layout` says what is in a file and why a reader needs no lock, `session` how one is locked
//! and written, `operations` what the store does, `index` and `listing` who has which sessions,
//! `lease` how requests go one after the other, `sweep` what is deleted and put back on lists,
//! `name` what files are called, `stop` why an operation ends early, and `dir` how everything is opened.
//!
//! What it costs, in system calls, each with its reason; a directory entry for the user comes on
//! top where it changes:
//!
//! | | |
//! |---|---|
//! | load | open, statx (whose file it is, and how long), pread (both slots, as one read), close |
//! | commit, end, touch | open, flock, statx, statx of the path (it still names this file), pread (what is to be written over), pwrite, close; a touch of a user's session also looks whether it is on their list |
//! | create | stat (the directory is still there), open, fstat (the mode, whatever the umask), flock, pwrite, close |
//! | renew | those of a commit, and between its pread and its pwrite those of a creation |
//! | lock | open, fstat (as a creation), flock, statx, statx of the path (as a commit); given back: unlink, close |
//!
//! No call blocks but for the disk. The pages of a session in use are in memory, and a
//! `spawn_blocking` there and back costs more than all of a commit, so they are made by whoever
//! asks, until the disk is slow or has to be waited for: see `pace`.

mod buffer;
mod checksum;
mod dir;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
mod layout;
mod lease;
mod listing;
mod name;
mod operations;
mod pace;
mod session;
mod settings;
mod stop;
mod sweep;
#[cfg(test)]
mod tests;

pub use self::settings::FileStore;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;

use self::dir::Dir;
use self::lease::Leased;
use self::pace::Pace;
use self::stop::{Doing, Stop, Try};
use self::sweep::Round;
use super::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose,
};
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};

/// What a save survives in the file store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The process, however it ends. A power cut or a crash of the whole machine may lose the
    /// last seconds, a logout among them. The default.
    #[default]
    Process,
    /// The machine: a save, a login or a logout that was answered is on disk. Each of them
    /// waits for the disk, on a thread that may block: 0.4 to 1.3 ms on the disks that this was measured
    /// on, where [`Process`](Self::Process) takes some microseconds.
    ///
    /// The time of the last visit, and so the expiry, may still be lost.
    Disk,
}

/// The first wait for a lock, once trying at once has not helped: what a timer can measure.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest one, so that whoever waits for a slow disk asks often enough not to starve.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Keeps sessions in the files of one directory, which several processes may share.
#[derive(Clone)]
pub(crate) struct OpenFiles(Arc<Shared>);

/// What operations have in common, wherever they are done.
struct Shared {
    path: PathBuf,
    durability: Durability,
    /// Replaced when somebody deletes the directory under a running service.
    dir: RwLock<Arc<Dir>>,
    round: Mutex<Round>,
    pace: Pace,
}

/// What every operation needs.
#[derive(Clone, Copy)]
struct Files<'d> {
    dir: &'d Arc<Dir>,
    path: &'d Path,
    durability: Durability,
}

impl Files<'_> {
    /// Whether the directory is still the one at its path.
    fn is_there(&self) -> Result<bool, StoreError> {
        self.dir
            .is_still_at(self.path)
            .doing("looking for the sessions directory")
    }
}

impl OpenFiles {
    /// Opens the directory at `path`, and makes it if it is missing.
    ///
    /// # Errors
    /// It cannot be made or used; the message says what is wrong with it and what to do, and
    /// leaves it to the caller to say which directory.
    pub(crate) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        // Absolute, lest a change of the working directory makes it another one; and without a
        // slash at its end, which would follow a symbolic link.
        let path: PathBuf = std::path::absolute(path)?.components().collect();
        let dir = RwLock::new(open(&path, durability)?);
        Ok(Self(Arc::new(Shared {
            path,
            durability,
            dir,
            round: Mutex::default(),
            pace: Pace::default(),
        })))
    }

    /// The absolute path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Does `op`, at once or later; `absent` is what it comes to if there is no such file.
    fn answer<T: Send + 'static>(
        &self,
        absent: fn() -> T,
        op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let is_long = false;
        self.answer_as(is_long, absent, op)
    }

    /// The same for what syncs, if anything is to outlive a power cut.
    fn answer_synced<T: Send + 'static>(
        &self,
        absent: fn() -> T,
        op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let is_long = self.0.durability == Durability::Disk;
        self.answer_as(is_long, absent, op)
    }

    /// The same for what looks at all sessions of a user, as many as there may be.
    fn answer_elsewhere<T: Send + 'static>(
        &self,
        absent: fn() -> T,
        op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let is_long = true;
        self.answer_as(is_long, absent, op)
    }

    fn answer_as<T: Send + 'static>(
        &self,
        is_long: bool,
        absent: fn() -> T,
        mut op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let waits = is_long || self.0.pace.is_slow();
        // Outside of a runtime there is no other thread to ask.
        if !waits || Handle::try_current().is_err() {
            match self.0.attempt(is_long, &mut op) {
                Err(Stop::Busy) => {}
                result => return Answer::Now(ended(result, absent)),
            }
        }
        Answer::later(Arc::clone(&self.0).answer_later(is_long, absent, op))
    }
}

/// Opens the directory. In an empty one the lists of all users are whole.
fn open(path: &Path, durability: Durability) -> io::Result<Arc<Dir>> {
    let dir = Arc::new(Dir::open(path, durability)?);
    let names = dir.list(".")?;
    if names.is_some_and(|mut names| names.next().is_none()) {
        let files = Files {
            dir: &dir,
            path,
            durability,
        };
        sweep::mark(files, name::WHOLE)?;
    }
    Ok(dir)
}

fn ended<T>(result: Try<T>, absent: fn() -> T) -> Result<T, StoreError> {
    match result {
        Ok(done) => Ok(done),
        Err(Stop::Missing) => Ok(absent()),
        Err(Stop::Failed(error)) => Err(error),
        // Nobody waits for a lock any more.
        Err(Stop::Busy) => Err(StoreError::TimedOut),
    }
}

impl Shared {
    /// Does `op` on another thread, again and again while a lock is held. Nothing is kept open or
    /// locked from one attempt to the next.
    async fn answer_later<T: Send + 'static>(
        self: Arc<Self>,
        is_long: bool,
        absent: fn() -> T,
        mut op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let shared = Arc::clone(&self);
            let attempt = move || {
                let result = shared.attempt(is_long, &mut op);
                (op, result)
            };
            let result;
            (op, result) = pace::elsewhere(attempt).await?;
            if !matches!(result, Err(Stop::Busy)) {
                return ended(result, absent);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn attempt<T>(&self, is_long: bool, op: &mut impl FnMut(Files<'_>) -> Try<T>) -> Try<T> {
        let mut attempt = || {
            let dir = self.dir();
            let result = op(self.files(&dir));
            if !matches!(result, Err(Stop::Missing)) {
                return result;
            }
            let there = self.restored()?;
            if Arc::ptr_eq(&dir, &there) {
                result
            } else {
                op(self.files(&there))
            }
        };
        // It takes its time on the fastest disk, as a sync does.
        if is_long {
            return attempt();
        }
        self.pace.of(attempt)
    }

    fn files<'d>(&'d self, dir: &'d Arc<Dir>) -> Files<'d> {
        Files {
            dir,
            path: &self.path,
            durability: self.durability,
        }
    }

    /// A hold of one's own on the directory: a guard, for as long as a disk may take, would keep
    /// others from replacing it, and whoever comes behind them from the disk.
    fn dir(&self) -> Arc<Dir> {
        // A panic cannot leave the directory half replaced.
        Arc::clone(&self.dir.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The directory at the path, opened anew if the one before was deleted or replaced.
    fn restored(&self) -> Result<Arc<Dir>, StoreError> {
        let dir = self.dir();
        if self.files(&dir).is_there()? {
            return Ok(dir);
        }
        let mut dir = self.dir.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here first.
        if !self.files(&dir).is_there()? {
            let opened = open(&self.path, self.durability).map_err(|source| {
                let text = format!(
                    "the sessions directory `{}` was replaced: {source}",
                    self.path.display()
                );
                StoreError::Io(io::Error::new(source.kind(), text))
            })?;
            *dir = opened;
            tracing::warn!(
                target: "bsession",
                path = %self.path.display(),
                hint = "what was in it is gone",
                "sessions_directory_replaced"
            );
        }
        Ok(Arc::clone(&dir))
    }
}

impl Store for OpenFiles {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        self.answer(|| None, move |files| operations::load(files, key))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        self.answer_synced(
            || Swap::Found(None),
            move |files| {
                // A directory that was moved away would take the session without an error, and lose it.
                if expected == Expected::Nothing && !files.is_there()? {
                    return Err(Stop::Missing);
                }
                operations::swap(files, key, expected, entry.as_ref(), now)
            },
        )
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let users = users.to_vec();
        self.answer_elsewhere(
            || Listed {
                entries: Vec::new(),
                whole: false,
            },
            move |files| listing::list(files, &users),
        )
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        self.answer_elsewhere(Scanned::default, move |files| {
            listing::scan(files, &cursor, budget)
        })
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        self.answer(
            || (),
            move |files| operations::touch(files, key, &head, now),
        )
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        self.answer_synced(
            || Swap::Found(None),
            move |files| operations::renew(files, old, over, new, &record, now),
        )
    }

    fn renews_at_once(&self) -> bool {
        true
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        let whose = whose.map(|whose| (whose.users.to_vec(), whose.which));
        self.answer_synced(
            || Ending::Nothing,
            move |files| {
                let goes = |head: &Head| {
                    whose.as_ref().is_none_or(|(users, which)| {
                        Whose {
                            users,
                            which: *which,
                        }
                        .includes(head)
                    })
                };
                operations::end(files, key, goes, now)
            },
        )
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        let shared = Arc::clone(&self.0);
        Some(self.answer(
            || None,
            move |files| {
                let leased = |locked| Leased {
                    shared: Arc::clone(&shared),
                    locked: Some(locked),
                };
                Ok(lease::take(files, key)?.map(leased).map(Lease::holding))
            },
        ))
    }

    /// Blocks the thread, which is the sweeper's.
    fn sweep(&self, _: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        let Self(shared) = self;
        Answer::ready(|| {
            let mut round = shared.round.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shared.dir();
            let dir = shared.restored()?;
            if !Arc::ptr_eq(&before, &dir) {
                *round = Round::default();
            }
            sweep::slice(&mut round, shared.files(&dir), now, budget)
        })
    }
}
