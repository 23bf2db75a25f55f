//! A guest book: count visits, log in with a name, sign, log out.
//!
//! ```text
//! cargo run --example guestbook
//! ```
//!
//! serves it at <http://127.0.0.1:8080>. Sessions are files in `./sessions`, sealed with the secret in
//! `./guestbook.secret`; both are made at the first start. Stop it and start it again: whoever was
//! logged in still is. Start a second one beside it, with `-- 127.0.0.1:8081`: it knows them too.

use std::fmt::{self, Write};
use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HttpDate};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Form, Html, Redirect};
use actix_web::{App, HttpServer, Responder, get, post};
use bsession::{Flash, Level, Mode, Secret, session};
use serde::{Deserialize, Serialize};

const LONGEST_NAME: usize = 40;
const LONGEST_TEXT: usize = 280;
const MOST_ENTRIES: usize = 20;

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    text: String,
    written: SystemTime,
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

#[derive(Deserialize)]
struct Signature {
    text: String,
}

#[get("/")]
#[session]
async fn index() -> bsession::Result<impl Responder> {
    let visits = session.update("visits", |n: u64| n + 1)?;
    let notices = session.flashes().await?;
    let entries: Vec<Entry> = session.get("entries")?.unwrap_or_default();

    let content = match session.user() {
        None => guest(visits),
        Some(name) => member(name, visits, &entries),
    };
    Ok(page("Guest book", &notices, &content))
}

#[post("/login")]
#[session]
async fn login(form: Form<Login>) -> impl Responder {
    let name = one_line(&form.name);
    if !name.contains(char::is_alphanumeric) {
        session.flash(
            Level::Warning,
            "Please tell us your name: a letter or two will do.",
        );
    } else if name.chars().count() > LONGEST_NAME {
        session.flash(
            Level::Warning,
            "That name is too long for our book. Is there a shorter one?",
        );
    } else {
        session.login(name);
    }
    Redirect::to("/").see_other()
}

#[post("/sign")]
#[session]
async fn sign(form: Form<Signature>) -> bsession::Result<impl Responder> {
    let text = form.text.replace("\r\n", "\n").trim().to_owned();
    if session.user().is_none() {
        session.flash(Level::Warning, "Please log in before you sign.");
    } else if text.is_empty() {
        session.flash(Level::Warning, "Please write something first.");
    } else if text.chars().count() > LONGEST_TEXT {
        session.flash(
            Level::Warning,
            "That is more than fits on a line of our book.",
        );
    } else {
        let written = SystemTime::now();
        // An update, so that two tabs that sign at once are two entries.
        session.update("entries", move |mut entries: Vec<Entry>| {
            entries.insert(0, Entry { text, written });
            entries.truncate(MOST_ENTRIES);
            entries
        })?;
    }
    Ok(Redirect::to("/").see_other())
}

#[post("/logout")]
#[session(purge)]
async fn logout() -> impl Responder {
    Redirect::to("/").see_other()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn style() -> impl Responder {
    include_str!("style.css")
        .customize()
        .insert_header(("Content-Type", "text/css; charset=utf-8"))
}

async fn not_found() -> impl Responder {
    page("Not found", &[], include_str!("not_found.html"))
        .customize()
        .with_status(StatusCode::NOT_FOUND)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("warn"));
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");

    bsession::init(Secret::load_or_create("guestbook.secret")?, Mode::File)?;

    let server = HttpServer::new(|| {
        App::new()
            .wrap(
                DefaultHeaders::new()
                    .add((CACHE_CONTROL, "no-store"))
                    .add((CONTENT_SECURITY_POLICY, "default-src 'self'; img-src data:")),
            )
            .service(index)
            .service(login)
            .service(sign)
            .service(logout)
            .route("/style.css", web::get().to(style))
            .default_service(web::to(not_found))
    })
    .bind(address)
    .map_err(|error| format!("cannot listen on {address}: {error}"))?;

    for address in server.addrs() {
        println!("The guest book lies open at http://{address} (Ctrl+C closes it)");
    }
    Ok(server.run().await?)
}

// The rest is HTML.

/// Text that is to stay text, whatever is in it.
struct Text<'t>(&'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

fn page(title: &str, notices: &[Flash], content: &str) -> Html {
    let notice = |flash: &Flash| {
        let (level, text) = (flash.level, Text(&flash.text));
        format!("<p class=\"notice {level}\" role=\"alert\">{text}</p>\n")
    };
    let notices: String = notices.iter().map(notice).collect();
    Html::new(format!(
        include_str!("page.html"),
        title = Text(title),
        notices = notices,
        content = content,
    ))
}

fn guest(visits: u64) -> String {
    format!(
        include_str!("guest.html"),
        visits = times(visits),
        longest = LONGEST_NAME,
    )
}

fn member(name: &str, visits: u64, entries: &[Entry]) -> String {
    let mut list: String = entries.iter().map(entry).collect();
    if list.is_empty() {
        list = "<li class=\"hint\">Nothing here yet.</li>\n".to_owned();
    }
    format!(
        include_str!("member.html"),
        name = Text(name),
        visits = times(visits),
        longest = LONGEST_TEXT,
        entries = list,
    )
}

fn entry(entry: &Entry) -> String {
    format!(
        "<li><p>{}</p><small>{}</small></li>\n",
        Text(&entry.text),
        HttpDate::from(entry.written),
    )
}

fn times(count: u64) -> String {
    match count {
        1 => "for the first time".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count}&nbsp;times"),
    }
}
