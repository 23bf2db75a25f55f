//! What is compared: the same routes on each library, one a server.

mod actix_session;
mod bsession;
mod tower_sessions;

use std::net::Ipv4Addr;

use ::bsession::Mode;
#[cfg(feature = "redis")]
use ::bsession::RedisStore;
use actix_web::{
    App, HttpServer,
    web::{self, ServiceConfig},
};

use self::bsession::Around;
use crate::{Result, control};

/// To add a library: a variant, its row in the three functions below, and a file beside this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    BsessionMemory,
    BsessionFile,
    BsessionGate,
    BsessionHooks,
    ActixSession,
    ActixSessionCookie,
    TowerSessions,
    #[cfg(feature = "sqlite")]
    TowerSessionsSqlite,
    #[cfg(feature = "redis")]
    BsessionRedis,
    #[cfg(feature = "redis")]
    ActixSessionRedis,
    #[cfg(feature = "redis")]
    TowerSessionsRedis,
}

impl Library {
    pub(crate) const ALL: &[Self] = &[
        Self::BsessionMemory,
        Self::BsessionFile,
        Self::ActixSession,
        Self::ActixSessionCookie,
        Self::TowerSessions,
        #[cfg(feature = "sqlite")]
        Self::TowerSessionsSqlite,
        #[cfg(feature = "redis")]
        Self::BsessionRedis,
        #[cfg(feature = "redis")]
        Self::ActixSessionRedis,
        #[cfg(feature = "redis")]
        Self::TowerSessionsRedis,
    ];

    /// Ways to use a library that are only counted when they are named.
    const ASIDE: [Self; 2] = [Self::BsessionGate, Self::BsessionHooks];

    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BsessionMemory => "bsession-memory",
            Self::BsessionFile => "bsession-file",
            Self::BsessionGate => "bsession-gate",
            Self::BsessionHooks => "bsession-hooks",
            Self::ActixSession => "actix-session",
            Self::ActixSessionCookie => "actix-session-cookie",
            Self::TowerSessions => "tower-sessions",
            #[cfg(feature = "sqlite")]
            Self::TowerSessionsSqlite => "tower-sessions-sqlite",
            #[cfg(feature = "redis")]
            Self::BsessionRedis => "bsession-redis",
            #[cfg(feature = "redis")]
            Self::ActixSessionRedis => "actix-session-redis",
            #[cfg(feature = "redis")]
            Self::TowerSessionsRedis => "tower-sessions-redis",
        }
    }

    /// The package whose version stands in the table, as cargo names one of several versions, and what of
    /// it is used.
    pub(crate) const fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::BsessionMemory => ("bsession", "memory"),
            Self::BsessionFile => ("bsession", "file"),
            Self::BsessionGate => ("bsession", "memory, behind a gate"),
            Self::BsessionHooks => ("bsession", "memory, behind hooks"),
            Self::ActixSession => ("actix-session", "DashMap store, signed cookie"),
            Self::ActixSessionCookie => ("actix-session", "cookie store"),
            Self::TowerSessions => ("tower-sessions@0.15", "memory store, signed cookie"),
            #[cfg(feature = "sqlite")]
            Self::TowerSessionsSqlite => ("tower-sessions@0.15", "SQLite (WAL), signed cookie"),
            #[cfg(feature = "redis")]
            Self::BsessionRedis => ("bsession", "Redis"),
            #[cfg(feature = "redis")]
            Self::ActixSessionRedis => ("actix-session", "Redis, signed cookie"),
            #[cfg(feature = "redis")]
            Self::TowerSessionsRedis => (
                "tower-sessions@0.14",
                "Redis by one connection, signed cookie",
            ),
        }
    }

    /// Whether a server of it is given a Redis.
    pub(crate) const fn uses_redis(self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::BsessionRedis | Self::ActixSessionRedis | Self::TowerSessionsRedis => true,
            _ => false,
        }
    }

    /// Serves `route` until the comparison closes the line; `redis` is the address of its Redis, if it has one.
    pub(crate) fn serve(self, route: Route, redis: Option<&str>) -> Result<()> {
        #[cfg(feature = "redis")]
        let redis = || redis.ok_or("the address of a Redis is missing");
        #[cfg(not(feature = "redis"))]
        let _ = redis;
        match self {
            Self::BsessionMemory => bsession::serve(Mode::Memory, route, Around::Nothing),
            Self::BsessionFile => bsession::serve(Mode::File, route, Around::Nothing),
            Self::BsessionGate => bsession::serve(Mode::Memory, route, Around::Gate),
            Self::BsessionHooks => bsession::serve(Mode::Memory, route, Around::Hooks),
            Self::ActixSession => actix_session::serve(route),
            Self::ActixSessionCookie => actix_session::serve_cookie(route),
            Self::TowerSessions => tower_sessions::serve(route),
            #[cfg(feature = "sqlite")]
            Self::TowerSessionsSqlite => tower_sessions::sqlite::serve(route),
            #[cfg(feature = "redis")]
            Self::BsessionRedis => {
                bsession::serve(RedisStore::at(redis()?), route, Around::Nothing)
            }
            #[cfg(feature = "redis")]
            Self::ActixSessionRedis => actix_session::redis::serve(redis()?, route),
            #[cfg(feature = "redis")]
            Self::TowerSessionsRedis => tower_sessions::redis::serve(redis()?, route),
        }
    }

    /// The ways to add one to what is in a session.
    pub(crate) const fn increments(self) -> &'static [Route] {
        match self {
            Self::BsessionMemory | Self::BsessionFile => &[Route::Count, Route::Update],
            #[cfg(feature = "redis")]
            Self::BsessionRedis => &[Route::Count, Route::Update],
            _ => &[Route::Count],
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self> {
        let mut all = Self::ALL.iter().copied().chain(Self::ASIDE);
        all.find(|library| library.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|library| library.name()).collect();
            let names = names.join(", ");
            format!("no server is called {name:?}: there are {names}").into()
        })
    }
}

/// What a server's [`PAGE`] does. All answer the user's name and a counter, so that only the session
/// differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// No session.
    Bare,
    /// Reads a name and a counter.
    Read,
    /// Adds one to the counter.
    Write,
    /// A new id, and a user.
    Login,
    /// Reads the counter, sleeps, and writes what it has read and one.
    Count,
    /// The same with the library's own way to change a value.
    Update,
}

impl Route {
    /// What is counted and timed.
    pub(crate) const ALL: [Self; 4] = [Self::Bare, Self::Read, Self::Write, Self::Login];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Read => "read",
            Self::Write => "write",
            Self::Login => "login",
            Self::Count => "count",
            Self::Update => "update",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self> {
        let all = Self::ALL.into_iter().chain([Self::Count, Self::Update]);
        let found = { all }.find(|route| route.name() == name);
        found.ok_or_else(|| format!("no route is called {name:?}").into())
    }
}

/// Where the one route of a server lies, whichever it is. It is registered first: actix-web tries
/// resources one after the other, and the place of a route is no part of what a session costs.
pub(crate) const PAGE: &str = "/page";
/// Where every server has the bare route too, for who visits it while others write; after the page, so
/// that the page does not pay for it.
pub(crate) const ASIDE: &str = "/aside";
/// Begins a session of two keys; not measured.
pub(crate) const START: &str = "/start";
pub(crate) const USER: &str = "ann";
pub(crate) const VISITS_AT_START: u64 = 1000;

/// Not secret: the servers live for minutes, on loopback.
const SECRET: [u8; 64] = *b"a secret of the comparison, sixty-four bytes, known to everybody";

/// The route without a session, the same on every server.
async fn bare() -> String {
    page(USER, VISITS_AT_START)
}

fn page(user: &str, visits: u64) -> String {
    format!("{user} {visits}")
}

/// actix-web with one worker and nothing but these routes and the bare one.
fn on_actix(routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<()> {
    actix_web::rt::System::new().block_on(actix(routes))
}

async fn actix(routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<()> {
    let app = move || {
        App::new()
            .configure(routes.clone())
            .route(ASIDE, web::get().to(bare))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .bind((Ipv4Addr::LOCALHOST, 0))?;
    control::answer(server.addrs()[0]);
    Ok(server.run().await?)
}
