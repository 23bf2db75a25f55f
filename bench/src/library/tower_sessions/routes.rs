//! The routes, for whichever version of tower-sessions the module above brings.

use axum::{Router, routing::get};
use tokio::time::sleep;

use super::tower_sessions::{
    Session, SessionManagerLayer, SessionStore, cookie::Key, session::Error,
};
use crate::{
    library::{ASIDE, PAGE, Route, SECRET, START, USER, VISITS_AT_START, bare, page},
    updates,
};

/// Layered under the routes that have a session, so that the bare one stays bare.
pub(super) fn router(route: Route, store: impl SessionStore + Clone) -> Router {
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
