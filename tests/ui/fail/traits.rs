// What is no extractor, and what is no response.

use actix_web::web;
use bsession::session;

struct Plain;

#[session]
async fn no_extractor(_plain: Plain) -> &'static str {
    "text"
}

#[session]
async fn no_response() -> Plain {
    Plain
}

fn main() {
    drop(web::get().to(no_extractor));
}
