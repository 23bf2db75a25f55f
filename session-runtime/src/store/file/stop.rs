//! The reason why an operation stopped before its end.

use std::fmt;
use std::io;

use crate::store::StoreError;

/// The reason why an operation stopped before its end. The store itself deals with all but the last.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody holds the lock: try again later.
    Busy,
    /// There is no such file. The directory may be gone, too.
    Missing,
    Failed(StoreError),
}

pub(super) type Try<T> = Result<T, Stop>;

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Adds to an error of the operating system what was being done.
pub(super) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| {
            StoreError::Io(io::Error::new(source.kind(), Failed { what, source }))
        })
    }
}

#[derive(Debug)]
struct Failed {
    what: &'static str,
    source: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
