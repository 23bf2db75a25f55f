// The words of the attribute, in any order.

use actix_web::web::{self, Data, Path};
use actix_web::{Responder, get};
use bsession::{Sessions, session};
use once_cell::sync::Lazy;

#[session()]
async fn none() -> String {
    session["key"].to_string()
}

#[session(purge,)]
async fn comma() -> impl Responder {
    "gone"
}

#[session(renew, fresh = "15m", require)]
async fn order(user: &str) -> impl Responder {
    user.to_owned()
}

#[session(fresh = "1d")]
async fn fresh(id: Path<u32>, user: &str) -> Result<impl Responder, bsession::Error> {
    session.insert("id", *id)?;
    Ok(user.to_owned())
}

#[get("/checkout")]
#[session(require = "cart", readonly)]
async fn key() -> String {
    session["cart"].to_string()
}

#[session(require = "cart", fresh = "8h", purge)]
async fn key_of_user(user: &str) -> String {
    user.to_owned()
}

#[session(require, require = "staff", redirect = "/login")]
async fn user_with_a_key(user: &str) -> String {
    user.to_owned()
}

#[session]
async fn one_name_under_two_conditions(#[cfg(all())] id: Path<u32>, #[cfg(any())] id: Path<u64>) -> String {
    id.to_string()
}

#[session(redirect = "/login?by=name", require)]
async fn redirect(user: &str) -> String {
    user.to_owned()
}

#[session(csrf)]
async fn same_origin() -> &'static str {
    "posted"
}

#[session(purge, csrf)]
async fn with_an_extractor(id: Path<u32>) -> String {
    id.to_string()
}

#[session(csrf, sessions = ADMIN, require, redirect = "/login")]
async fn all(id: Path<u32>, user: &str) -> String {
    format!("{id} {user}")
}

#[session(csrf, sessions = ADMIN)]
async fn of_another_service() -> &'static str {
    "posted"
}

#[session(lock)]
async fn one_after_the_other() -> bsession::Result<String> {
    let count: u64 = session.get("count")?.unwrap_or(0);
    session.insert("count", count + 1)?;
    Ok(count.to_string())
}

#[session(lock, csrf, require, sessions = ADMIN)]
async fn locked(id: Path<u32>, user: &str) -> String {
    format!("{id} {user}")
}

struct Services {
    admin: Sessions,
}

static ADMIN: Lazy<Sessions> = Lazy::new(|| admin());

fn admin() -> Sessions {
    Sessions::builder("kept in the environment, not in the code").build().unwrap()
}

#[session(sessions = ADMIN)]
async fn in_a_static() -> impl Responder {
    session["key"].to_string()
}

#[session(sessions = &*ADMIN, require)]
async fn by_reference(user: &str) -> impl Responder {
    user.to_owned()
}

#[session(sessions = services.admin, readonly)]
async fn in_an_extractor(services: Data<Services>) -> String {
    session["key"].to_string()
}

#[session(require, sessions = sessions, renew)]
async fn an_extractor(sessions: Data<Sessions>, id: Path<u32>) -> Result<String, bsession::Error> {
    session.insert("id", *id)?;
    Ok(String::new())
}

#[session(sessions = { let (a, _) = (admin(), 1); a })]
async fn a_block() -> impl Responder {
    session["key"].to_string()
}

fn main() {
    drop((web::get().to(none), web::get().to(comma), web::get().to(order), web::get().to(fresh)));
    drop((web::post().to(same_origin), web::post().to(with_an_extractor), web::post().to(all), web::post().to(of_another_service)));
    drop((web::post().to(one_after_the_other), web::post().to(locked)));
    drop((web::get().to(redirect), key, web::get().to(key_of_user), web::get().to(in_a_static), web::get().to(by_reference)));
    drop((web::get().to(in_an_extractor), web::get().to(an_extractor), web::get().to(a_block)));
}
