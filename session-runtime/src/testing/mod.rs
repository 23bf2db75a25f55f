//! For tests: of applications, with a [`Client`] that keeps cookies and a clock to turn; and of stores, with a
//! suite that runs every sentence of the contract against one.
//!
//! ```
//! use bsession::testing;
//! # use bsession::{Mode, store::Store};
//! # struct YourStore;
//! # impl YourStore { fn new() -> impl Store { testing::store(Mode::Memory) } }
//!
//! # #[actix_web::main]
//! # async fn main() {
//! testing::contract(|| YourStore::new()).await;
//! # }
//! ```
//!
//! With the feature `testing`, which belongs among the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! bsession = { version = "0.1", features = ["testing"] }
//! ```

mod ask;
mod contract;
mod faults;
mod locks;
mod races;
mod record;
mod swaps;
mod users;

use std::sync::Arc;
use std::time::Duration;

pub use contract::contract;
pub use faults::{Fault, FaultyStore};

pub use crate::actix::{Client, Reply};
use crate::clock::{self, Clock};
use crate::mode::{Mode, Opening};
use crate::secret::Secret;
use crate::service::Sessions;
use crate::store::Store;

/// A service for one test, in memory and with a secret of its own, and the clock that it goes by.
///
/// With other settings a test builds one: `Sessions::builder(Secret::random()?).clock(clock.clone())…`.
///
/// ```
/// # use bsession::testing;
/// let (sessions, clock) = testing::sessions();
/// clock.advance(testing::days(31)); // and every session of before has expired
/// ```
///
/// # Panics
/// The operating system gives no random bytes, or no thread.
#[must_use]
pub fn sessions() -> (Sessions, Clock) {
    let clock = Clock::default();
    let secret = Secret::random();
    let sessions = secret.and_then(|secret| Sessions::builder(secret).clock(clock.clone()).build());
    let sessions = sessions.unwrap_or_else(|error| panic!("no sessions for a test: {error}"));
    (sessions, clock)
}

/// So many days of 24 hours, for a clock to be turned.
#[must_use]
pub fn days(count: u32) -> Duration {
    clock::days(count)
}

/// Opens the store of a mode, to wrap it or to compare with it.
///
/// ```
/// # use bsession::{MemoryStore, testing};
/// let store = testing::store(MemoryStore::new().max_sessions(10));
/// ```
///
/// # Panics
/// The store cannot be opened: an impossible setting, or a directory that cannot be used.
#[must_use]
pub fn store(mode: impl Into<Mode>) -> Arc<dyn Store> {
    let opened = mode.into().open(&Opening {
        store_timeout: Duration::from_secs(2),
        counters: &Arc::default(),
    });
    opened
        .unwrap_or_else(|error| panic!("no store for a test: {error}"))
        .store
}
