//! For who writes a store: a suite that runs every sentence of the contract against it.
//!
//! ```
//! # use std::sync::Arc;
//! use bsession::testing;
//! # use bsession::{Mode, Store};
//! # #[derive(Default)] struct YourStore;
//! # impl YourStore { fn new() -> Arc<dyn Store> { testing::memory_store() } }
//!
//! # #[actix_web::main]
//! # async fn main() {
//! testing::contract(|| YourStore::new()).await;
//! # }
//! ```
//!
//! With the feature `testing`, which belongs among the dev-dependencies.

mod ask;
mod contract;
mod faults;
mod races;
mod record;
mod users;

use std::path::Path;
use std::sync::Arc;

pub use contract::contract;
pub use faults::{Fault, FaultyStore};

use crate::store::Store;
use crate::store::file::{Durability, FileStore};
use crate::store::memory::MemoryStore;

/// The store of [`Mode::Memory`](crate::Mode::Memory), to be wrapped or compared with.
#[must_use]
pub fn memory_store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(None))
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
