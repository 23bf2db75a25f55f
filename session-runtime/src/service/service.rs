//! The service and its parts.

use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::codec::Codec;
use super::cookies::Cookies;
use super::limit::Limit;
use super::locks::{self, Locks};
use super::neighbours::Neighbours;
use super::revocation::Repairs;
use super::sessions::Sessions;
use super::storage::Storage;
use super::sweeper::Sweeper;
use super::watches::Watches;
use crate::clock::Clock;
use crate::cookie::Settings;
use crate::error::InitError;
use crate::lifetime::Lifetime;
use crate::origin::Origin;
use crate::secret::KeyRing;
use crate::stats::Counters;
use crate::store::{Ledger, Store};
use crate::throttle::Throttle;

/// Turns the tokens of a request into a session, and changes into a record.
///
/// Loading is in `load`, saving in `save`, `write` and `keep`, the sessions of a user in `users`.
pub(crate) struct Service {
    pub(crate) storage: Storage,
    pub(super) codec: Codec,
    pub(crate) cookies: Cookies,
    pub(super) lifetime: Lifetime,
    pub(crate) config: Config,
    /// The locks of sessions, for requests that ask for them.
    pub(super) locks: Arc<Locks>,
    /// The locks for requests that save again after a conflict.
    pub(super) savers: Arc<Locks>,
    pub(super) repairs: Repairs,
    pub(super) rival_warnings: Throttle,
    pub(super) neighbours: Neighbours,
    pub(super) withheld_warnings: Throttle,
    pub(super) path_warnings: Throttle,
    pub(crate) watches: Watches,
    pub(super) warned_of_unanswered_visits: AtomicBool,
    pub(crate) warned_of_plain_http: AtomicBool,
    /// Stops the sweeper's thread when it is dropped.
    _sweeper: Sweeper,
}

/// The settings that are used while requests are served.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The directory of the files, in file mode.
    pub(crate) sessions_dir: Option<PathBuf>,
    pub(crate) trusted_origins: Vec<Origin>,
    /// The path that a proxy strips from requests, or an empty text.
    pub(crate) base_path: String,
    pub(crate) max_size: usize,
    pub(crate) max_per_user: Option<Limit>,
    pub(crate) lock_timeout: Duration,
}

/// The parts of a service that its builder makes.
pub(crate) struct ServiceParts {
    pub(crate) ring: KeyRing,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) store_timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cookie: Settings,
    pub(crate) lifetime: Lifetime,
    pub(crate) config: Config,
    /// The place in the program that builds the service.
    pub(crate) built: &'static Location<'static>,
}

impl ServiceParts {
    /// Starts the service and its sweeper.
    pub(crate) fn start(self) -> Result<Sessions, InitError> {
        let Self {
            counters, lifetime, ..
        } = self;
        let ring = Arc::new(self.ring);
        let neighbours = Neighbours::new(&self.store, self.built);
        let ledger = Ledger::new(self.store);
        let (sweeper, thread) = Sweeper::new();
        let service = Arc::new(Service {
            codec: Codec {
                ring: Arc::clone(&ring),
                lifetime,
                in_process: ledger.in_process(),
                counters: Arc::clone(&counters),
            },
            cookies: Cookies {
                settings: self.cookie,
                ring,
                lifetime,
                counters: Arc::clone(&counters),
            },
            storage: Storage {
                ledger,
                clock: self.clock,
                counters,
                timeout: self.store_timeout,
            },
            lifetime,
            config: self.config,
            locks: Locks::new(locks::LONGEST_QUEUE),
            // Unbounded: a request waits here no longer than for the store.
            savers: Locks::new(usize::MAX),
            repairs: Repairs::default(),
            rival_warnings: Throttle::default(),
            neighbours,
            withheld_warnings: Throttle::default(),
            path_warnings: Throttle::default(),
            watches: Watches::default(),
            warned_of_unanswered_visits: AtomicBool::new(false),
            warned_of_plain_http: AtomicBool::new(false),
            _sweeper: sweeper,
        });
        thread.start(&service)?;
        Ok(Sessions(service))
    }
}
