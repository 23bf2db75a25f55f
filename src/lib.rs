#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use bsession_macros::session;
#[doc(inline)]
pub use bsession_runtime::{
    Answer, AtLimit, Body, Builder, Clock, Commit, Connection, Data, Durability, Error, Flash,
    Handle, Hooks, InitError, Key, Lease, Level, Listing, Loaded, LocalPath, Mode, NotHex,
    NotLocal, RETIRED, Record, Result, Revision, SameSite, Saved, Secret, Secure, Session,
    SessionInfo, Sessions, Stats, Store, StoreError, Summary, Swept, TOMBSTONE, Timestamp, UserKey,
    View, Which, connect, init,
};

#[cfg(feature = "testing")]
#[doc(inline)]
pub use bsession_runtime::testing;

#[cfg(doc)]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {
    #[allow(unused_imports, reason = "the guide links to them")]
    use crate::*;
}

#[cfg(doc)]
#[doc = include_str!("../docs/promises.md")]
pub mod promises {}

#[cfg(doc)]
#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

#[cfg(doc)]
#[doc = include_str!("../docs/speed.md")]
pub mod speed {}

/// What the attribute's expansion calls. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    /// Under a name that says so, for the compiler shows it to whom calls a handler.
    pub use bsession_runtime::Call as OnlyActixWebCallsThis;
    pub use bsession_runtime::{Csrf, Request, Saved, Words};
}
