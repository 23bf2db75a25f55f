//! A site to visit, visitors with cookie jars, and services over every store.

mod app;
mod gate;
pub mod sentences;
mod server;
mod site;
mod streams;
mod turns;
mod visitor;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use bsession::testing::{self, Fault, FaultyStore};
use bsession::{Builder, Clock, FileStore, Mode, RedisStore, Secure, Sessions};
use bsession_redis_servers::Server as Redis;
use tempfile::TempDir;

pub use app::{Extra, configure};
pub use gate::{Gate, PATIENCE};
pub use server::{Server, Start};
pub use site::{Reply, Site};
pub use streams::Stream;
pub use visitor::Visitor;
pub use wire::Wire;

/// A secret for tests; another one is [`secret`].
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// As many secrets as a test likes.
pub fn secret(number: usize) -> String {
    format!("{number:04}-89abcdef0123456789abcdef0123456789")
}

/// Which of the stores that come with the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    File,
    Redis,
}

/// What a test begins with: a store of its own, and a clock to turn.
pub struct Setup {
    pub kind: Kind,
    pub clock: Clock,
    pub dir: TempDir,
    redis: Option<Redis>,
}

impl Setup {
    pub fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self {
            kind,
            clock: Clock::default(),
            dir,
            redis: None,
        }
    }

    /// One with a Redis of its own; nothing where there is none to be had.
    pub fn redis() -> Option<Self> {
        redis_is_there().then(|| Self {
            redis: Some(Redis::start()),
            ..Self::new(Kind::Redis)
        })
    }

    /// Another one of the same kind, with a store of its own.
    pub fn another(&self) -> Self {
        Self {
            redis: self.redis.as_ref().map(|_| Redis::start()),
            ..Self::new(self.kind)
        }
    }

    /// The server behind the store.
    pub fn server(&self) -> &Redis {
        self.redis.as_ref().expect("a server")
    }

    /// A service on the test's store; for files, every one that is built shares them.
    pub fn builder(&self) -> Builder {
        self.builder_with(SECRET)
    }

    pub fn builder_with(&self, secret: &str) -> Builder {
        let builder = Sessions::builder(secret)
            .clock(self.clock.clone())
            .secure(Secure::Never);
        match self.kind {
            Kind::Memory => builder.mode(Mode::Memory),
            Kind::File => builder.mode(FileStore::at(self.dir.path().join("sessions"))),
            Kind::Redis => builder.mode(RedisStore::at(self.server().url())),
        }
    }

    pub fn sessions(&self) -> Sessions {
        self.builder().build().expect("a service")
    }

    pub fn site(&self) -> Site {
        Site::open(self.sessions())
    }
}

/// A store that does as a test says, at any time.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Says>>);

type Says = Box<dyn FnMut(&'static str) -> Fault + Send>;

impl Faults {
    /// A mode with such a store in it.
    pub fn mode() -> (Mode, Self) {
        let faults = Self(Arc::new(Mutex::new(Box::new(|_| Fault::None))));
        let asked = faults.clone();
        let store = FaultyStore::new(testing::store(Mode::Memory), move |operation, _| {
            let mut says = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
            says(operation)
        });
        (Mode::from(store), faults)
    }

    /// Says what becomes of each operation from now on.
    pub fn say(&self, says: impl FnMut(&'static str) -> Fault + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(says);
    }

    /// Says that of all operations.
    pub fn always(&self, fault: Fault) {
        self.say(move |_| fault);
    }
}

/// Waits for what comes a moment after an answer.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// Whether tests can start a Redis; says so if not, and CI has to have one.
pub fn redis_is_there() -> bool {
    let is_there = bsession_redis_servers::is_installed();
    if !is_there {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to have redis-server"
        );
        skipped("there is no redis-server, which Debian has as a package");
    }
    is_there
}

/// Says that a test did not run, past what keeps the output of tests that pass.
pub fn skipped(why: &str) {
    let text = format!("SKIPPED: {why}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// Runs each test of a story once for each store.
macro_rules! for_each_store {
    ($($(#[$attribute:meta])* fn $name:ident($setup:ident) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a story imports for all of its tests")]
            use super::*;

            fn run($setup: &crate::support::Setup) $body

            $(#[$attribute])*
            #[test]
            fn memory() {
                run(&crate::support::Setup::new(crate::support::Kind::Memory));
            }

            $(#[$attribute])*
            #[test]
            fn file() {
                run(&crate::support::Setup::new(crate::support::Kind::File));
            }

            $(#[$attribute])*
            #[test]
            fn redis() {
                if let Some(setup) = crate::support::Setup::redis() {
                    run(&setup);
                }
            }
        }
    )+};
}
pub(crate) use for_each_store;
