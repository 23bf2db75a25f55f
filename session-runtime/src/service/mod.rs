//! The service: what turns the tokens of a request into a session, and changes into a record.

mod deadline;
mod import;
mod keep;
mod limit;
mod locks;
mod open;
mod record;
mod save;
mod sweeper;
mod users;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cookie::Cookie;
use once_cell::sync::OnceCell;

use crate::clock::{Clock, Timestamp};
use crate::contents::Contents;
use crate::cookie::Settings;
use crate::csrf;
use crate::error::{InitError, Result};
use crate::few::Few;
use crate::id::Id;
use crate::lifetime::Lifetime;
use crate::origin::Origin;
use crate::record::{Head, Key, Summary};
use crate::secret::KeyRing;
use crate::session::Session;
use crate::stats::{Counters, Stats};
use crate::store::{Ledger, Store};
use crate::token::{self, Token};

use deadline::Deadline;

pub use limit::AtLimit;
pub(crate) use limit::Limit;
pub(crate) use locks::Turn;
pub(crate) use open::Stored;
pub(crate) use save::Outcome;
pub use users::SessionInfo;

static GLOBAL: OnceCell<Sessions> = OnceCell::new();

/// A session service: the secret, the store and the settings. Clones are the same service.
///
/// Most applications have one, made by [`init`](crate::init) and never seen again. As an extractor it
/// is the service that the handler's session comes from: the innermost one that the application or a scope was given by
/// `app_data`, else the global one. A handler that names another service by `sessions` has to ask that one for its users.
#[derive(Clone)]
pub struct Sessions(pub(crate) Arc<Service>);

pub(crate) struct Service {
    ring: KeyRing,
    ledger: Ledger,
    pub(crate) config: Config,
    clock: Clock,
    pub(crate) counters: Arc<Counters>,
    locks: Arc<locks::Locks>,
    /// Those that were in conflict and save again.
    savers: Arc<locks::Locks>,
    repairs: users::Repairs,
    /// Its end tells the sweeper to stop.
    _sweeper: sweeper::Sweeper,
}

/// The settings that are looked at while requests are served.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) cookie: Settings,
    /// Where the files are, in file mode.
    pub(crate) sessions_dir: Option<PathBuf>,
    pub(crate) trusted_origins: Vec<Origin>,
    pub(crate) lifetime: Lifetime,
    pub(crate) max_size: usize,
    pub(crate) max_per_user: Option<Limit>,
    pub(crate) store_timeout: Duration,
    pub(crate) lock_timeout: Duration,
}

/// What a request showed of cookies under our name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// Each valid token once.
    pub(crate) tokens: Few<Token>,
    /// Whether there was any cookie of our name, good or bad.
    pub(crate) any: bool,
}

/// How a request stands to the store.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// A visitor without a session; a change creates one.
    Nothing,
    /// The id was removed or renewed a moment ago: what is changed is not kept, so that it cannot
    /// overwrite a better cookie.
    Unkept,
    /// Two live sessions were shown: whose changes these are is not known, and they are not kept.
    Ambiguous,
    /// A session.
    Live(Live),
}

/// A session as it was loaded, without what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: Id,
    pub(crate) key: Key,
    /// As the store has it.
    pub(crate) head: Head,
    /// When it ends as far as this request knows.
    pub(crate) ends: Timestamp,
    /// As it is in the record; nothing for a store in this process.
    pub(crate) summary: Option<Summary>,
    /// Whether a previous secret signed the token or sealed the record.
    pub(crate) previous: bool,
    /// Whether a visit that changes nothing has something to write all the same.
    pub(crate) due: bool,
}

/// What a response has to tell the browser.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CookieChange {
    Set {
        token: String,
        max_age: Option<Duration>,
    },
    Remove,
}

impl Sessions {
    /// The global service, if [`init`](crate::init) was called.
    #[must_use]
    pub fn global() -> Option<Self> {
        GLOBAL.get().cloned()
    }

    /// Builds the global service, unless there is one: a second `init` opens no directory and starts
    /// no thread.
    pub(crate) fn set_global(
        build: impl FnOnce() -> Result<Self, InitError>,
    ) -> Result<(), InitError> {
        let mut first = false;
        GLOBAL.get_or_try_init(|| {
            first = true;
            build()
        })?;
        if first { Ok(()) } else { Err(InitError::Twice) }
    }

    pub(crate) fn start(
        ring: KeyRing,
        store: Arc<dyn Store>,
        config: Config,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Self, InitError> {
        let (sweeper, thread) = sweeper::Sweeper::new();
        let service = Arc::new(Service {
            ring,
            ledger: Ledger::new(store),
            repairs: users::Repairs::default(),
            config,
            clock,
            counters,
            locks: locks::Locks::new(locks::LONGEST_QUEUE),
            // A request waits no longer than for the store.
            savers: locks::Locks::new(usize::MAX),
            _sweeper: sweeper,
        });
        thread.start(&service)?;
        Ok(Self(service))
    }

    /// The name of the cookie, which is fixed when the service is built.
    ///
    /// See [`Builder::cookie_name`](crate::Builder::cookie_name) for the default.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions, Secure};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?).secure(Secure::Never).build()?;
    /// assert_eq!(sessions.cookie_name(), "bsession");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        &self.0.config.cookie.name
    }

    /// What the service did since it was built, in this process.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.read()
    }

    /// Makes a session and returns its cookie: for tests of applications that begin logged in.
    ///
    /// ```
    /// # use bsession::{Mode, Secret, Sessions};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = Sessions::builder(Secret::random()?).mode(Mode::Memory).build()?;
    /// let cookie = sessions.cookie_for(|session| session.login("joe")).await?;
    /// let request = actix_web::test::TestRequest::get().uri("/").cookie(cookie);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store fails, the session is larger than it may be, or its user has as many as may be.
    pub async fn cookie_for(&self, f: impl FnOnce(&mut Session)) -> Result<Cookie<'static>> {
        let mut session = Session::default();
        f(&mut session);
        let mut outcome = Outcome::of(Stored::default());
        self.0
            .create(&mut outcome, &[session.into_changes()])
            .await?;
        Ok(self
            .0
            .cookie(outcome.cookie.unwrap_or(CookieChange::Remove), false))
    }

    /// Removes all that has expired, now; returns how many records and tombstones that were.
    ///
    /// A thread does so all the time, in slices, and what it removes meanwhile is not counted: this is
    /// for tests, and for seeing it done. It blocks.
    ///
    /// # Errors
    /// The store fails.
    pub fn sweep(&self) -> Result<usize> {
        self.0.sweep_all()
    }
}

impl Service {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads the tokens among the cookies of a request.
    pub(crate) fn presented<'h>(&self, headers: impl Iterator<Item = &'h [u8]>) -> Presented {
        let mut presented = Presented::default();
        for value in crate::cookie::values(headers, self.config.cookie.name.as_bytes()) {
            presented.any = true;
            match token::decode(&self.ring, value) {
                Some(token) => match presented
                    .tokens
                    .iter_mut()
                    .find(|other| other.id == token.id)
                {
                    // One id under two secrets has moved over already.
                    Some(other) => other.previous &= token.previous,
                    None => presented.tokens.push(token),
                },
                None => {
                    self.counters.bad_cookies.count();
                    // In the line, so that it is looked for only if somebody reads that.
                    tracing::debug!(target: "bsession", why = token::fault(&self.ring, value), "bad_cookie");
                }
            }
        }
        presented
    }

    /// The cookie that says so.
    pub(crate) fn cookie(&self, change: CookieChange, loopback: bool) -> Cookie<'static> {
        let settings = &self.config.cookie;
        let secure = settings.is_secure(loopback);
        match change {
            CookieChange::Set { token, max_age } => settings.cookie(token, max_age, secure),
            CookieChange::Remove => settings.removal(secure),
        }
    }

    /// The cookie for a session, to be sent now.
    fn set_cookie(&self, id: &Id, contents: &Contents, now: Timestamp) -> CookieChange {
        CookieChange::Set {
            token: token::encode(&self.ring, id),
            max_age: self.config.lifetime.max_age(contents, now),
        }
    }

    /// The cookie for an id under which nothing is stored: it ends with the browser.
    pub(crate) fn cookie_without_session(&self, id: &Id) -> CookieChange {
        CookieChange::Set {
            token: token::encode(&self.ring, id),
            max_age: None,
        }
    }

    /// A CSRF token for whoever shows either id.
    pub(crate) fn csrf_token(&self, now: &Id, next: &Id) -> Result<String> {
        csrf::encode(&self.ring, now, next)
    }

    /// Whether this is a CSRF token for whoever shows that id.
    pub(crate) fn fits_csrf(&self, token: &[u8], id: &Id) -> bool {
        csrf::fits(&self.ring, token, id)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("cookie", &self.0.config.cookie.name)
            .finish_non_exhaustive()
    }
}

/// Whoever has the token has the session, so it is never shown.
impl fmt::Debug for CookieChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set { .. } => "Set { .. }",
            Self::Remove => "Remove",
        })
    }
}
