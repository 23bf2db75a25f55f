//! The promises that hold for any input bytes. The fuzz targets in `fuzz/` call these functions, and so do the tests,
//! with the seeds of the targets.
//!
//! Each function panics if a promise is broken. Random bytes seldom get past a MAC or a checksum, so each function
//! uses its input twice: as the bytes themselves, and as a list of edits to valid bytes.

#![allow(clippy::unwrap_used, reason = "whoever panics says where")]

mod cookie;
mod inputs;
mod seal;
#[cfg(test)]
mod tests;
mod token;

pub use self::cookie::cookie;
pub(crate) use self::inputs::{edited, from_hex};
pub use self::seal::seal;
pub use self::token::token;
pub use crate::store::file::fuzzing::record;
