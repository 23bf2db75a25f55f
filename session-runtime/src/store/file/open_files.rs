//! The store. Each operation is done at once on the thread that asks, or later on one that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tokio::runtime::Handle;

use super::files::Files;
use super::lease::Leased;
use super::settings::Durability;
use super::shared_dir::{SharedDir, ended};
use super::stop::{Stop, Try};
use super::sweep::Round;
use super::{lease, listing, operations, sweep};
use crate::clock::Timestamp;
use crate::error::InitError;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, Swap, Swept, Whose,
};

/// The store of an open directory, which several processes may share.
#[derive(Clone)]
pub(crate) struct OpenFiles(pub(super) Arc<SharedDir>);

impl OpenFiles {
    /// Opens the directory at `path`, and makes it if it is missing.
    ///
    /// # Errors
    /// [`InitError::Directory`] if it cannot be made or used. The message names the absolute path, and says what is
    /// wrong with it and what to do.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, InitError> {
        // Absolute, so that a change of the working directory does not make it another one. Without a slash at its
        // end, since that would follow a symbolic link.
        let absolute = std::path::absolute(path).map(|path| path.components().collect());
        let named = absolute
            .as_ref()
            .map_or_else(|_| path.to_owned(), PathBuf::clone);
        let opened = absolute.and_then(|path| SharedDir::open(path, durability));
        match opened {
            Ok(shared) => Ok(Self(Arc::new(shared))),
            Err(source) => Err(InitError::Directory {
                path: named,
                source,
            }),
        }
    }

    /// The absolute path of the directory.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The number by which Linux knows the file system of the directory.
    pub(super) fn file_system(&self) -> Option<u32> {
        self.0.dir().file_system()
    }

    /// Does `op`, at once or later; `absent` is the answer if there is no such file.
    fn answer<T: Send + 'static>(
        &self,
        absent: fn() -> T,
        op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let is_long = false;
        self.answer_as(is_long, absent, op)
    }

    /// The same for an operation that waits for the disk with [`Durability::Disk`].
    fn answer_synced<T: Send + 'static>(
        &self,
        absent: fn() -> T,
        op: impl FnMut(Files<'_>) -> Try<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let is_long = self.0.is_synced();
        self.answer_as(is_long, absent, op)
    }

    /// The same for an operation that looks at all sessions of a user, of which there may be many.
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
                // A directory that was moved away would take the session without an error, and nobody would find it.
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

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        let keys = keys.to_vec();
        self.answer_elsewhere(Vec::new, move |files| operations::heads(files, &keys))
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

    /// Blocks the thread. It is called on the sweeper's own thread.
    fn sweep(&self, _: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        let Self(shared) = self;
        Answer::ready(|| {
            let mut round = shared.round.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shared.dir();
            let dir = shared.restored()?;
            if !Arc::ptr_eq(&before, &dir) {
                *round = Round::default();
            }
            // A program that deletes by age may have had the lock when the directory was opened.
            let _ = dir.hold();
            sweep::slice(&mut round, shared.files(&dir), now, budget)
        })
    }
}
