// An expression that gives no service.

use actix_web::web::Data;
use bsession::{Sessions, session};

#[session(realm = services)]
async fn no_service(services: Data<u32>) -> &'static str {
    "realm"
}

#[session(realm = ADMIN)]
async fn unknown_realm() -> &'static str {
    "realm"
}

#[session(realm = services.admin)]
async fn no_such_extractor() -> &'static str {
    "realm"
}

#[session(realm = services.admin)]
async fn no_such_field(services: Data<Sessions>) -> &'static str {
    "realm"
}

fn main() {}
