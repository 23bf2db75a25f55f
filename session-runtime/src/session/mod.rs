//! The session as a handler sees it: a dictionary and its user.

mod dictionary;
mod flashes;
mod identity;
#[allow(clippy::module_inception, reason = "a file is named after its noun")]
mod session;
mod watch;

pub use self::session::Session;
pub(crate) use self::session::{Backing, Baseline, Facts};
pub use self::watch::Watch;
pub(crate) use self::watch::Watched;
