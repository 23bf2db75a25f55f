#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use bsession_macros::session;
#[doc(inline)]
pub use bsession_runtime::{
    AtLimit, Builder, Clock, Connection, Data, Durability, Error, FileStore, Flash, Gate, Handle,
    Hooks, InitError, Level, LocalPath, LoggedIn, MemoryStore, Mode, NotHex, NotLocal, Refusals,
    Refused, Result, SameSite, Saved, Secret, Secure, Session, SessionInfo, Sessions, Stats,
    Timestamp, View, Visitor, Watch, connect, init, user_of,
};

#[cfg(feature = "redis")]
#[doc(inline)]
pub use bsession_runtime::RedisStore;

/// The contract for a custom store, and the types in that contract.
///
/// [`Builder::mode`] accepts a custom store, and
/// [`testing::contract`](https://docs.rs/bsession/latest/bsession/testing/fn.contract.html) checks it. The example
/// `own_store` keeps sessions in an embedded database.
pub mod store {
    #[cfg(doc)]
    use crate::Builder;
    #[doc(inline)]
    pub use bsession_runtime::{
        Answer, Body, Cursor, Ending, Entry, Expected, Head, Key, Lease, Listed, RETIRED, Record,
        Revision, Scanned, Store, StoreError, Summary, Swap, Swept, TOMBSTONE, UserKey, Which,
        Whose,
    };
}

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

/// The items that the attribute's expansion uses. They are not part of the public interface.
#[doc(hidden)]
pub mod __private {
    /// The name is a message, because the compiler shows it to a user who calls a handler.
    pub use bsession_runtime::Call as OnlyActixWebCallsThis;
    pub use bsession_runtime::{Extractors, Gate, Request, Saved};
}
