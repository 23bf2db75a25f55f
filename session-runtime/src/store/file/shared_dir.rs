//! The directory of a store, which all its operations share, on any thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::dir::Dir;
use super::files::Files;
use super::pace::Pace;
use super::settings::Durability;
use super::stop::{Stop, Try};
use super::sweep::Round;
use super::{opening, pace};
use crate::backoff::Backoff;
use crate::one_line::OneLine;
use crate::store::StoreError;

/// The first wait for a lock, once trying at once has not helped: the shortest that a timer can measure.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest one: short enough that an operation on a slow disk is not passed over for long.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// The directory of a store, with what its operations share.
pub(super) struct SharedDir {
    path: PathBuf,
    durability: Durability,
    /// Replaced when somebody deletes the directory under a running service.
    dir: RwLock<Arc<Dir>>,
    /// The place at which the sweeper goes on.
    pub(super) round: Mutex<Round>,
    pub(super) pace: Pace,
}

/// Turns the end of an operation into its answer; `absent` is the answer if there is no such file.
pub(super) fn ended<T>(result: Try<T>, absent: fn() -> T) -> Result<T, StoreError> {
    match result {
        Ok(done) => Ok(done),
        Err(Stop::Missing) => Ok(absent()),
        Err(Stop::Failed(error)) => Err(error),
        // Not met: both callers try again instead.
        Err(Stop::Busy) => Err(StoreError::TimedOut),
    }
}

impl SharedDir {
    /// Opens the directory at `path`, which is absolute.
    pub(super) fn open(path: PathBuf, durability: Durability) -> io::Result<Self> {
        Ok(Self {
            dir: RwLock::new(opening::open(&path, durability)?),
            path,
            durability,
            round: Mutex::default(),
            pace: Pace::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True if saves wait for the disk.
    pub(super) fn is_synced(&self) -> bool {
        self.durability == Durability::Disk
    }

    /// Does `op` on another thread, and again as long as a lock is held. Nothing is kept open or
    /// locked from one attempt to the next.
    pub(super) async fn answer_later<T: Send + 'static>(
        self: Arc<Self>,
        is_long: bool,
        absent: fn() -> T,
        mut op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
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
            backoff.wait().await;
        }
    }

    /// Does `op` once. If it finds no file, the directory may have been replaced; then it is done again in the new one.
    pub(super) fn attempt<T>(
        &self,
        is_long: bool,
        op: &mut impl FnMut(Files<'_>) -> Try<T>,
    ) -> Try<T> {
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
        // A sync or a long list is slow on the fastest disk, and says nothing of the disk.
        if is_long {
            return attempt();
        }
        self.pace.of(attempt)
    }

    pub(super) fn files<'d>(&'d self, dir: &'d Arc<Dir>) -> Files<'d> {
        Files {
            dir,
            path: &self.path,
            durability: self.durability,
        }
    }

    /// Returns the open directory. The lock on it is given back at once: held while a slow disk is waited for, it would
    /// keep another thread from replacing the directory, and then all threads behind that one.
    pub(super) fn dir(&self) -> Arc<Dir> {
        // Poisoned or not, there is a whole directory in it: it is replaced by one assignment.
        Arc::clone(&self.dir.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the directory at the path, opened again if the one before was deleted or replaced.
    pub(super) fn restored(&self) -> Result<Arc<Dir>, StoreError> {
        let dir = self.dir();
        if self.files(&dir).is_there()? {
            return Ok(dir);
        }
        let mut dir = self.dir.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here first.
        if !self.files(&dir).is_there()? {
            let opened = opening::open(&self.path, self.durability).map_err(|source| {
                let text = format!(
                    "the sessions directory `{}` was replaced: {source}",
                    self.path.display()
                );
                StoreError::Io(io::Error::new(source.kind(), text))
            })?;
            *dir = opened;
            tracing::warn!(
                target: "bsession",
                path = %OneLine(self.path.display()),
                hint = "what was in it is gone",
                "sessions_directory_replaced"
            );
        }
        Ok(Arc::clone(&dir))
    }
}
