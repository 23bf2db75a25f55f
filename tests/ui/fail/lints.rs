// The lints on the user's own code go on as before.

#![deny(unused, unreachable_code, non_snake_case, unused_must_use)]

use actix_web::web::{self, Path};
use bsession::session;

#[session]
async fn never_registered() -> &'static str {
    "text"
}

#[session]
async fn unused_extractor(first: Path<u32>, last: Path<u32>) -> &'static str {
    "text"
}

#[session]
async fn unused_variable() -> &'static str {
    let number = 1;
    "text"
}

#[session]
async fn unused_mut(mut id: Path<u32>) -> String {
    let mut text = id.to_string();
    text
}

#[session]
async fn unused_result() -> &'static str {
    session.insert("number", 1);
    "text"
}

#[session]
async fn unused_assignment() -> String {
    let mut number = 1;
    number = 2;
    number.to_string()
}

#[session]
async fn unreachable() -> &'static str {
    return "text";
    session.purge();
}

#[session]
async fn notSnakeCase(Id: Path<u32>) -> String {
    Id.to_string()
}

#[session]
async fn parens_and_braces() -> u32_ {
    let _ = (1);
    u32_({ 1 })
}

#[allow(non_camel_case_types)]
type u32_ = Option<&'static str>;
#[allow(non_snake_case)]
fn u32_(_: u32) -> Option<&'static str> {
    None
}

fn main() {
    drop(web::get().to(unused_extractor));
    drop(web::get().to(unused_variable));
    drop(web::get().to(unused_mut));
    drop(web::get().to(unused_result));
    drop(web::get().to(unused_assignment));
    drop(web::get().to(unreachable));
    drop(web::get().to(notSnakeCase));
    drop(web::get().to(parens_and_braces));
}
