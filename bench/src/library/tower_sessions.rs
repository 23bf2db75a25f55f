//! tower-sessions with its defaults, but for the signed cookie, on axum with one thread.

use std::net::Ipv4Addr;

use axum::{Router, routing::get};
use tokio::{net::TcpListener, time::sleep};
use tower_sessions::{
    MemoryStore, Session, SessionManagerLayer, SessionStore, cookie::Key, session::Error,
};

use super::{ASIDE, PAGE, Route, SECRET, START, USER, VISITS_AT_START, bare, page};
use crate::{Result, control, updates};

pub(super) fn serve(route: Route) -> Result<()> {
    on_axum(async { Ok(router(route, MemoryStore::default())) })
}

/// Layered under the routes that have a session, so that the bare one stays bare.
fn router(route: Route, store: impl SessionStore + Clone) -> Router {
    let session = SessionManagerLayer::new(store).with_signed(Key::from(&SECRET));
    let page = match route {
        Route::Bare => get(bare),
        Route::Read => get(read).layer(session.clone()),
        Route::Write => get(write).layer(session.clone()),
        Route::Login => get(login).layer(session.clone()),
        Route::Count | Route::Update => get(count).layer(session.clone()),
    };
    Router::new()
        .route(PAGE, page)
        .route(START, get(start).layer(session))
        .route(ASIDE, get(bare))
}

fn on_axum(router: impl Future<Output = Result<Router>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let router = router.await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        control::answer(listener.local_addr()?);
        Ok(axum::serve(listener, router).await?)
    })
}

/// What goes wrong with a session, as a response.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        (status, self.0.to_string()).into_response()
    }
}

type Answer = std::result::Result<String, Failed>;

async fn start(session: Session) -> Answer {
    session.insert("user", USER).await?;
    session.insert("visits", VISITS_AT_START).await?;
    Ok(page(USER, VISITS_AT_START))
}

async fn read(session: Session) -> Answer {
    let user: String = session.get("user").await?.unwrap_or_default();
    let visits = session.get("visits").await?.unwrap_or_default();
    Ok(page(&user, visits))
}

async fn write(session: Session) -> Answer {
    let visits = session.get("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", visits).await?;
    Ok(page(USER, visits))
}

async fn count(session: Session) -> Answer {
    let visits = session.get("visits").await?.unwrap_or(0) + 1;
    sleep(updates::SLEEP).await;
    session.insert("visits", visits).await?;
    Ok(page(USER, visits))
}

async fn login(session: Session) -> Answer {
    session.cycle_id().await?;
    session.insert("user", USER).await?;
    Ok(page(USER, VISITS_AT_START))
}

/// The same over SQLite, which is what keeps sessions on disk.
#[cfg(feature = "sqlite")]
pub(super) mod sqlite {
    use tokio_rusqlite::{Connection, rusqlite};
    use tower_sessions_rusqlite_store::RusqliteStore;

    use super::{Result, Route, on_axum, router};

    /// The database lies in the directory the server is started in.
    pub(in crate::library) fn serve(route: Route) -> Result<()> {
        on_axum(async move {
            let connection = Connection::open("sessions.sqlite").await?;
            connection
                .call(|connection| {
                    connection.pragma_update(None, "journal_mode", "WAL")?;
                    connection.pragma_update(None, "synchronous", "NORMAL")?;
                    Ok::<_, rusqlite::Error>(())
                })
                .await?;
            let store = RusqliteStore::new(connection);
            store.migrate().await?;
            Ok(router(route, store))
        })
    }
}
