//! The mode: where sessions are kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::InitError;
use crate::stats::Counters;
use crate::store::Store;
use crate::store::file::FileStore;
use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
use crate::store::redis::RedisStore;

/// The place where sessions are kept: in memory, in files, in Redis, or in your own store.
///
/// [`Builder::mode`](crate::Builder::mode) and [`init`](crate::init) take one of these two constants, the settings of
/// a store that comes with the library, or any [`Store`]:
///
/// ```
/// # use bsession_runtime as bsession;
/// # use bsession::{Durability, FileStore, MemoryStore, Mode, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// # let secret = Secret::random()?;
/// # let builder = || Sessions::builder(secret.clone());
/// builder().mode(Mode::Memory); // gone with the process
/// builder().mode(Mode::File);   // in ./sessions
/// builder().mode(MemoryStore::new().max_sessions(100_000));
/// builder().mode(FileStore::at("/var/lib/shop/sessions").durability(Durability::Disk));
/// # #[cfg(feature = "redis")]
/// builder().mode(bsession::RedisStore::at("redis://localhost").prefix("shop:"));
/// # Ok(())
/// # }
/// ```
///
/// The settings of a store are plain values: nothing is opened before [`build`](crate::Builder::build).
/// To share your own store between two services, pass `Arc::clone(&store)`.
#[derive(Clone)]
pub struct Mode(Kind);

#[derive(Clone)]
enum Kind {
    Memory(MemoryStore),
    /// `./sessions` if there are no settings.
    File(Option<FileStore>),
    #[cfg(feature = "redis")]
    Redis(RedisStore),
    Own(Arc<dyn Store>),
}

#[allow(
    non_upper_case_globals,
    reason = "they read as the variants of an enum, and stand for settings"
)]
impl Mode {
    /// In the memory of this process: the fastest, and lost when the process ends. The default.
    ///
    /// The same as [`MemoryStore::new()`](MemoryStore::new).
    pub const Memory: Self = Self(Kind::Memory(MemoryStore::new()));

    /// In sealed files below `./sessions`. They outlive the process, and several processes may share them.
    ///
    /// The same as [`FileStore::at("sessions")`](FileStore::at).
    pub const File: Self = Self(Kind::File(None));
}

/// The settings of the service that a store needs when it is opened.
pub(crate) struct Opening<'s> {
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "memory and files have no wait to bound")
    )]
    pub(crate) store_timeout: Duration,
    pub(crate) counters: &'s Arc<Counters>,
}

/// An open store, and its directory if it keeps files.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Option<PathBuf>,
}

impl Mode {
    pub(crate) fn open(self, service: &Opening<'_>) -> Result<OpenStore, InitError> {
        let mut directory = None;
        let store: Arc<dyn Store> = match self.0 {
            Kind::Memory(settings) => Arc::new(settings.open(service.counters)?),
            Kind::File(settings) => {
                let files = settings
                    .unwrap_or_else(|| FileStore::at("sessions"))
                    .open()?;
                directory = Some(files.path().to_owned());
                Arc::new(files)
            }
            #[cfg(feature = "redis")]
            Kind::Redis(settings) => Arc::new(settings.open(service.store_timeout)?),
            Kind::Own(store) => store,
        };
        Ok(OpenStore { store, directory })
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self::Memory
    }
}

impl From<MemoryStore> for Mode {
    fn from(settings: MemoryStore) -> Self {
        Self(Kind::Memory(settings))
    }
}

impl From<FileStore> for Mode {
    fn from(settings: FileStore) -> Self {
        Self(Kind::File(Some(settings)))
    }
}

#[cfg(feature = "redis")]
impl From<RedisStore> for Mode {
    fn from(settings: RedisStore) -> Self {
        Self(Kind::Redis(settings))
    }
}

/// Takes your own store. An `Arc<dyn Store>` is a store, too.
impl<S: Store> From<S> for Mode {
    fn from(store: S) -> Self {
        Self(Kind::Own(Arc::new(store)))
    }
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Memory(settings) => settings.fmt(f),
            Kind::File(Some(settings)) => settings.fmt(f),
            Kind::File(None) => f.write_str("File"),
            #[cfg(feature = "redis")]
            Kind::Redis(settings) => settings.fmt(f),
            Kind::Own(_) => f.write_str("Store(..)"),
        }
    }
}
