//! A server process: a route for each thing that visitors do, until its stdin ends.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::web::{Json, Path};
use actix_web::{App, HttpResponse, HttpServer, Responder, get, post};
use bsession::{Builder, FileStore, Flash, Level, Mode, RedisStore, Secure, Sessions, session};
use serde_json::json;

use crate::machine;

const SECRET: &str = "the secret of a soak, which guards nothing";

/// How long a session lasts that nobody visits: what visitors leave behind is swept within a run.
pub(crate) const IDLE: Duration = Duration::from_secs(40);
/// The same for those that are made to expire.
pub(crate) const BRIEF: Duration = Duration::from_secs(2);
/// Longer than the default: a machine that stands still for a moment is no finding.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for others between a load and a save.
const PAUSE: Duration = Duration::from_millis(5);

#[get("/read")]
#[session]
async fn read() -> impl Responder {
    let mut data = json!(session.data());
    if !session.waiting_flashes().is_empty() {
        data["flashes"] = json!(session.waiting_flashes());
    }
    Json(json!({ "user": session.user(), "data": data }))
}

/// A session whose cookie ends with the browser, so that visits are touches; or a lasting one, whose
/// cookie has to be sent again now and then.
#[post("/begin/{mark}/{lasting}")]
#[session]
async fn begin(path: Path<(String, bool)>) -> bsession::Result<impl Responder> {
    let (mark, lasting) = path.into_inner();
    session.insert("mark", mark)?;
    if lasting {
        session.set_idle(IDLE);
    }
    Ok("begun")
}

#[post("/brief/{mark}")]
#[session]
async fn brief(mark: Path<String>) -> bsession::Result<impl Responder> {
    session.insert("mark", &*mark)?;
    session.set_idle(BRIEF);
    Ok("begun")
}

#[post("/count")]
#[session]
async fn count() -> bsession::Result<impl Responder> {
    session.update("count", |n: u64| n + 1)?;
    Ok("counted")
}

#[post("/set/{key}/{value}")]
#[session]
async fn set(path: Path<(String, u64)>) -> bsession::Result<impl Responder> {
    let (key, value) = path.into_inner();
    session.insert(key, value)?;
    Ok("set")
}

/// Counts and sets, with time for others between the load and the save.
#[post("/slow/{millis}/{key}/{value}")]
#[session]
async fn slow(path: Path<(u64, String, u64)>) -> bsession::Result<impl Responder> {
    let (millis, key, value) = path.into_inner();
    session.update("count", |n: u64| n + 1)?;
    tokio::time::sleep(Duration::from_millis(millis.min(1000))).await;
    session.insert(key, value)?;
    Ok("slow")
}

/// Counts plainly.
#[post("/locked")]
#[session(lock)]
async fn locked() -> bsession::Result<impl Responder> {
    let before: u64 = session.get("locked")?.unwrap_or(0);
    tokio::time::sleep(PAUSE).await;
    session.insert("locked", before + 1)?;
    Ok("counted")
}

#[post("/plant/{value}")]
#[session]
async fn plant(value: Path<u64>) -> bsession::Result<impl Responder> {
    session.insert("gift", *value)?;
    Ok("planted")
}

#[post("/claim")]
#[session]
async fn claim() -> bsession::Result<impl Responder> {
    tokio::time::sleep(PAUSE).await;
    let gift: Option<u64> = session.claim("gift").await?;
    Ok(Json(Vec::from_iter(gift)))
}

#[post("/flash/{value}")]
#[session]
async fn flash(value: Path<String>) -> impl Responder {
    session.flash(Level::Info, &*value);
    tokio::time::sleep(PAUSE).await;
    "left"
}

#[post("/flashes")]
#[session]
async fn flashes() -> bsession::Result<impl Responder> {
    tokio::time::sleep(PAUSE).await;
    let flashes = session.flashes().await?.into_iter();
    let values = flashes.filter_map(|Flash { text, .. }| text.parse().ok());
    Ok(Json(values.collect::<Vec<u64>>()))
}

/// Changes all that there is, and fails.
#[post("/fail")]
#[session]
async fn fail() -> bsession::Result<impl Responder> {
    session.update("count", |n: u64| n + 1)?;
    session.insert("broken", true)?;
    session.remove("mark");
    Ok(HttpResponse::InternalServerError())
}

/// The same; a panic that prints nothing.
#[post("/panic")]
#[session]
async fn panic() -> bsession::Result<impl Responder> {
    session.update("count", |n: u64| n + 1)?;
    session.insert("broken", true)?;
    session.remove("mark");
    if session.contains_key("broken") {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
    Ok("never")
}

#[post("/login/{user}/{mark}")]
#[session]
async fn login(path: Path<(String, String)>) -> bsession::Result<impl Responder> {
    let (user, mark) = path.into_inner();
    session.login(user);
    session.insert("mark", mark)?;
    Ok("in")
}

#[post("/renew")]
#[session]
async fn renew() -> impl Responder {
    session.renew();
    "renewed"
}

#[post("/logout")]
#[session(purge)]
async fn logout() -> impl Responder {
    "out"
}

#[post("/revoke/{user}/{each}")]
async fn revoke(
    path: Path<(String, bool)>,
    sessions: Sessions,
) -> bsession::Result<impl Responder> {
    let (user, each) = path.into_inner();
    if each {
        for session in sessions.of_user(&user).await? {
            sessions.revoke(&user, session.handle).await?;
        }
    } else {
        sessions.revoke_user(&user, None).await?;
    }
    Ok("revoked")
}

/// How this process is.
#[get("/health")]
async fn health(sessions: Sessions) -> impl Responder {
    let stats = sessions.stats();
    Json(json!({
        "resident": machine::resident(),
        "descriptors": machine::descriptors(),
        "stats": {
            "loads": stats.loads,
            "creates": stats.creates,
            "commits": stats.commits,
            "conflicts merged": stats.conflicts,
            "late saves refused": stats.late,
            "touches": stats.touches,
            "renewals": stats.renewals,
            "removals": stats.removals,
            "bad cookies": stats.bad_cookies,
            "unreadable records": stats.unreadable,
            "changes dropped": stats.dropped,
            "store errors": stats.store_errors,
            "swept": stats.swept,
        },
    }))
}

/// It serves plain http, in release builds, too.
fn builder() -> Builder {
    Sessions::builder(SECRET).secure(Secure::Never)
}

/// The name of the cookie.
pub(crate) fn cookie_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let sessions = builder().build().expect("a service in memory");
        sessions.cookie_name().to_owned()
    });
    &NAME
}

/// Serves until stdin ends, which it does with the parent.
pub(crate) fn serve(place: String) -> std::io::Result<()> {
    env_logger::init();
    let builder = builder()
        .idle(IDLE)
        .browser_session(true)
        .store_timeout(STORE_TIMEOUT);
    let builder = if place.is_empty() {
        builder.mode(Mode::Memory)
    } else if place.starts_with("redis://") {
        builder.mode(RedisStore::at(place))
    } else {
        builder.mode(FileStore::at(place))
    };
    let sessions = builder.build().map_err(std::io::Error::other)?;
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(sessions.clone())
                .service((read, begin, brief, count, set, slow, plant))
                .service((locked, claim, flash, flashes, fail, panic))
                .service((login, renew, logout, revoke, health))
        })
        .workers(2)
        // Longer than any pause between two requests: an answer that stays away is a finding.
        .keep_alive(Duration::from_secs(300))
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
        println!("serving at {}", server.addrs()[0]);
        std::io::stdout().flush()?;
        let server = server.run();
        let handle = server.handle();
        std::thread::spawn(move || {
            std::io::stdin().lines().for_each(drop);
            drop(handle.stop(false));
        });
        server.await
    })
}
