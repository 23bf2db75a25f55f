//! bsession with its defaults.

use actix_web::web;
use bsession::{Gate, Hooks, Mode, Sessions, session};
use tokio::time::sleep;

use super::{PAGE, Route, SECRET, START, USER, VISITS_AT_START, bare, on_actix, page};
use crate::{Result, updates};

/// What is wrapped around the page. The bare page has nothing around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    Nothing,
    Gate,
    Hooks,
}

/// Session files lie in `sessions`, in the directory the server is started in.
pub(super) fn serve(mode: impl Into<Mode>, route: Route, around: Around) -> Result<()> {
    let sessions = Sessions::builder(SECRET).mode(mode).build()?;
    on_actix(move |routes| {
        let page = match route {
            Route::Bare => web::get().to(bare),
            Route::Read => web::get().to(read),
            Route::Write => web::get().to(write),
            Route::Login => web::get().to(login),
            Route::Count => web::get().to(count),
            Route::Update => web::get().to(update),
        };
        let routes = routes.app_data(sessions.clone());
        let page = web::resource(PAGE).route(page);
        match around {
            Around::Gate if route != Route::Bare => {
                routes.service(page.wrap(Gate::new().csrf().require_key("user")))
            }
            Around::Hooks if route != Route::Bare => routes.service(page.wrap(Hooks)),
            _ => routes.service(page),
        }
        .route(START, web::get().to(start));
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

#[session]
async fn count() -> bsession::Result<String> {
    let visits = session.get("visits")?.unwrap_or(0) + 1;
    sleep(updates::SLEEP).await;
    session.insert("visits", visits)?;
    Ok(page(USER, visits))
}

#[session]
async fn update() -> bsession::Result<String> {
    let _: u64 = session.get("visits")?.unwrap_or(0);
    sleep(updates::SLEEP).await;
    let visits = session.update("visits", |visits: u64| visits + 1)?;
    Ok(page(USER, visits))
}
