//! The settings of a service, checked when it is built.

use std::sync::Arc;
use std::time::Duration;

use cookie::SameSite;

use crate::clock::{Clock, days};
use crate::cookie::{Secure, Settings};
use crate::error::InitError;
use crate::lifetime::Lifetime;
use crate::mode::{Mode, Opening};
use crate::origin::Origin;
use crate::secret::{KeyRing, Secret};
use crate::service::{AtLimit, Config, Limit, ServiceParts, Sessions};

/// Longer than any client waits, and short enough to be added to any clock.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Sets up the global session service: once, before the server starts.
///
/// It does no network I/O. [`Sessions::builder`] has the other settings. Call it outside the closure
/// that `HttpServer::new` is given, which every worker runs for itself.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bsession::{Mode, Secret};
///
/// bsession::init(Secret::random()?, Mode::Memory)?; // with one from the environment in production
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Builder::init`].
pub fn init(secret: impl Into<Secret>, mode: impl Into<Mode>) -> Result<(), InitError> {
    Sessions::builder(secret).mode(mode).init()
}

impl Sessions {
    /// A service with settings of its own.
    pub fn builder(secret: impl Into<Secret>) -> Builder {
        Builder::new(secret.into())
    }
}

/// Every setting of a service, with its default.
///
/// ```
/// # use std::time::Duration;
/// # use bsession::{Mode, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(Mode::Memory)
///     .cookie_name("__Host-shop")
///     .days(14)
///     .lifetime(Duration::from_secs(90 * 24 * 60 * 60))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` or `init`"]
pub struct Builder {
    secrets: Vec<Secret>,
    mode: Mode,
    cookie_name: Option<String>,
    realm: Option<String>,
    trusted_origins: Vec<String>,
    cookie: Settings,
    lifetime: Lifetime,
    store_timeout: Duration,
    config: Config,
    clock: Clock,
}

impl Builder {
    fn new(secret: Secret) -> Self {
        Self {
            secrets: vec![secret],
            mode: Mode::default(),
            cookie_name: None,
            realm: None,
            trusted_origins: Vec::new(),
            cookie: Settings::default(),
            lifetime: Lifetime::default(),
            store_timeout: Duration::from_secs(2),
            config: Config {
                sessions_dir: None,
                trusted_origins: Vec::new(),
                max_size: 64 * 1024,
                max_per_user: None,
                lock_timeout: Duration::from_secs(10),
            },
            clock: Clock::default(),
        }
    }

    /// The place where sessions are kept. Default: [`Mode::Memory`].
    ///
    /// It takes a [`Mode`], a [`MemoryStore`](crate::MemoryStore), a [`FileStore`](crate::FileStore), a `RedisStore` (with the
    /// feature `redis`), or any [`Store`](crate::Store):
    ///
    /// ```
    /// # use bsession::{FileStore, Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let builder = Sessions::builder(Secret::random()?).mode(FileStore::at("/var/lib/shop/sessions"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.mode = mode.into();
        self
    }

    /// The name of the cookie. A service has one, and reads no cookie of another name.
    ///
    /// The default is `bsession`, in a release build with the strongest prefix that the other settings permit. A
    /// prefix makes browsers refuse a cookie that a sibling domain, a page without https or a script planted
    /// (RFC 6265bis §4.1.3; OWASP ASVS 5.0, 3.3.1 and 3.3.3).
    ///
    /// | build and settings | default name |
    /// |---|---|
    /// | release | `__Host-Http-bsession` |
    /// | release, with [`domain`](Self::domain) or [`path`](Self::path) | `__Secure-bsession` |
    /// | debug, or with [`Secure::Never`] | `bsession` |
    ///
    /// Browsers that do not know `__Host-Http-` treat it as `__Host-`. [`Sessions::cookie_name`] returns the name
    /// of a service. Under a new name, visitors log in once more: give the name here before you change `domain` or
    /// `path` of a site that is in use.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// How many days a session lasts without a visit, 1 to 400. Default: 30.
    ///
    /// The same as [`idle`](Self::idle) of as many times 24 hours.
    pub fn days(mut self, count: u32) -> Self {
        self.lifetime.idle = days(count);
        self
    }

    /// How long a session lasts without a visit, a second to 400 days. Default: 30 days.
    ///
    /// It is counted from the last visit. The cookie's `Max-Age` follows, a tenth longer, so that it
    /// need not be sent with every visit.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.lifetime.idle = idle;
        self
    }

    /// The span without a visit after which a session ends in which nobody is logged in, a second to 400 days.
    /// Default: the same as [`idle`](Self::idle).
    ///
    /// Crawlers and visitors that never come back leave anonymous sessions behind; a short span removes them
    /// early. A login gives the session [`idle`](Self::idle) at once. A session with an expiry that
    /// [`Session::set_days`](crate::Session::set_days) gave it keeps that one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?)
    ///     .days(30)
    ///     .anonymous_idle(Duration::from_secs(2 * 60 * 60))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn anonymous_idle(mut self, idle: Duration) -> Self {
        self.lifetime.anonymous_idle = Some(idle);
        self
    }

    /// How long a session lasts at most, however often it is visited. Default: no limit.
    ///
    /// It is counted from the creation or the last login, and nothing else moves it.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime.absolute = Some(lifetime);
        self
    }

    /// Sends the cookie without `Max-Age`, so that it ends with the browser. Default: false.
    ///
    /// A session with an expiry of its own ([`Session::set_days`](crate::Session::set_days)) has a
    /// `Max-Age` all the same. In the store every session lasts [`days`](Self::days).
    pub fn browser_session(mut self, yes: bool) -> Self {
        self.lifetime.browser_session = yes;
        self
    }

    /// A secret that was in use before: what it signed and sealed stays valid, and moves to
    /// the current one at the next visit.
    ///
    /// With several processes a rotation is two roll-outs: the new secret first everywhere as a
    /// previous one, then as the first.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// # let (new, old) = (Secret::random()?, Secret::random()?);
    /// let sessions = Sessions::builder(new)
    ///     .previous_secret(old)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn previous_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Whether the cookie is for https alone. Default: [`Secure::Auto`].
    pub fn secure(mut self, secure: Secure) -> Self {
        self.cookie.secure = secure;
        self
    }

    /// On which requests from other sites the cookie is sent. Default: `SameSite::Lax`.
    ///
    /// # Warning
    /// With `SameSite::None` any site can send requests with your visitors' sessions.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// The domain to which the cookie is sent, with all its subdomains. Default: none, which means
    /// only the host that set it.
    ///
    /// # Warning
    /// Every host below the domain gets the cookie.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// The path below which the cookie is sent. Default: `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// The name that tokens are valid for, beside the secret. Default: the cookie's name without a prefix such as
    /// `__Host-`.
    ///
    /// A token of one realm is worth nothing in another. Give two services the same realm to share
    /// sessions between two cookie names on purpose.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// # let secret = Secret::random()?;
    /// let visitors = Sessions::builder(secret.clone()).cookie_name("shop").build()?;
    /// let staff = Sessions::builder(secret.clone()).cookie_name("staff").build()?; // a token of one is none of the other
    /// let visitors_too = Sessions::builder(secret).cookie_name("old_shop").realm("shop").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Another origin whose pages may send requests to handlers with `#[session(csrf)]`, as if they
    /// were the service's own. Default: none. Call it once for each.
    ///
    /// It is written as browsers name it in `Origin`: `https://sso.example`, with a port if it is not
    /// the usual one, and no path. A proxy that rewrites `Host` makes the service's own origin another
    /// one: name that here, for `X-Forwarded-Host` is not believed, which anybody may send.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?)
    ///     .trusted_origin("https://sso.example")
    ///     .trusted_origin("https://admin.example:8443")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Warning
    /// Whoever can put a page or a script there acts with your visitors' sessions.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted_origins.push(origin.into());
        self
    }

    /// How many bytes the dictionary of a session, as JSON, and the user's name may take. Default:
    /// 65,536.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.config.max_size = bytes;
        self
    }

    /// How many sessions a user may have at once, and what becomes of a login beyond that. Default: no
    /// limit.
    ///
    /// The limit is checked when a login is saved, in every mode; sessions that have expired do not count, nor does
    /// the one that logs in again. A login then asks the store twice for the user's sessions.
    ///
    /// With [`EndOldest`](AtLimit::EndOldest), parallel logins may exceed `count` for a moment, but not after
    /// their responses have left. The hosts' clocks, which have to agree to a minute, tell which login is the
    /// older one.
    ///
    /// With [`RefuseNewest`](AtLimit::RefuseNewest) no response sets a cookie for a session beyond `count`. If two
    /// logins race for the last place, both may be refused, and a login that is refused so late loses what
    /// its anonymous session held.
    ///
    /// ```
    /// # use bsession::{AtLimit, Mode, Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?)
    ///     .mode(Mode::Memory)
    ///     .max_per_user(3, AtLimit::EndOldest)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_per_user(mut self, count: usize, at: AtLimit) -> Self {
        self.config.max_per_user = Some(Limit { max: count, at });
        self
    }

    /// How long a request waits for the store; then it is answered with 503. Default: 2 seconds.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// How long a request that locks its session waits for those before it; then it is answered with
    /// 503. Default: 10 seconds.
    ///
    /// See [`Connection::lock`](crate::Connection::lock).
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.config.lock_timeout = timeout;
        self
    }

    /// The clock, for tests that turn it. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the service and makes it the global one.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`InitError::Twice`] if there is a global one.
    pub fn init(self) -> Result<(), InitError> {
        Sessions::set_global(|| self.build())
    }

    /// Builds the service as a value: for tests, and for a second one beside the global one.
    ///
    /// Hand it to the application with `App::app_data(sessions.clone())`, built once outside the
    /// factory that `HttpServer::new` is given.
    ///
    /// # Errors
    /// An unusable secret, an impossible setting, settings that contradict each other, or a
    /// directory that cannot be used. There is no network access.
    pub fn build(mut self) -> Result<Sessions, InitError> {
        self.name_cookie(cfg!(debug_assertions));
        self.check()?;
        for text in &self.trusted_origins {
            self.config.trusted_origins.push(trusted(text)?);
        }
        let realm = self.realm.as_deref();
        let realm = realm.unwrap_or_else(|| self.cookie.base_name());
        let ring = KeyRing::new(&self.secrets, realm);
        let counters = Arc::default();
        let opened = self.mode.open(&Opening {
            store_timeout: self.store_timeout,
            counters: &counters,
        })?;
        self.config.sessions_dir = opened.directory;
        let parts = ServiceParts {
            ring,
            store: opened.store,
            store_timeout: self.store_timeout,
            clock: self.clock,
            counters,
            cookie: self.cookie,
            lifetime: self.lifetime,
            config: self.config,
        };
        parts.start()
    }

    /// Fixes the name of the cookie, which depends on the other settings.
    fn name_cookie(&mut self, is_debug_build: bool) {
        self.cookie.name = match &self.cookie_name {
            Some(name) => name.clone(),
            None => self.cookie.default_name(is_debug_build),
        };
    }

    /// Refuses every setting that cannot be.
    fn check(&self) -> Result<(), InitError> {
        for secret in &self.secrets {
            secret.check()?;
        }
        self.cookie.check()?;
        self.lifetime.check()?;
        let others = |place: usize| &self.secrets[place + 1..];
        let mut secrets = self.secrets.iter().enumerate();
        let config = &self.config;
        let mistakes = [
            (
                secrets.any(|(place, secret)| others(place).iter().any(|other| other.is(secret))),
                "a secret is given twice: give `previous_secret` only those that were in use before",
            ),
            (
                self.secrets.len() > 255,
                "more than 254 previous secrets: leave out those whose cookies have expired",
            ),
            (
                self.store_timeout > LONGEST_WAIT,
                "`store_timeout` is at most an hour: a request should not wait longer",
            ),
            (
                config.lock_timeout > LONGEST_WAIT,
                "`lock_timeout` is at most an hour: a request should not wait longer",
            ),
            (
                config.max_per_user.is_some_and(|limit| limit.max == 0),
                "`max_per_user(0, …)` lets nobody log in: leave it out for no limit",
            ),
            (
                config.max_size < 2,
                "`max_size` leaves no room for an empty session: give it in bytes, as in `max_size(65_536)`",
            ),
            (
                self.store_timeout.is_zero(),
                "`store_timeout` leaves the store no time: give it some, as in `Duration::from_secs(2)`",
            ),
            (
                config.lock_timeout.is_zero(),
                "`lock_timeout` lets nobody wait for a lock: give it some time, as in `Duration::from_secs(10)`",
            ),
        ];
        match mistakes.into_iter().find(|(is_made, _)| *is_made) {
            Some((_, what_to_do)) => Err(InitError::Setting(what_to_do.to_owned())),
            None => Ok(()),
        }
    }
}

fn trusted(text: &str) -> Result<Origin, InitError> {
    Origin::parse(text).ok_or_else(|| {
        InitError::Setting(format!(
            "`trusted_origin({text:?})` is no origin: write scheme and host as browsers do, without a path, \
             as in `https://sso.example`"
        ))
    })
}
