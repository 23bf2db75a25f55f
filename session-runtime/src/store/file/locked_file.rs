//! The file of one session, with its lock held.

use std::fs::File;
use std::io;

use super::buffer::Buffer;
use super::dir::{self, For, Found, write_at};
use super::file_name::{DAMAGED, FileName};
use super::files::Files;
use super::layout::{self, Content, FileState, LiveRecord, ReadMode, Tombstone};
use super::settings::Durability;
use super::stop::{Doing, Stop, Try};
use crate::record::{Head, Key, Record};
use crate::store::StoreError;

/// The number of times that a lock is tried before the operation goes to sleep. A lock is held for 5 µs, so most are free once the
/// holder's thread has had its turn.
pub(super) const PATIENT: usize = 16;
/// The number of tries of an operation that may also be left out.
pub(super) const ONCE: usize = 1;

/// The number of times in a row that a file may be replaced while its lock is taken.
const REOPENINGS: usize = 16;

/// The file of a session, with its lock. While this lives, nobody else writes to it or replaces it.
pub(super) struct LockedFile<'d> {
    files: Files<'d>,
    key: Key,
    name: FileName,
    file: File,
    len: u64,
}

impl<'d> LockedFile<'d> {
    /// Opens the file and takes its lock. It does not sleep.
    ///
    /// # Errors
    /// [`Stop::Missing`] if there is no file, [`Stop::Busy`] if the lock is held for longer.
    pub(super) fn hold(files: Files<'d>, key: Key, patience: usize) -> Try<Self> {
        Self::hold_as(files, key, FileName::session(key), patience)
    }

    /// The same for a file into which, or out of which, the session was being moved.
    pub(super) fn hold_moving(files: Files<'d>, key: Key, tag: u64, patience: usize) -> Try<Self> {
        Self::hold_as(files, key, FileName::moving(key, tag), patience)
    }

    fn hold_as(files: Files<'d>, key: Key, name: FileName, patience: usize) -> Try<Self> {
        for _ in 0..REOPENINGS {
            let file = open(files, &name, For::Writing)?;
            lock(&file, patience)?;
            let facts = files.dir.facts(&file).doing("looking at a session file")?;
            if let Some(what) = facts.stranger {
                return Err(report_stranger(&name, what));
            }
            // The last holder of the lock may have moved the session into another file, or deleted it. What is
            // written to this one would be lost.
            match files
                .dir
                .identify(name.as_str())
                .doing("looking for a session file")?
            {
                Some(id) if id == facts.id => {
                    return Ok(Self {
                        files,
                        key,
                        name,
                        file,
                        len: facts.len,
                    });
                }
                Some(_) => {}
                None => return Err(Stop::Missing),
            }
        }
        Err(Stop::Busy)
    }

    /// Reads what is in the file. It is never [`Content::Doubtful`].
    ///
    /// # Errors
    /// [`Stop::Missing`] if it is damaged. It is set aside then.
    pub(super) fn content<'b>(&self, buffer: &'b mut Buffer) -> Try<Content<'b>> {
        let bytes = buffer
            .read(&self.file, self.len)
            .doing("reading a session file")?;
        match layout::read(bytes, ReadMode::UnderLock) {
            Content::Doubtful => {
                self.set_aside()
                    .doing("setting a damaged session file aside")?;
                Err(Stop::Missing)
            }
            content => Ok(content),
        }
    }

    /// Writes a record over the one in the file: into its other half, or into another file.
    ///
    /// Answers `false` if somebody deleted the file meanwhile, by hand.
    pub(super) fn write(
        &self,
        over: RecordPlace,
        record: &Record,
        buffer: &mut Buffer,
    ) -> Try<bool> {
        let len = layout::payload_len(record);
        // The half with the higher number is the record, so the new number has to be higher.
        let follows = record.head.revision.number > over.number;
        if !follows || layout::wants_other_file(over.capacity, len) {
            return self.move_into_other_file(over, record, buffer);
        }
        let half = buffer.dirty(layout::half_len(len));
        layout::write_half(record, half);
        write_at(
            &self.file,
            half,
            layout::half_at(over.capacity, 1 - over.half),
        )
        .doing("writing a session file")?;
        self.sync()?;
        Ok(true)
    }

    /// Writes a later idle expiry. It need not survive a power cut, so it is never synced.
    pub(super) fn touch(&self, head: &Head) -> Result<(), StoreError> {
        write_at(&self.file, &layout::touch(head), layout::TOUCH_AT)
            .doing("touching a session file")
    }

    /// Turns the file into a tombstone. The caller calls [`sync`](Self::sync).
    pub(super) fn bury(&self, over: RecordPlace, tombstone: Tombstone) -> Result<(), StoreError> {
        let state = layout::state(over.capacity, FileState::Tombstone(tombstone));
        write_at(&self.file, &state, 0).doing("writing a tombstone into a session file")
    }

    /// Puts what was written on disk, with [`Durability::Disk`].
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        sync_file(self.files, &self.file)
    }

    /// Deletes the file.
    pub(super) fn delete(&self) -> Result<(), StoreError> {
        self.files
            .dir
            .remove_file(self.name.as_str())
            .doing("deleting a session file")
    }

    /// The time since the file was last written, by the clock of the file system.
    pub(super) fn age(&self) -> Result<std::time::Duration, StoreError> {
        let modified = dir::modified(&self.file).doing("looking at a session file")?;
        Ok(modified.elapsed().unwrap_or_default())
    }

    /// Writes the record into a new file of the right size, which then takes the place of this one.
    ///
    /// A crash before the exchange leaves the old record, a crash after it the new one. Either leaves a second file,
    /// which the sweeper deletes.
    fn move_into_other_file(
        &self,
        over: RecordPlace,
        record: &Record,
        buffer: &mut Buffer,
    ) -> Try<bool> {
        let dir = self.files.dir;
        // No other revision has this tag, so no other file has this name.
        let new = FileName::moving(self.key, record.head.revision.tag);
        let file = dir
            .create_file(new.as_str())
            .doing("creating a larger session file")?;
        let replaced = self.fill_and_replace(&file, &new, over, record, buffer);
        if !matches!(replaced, Ok(true)) {
            // The new file still has this name: an exchange that fails changes nothing.
            let _ = dir.remove_file(new.as_str());
            return replaced;
        }
        sync_names(self.files, self.key)?;
        // The lock ends here: others may write to the new file only when its name is on disk.
        drop(file);
        Ok(true)
    }

    fn fill_and_replace(
        &self,
        file: &File,
        new: &FileName,
        over: RecordPlace,
        record: &Record,
        buffer: &mut Buffer,
    ) -> Try<bool> {
        // Only the sweeper can hold this lock, for a moment. It is needed: the next writer must not be told *saved*
        // before the exchange is on disk.
        lock(file, PATIENT)?;
        let capacity = layout::capacity_after(over.capacity, layout::payload_len(record));
        fill(self.files, file, record, capacity, buffer)?;
        match self.files.dir.replace(self.name.as_str(), new.as_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.doing("replacing a session file by a larger one")?,
        }
        // This deletes the old file, if the two were exchanged. If it fails, the sweeper does it later.
        let _ = self.files.dir.remove_file(new.as_str());
        Ok(true)
    }

    fn set_aside(&self) -> io::Result<()> {
        self.files.dir.make_dir(DAMAGED)?;
        let aside = FileName::damaged(self.key);
        self.files.dir.rename(self.name.as_str(), aside.as_str())?;
        tracing::warn!(target: "bsession", file = %aside, "session_file_damaged");
        Ok(())
    }
}

/// The half of its file in which a record is.
#[derive(Clone, Copy)]
pub(super) struct RecordPlace {
    half: usize,
    capacity: u32,
    number: u64,
}

impl From<&LiveRecord<'_>> for RecordPlace {
    fn from(live: &LiveRecord<'_>) -> Self {
        Self {
            half: live.half,
            capacity: live.capacity,
            number: live.head.revision.number,
        }
    }
}

/// Opens a session's file.
pub(super) fn open(files: Files<'_>, name: &FileName, what_for: For) -> Try<File> {
    match files
        .dir
        .open_file(name.as_str(), what_for)
        .doing("opening a session file")?
    {
        Found::File(file) => Ok(file),
        Found::Nothing => Err(Stop::Missing),
        Found::Stranger(what) => Err(report_stranger(name, what)),
    }
}

/// Reads a session's file and hands it to `see`. The lock is taken only if what was read is torn.
///
/// It takes four calls: open, statx (owner and length), pread, close.
pub(super) fn peek<T>(files: Files<'_>, key: Key, see: impl FnOnce(Content<'_>) -> T) -> Try<T> {
    let name = FileName::session(key);
    let file = open(files, &name, For::Reading)?;
    let facts = files.dir.facts(&file).doing("looking at a session file")?;
    if let Some(what) = facts.stranger {
        return Err(report_stranger(&name, what));
    }
    let mut buffer = Buffer::take();
    let bytes = buffer
        .read(&file, facts.len)
        .doing("reading a session file")?;
    match layout::read(bytes, ReadMode::Freely) {
        Content::Doubtful => {
            drop(file);
            let locked = LockedFile::hold(files, key, PATIENT)?;
            Ok(see(locked.content(&mut buffer)?))
        }
        content => Ok(see(content)),
    }
}

pub(super) fn report_stranger(name: &FileName, what: &str) -> Stop {
    tracing::warn!(target: "bsession", file = %name, what, "no_session_file");
    Stop::Missing
}

/// Writes a whole new file.
///
/// Its end is written, too, so that the file has all its blocks. A full disk then fails a creation, but no save that
/// fits into the file.
pub(super) fn fill(
    files: Files<'_>,
    file: &File,
    record: &Record,
    capacity: u32,
    buffer: &mut Buffer,
) -> Result<(), StoreError> {
    let bytes = buffer.zeros(layout::file_len(capacity));
    layout::write_file(record, capacity, bytes);
    write_at(file, bytes, 0).doing("writing a new session file")?;
    sync_file(files, file)
}

/// Takes the lock of a file. It is given back when the file is closed.
pub(super) fn lock(file: &File, patience: usize) -> Try<()> {
    match dir::lock(file, patience).doing("locking a session file")? {
        true => Ok(()),
        false => Err(Stop::Busy),
    }
}

pub(super) fn sync_file(files: Files<'_>, file: &File) -> Result<(), StoreError> {
    match files.durability {
        Durability::Process => Ok(()),
        Durability::Disk => dir::sync(file).doing("syncing a session file"),
    }
}

/// Puts the names in the directory of a session on disk, with [`Durability::Disk`].
pub(super) fn sync_names(files: Files<'_>, key: Key) -> Result<(), StoreError> {
    match files.durability {
        Durability::Process => Ok(()),
        Durability::Disk => files
            .dir
            .sync(FileName::bucket_of(key).as_str())
            .doing("syncing a directory of session files"),
    }
}
