// Code after a `todo!()` is unreachable, and nothing else is said of it.

#![deny(warnings)]
#![allow(unreachable_code)]

use actix_web::web;
use bsession::session;

#[session]
async fn handler() -> String {
    todo!();
    session.purge();
    String::new()
}

fn main() {
    drop(web::get().to(handler));
}
