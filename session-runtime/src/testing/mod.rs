//! For tests: of applications, with a [`Client`] that keeps cookies and a clock to turn; and of stores, with a
//! suite that runs every sentence of the contract against one.
//!
//! ```
//! # use std::sync::Arc;
//! use bsession::testing;
//! # use bsession::store::Store;
//! # #[derive(Default)] struct YourStore;
//! # impl YourStore { fn new() -> Arc<dyn Store> { testing::memory_store() } }
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

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use contract::contract;
pub use faults::{Fault, FaultyStore};

pub use crate::actix::{Client, Reply};
#[cfg(feature = "redis")]
use crate::builder::no_address;
use crate::clock::{self, Clock};
#[cfg(feature = "redis")]
use crate::error::InitError;
use crate::secret::Secret;
use crate::service::Sessions;
use crate::store::Store;
use crate::store::file::{Durability, FileStore};
use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
use crate::store::redis::RedisStore;

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

/// The store of [`Mode::Memory`](crate::Mode::Memory), to be wrapped or compared with.
#[must_use]
pub fn memory_store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(None))
}

/// The store of [`Mode::Redis`](crate::Mode::Redis), to be wrapped or compared with.
///
/// # Errors
/// The address is none.
#[cfg(feature = "redis")]
pub fn redis_store(url: &str, prefix: &str) -> Result<Arc<dyn Store>, InitError> {
    let store = RedisStore::new(url, prefix, 0, Duration::from_secs(2));
    Ok(Arc::new(store.map_err(no_address)?))
}

/// The store of [`Mode::File`](crate::Mode::File), to be wrapped or compared with.
///
/// # Errors
/// The directory cannot be made or used.
pub fn file_store(
    directory: impl AsRef<Path>,
    durability: Durability,
) -> std::io::Result<Arc<dyn Store>> {
    Ok(Arc::new(FileStore::open(directory.as_ref(), durability)?))
}
