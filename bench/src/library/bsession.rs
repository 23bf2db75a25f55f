//! bsession with its defaults.

use actix_web::web;
use bsession::{Mode, Sessions, session};

use super::{Route, SECRET, START, USER, VISITS_AT_START, bare, on_actix, page};
use crate::Result;

/// Session files lie in `sessions`, in the directory the server is started in.
pub(super) fn serve(mode: Mode) -> Result<()> {
    let sessions = Sessions::builder(SECRET).mode(mode).build()?;
    on_actix(move |routes| {
        routes
            .app_data(sessions.clone())
            .route(Route::Bare.path(), web::get().to(bare))
            .route(START, web::get().to(start))
            .route(Route::Read.path(), web::get().to(read))
            .route(Route::Write.path(), web::get().to(write))
            .route(Route::Login.path(), web::get().to(login));
    })
}

#[session]
async fn start() -> bsession::Result<String> {
    session.insert("user", USER)?;
    session.insert("visits", VISITS_AT_START)?;
    Ok(page(USER, VISITS_AT_START))
}

#[session]
async fn read() -> bsession::Result<String> {
    let user: &str = session.get("user")?.unwrap_or_default();
    let visits = session.get("visits")?.unwrap_or_default();
    Ok(page(user, visits))
}

#[session]
async fn write() -> bsession::Result<String> {
    let visits = session.update("visits", |visits: u64| visits + 1)?;
    Ok(page(USER, visits))
}

#[session]
async fn login() -> String {
    session.login(USER);
    page(USER, VISITS_AT_START)
}
