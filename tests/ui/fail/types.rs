// A wrong type is an error on the user's code, as it would be without the attribute.

use actix_web::error::UrlGenerationError;
use actix_web::{HttpResponse, Responder};
use bsession::session;

#[session]
async fn wrong_value() -> HttpResponse {
    "text"
}

#[session]
async fn wrong_return() -> String {
    if session.user().is_some() {
        return 1;
    }
    String::new()
}

#[session]
async fn no_value() -> String {
    session.purge();
}

#[session]
async fn wrong_error() -> Result<String, UrlGenerationError> {
    let name: String = session.get("name")?.unwrap_or_default();
    Ok(name)
}

#[session]
async fn question_mark_without_result() -> String {
    session.get("name")?.unwrap_or_default()
}

#[session]
async fn two_kinds() -> impl Responder {
    if session.user().is_some() {
        return "text";
    }
    HttpResponse::Ok()
}

#[session]
async fn unknown_name() -> String {
    sesion.user().to_string()
}

#[session]
async fn unknown_method() -> String {
    session.usr().to_string()
}

fn main() {}
