// An expression that gives no service.

use actix_web::web::Data;
use bsession::{Sessions, session};

#[session(realm = "admin")]
async fn realm_by_name() -> &'static str {
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
