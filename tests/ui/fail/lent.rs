// What cannot be lent of the session, each on its word.

use actix_web::web::Path;
use bsession::{Session, View, session};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

#[derive(Default, Serialize, Deserialize)]
struct Forgotten {
    items: Vec<u32>,
}

#[session]
async fn extractor(id: &Path<u32>) -> String {
    id.to_string()
}

#[session]
async fn no_view(list: &mut Forgotten) -> String {
    list.items.len().to_string()
}

#[session]
async fn twice(cart: &mut Cart, same: &Cart) -> String {
    (cart.items.len() + same.items.len()).to_string()
}

#[session]
async fn two_sessions(session: &mut Session, other: &Session) -> String {
    other["key"].to_string()
}

#[session]
async fn lifetime<'s>(cart: &'s mut Cart) -> String {
    cart.items.len().to_string()
}

#[session]
async fn without_a_name(cart: &mut impl View) -> String {
    String::new()
}

#[session]
async fn named_session(session: &mut Cart) -> String {
    session.items.len().to_string()
}

#[session]
async fn nobody(user: &str) -> String {
    user.to_owned()
}

#[session(require)]
async fn written(user: &mut str) -> String {
    user.to_owned()
}

#[session]
async fn visitor_by_another_name(title: Option<&str>) -> String {
    title.unwrap_or_default().to_owned()
}

#[session]
async fn written_visitor(user: Option<&mut str>) -> String {
    user.unwrap_or_default().to_owned()
}

#[session]
async fn lasting_visitor(user: Option<&'static str>) -> String {
    user.unwrap_or_default().to_owned()
}

#[session(readonly)]
async fn readonly(session: &mut Session, cart: &mut Cart) -> String {
    session["key"] = cart.items.len().into();
    String::new()
}

#[session(readonly)]
async fn changes() -> String {
    session["key"] = 1.into();
    session.login("joe");
    String::new()
}

#[session]
async fn reads(session: &Session) -> String {
    session.purge();
    String::new()
}

#[session]
async fn escapes(cart: &Cart, user: &mut Session) -> String {
    actix_web::rt::spawn(async move { println!("{} {:?}", cart.items.len(), user.user()) });
    String::new()
}

#[session]
async fn wrong_field(cart: &Cart) -> String {
    cart.itmes.len().to_string()
}

#[session]
async fn read_only_view(cart: &Cart) -> String {
    cart.items.push(1);
    String::new()
}

#[session]
async fn owned(session: Session) -> String {
    String::new()
}

#[session(require)]
async fn body_for_user(user: String) -> String {
    user
}

fn main() {}
