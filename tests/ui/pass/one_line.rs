// The braces of a body on one line are not unnecessary ones.

#![deny(warnings)]

use actix_web::web;
use bsession::session;

#[session]
#[rustfmt::skip]
async fn literal() -> &'static str { "text" }

#[session]
#[rustfmt::skip]
async fn call() -> String { String::new() }

#[session(purge)]
#[rustfmt::skip]
async fn branch() -> Option<&'static str> { if session.is_new() { Some("new") } else { None } }

fn main() {
    drop(web::get().to(literal));
    drop(web::get().to(call));
    drop(web::get().to(branch));
}
