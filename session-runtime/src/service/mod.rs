//! The session service: turns the tokens of a request into a session, and changes into a record.

mod close;
mod codec;
mod cookies;
mod deadline;
mod import;
mod keep;
mod limit;
mod load;
mod locks;
mod neighbours;
mod purge;
mod revocation;
mod rivals;
mod save;
#[allow(clippy::module_inception, reason = "a file is named after its noun")]
mod service;
mod sessions;
mod standing;
mod storage;
mod sweeper;
mod unclaimed;
mod users;
mod watcher;
mod watches;
mod withheld;
mod write;

pub(crate) use self::cookies::{CookieChange, Presented};
pub use self::limit::AtLimit;
pub(crate) use self::limit::Limit;
pub(crate) use self::locks::Turn;
pub(crate) use self::save::Outcome;
pub(crate) use self::service::{Config, ServiceParts};
pub use self::sessions::Sessions;
pub(crate) use self::standing::{Live, Standing};
pub use self::users::SessionInfo;
pub(crate) use self::watcher::Watcher;
pub(crate) use self::withheld::Withheld;
