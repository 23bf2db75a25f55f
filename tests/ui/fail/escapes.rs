// What is borrowed from the session ends with the body: copy it out first.

use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, Responder, rt};
use bsession::{Session, View, session};
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

#[session(require)]
async fn user_streamed(user: &str) -> HttpResponse {
    let body = stream::once(async move {
        Ok::<_, actix_web::Error>(Bytes::copy_from_slice(user.as_bytes()))
    });
    HttpResponse::Ok().streaming(body)
}

#[session(require)]
async fn user_in_another_thread(user: &str) -> actix_web::Result<String> {
    let name = web::block(move || user.to_uppercase()).await?;
    Ok(name)
}

#[session]
async fn in_another_thread() -> actix_web::Result<String> {
    let name = web::block(move || session["name"].to_string()).await?;
    Ok(name)
}

#[session]
async fn renamed(visitor: &mut Session) -> actix_web::Result<String> {
    let name = web::block(move || visitor["name"].to_string()).await?;
    Ok(name)
}

#[session(require)]
async fn user_returned(user: &str) -> impl Responder {
    user
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

#[session]
async fn view(cart: &mut Cart) -> &'static str {
    rt::spawn(async move { println!("{}", cart.items.len()) });
    "text"
}

#[session]
async fn pattern(Cart { items }: &Cart) -> &'static str {
    rt::spawn(async move { println!("{}", items.len()) });
    "text"
}

fn main() {}
