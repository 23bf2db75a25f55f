//! The routes of a test site: one for each thing that a handler may do to a session.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post, route};
use bsession::{Level, session};
use serde_json::Value;

use super::Gate;

/// What a test adds to the routes of its site.
pub type Extra = fn(&mut ServiceConfig);

#[get("/bare")]
async fn bare() -> impl Responder {
    "bare"
}

#[get("/all")]
#[session]
async fn all() -> impl Responder {
    web::Json(serde_json::json!({
        "user": session.user(),
        "new": session.is_new(),
        "handle": session.handle().map(|handle| handle.to_string()),
        "data": session.data(),
    }))
}

#[get("/get/{key}")]
#[session]
async fn get(key: Path<String>) -> impl Responder {
    session[&**key].to_string()
}

#[post("/set/{key}/{value}")]
#[session]
async fn set(path: Path<(String, String)>) -> bsession::Result<impl Responder> {
    let (key, value) = path.into_inner();
    session.insert(key, value)?;
    Ok("set")
}

#[post("/add/{key}")]
#[session]
async fn add(key: Path<String>) -> bsession::Result<impl Responder> {
    Ok(session
        .update(key.into_inner(), |n: u64| n + 1)?
        .to_string())
}

#[post("/remove/{key}")]
#[session]
async fn remove(key: Path<String>) -> impl Responder {
    session.remove(&key).unwrap_or_default().to_string()
}

#[post("/claim/{key}")]
#[session]
async fn claim(key: Path<String>) -> bsession::Result<impl Responder> {
    Ok(session
        .claim::<Value>(&key)
        .await?
        .unwrap_or_default()
        .to_string())
}

#[post("/flash/{text}")]
#[session]
async fn leave_flash(text: Path<String>) -> impl Responder {
    session.flash(Level::Info, &**text);
    "flashed"
}

/// Shows what waits, and beside it what this request has to say.
#[post("/flashes/{own}")]
#[session]
async fn show_flashes(own: Path<String>) -> bsession::Result<impl Responder> {
    if *own != "none" {
        session.flash(Level::Info, &**own);
    }
    let flashes = session.flashes().await?.into_iter();
    Ok(web::Json(
        flashes.map(|flash| flash.text).collect::<Vec<_>>(),
    ))
}

#[post("/login/{user}")]
#[session]
async fn login(user: Path<String>) -> impl Responder {
    session.login(&*user);
    "in"
}

#[post("/note/{text}")]
#[session]
async fn note(text: Path<String>) -> impl Responder {
    session.set_note(&*text);
    "noted"
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
    session["last"] = "words".into();
    "out"
}

#[post("/purge/{after}")]
#[session]
async fn purge(after: Path<String>) -> impl Responder {
    session.purge();
    if *after != "nothing" {
        session["after"] = after.as_str().into();
    }
    "purged"
}

/// Writes, then answers with a status.
#[post("/status/{status}/{key}/{value}")]
#[session]
async fn status(path: Path<(u16, String, String)>) -> impl Responder {
    let (status, key, value) = path.into_inner();
    session[&*key] = value.into();
    HttpResponse::new(StatusCode::from_u16(status).expect("a status"))
}

/// Does as the other routes, with the gate between the session's load and its save.
#[route("/held/{what}/{key}", method = "GET", method = "POST")]
#[session]
async fn held(gate: Data<Gate>, path: Path<(String, String)>) -> bsession::Result<impl Responder> {
    let (what, key) = path.into_inner();
    match &*what {
        "set" => session.insert(&*key, "held")?,
        "add" => {
            session.update(&*key, |n: u64| n + 1)?;
        }
        "note" => session.set_note(&key),
        "login" => session.login(&key),
        "renew" => session.renew(),
        "purge" => session.purge(),
        "read" => {}
        other => panic!("no such thing: {other}"),
    }
    gate.pass().await;
    Ok(session[&*key].to_string())
}

#[post("/held-logout")]
#[session(purge)]
async fn held_logout(gate: Data<Gate>) -> impl Responder {
    gate.pass().await;
    "out"
}

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(bare)
        .service(all)
        .service(get)
        .service(set)
        .service(add)
        .service(remove)
        .service(claim)
        .service(leave_flash)
        .service(show_flashes)
        .service(login)
        .service(note)
        .service(renew)
        .service(logout)
        .service(purge)
        .service(status)
        .service(held)
        .service(held_logout)
        .configure(super::streams::configure)
        .configure(super::turns::configure);
}
