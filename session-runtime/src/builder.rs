//! The settings of a service, checked when it is built.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cookie::SameSite;

use crate::clock::{Clock, days};
use crate::cookie::{Secure, Settings};
use crate::error::InitError;
use crate::mode::Mode;
use crate::origin::Origin;
use crate::secret::{KeyRing, Secret};
use crate::service::{AtLimit, Config, Limit, Sessions};
use crate::session::{MAX_IDLE, MIN_IDLE};
use crate::store::Store;
use crate::store::file::{Durability, FileStore};
use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
use crate::store::redis::{PREFIX, RedisStore};

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
pub fn init(secret: impl Into<Secret>, mode: Mode) -> Result<(), InitError> {
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
    sessions_dir: Option<PathBuf>,
    durability: Option<Durability>,
    #[cfg(feature = "redis")]
    redis_prefix: Option<String>,
    #[cfg(feature = "redis")]
    redis_replicas: u32,
    max_sessions: Option<usize>,
    realm: Option<String>,
    trusted_origins: Vec<String>,
    config: Config,
    clock: Clock,
}

impl Builder {
    fn new(secret: Secret) -> Self {
        Self {
            secrets: vec![secret],
            mode: Mode::default(),
            sessions_dir: None,
            durability: None,
            #[cfg(feature = "redis")]
            redis_prefix: None,
            #[cfg(feature = "redis")]
            redis_replicas: 0,
            max_sessions: None,
            realm: None,
            trusted_origins: Vec::new(),
            config: Config {
                cookie: Settings::default(),
                sessions_dir: None,
                trusted_origins: Vec::new(),
                idle: days(30),
                lifetime: None,
                browser_session: false,
                max_size: 64 * 1024,
                max_per_user: None,
                store_timeout: Duration::from_secs(2),
                lock_timeout: Duration::from_secs(10),
            },
            clock: Clock::default(),
        }
    }

    /// Where sessions are kept. Default: [`Mode::Memory`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The directory of [`Mode::File`], created if it is missing. Default: `./sessions`.
    pub fn sessions_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.sessions_dir = Some(path.into());
        self
    }

    /// What a save in [`Mode::File`] outlives. Default: [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// What every key of [`Mode::Redis`] begins with. Default: `bsession:`.
    ///
    /// Applications that share a server do not need different ones, since no secret opens what another one
    /// sealed; a prefix helps to tell keys apart, and to write access rules.
    #[cfg(feature = "redis")]
    pub fn redis_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.redis_prefix = Some(prefix.into());
        self
    }

    /// How many replicas must have a write of [`Mode::Redis`] before the request is answered. Default: 0.
    ///
    /// Redis replicates a moment later, so a master that dies takes with it what no replica had. With 1 here it
    /// takes nothing that was answered, unless a replica without it becomes the master. A write then waits
    /// for the replica (`WAIT`); if it is not there within half of [`store_timeout`](Self::store_timeout),
    /// the answer is a 503, though the write may have lasted. The writes of one worker wait one after another, over a
    /// connection of their own; reads do not wait.
    #[cfg(feature = "redis")]
    pub fn redis_replicas(mut self, count: u32) -> Self {
        self.redis_replicas = count;
        self
    }

    /// The name of the cookie. Default: `bsession`.
    ///
    /// With https, `__Host-` at its beginning makes browsers refuse a cookie planted from a
    /// sibling domain (RFC 6265bis §4.1.3.2).
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.config.cookie.name = name.into();
        self
    }

    /// How many days a session lasts without a visit, 1 to 400. Default: 30.
    ///
    /// The same as [`idle`](Self::idle) of as many times 24 hours.
    pub fn days(mut self, count: u32) -> Self {
        self.config.idle = days(count);
        self
    }

    /// How long a session lasts without a visit, a second to 400 days. Default: 30 days.
    ///
    /// It is counted from the last visit. The cookie's `Max-Age` follows, a tenth longer, so that it
    /// need not be sent with every visit.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.config.idle = idle;
        self
    }

    /// How long a session lasts at most, however often it is visited. Default: no limit.
    ///
    /// It is counted from the creation or the last login, and nothing else moves it.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.config.lifetime = Some(lifetime);
        self
    }

    /// Sends the cookie without `Max-Age`, so that it ends with the browser. Default: false.
    ///
    /// A session with an expiry of its own ([`Session::set_days`](crate::Session::set_days)) has a
    /// `Max-Age` all the same. In the store every session lasts [`days`](Self::days).
    pub fn browser_session(mut self, yes: bool) -> Self {
        self.config.browser_session = yes;
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
        self.config.cookie.secure = secure;
        self
    }

    /// On which requests from other sites the cookie is sent. Default: `SameSite::Lax`.
    ///
    /// # Warning
    /// With `SameSite::None` any site can send requests with your visitors' sessions.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.config.cookie.same_site = same_site;
        self
    }

    /// The domain to which the cookie is sent, with all its subdomains. Default: none, which means
    /// only the host that set it.
    ///
    /// # Warning
    /// Every host below the domain gets the cookie.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.config.cookie.domain = Some(domain.into());
        self
    }

    /// The path below which the cookie is sent. Default: `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.cookie.path = path.into();
        self
    }

    /// What tokens are valid for, beside the secret. Default: the cookie's name.
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

    /// How many sessions [`Mode::Memory`] keeps, and a few more where many are created in the same moment.
    /// Default: no limit.
    ///
    /// When it is reached, the anonymous session that would expire first is dropped, which is the longest
    /// idle one unless some have an expiry of their own; when only logged-in ones remain, a new
    /// one is refused with 503.
    ///
    /// Not counted is that a session has ended, or has another id since a login or a renewal: this is
    /// remembered for ten minutes, in some 200 bytes each. Where anybody may make sessions and end them,
    /// the proxy in front bounds how fast.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = Some(count);
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
        self.config.store_timeout = timeout;
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
        self.check()?;
        for text in &self.trusted_origins {
            self.config.trusted_origins.push(trusted(text)?);
        }
        let realm = self.realm.as_ref().unwrap_or(&self.config.cookie.name);
        let ring = KeyRing::new(&self.secrets, realm);
        let store: Arc<dyn Store> = match self.mode {
            Mode::Memory => Arc::new(MemoryStore::new(self.max_sessions)),
            Mode::File => {
                let path = self.sessions_dir.unwrap_or_else(|| "sessions".into());
                let opened = FileStore::open(&path, self.durability.unwrap_or_default());
                self.config.sessions_dir = Some(path.clone());
                Arc::new(opened.map_err(|source| InitError::Directory { path, source })?)
            }
            #[cfg(feature = "redis")]
            Mode::Redis(url) => {
                let is_tls = url.starts_with("rediss") || url.starts_with("valkeys");
                if is_tls && cfg!(not(feature = "redis-tls")) {
                    let text = "an address with `rediss` needs TLS: turn on the feature `redis-tls` of bsession";
                    return Err(InitError::Setting(text.to_owned()));
                }
                let prefix = self.redis_prefix.as_deref().unwrap_or(PREFIX);
                let timeout = self.config.store_timeout;
                let store = RedisStore::new(&url, prefix, self.redis_replicas, timeout);
                Arc::new(store.map_err(no_address)?)
            }
            Mode::Custom(store) => store,
        };
        Sessions::start(ring, store, self.config, self.clock)
    }

    /// Refuses every setting that cannot be.
    fn check(&self) -> Result<(), InitError> {
        for secret in &self.secrets {
            secret.check()?;
        }
        self.config.cookie.check()?;
        let others = |place: usize| &self.secrets[place + 1..];
        let mut secrets = self.secrets.iter().enumerate();
        let is_file = matches!(self.mode, Mode::File);
        #[cfg(feature = "redis")]
        let is_redis = matches!(self.mode, Mode::Redis(_));
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
                !(MIN_IDLE..=MAX_IDLE).contains(&config.idle),
                "the idle expiry is between a second and 400 days: write `days(30)`, or `idle` with such a span",
            ),
            (
                config.lifetime.is_some_and(|span| span < MIN_IDLE),
                "`lifetime` is at least a second: leave it out for no limit",
            ),
            (
                self.sessions_dir.is_some() && !is_file,
                "`sessions_dir` is for files alone: add `mode(Mode::File)`, or leave it out",
            ),
            (
                self.durability.is_some() && !is_file,
                "`durability` is for files alone: add `mode(Mode::File)`, or leave it out",
            ),
            (
                self.max_sessions.is_some() && !matches!(self.mode, Mode::Memory),
                "`max_sessions` is for memory alone: use `mode(Mode::Memory)`, or leave it out",
            ),
            #[cfg(feature = "redis")]
            (
                (self.redis_prefix.is_some() || self.redis_replicas > 0) && !is_redis,
                "`redis_prefix` and `redis_replicas` are for Redis alone: use `mode(Mode::Redis(…))`, or leave them out",
            ),
            (
                config.store_timeout > LONGEST_WAIT,
                "`store_timeout` is at most an hour: a request should not wait longer",
            ),
            (
                config.lock_timeout > LONGEST_WAIT,
                "`lock_timeout` is at most an hour: a request should not wait longer",
            ),
            (
                self.max_sessions == Some(0),
                "`max_sessions(0)` leaves no room for a session: leave it out for no limit",
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
                config.store_timeout.is_zero(),
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

#[cfg(feature = "redis")]
pub(crate) fn no_address(problem: impl std::fmt::Display) -> InitError {
    InitError::Setting(format!(
        "the address of `Mode::Redis` {problem}: write it as in `redis://localhost:6379`, \
         `redis-sentinel://one:26379,two:26379/mymaster` or `redis-cluster://one:6379,two:6379`"
    ))
}

fn trusted(text: &str) -> Result<Origin, InitError> {
    Origin::parse(text).ok_or_else(|| {
        InitError::Setting(format!(
            "`trusted_origin({text:?})` is no origin: write scheme and host as browsers do, without a path, \
             as in `https://sso.example`"
        ))
    })
}
