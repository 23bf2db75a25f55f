//! The settings of file mode.

use std::path::PathBuf;

use super::{Durability, OpenFiles};
use crate::error::InitError;

/// Keeps sessions in sealed files of one directory: they outlive the process, and several processes may share them.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct FileStore {
    path: PathBuf,
    durability: Durability,
}

impl FileStore {
    /// Files below this directory, which is made if it is missing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
        }
    }

    /// The accidents that a save survives. Default: [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    pub(crate) fn open(&self) -> Result<OpenFiles, InitError> {
        OpenFiles::open(&self.path, self.durability).map_err(|source| InitError::Directory {
            path: self.path.clone(),
            source,
        })
    }
}
