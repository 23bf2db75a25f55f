//! actix-session with its defaults: over a store in memory or Redis, with a signed cookie, and in the
//! cookie alone.

use std::{
    collections::HashMap,
    future::{Future, ready},
    sync::Arc,
    time::Instant,
};

use actix_session::{
    Session, SessionMiddleware,
    config::CookieContentSecurity,
    storage::{
        CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
        generate_session_key,
    },
};
use actix_web::{
    cookie::{Key, time::Duration},
    web::{self, ServiceConfig},
};
use dashmap::DashMap;
use tokio::time::sleep;

use super::{PAGE, Route, SECRET, START, USER, VISITS_AT_START, bare, on_actix, page};
use crate::{Result, updates};

pub(super) fn serve(route: Route) -> Result<()> {
    on_actix(signed(Memory::default(), route))
}

/// The routes over a store, the id in a signed cookie.
fn signed(
    store: impl SessionStore + Clone + Send + 'static,
    route: Route,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |routes| {
        configure(routes, route, || {
            SessionMiddleware::builder(store.clone(), Key::from(&SECRET))
                .cookie_content_security(CookieContentSecurity::Signed)
                .build()
        });
    }
}

/// The session in the cookie, which is encrypted by default.
pub(super) fn serve_cookie(route: Route) -> Result<()> {
    on_actix(move |routes| {
        let key = Key::from(&SECRET);
        configure(routes, route, || {
            SessionMiddleware::new(CookieSessionStore::default(), key.clone())
        });
    })
}

/// Wrapped route by route, so that the bare one stays bare.
fn configure<S: SessionStore + 'static>(
    routes: &mut ServiceConfig,
    route: Route,
    session: impl Fn() -> SessionMiddleware<S>,
) {
    let page = match route {
        Route::Bare => web::get().to(bare),
        Route::Read => web::get().to(read).wrap(session()),
        Route::Write => web::get().to(write).wrap(session()),
        Route::Login => web::get().to(login).wrap(session()),
        Route::Count | Route::Update => web::get().to(count).wrap(session()),
    };
    routes
        .route(PAGE, page)
        .route(START, web::get().to(start).wrap(session()));
}

async fn start(session: Session) -> actix_web::Result<String> {
    session.insert("user", USER)?;
    session.insert("visits", VISITS_AT_START)?;
    Ok(page(USER, VISITS_AT_START))
}

async fn read(session: Session) -> actix_web::Result<String> {
    let user: String = session.get("user")?.unwrap_or_default();
    let visits = session.get("visits")?.unwrap_or_default();
    Ok(page(&user, visits))
}

async fn write(session: Session) -> actix_web::Result<String> {
    let visits = session.get("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(page(USER, visits))
}

async fn count(session: Session) -> actix_web::Result<String> {
    let visits = session.get("visits")?.unwrap_or(0) + 1;
    sleep(updates::SLEEP).await;
    session.insert("visits", visits)?;
    Ok(page(USER, visits))
}

async fn login(session: Session) -> actix_web::Result<String> {
    session.renew();
    session.insert("user", USER)?;
    Ok(page(USER, VISITS_AT_START))
}

type State = HashMap<String, String>;

/// What a user of actix-session would write: a concurrent map, and expiry checked at every load.
#[derive(Clone, Default)]
struct Memory(Arc<DashMap<String, (State, Instant)>>);

impl Memory {
    fn put(&self, key: &SessionKey, state: State, ttl: &Duration) {
        self.0.insert(key.as_ref().to_owned(), (state, expiry(ttl)));
    }
}

fn expiry(ttl: &Duration) -> Instant {
    Instant::now() + ttl.unsigned_abs()
}

impl SessionStore for Memory {
    fn load(
        &self,
        key: &SessionKey,
    ) -> impl Future<Output = std::result::Result<Option<State>, LoadError>> {
        let found = self.0.get(key.as_ref());
        let live = found.filter(|entry| entry.1 > Instant::now());
        ready(Ok(live.map(|entry| entry.0.clone())))
    }

    fn save(
        &self,
        state: State,
        ttl: &Duration,
    ) -> impl Future<Output = std::result::Result<SessionKey, SaveError>> {
        let key = generate_session_key();
        self.put(&key, state, ttl);
        ready(Ok(key))
    }

    fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &Duration,
    ) -> impl Future<Output = std::result::Result<SessionKey, UpdateError>> {
        self.put(&key, state, ttl);
        ready(Ok(key))
    }

    async fn update_ttl(
        &self,
        key: &SessionKey,
        ttl: &Duration,
    ) -> std::result::Result<(), anyhow::Error> {
        if let Some(mut entry) = self.0.get_mut(key.as_ref()) {
            entry.1 = expiry(ttl);
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> std::result::Result<(), anyhow::Error> {
        self.0.remove(key.as_ref());
        Ok(())
    }
}

/// The same over Redis, by one connection that all requests share, which is what its documentation shows.
#[cfg(feature = "redis")]
pub(super) mod redis {
    use actix_session::storage::RedisSessionStore;

    use super::{Result, Route, signed};
    use crate::library::actix;

    pub(in crate::library) fn serve(url: &str, route: Route) -> Result<()> {
        actix_web::rt::System::new().block_on(async {
            let store = RedisSessionStore::new(url).await?;
            actix(signed(store, route)).await
        })
    }
}
