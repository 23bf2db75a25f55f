// What one writes at first. The words are rustc's; they lead to what to write.

use actix_web::Responder;
use bsession::{Mode, Result, Secret, Sessions, session};

struct Cart {
    items: Vec<u32>,
}

#[session]
async fn claims() -> Result<String> {
    let code: Option<String> = session.claim("code")?;
    Ok(code.unwrap_or_default())
}

#[session]
async fn shows_flashes() -> Result<String> {
    let flashes = session.flashes()?;
    Ok(flashes.len().to_string())
}

#[session(require)]
async fn lists(user: &str, sessions: Sessions) -> Result<String> {
    let devices = sessions.of_user(user)?;
    Ok(devices.len().to_string())
}

#[session]
async fn counts() -> &'static str {
    session["visits"] += 1;
    "counted"
}

#[session]
async fn sets_a_number_or_text() -> &'static str {
    session["theme"] = "dark";
    "set"
}

#[session]
async fn is_sure_of_the_key() -> Result<String> {
    let visits: u64 = session.get("visits")?;
    Ok(visits.to_string())
}

#[session]
async fn keeps_what_does_not_serialise() -> Result<&'static str> {
    session.insert("cart", Cart { items: Vec::new() })?;
    Ok("kept")
}

#[session]
async fn has_no_level() -> &'static str {
    session.flash("Saved.");
    "saved"
}

#[session]
async fn returns_no_result() -> impl Responder {
    session.insert("visits", 1)?;
    "set"
}

#[session]
async fn counts_something() -> Result<&'static str> {
    session.update("visits", |n| n + 1)?;
    Ok("counted")
}

#[session]
async fn counts_and_shows_something() -> Result<String> {
    let visits = session.update("visits", |n| n + 1)?;
    Ok(visits.to_string())
}

#[session]
async fn matches_text() -> &'static str {
    match session["role"] {
        "admin" => "for the staff",
        _ => "for all",
    }
}

async fn waits_for_init() {
    let _ = bsession::init(Secret::random(), Mode::Memory).await;
}

fn main() {}
