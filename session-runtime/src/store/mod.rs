//! The contract of a store, and the stores that come with the library.

mod answer;
mod arc;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub(crate) mod asked;
mod contract;
pub(crate) mod entry;
#[cfg(test)]
mod explorer;
pub(crate) mod file;
pub(crate) mod lease;
mod ledger;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

pub use self::answer::{Answer, StoreError};
pub use self::contract::Store;
pub(crate) use self::contract::is_renewed_to;
#[cfg(any(test, feature = "redis"))]
pub(crate) use self::contract::renew_by_swaps;
pub use self::entry::{
    Cursor, Ending, Entry, Expected, Listed, Scanned, Swap, Swept, Which, Whose,
};
pub use self::lease::Lease;
pub(crate) use self::ledger::{AT_ONCE, Commit, Ledger, Listing, Loaded, RENEWALS, UserSessions};
