// What is borrowed from the session ends with the body: copy it out first.

use actix_web::web::Bytes;
use actix_web::{HttpResponse, Responder, rt};
use bsession::session;
use futures_util::stream;

#[session]
async fn returned() -> impl Responder {
    session.user().unwrap_or("nobody")
}

#[session]
async fn returned_as_it_is() -> Option<&'static str> {
    session.user()
}

#[session]
async fn spawned() -> &'static str {
    rt::spawn(async move {
        session.purge();
    });
    "text"
}

#[session]
async fn streamed() -> HttpResponse {
    let body = stream::once(async move {
        let name = session.user().unwrap_or("nobody");
        Ok::<_, actix_web::Error>(Bytes::copy_from_slice(name.as_bytes()))
    });
    HttpResponse::Ok().streaming(body)
}

fn main() {}
