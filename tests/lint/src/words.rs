//! What can stand in the parentheses, and what is lent of the session.

use actix_web::Responder;
use actix_web::web::{self, Data, Path, ServiceConfig};
use bsession::{Session, Sessions, View, session};
use serde::{Deserialize, Serialize};

/// Registers the handlers, so that none of them is dead code.
pub fn configure(config: &mut ServiceConfig) {
    let _: &mut ServiceConfig = config
        .route("/readonly", web::get().to(readonly))
        .route("/elsewhere", web::get().to(elsewhere))
        .route("/require", web::get().to(require))
        .route("/require-key", web::get().to(require_key))
        .route("/fresh", web::get().to(fresh))
        .route("/another", web::get().to(of_another_service))
        .route("/views/{id}", web::get().to(views))
        .route("/destructured", web::get().to(destructured))
        .route("/named", web::get().to(named))
        .route("/read", web::get().to(read))
        .route("/purge", web::get().to(purge));
}

/// Some keys of the session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cart {
    /// What is in it.
    items: Vec<u32>,
}

impl View for Cart {}

/// Another key of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    /// The last item.
    last: u32,
}

impl View for Last {}

#[session(readonly)]
async fn readonly() -> impl Responder {
    session["name"].to_string()
}

#[session(require, renew, redirect = "/login")]
async fn require(user: &str) -> impl Responder {
    user.to_owned()
}

#[session(require = "cart")]
async fn require_key() -> bsession::Result<impl Responder> {
    session.insert("cart", 1_u8)?;
    Ok("cart")
}

#[session(fresh = "15m", purge)]
async fn fresh(user: &str, id: Option<Path<u32>>) -> String {
    id.map_or_else(|| user.to_owned(), |number| number.to_string())
}

#[session(sessions = services, require)]
async fn of_another_service(services: Data<Sessions>) -> impl Responder {
    session.user().map(str::to_owned)
}

#[session]
async fn views(cart: &mut Cart, id: Path<u32>, last: &mut Last) -> impl Responder {
    cart.items.push(*id);
    last.last = *id;
    "both"
}

#[session(readonly)]
async fn destructured(&Last { last }: &Last, cart: &Cart) -> String {
    (cart.items.len() > 1)
        .then_some(last)
        .map_or_else(String::new, |id| id.to_string())
}

#[session]
async fn named(visitor: &mut Session) -> bsession::Result<impl Responder> {
    visitor.insert("name", "joe")?;
    Ok("named")
}

#[session]
async fn read(visitor: &Session) -> impl Responder {
    visitor["name"].to_string()
}

/// The library under another path.
mod framework {
    pub(super) use ::bsession;
}

#[session(crate = framework::bsession, csrf, require)]
async fn elsewhere(id: Path<u32>, user: &str, cart: &mut Cart) -> impl Responder {
    cart.items.push(*id);
    format!("{user} {}", session["name"])
}

#[session(csrf, lock, purge)]
async fn purge(cart: &Cart) -> impl Responder {
    cart.items.len().to_string()
}
