//! The runtime of [bsession](https://docs.rs/bsession): sessions, tokens and stores.
//!
//! Use it through the `bsession` crate, which adds the `#[session]` attribute and the guide.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actix;
mod background;
mod backoff;
mod builder;
mod changes;
mod clock;
mod contents;
mod cookie;
mod csrf;
mod data;
mod error;
mod few;
mod fields;
mod finite;
mod flash;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
#[cfg(feature = "testing")]
mod jar;
mod lifetime;
mod local_path;
mod mode;
mod one_line;
mod origin;
mod random;
mod record;
mod seal;
mod secret;
mod service;
mod session;
mod stats;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
mod token;
mod view;
mod visit;

pub use ::cookie::SameSite;

#[doc(hidden)] // used by the expansion of the attribute
pub use crate::actix::{Call, Extractors, GateMiddleware, Request};
pub use crate::actix::{
    Connection, Gate, Hooks, HooksMiddleware, LoggedIn, Refusals, Refused, Saved, Visitor, connect,
    user_of,
};
pub use crate::builder::{Builder, init};
pub use crate::clock::{Clock, Timestamp};
pub use crate::cookie::Secure;
pub use crate::data::Data;
pub use crate::error::{Error, InitError, Result};
pub use crate::flash::{Flash, Level};
pub use crate::local_path::{LocalPath, NotLocal};
pub use crate::mode::Mode;
pub use crate::record::{
    Body, Handle, Head, Key, NotHex, RETIRED, Record, Revision, Summary, TOMBSTONE, UserKey,
};
pub use crate::secret::Secret;
pub use crate::service::{AtLimit, SessionInfo, Sessions};
pub use crate::session::{Session, Watch};
pub use crate::stats::Stats;
pub use crate::store::file::{Durability, FileStore};
pub use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;
pub use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Which, Whose,
};
pub use crate::view::View;
#[doc(hidden)]
pub use crate::view::Viewed;
