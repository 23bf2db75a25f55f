//! A guest book: count visits, log in with a name, sign, list the devices that are logged in, log out.
//!
//! ```text
//! cargo run --example guestbook
//! ```
//!
//! serves it at <http://127.0.0.1:8080>. Sessions are files in `./sessions`, sealed with the secret in
//! `./guestbook.secret`. Both are created at the first start. Stop it and start it again: visitors who were
//! logged in still are. Start a second one beside it, with `-- 127.0.0.1:8081`: it knows them, too.
//! Log in with the same name from another browser, and see both browsers on the page of devices.

mod pages;

use std::time::{Duration, SystemTime};

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, USER_AGENT};
use actix_web::middleware::{DefaultHeaders, ErrorHandlerResponse, ErrorHandlers};
use actix_web::web::{self, Form, Redirect};
use actix_web::{App, HttpRequest, HttpServer, Responder, get, post};
use bsession::{AtLimit, Handle, Level, LocalPath, Mode, Secret, Sessions, session};
use serde::{Deserialize, Serialize};

const LONGEST_NAME: usize = 40;
const LONGEST_TEXT: usize = 280;
const MOST_ENTRIES: usize = 20;
const MOST_DEVICES: usize = 5;

/// The content security policy: it says what browsers may load and where forms may go, and forbids other pages to
/// frame ours.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    text: String,
    written: SystemTime,
}

#[derive(Deserialize)]
struct Login {
    name: String,
    #[serde(default)]
    next: LocalPath,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: LocalPath,
}

#[derive(Deserialize)]
struct Signature {
    text: String,
}

#[derive(Deserialize)]
struct Device {
    handle: Handle,
}

#[get("/")]
#[session]
async fn index(query: web::Query<Next>) -> bsession::Result<impl Responder> {
    let visits = session.update("visits", |n: u64| n + 1)?;
    let flashes = session.flashes().await?;
    let token = session.csrf_token();

    let content = match session.user() {
        None => pages::guest(visits, &query.next, &token),
        Some(name) => {
            let entries: Vec<Entry> = session.get("entries")?.unwrap_or_default();
            pages::member(name, visits, &entries, &token)
        }
    };
    Ok(pages::page("Guest book", &flashes, &content))
}

#[post("/login")]
#[session(csrf)]
async fn login(form: Form<Login>, request: HttpRequest) -> impl Responder {
    let Login { name, next } = form.into_inner();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if !name.contains(char::is_alphanumeric) {
        session.flash(
            Level::Warning,
            "Please tell us your name: a letter or two will do.",
        );
        return Redirect::to("/").see_other();
    }
    if name.chars().count() > LONGEST_NAME {
        session.flash(
            Level::Warning,
            "That name is too long for our book. Is there a shorter one?",
        );
        return Redirect::to("/").see_other();
    }
    session.login(name); // if another user is logged in, this begins an empty session
    let agent = request.headers().get(USER_AGENT);
    session.set_note(
        agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default(),
    );
    Redirect::to(next).see_other()
}

#[post("/sign")]
#[session(csrf, require, redirect = "/")]
async fn sign(form: Form<Signature>) -> bsession::Result<impl Responder> {
    let text = form.text.replace("\r\n", "\n").trim().to_owned();
    if text.is_empty() {
        session.flash(Level::Warning, "Please write something first.");
    } else if text.chars().count() > LONGEST_TEXT {
        session.flash(
            Level::Warning,
            "That is more than fits on a line of our book.",
        );
    } else {
        let written = SystemTime::now();
        // An update, so that both entries are kept if two tabs sign at once.
        session.update("entries", move |mut entries: Vec<Entry>| {
            entries.insert(0, Entry { text, written });
            entries.truncate(MOST_ENTRIES);
            entries
        })?;
        session.flash(Level::Success, "Thank you for signing.");
    }
    Ok(Redirect::to("/").see_other())
}

#[get("/devices")]
#[session(require, redirect = "/")]
async fn devices(user: &str, sessions: Sessions) -> bsession::Result<impl Responder> {
    let flashes = session.flashes().await?;
    let devices = sessions.of_user(user).await?;
    let content = pages::devices(&devices, session.handle(), &session.csrf_token());
    Ok(pages::page("Where you are logged in", &flashes, &content))
}

#[post("/devices/logout")]
#[session(csrf, require, redirect = "/")]
async fn revoke(
    user: &str,
    form: Form<Device>,
    sessions: Sessions,
) -> bsession::Result<impl Responder> {
    // It ends only sessions of this user, so a forged handle in the form does no harm.
    if sessions.revoke(user, form.handle).await? {
        session.flash(Level::Success, "That device is logged out.");
    }
    Ok(Redirect::to("/devices").see_other())
}

#[post("/devices/logout-others")]
#[session(csrf, require, redirect = "/")]
async fn revoke_others(user: &str, sessions: Sessions) -> bsession::Result<impl Responder> {
    sessions.revoke_user(user, Some(session)).await?;
    session.flash(Level::Success, "You are logged out everywhere but here.");
    Ok(Redirect::to("/devices").see_other())
}

#[post("/logout")]
#[session(csrf, purge)]
async fn logout() -> impl Responder {
    Redirect::to("/").see_other()
}

async fn style() -> impl Responder {
    include_str!("style.css")
        .customize()
        .insert_header(("Content-Type", "text/css; charset=utf-8"))
}

async fn not_found() -> impl Responder {
    pages::page("Not found", &[], include_str!("not_found.html"))
        .customize()
        .with_status(StatusCode::NOT_FOUND)
}

/// Shows a page for a request that `csrf` refused. Without it, browsers show their own error page.
fn refused<B>(response: ServiceResponse<B>) -> actix_web::Result<ErrorHandlerResponse<B>> {
    let page = pages::page("Not from there", &[], include_str!("refused.html"))
        .customize()
        .with_status(response.status())
        .respond_to(response.request());
    let response = response.into_response(page.map_into_boxed_body());
    Ok(ErrorHandlerResponse::Response(
        response.map_into_right_body(),
    ))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");

    Sessions::builder(Secret::load_or_create("guestbook.secret")?)
        .mode(Mode::File)
        .max_per_user(MOST_DEVICES, AtLimit::EndOldest)
        .init()?;

    let server = HttpServer::new(|| {
        App::new()
            .wrap(ErrorHandlers::new().handler(StatusCode::FORBIDDEN, refused))
            .wrap(
                DefaultHeaders::new()
                    .add((CACHE_CONTROL, "no-store"))
                    .add((CONTENT_SECURITY_POLICY, POLICY)),
            )
            .service(index)
            .service(login)
            .service(sign)
            .service(devices)
            .service(revoke)
            .service(revoke_others)
            .service(logout)
            .route("/style.css", web::get().to(style))
            .default_service(web::to(not_found))
    })
    .bind(address)
    .map_err(|error| format!("cannot listen on {address}: {error}"))?;

    for address in server.addrs() {
        println!("The guest book lies open at http://{address} (Ctrl+C closes it)");
    }
    server.run().await?;
    if let Some(sessions) = Sessions::global() {
        sessions.close(Duration::from_secs(5)).await;
    }
    Ok(())
}
