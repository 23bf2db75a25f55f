//! The file of one session, with its lock held.

use std::fs::File;
use std::io;

use super::buffer::Buffer;
use super::dir::{self, For, Opened, write_at};
use super::layout::{self, Content, Live, Read, State, Tombstone};
use super::name::{DAMAGED, Name};
use super::stop::{Doing, Stop, Try};
use super::{Durability, Files};
use crate::record::{Head, Key, Record};
use crate::store::StoreError;

/// How often a lock is tried before the operation waits in earnest. A lock is held for 5 µs, so
/// most are free when the holder's thread has been given a chance to go on.
pub(super) const PATIENT: usize = 16;
/// For what can as well be left undone.
pub(super) const ONCE: usize = 1;

/// How often in a row a file may be replaced while its lock is waited for.
const REOPENINGS: usize = 16;

/// The file of a session. While this lives nobody else writes to it, or puts another into its
/// place.
pub(super) struct Session<'d> {
    files: Files<'d>,
    key: Key,
    name: Name,
    file: File,
    len: u64,
}

impl<'d> Session<'d> {
    /// Opens the file and takes its lock, without waiting for it.
    ///
    /// # Errors
    /// [`Stop::Missing`] if there is no file, [`Stop::Busy`] if the lock is held for longer.
    pub(super) fn hold(files: Files<'d>, key: Key, patience: usize) -> Try<Self> {
        Self::hold_as(files, key, Name::session(key), patience)
    }

    /// The same for a file that the session was being moved into, or out of.
    pub(super) fn hold_moving(files: Files<'d>, key: Key, tag: u64, patience: usize) -> Try<Self> {
        Self::hold_as(files, key, Name::moving(key, tag), patience)
    }

    fn hold_as(files: Files<'d>, key: Key, name: Name, patience: usize) -> Try<Self> {
        for _ in 0..REOPENINGS {
            let file = open(files, &name, For::Writing)?;
            lock(&file, patience)?;
            let facts = files.dir.facts(&file).doing("looking at a session file")?;
            if let Some(what) = facts.stranger {
                return Err(report_stranger(&name, what));
            }
            // While the lock was waited for, its holder may have moved the session into another
            // file, or the sweeper deleted it: writing to this one would be a lost update.
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

    /// What the file says, for certain; never [`Content::Doubtful`].
    ///
    /// # Errors
    /// [`Stop::Missing`] if it was damaged, and is set aside now.
    pub(super) fn content<'b>(&self, buffer: &'b mut Buffer) -> Try<Content<'b>> {
        let bytes = buffer
            .read(&self.file, self.len)
            .doing("reading a session file")?;
        match layout::read(bytes, Read::UnderLock) {
            Content::Doubtful => {
                self.set_aside()
                    .doing("setting a damaged session file aside")?;
                Err(Stop::Missing)
            }
            content => Ok(content),
        }
    }

    /// Writes a record over the one in the file: into its other slot, or into another file.
    ///
    /// Answers `false` if the file was deleted meanwhile, by hand.
    pub(super) fn write(&self, over: Place, record: &Record, buffer: &mut Buffer) -> Try<bool> {
        let len = layout::payload_len(record);
        // The higher number is the record.
        let follows = record.head.revision.number > over.number;
        if !follows || layout::wants_other_file(over.capacity, len) {
            return self.move_into_other_file(over, record, buffer);
        }
        let slot = buffer.dirty(layout::slot_len(len));
        layout::write_slot(record, slot);
        write_at(
            &self.file,
            slot,
            layout::slot_at(over.capacity, 1 - over.slot),
        )
        .doing("writing a session file")?;
        self.sync()?;
        Ok(true)
    }

    /// Moves the idle expiry. It need not outlive a power cut, so it is never synced.
    pub(super) fn touch(&self, head: &Head) -> Result<(), StoreError> {
        write_at(&self.file, &layout::touch(head), layout::TOUCH_AT)
            .doing("touching a session file")
    }

    /// Turns the file into a tombstone; [`sync`](Self::sync) is the caller's.
    pub(super) fn bury(&self, over: Place, tombstone: Tombstone) -> Result<(), StoreError> {
        let state = layout::state(over.capacity, State::Tombstone(tombstone));
        write_at(&self.file, &state, 0).doing("writing a tombstone into a session file")
    }

    /// Makes what was written outlive a power cut, if it is to.
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

    /// How long ago the file was written, by the clock that stamps files.
    pub(super) fn age(&self) -> Result<std::time::Duration, StoreError> {
        let modified = dir::modified(&self.file).doing("looking at a session file")?;
        Ok(modified.elapsed().unwrap_or_default())
    }

    /// Writes the record into a file of a size that suits it, and puts that in this one's place.
    ///
    /// Stopped before the exchange, it leaves the old record and a file that the sweeper deletes;
    /// stopped after it, the new record and such a file.
    fn move_into_other_file(&self, over: Place, record: &Record, buffer: &mut Buffer) -> Try<bool> {
        let dir = self.files.dir;
        // The tag is this revision's alone, so nobody else's file is in the way.
        let new = Name::moving(self.key, record.head.revision.tag);
        let file = dir
            .create_file(new.as_str())
            .doing("creating a larger session file")?;
        let replaced = self.fill_and_replace(&file, &new, over, record, buffer);
        if !matches!(replaced, Ok(true)) {
            // It still has this name: an exchange that went wrong did not happen.
            let _ = dir.remove_file(new.as_str());
            return replaced;
        }
        sync_names(self.files, self.key)?;
        // Only now, with its place in the directory on disk, may others write to the new file.
        drop(file);
        Ok(true)
    }

    fn fill_and_replace(
        &self,
        file: &File,
        new: &Name,
        over: Place,
        record: &Record,
        buffer: &mut Buffer,
    ) -> Try<bool> {
        // Free, but for a sweeper that looks at it this moment. Without it the next writer could be
        // told *saved* before the exchange is on disk.
        lock(file, PATIENT)?;
        let capacity = layout::capacity_after(over.capacity, layout::payload_len(record));
        fill(self.files, file, record, capacity, buffer)?;
        match self.files.dir.replace(self.name.as_str(), new.as_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.doing("replacing a session file by a larger one")?,
        }
        // The old file, if the two were exchanged; what cannot be deleted is what the sweeper finds.
        let _ = self.files.dir.remove_file(new.as_str());
        Ok(true)
    }

    fn set_aside(&self) -> io::Result<()> {
        self.files.dir.make_dir(DAMAGED)?;
        let aside = Name::damaged(self.key);
        self.files.dir.rename(self.name.as_str(), aside.as_str())?;
        tracing::warn!(target: "bsession", file = %aside, "session_file_damaged");
        Ok(())
    }
}

/// Where in its file a record is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    slot: usize,
    capacity: u32,
    number: u64,
}

impl From<&Live<'_>> for Place {
    fn from(live: &Live<'_>) -> Self {
        Self {
            slot: live.slot,
            capacity: live.capacity,
            number: live.head.revision.number,
        }
    }
}

/// Opens a session's file.
pub(super) fn open(files: Files<'_>, name: &Name, what_for: For) -> Try<File> {
    match files
        .dir
        .open_file(name.as_str(), what_for)
        .doing("opening a session file")?
    {
        Opened::File(file) => Ok(file),
        Opened::Nothing => Err(Stop::Missing),
        Opened::Stranger(what) => Err(report_stranger(name, what)),
    }
}

/// Hands what is in a session's file to `see`: without the lock, unless it seems to be torn.
///
/// Four calls: open, look whose file it is and how long, read, close.
pub(super) fn peek<T>(files: Files<'_>, key: Key, see: impl FnOnce(Content<'_>) -> T) -> Try<T> {
    let name = Name::session(key);
    let file = open(files, &name, For::Reading)?;
    let facts = files.dir.facts(&file).doing("looking at a session file")?;
    if let Some(what) = facts.stranger {
        return Err(report_stranger(&name, what));
    }
    let mut buffer = Buffer::take();
    let bytes = buffer
        .read(&file, facts.len)
        .doing("reading a session file")?;
    match layout::read(bytes, Read::Freely) {
        Content::Doubtful => {
            drop(file);
            let session = Session::hold(files, key, PATIENT)?;
            Ok(see(session.content(&mut buffer)?))
        }
        content => Ok(see(content)),
    }
}

pub(super) fn report_stranger(name: &Name, what: &str) -> Stop {
    tracing::warn!(target: "bsession", file = %name, what, "no_session_file");
    Stop::Missing
}

/// Writes a whole new file.
///
/// Real bytes to its end: so a full disk is met here, and never by a save that has room.
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

/// Takes the lock of a file; it is given back when the file is closed.
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

/// Makes the names of the files beside a session's outlive a power cut, if they are to.
pub(super) fn sync_names(files: Files<'_>, key: Key) -> Result<(), StoreError> {
    match files.durability {
        Durability::Process => Ok(()),
        Durability::Disk => files
            .dir
            .sync(Name::bucket_of(key).as_str())
            .doing("syncing a directory of session files"),
    }
}
