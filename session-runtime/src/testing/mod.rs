//! Tools for tests.
//!
//! To test an application: a [`Client`] that keeps cookies, and a clock that the test moves. To test a store: a suite
//! that checks every sentence of the contract.
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
//! This module needs the feature `testing`, which belongs among the dev-dependencies:
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

/// Returns a service for one test, and its clock. It keeps sessions in memory and has its own random secret.
///
/// A test that needs other settings builds a service: `Sessions::builder(Secret::random()?).clock(clock.clone())…`.
///
/// ```
/// # use bsession::testing;
/// let (sessions, clock) = testing::sessions();
/// clock.advance(testing::days(31)); // every session made before this has expired
/// ```
///
/// # Panics
/// Panics if the operating system gives no random bytes or no thread.
#[must_use]
pub fn sessions() -> (Sessions, Clock) {
    let clock = Clock::default();
    let secret = Secret::random();
    let sessions = secret.and_then(|secret| Sessions::builder(secret).clock(clock.clone()).build());
    let sessions = sessions.unwrap_or_else(|error| panic!("no sessions for a test: {error}"));
    (sessions, clock)
}

/// Returns `count` days of 24 hours, to move a clock by.
#[must_use]
pub fn days(count: u32) -> Duration {
    clock::days(count)
}

/// Opens the store of a mode, so that a test can wrap it or compare with it.
///
/// ```
/// # use bsession::{MemoryStore, testing};
/// let store = testing::store(MemoryStore::new().max_sessions(10));
/// ```
///
/// # Panics
/// Panics if the store cannot be opened: because of an impossible setting, or a directory that cannot be used.
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
