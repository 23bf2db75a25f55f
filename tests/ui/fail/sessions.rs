// An expression that gives no service.

use actix_web::web::Data;
use bsession::{Sessions, session};

#[session(sessions = services)]
async fn no_service(services: Data<u32>) -> &'static str {
    "sessions"
}

#[session(sessions = ADMIN)]
async fn unknown_sessions() -> &'static str {
    "sessions"
}

#[session(sessions = services.admin)]
async fn no_such_extractor() -> &'static str {
    "sessions"
}

#[session(sessions = services.admin)]
async fn no_such_field(services: Data<Sessions>) -> &'static str {
    "sessions"
}

fn main() {}
