//! The settings of a service, checked when it is built.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use cookie::SameSite;

use crate::clock::{Clock, days};
use crate::cookie::{Secure, Settings};
use crate::error::InitError;
use crate::lifetime::Lifetime;
use crate::local_path::LocalPath;
use crate::mode::{Mode, Opening};
use crate::origin::Origin;
use crate::secret::{KeyRing, Secret};
use crate::service::{AtLimit, Config, Limit, ServiceParts, Sessions};

/// The longest timeout: longer than any client waits, and short enough to be added to any clock.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Sets up the global session service. Call it once, before the server starts.
///
/// It does no network I/O. [`Sessions::builder`] has the other settings. Call it outside the closure
/// that `HttpServer::new` is given: every worker runs that closure for itself.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bsession::{Mode, Secret};
///
/// bsession::init(Secret::random()?, Mode::Memory)?; // in production, with a secret from the environment
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The errors of [`Builder::init`].
#[track_caller]
pub fn init(secret: impl Into<Secret>, mode: impl Into<Mode>) -> Result<(), InitError> {
    Sessions::builder(secret).mode(mode).init()
}

impl Sessions {
    /// Returns a builder for a service with its own settings.
    pub fn builder(secret: impl Into<Secret>) -> Builder {
        Builder::new(secret.into())
    }
}

/// The settings of a service, each with its default.
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
                base_path: String::new(),
                max_size: 64 * 1024,
                max_per_user: None,
                lock_timeout: Duration::from_secs(10),
            },
            clock: Clock::default(),
        }
    }

    /// Sets the place where sessions are kept. Default: [`Mode::Memory`].
    ///
    /// It takes a [`Mode`], a [`MemoryStore`](crate::MemoryStore), a [`FileStore`](crate::FileStore), a `RedisStore`
    /// (with the feature `redis`), or any [`Store`](crate::Store):
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

    /// Sets the name of the cookie. A service has one name, and ignores cookies with any other name.
    ///
    /// The default is `bsession`. In a release build it gets the strongest prefix that the other settings permit. A
    /// prefix makes browsers refuse a cookie that was planted by a sibling domain, by a page without https or by a
    /// script (RFC 6265bis §4.1.3; OWASP ASVS 5.0, 3.3.1 and 3.3.3).
    ///
    /// | build and settings | default name |
    /// |---|---|
    /// | release | `__Host-Http-bsession` |
    /// | release, with [`domain`](Self::domain) or [`path`](Self::path) | `__Secure-bsession` |
    /// | debug, or with [`Secure::Never`] | `bsession` |
    ///
    /// Browsers that do not know `__Host-Http-` treat it as `__Host-`. [`Sessions::cookie_name`] returns the name
    /// of a service. Under a new name, visitors must log in again: before you change `domain` or `path` of a site
    /// that is in use, give its current name here.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Sets the idle timeout in days, 1 to 400: a session ends after this time without a visit. Default: 30.
    ///
    /// The same as [`idle`](Self::idle) with `count` times 24 hours.
    pub fn days(mut self, count: u32) -> Self {
        self.lifetime.idle = days(count);
        self
    }

    /// Sets the idle timeout, 1 second to 400 days: a session ends after this time without a visit. Default: 30 days.
    ///
    /// It is counted from the last visit. The cookie's `Max-Age` follows it and is a tenth longer, so that the
    /// cookie need not be sent with every visit.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.lifetime.idle = idle;
        self
    }

    /// Sets the idle timeout of sessions in which nobody is logged in, 1 second to 400 days.
    /// Default: the same as [`idle`](Self::idle).
    ///
    /// Crawlers and visitors that never come back leave anonymous sessions behind. A short timeout removes them
    /// early. A login gives the session [`idle`](Self::idle) at once. A session whose expiry was set with
    /// [`Session::set_days`](crate::Session::set_days) keeps that expiry.
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

    /// Sets the absolute timeout: the longest life of a session, however often it is visited. Default: no limit.
    ///
    /// It is counted from the creation or the last login. Nothing else moves it.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime.absolute = Some(lifetime);
        self
    }

    /// Sends the cookie without `Max-Age`, so that it ends with the browser. Default: false.
    ///
    /// A session whose expiry was set with [`Session::set_days`](crate::Session::set_days) still has a `Max-Age`.
    /// In the store the session still lasts for its idle timeout ([`days`](Self::days)).
    pub fn browser_session(mut self, yes: bool) -> Self {
        self.lifetime.browser_session = yes;
        self
    }

    /// Adds a secret that was in use before. Cookies and sessions that it signed or sealed stay valid, and move to
    /// the current secret at the next visit.
    ///
    /// A rotation with several processes takes two roll-outs: first add the new secret everywhere as a
    /// previous one, then make it the first. If sessions were restored from a backup, leave the old secret out: see
    /// [Operations](https://docs.rs/bsession/latest/bsession/operations/index.html#backups).
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

    /// Restricts the cookie to https, or not. Default: [`Secure::Auto`].
    pub fn secure(mut self, secure: Secure) -> Self {
        self.cookie.secure = secure;
        self
    }

    /// Sets which requests from other sites carry the cookie. Default: `SameSite::Lax`.
    ///
    /// A request with which the browser withholds the cookie gets no new one, except by a login, because the new one would replace
    /// the one that the browser has. What else it changes is dropped.
    ///
    /// # Warning
    /// Under `SameSite::None` any site can send requests with your visitors' sessions.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// Gives the cookie the attribute `Partitioned`, for an application that other sites show in a frame. Default: false.
    ///
    /// Browsers that refuse third-party cookies keep such a cookie, once for each site around the frame (CHIPS,
    /// draft-cutler-httpbis-partitioned-cookies). So a visitor has one session within each of these sites, and another one on
    /// the application's own pages. A login counts for one of them.
    ///
    /// It needs [`same_site(SameSite::None)`](Self::same_site) and a secure cookie. For a site that is in use, give another
    /// [`cookie_name`](Self::cookie_name) with it: browsers keep the cookie without the attribute beside the one with it, and send
    /// both. A session in a partitioned cookie cannot be bound to a device.
    ///
    /// ```
    /// # use bsession::{SameSite, Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?)
    ///     .same_site(SameSite::None)
    ///     .partitioned(true)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn partitioned(mut self, yes: bool) -> Self {
        self.cookie.partitioned = yes;
        self
    }

    /// Sets the domain to which the cookie is sent, with all its subdomains. Default: no domain, so that
    /// only the host that set the cookie gets it.
    ///
    /// # Warning
    /// Every host below the domain gets the cookie.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// Sets the path below which the cookie is sent. Default: `/`.
    ///
    /// A request outside it comes without the cookie. If [`base_path`](Self::base_path) says which path the browser sees, such
    /// a request gets a cookie only by a login, and what else it changes is dropped: a new cookie would replace the one
    /// that the visitor has below the path. Without `base_path` the log warns (`cookie_of_another_path`).
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Sets the realm: tokens are valid only for the same secret and the same realm. Default: the cookie's name
    /// without a prefix such as `__Host-`.
    ///
    /// A token of one realm is invalid in another. To share sessions between two cookie names on purpose, give two
    /// services the same realm and the same store, such as one directory.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// # let secret = Secret::random()?;
    /// let visitors = Sessions::builder(secret.clone()).cookie_name("shop").build()?;
    /// let staff = Sessions::builder(secret.clone()).cookie_name("staff").build()?; // not valid for `visitors`
    /// let visitors_too = Sessions::builder(secret).cookie_name("old_shop").realm("shop").build()?; // valid, in one store
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Adds another origin whose pages may send requests to handlers with `#[session(csrf)]`, like the service's own
    /// pages. Default: no other origin. Call it once for each.
    ///
    /// Write it as browsers write it in `Origin`: `https://sso.example`, with a port if it is not the usual
    /// one, and without a path. Behind a proxy that rewrites `Host`, the service's own origin looks like
    /// another one: add it here. `X-Forwarded-Host` is not trusted, because anybody can send it.
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
    /// Anybody who can put a page or a script there can act with your visitors' sessions.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted_origins.push(origin.into());
        self
    }

    /// Sets the path below which visitors see the application, if a proxy strips that path from their requests.
    /// Default: none.
    ///
    /// The library puts it before the path that `redirect` names, and before the page that goes along as `next`. With
    /// `base_path("/shop")` and `redirect = "/login"`, a visitor of `/shop/orders` is sent to
    /// `/shop/login?next=%2Fshop%2Forders`. The application itself sees `/orders` and `/login`.
    ///
    /// An application that sees the whole path sets nothing here, and writes `redirect = "/shop/login"`. The path of the
    /// cookie stays `/`, which `__Host-` names need.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// // nginx: location /shop/ { proxy_pass http://127.0.0.1:8080/; }
    /// let sessions = Sessions::builder(Secret::random()?).base_path("/shop").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        self.config.base_path = path.into();
        self
    }

    /// Sets the largest size of a session in bytes: its dictionary as JSON. Default: 65,536.
    ///
    /// The user's name and waiting flashes do not count. Each of the two has 64 KiB of its own room. A login therefore works
    /// on a full session.
    ///
    /// [`insert`](crate::Session::insert) and [`update`](crate::Session::update) refuse a value that does not fit. A
    /// session that is too large for another reason is not saved: the response is a 500, and what was stored before
    /// stays. See [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.config.max_size = bytes;
        self
    }

    /// Limits how many sessions a user may have at once, and sets the handling of a login beyond that. Default: no
    /// limit.
    ///
    /// The limit is checked when a login is saved, in every mode. Expired sessions do not count. The session that
    /// logs in again does not count either. Each login then asks the store up to twice for the user's sessions.
    ///
    /// Under [`EndOldest`](AtLimit::EndOldest), parallel logins may exceed `count` for a moment, but not after
    /// their responses have left. The clocks of the hosts decide which login is the older one. They have to agree
    /// to a minute.
    ///
    /// Under [`RefuseNewest`](AtLimit::RefuseNewest), no response sets a cookie for a session beyond `count`. If two
    /// logins race for the last place, both may be refused. A login that loses such a race also loses the contents
    /// of its anonymous session.
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

    /// Sets how long a request waits for the store. After that it is answered with 503. Default: 2 seconds.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// Sets how long a request that locks its session waits for the requests before it. After that it is answered
    /// with 503. Default: 10 seconds.
    ///
    /// See [`Connection::lock`](crate::Connection::lock).
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.config.lock_timeout = timeout;
        self
    }

    /// Sets the clock, for tests that move it. Default: the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the service and makes it the global one.
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), and [`InitError::Twice`] if there is a global service already.
    #[track_caller]
    pub fn init(self) -> Result<(), InitError> {
        let built = Location::caller();
        Sessions::set_global(|| self.build_at(built))
    }

    /// Builds the service as a value: for tests, and for a second service beside the global one.
    ///
    /// Build it once, outside the factory that `HttpServer::new` is given. Hand it to the application with
    /// `App::app_data(sessions.clone())`.
    ///
    /// # Errors
    /// An unusable secret, an impossible setting, settings that contradict each other, or a
    /// directory that cannot be used. There is no network access.
    #[track_caller]
    pub fn build(self) -> Result<Sessions, InitError> {
        self.build_at(Location::caller())
    }

    fn build_at(mut self, built: &'static Location<'static>) -> Result<Sessions, InitError> {
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
            built,
        };
        parts.start()
    }

    /// Sets the name of the cookie. The default depends on the other settings, so they must be complete.
    fn name_cookie(&mut self, is_debug_build: bool) {
        self.cookie.name = match &self.cookie_name {
            Some(name) => name.clone(),
            None => self.cookie.default_name(is_debug_build),
        };
    }

    /// Refuses impossible settings.
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
                !config.base_path.is_empty() && !is_base_path(&config.base_path),
                "`base_path` is what the proxy strips, as in `/shop`: begin it with `/`, without a `/` at its end or a query",
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

/// True for a path of this site that other paths can be appended to.
fn is_base_path(text: &str) -> bool {
    LocalPath::try_from(text).is_ok() && !text.ends_with('/') && !text.contains(['?', '#'])
}

fn trusted(text: &str) -> Result<Origin, InitError> {
    Origin::parse(text).ok_or_else(|| {
        InitError::Setting(format!(
            "`trusted_origin({text:?})` is no origin: write scheme and host as browsers do, without a path, \
             as in `https://sso.example`"
        ))
    })
}
