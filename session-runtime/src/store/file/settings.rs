//! The settings of the file store: which directory, and what a save survives.

use std::path::PathBuf;

use super::location;
use super::open_files::OpenFiles;
use crate::error::InitError;

/// The event that a save in the file store survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, however it ends. A power cut or a crash of the whole machine may lose the
    /// last seconds, which may include a logout. The default.
    #[default]
    Process,
    /// A power cut: a save, a login or a logout that was answered is on disk. Each of them
    /// waits for the disk, on a thread that may block: 0.4 to 1.3 ms on the disks that this was measured
    /// on, where [`Process`](Self::Process) takes some microseconds.
    ///
    /// The time of the last visit, and so the expiry, may still be lost.
    Disk,
}

/// Sessions in the files of one directory: they outlive the process, and several processes may share them.
///
/// ```
/// # use bsession_runtime as bsession;
/// # use bsession::{Durability, FileStore, Secret, Sessions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// # let path = place.path().join("sessions");
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(FileStore::at(path).durability(Durability::Disk))
///     .build()?; // creates the directory, and opens it
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a store is used when it is given to the builder of a service"]
pub struct FileStore {
    path: PathBuf,
    durability: Durability,
}

impl FileStore {
    /// Keeps sessions in the directory at `path`, which is created if it is missing.
    ///
    /// A relative path starts at the working directory of the moment at which the service is built. The directory is
    /// for sessions alone and for the user that this process runs as; the page
    /// [Operations](https://docs.rs/bsession/latest/bsession/operations/index.html) says where to put it.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
        }
    }

    /// Sets what a save survives. Default: [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens the directory, and warns if it is not where sessions should be.
    ///
    /// # Errors
    /// The same as those of [`OpenFiles::open`].
    pub(crate) fn open(&self) -> Result<OpenFiles, InitError> {
        let files = OpenFiles::open(&self.path, self.durability)?;
        location::warn(files.path(), files.file_system());
        Ok(files)
    }
}
