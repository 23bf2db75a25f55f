//! The open directory, as an operation gets it.

use std::path::Path;
use std::sync::Arc;

use super::dir::Dir;
use super::settings::Durability;
use super::stop::Doing;
use crate::store::StoreError;

/// The open directory, as an operation gets it.
#[derive(Clone, Copy)]
pub(super) struct Files<'d> {
    pub(super) dir: &'d Arc<Dir>,
    pub(super) path: &'d Path,
    pub(super) durability: Durability,
}

impl Files<'_> {
    /// Answers whether the directory is still the one at its path.
    pub(super) fn is_there(&self) -> Result<bool, StoreError> {
        self.dir
            .is_still_at(self.path)
            .doing("looking for the sessions directory")
    }
}
