// Parameters of reference type come from the session, in any position and under any pattern.

use actix_web::Responder;
use actix_web::web::{self, Path};
use bsession::{Session, View, session};
use serde::{Deserialize, Serialize};
use serde::de::DeserializeOwned;

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

#[derive(Default, Serialize, Deserialize)]
struct Last<T> {
    last: T,
}

impl<T: Serialize + DeserializeOwned + Default> View for Last<T> {}

#[session]
async fn one(cart: &mut Cart) -> impl Responder {
    cart.items.push(1);
    session["seen"] = true.into();
    "one"
}

#[session]
async fn first_of_all(cart: &Cart, id: Path<u32>) -> String {
    format!("{} {id}", cart.items.len())
}

#[session]
async fn between(id: Path<u32>, cart: &mut Cart, other: Path<String>, Last { last }: &Last<u32>) -> String {
    cart.items.push(*id + *last);
    other.into_inner()
}

#[session]
async fn named(visitor: &mut Session) -> bsession::Result<String> {
    let session = "a name like any other";
    visitor.insert("session", session)?;
    Ok(visitor["session"].to_string())
}

#[session]
async fn by_its_path(session: &mut bsession::Session, cart: &mut Cart) -> String {
    session.purge();
    cart.items.clear();
    String::new()
}

#[session]
async fn to_be_read(session: &Session) -> String {
    session["name"].to_string()
}

#[session(readonly)]
async fn readonly() -> String {
    session["name"].to_string()
}

#[session(readonly)]
async fn readonly_too(_: &Session, cart: &Cart) -> String {
    cart.items.len().to_string()
}

#[session(require)]
async fn of_user(user: &str, cart: &mut Cart) -> String {
    let name: &str = user;
    cart.items.push(name.len() as u32);
    session.user().unwrap_or(name).to_owned()
}

#[session]
async fn of_visitor(user: Option<&str>, cart: &mut Cart) -> String {
    let name: Option<&str> = user;
    cart.items.push(name.map_or(0, str::len) as u32);
    name.unwrap_or("a stranger").to_owned()
}

#[session(require)]
async fn of_visitor_and_user(who: &str, mut user: Option<&str>) -> String {
    user.take().unwrap_or(who).to_owned()
}

#[session]
async fn conditional_visitor(#[cfg(any())] user: Option<&Nothing>, #[cfg(not(any()))] user: Option<&str>) -> String {
    user.unwrap_or_default().to_owned()
}

#[session]
async fn generic<T>(last: &mut Last<T>) -> &'static str
where
    T: Serialize + DeserializeOwned + Default + From<u8> + 'static,
{
    last.last = T::from(7);
    "generic"
}

impl Cart {
    #[session]
    async fn associated(cart: &mut Self) -> &'static str {
        cart.items.clear();
        "cleared"
    }
}

macro_rules! handler {
    ($name:ident, $view:ident: $ty:ty, $body:block) => {
        #[session]
        async fn $name($view: $ty) -> &'static str $body
    };
}
handler!(made, cart: &mut Cart, {
    session["made"] = cart.items.len().into();
    "by a macro"
});

#[session]
async fn conditional(#[cfg(any())] none: &mut Nothing, #[cfg(not(any()))] cart: &mut Cart) -> &'static str {
    cart.items.clear();
    "cleared"
}

type Id = Path<u32>;

#[session]
#[allow(clippy::too_many_arguments)]
async fn sixteen(
    a: Id, b: Id, c: Id, d: Id, cart: &mut Cart, e: Id, f: Id, g: Id, h: Id, all: &mut Session,
    i: Id, j: Id, k: Id, l: Id, m: Id, n: Id, o: Id, p: Id, last: &Last<u32>,
) -> String {
    let sum = *a + *b + *c + *d + *e + *f + *g + *h + *i + *j + *k + *l + *m + *n + *o + *p;
    cart.items.push(sum + last.last);
    all["sum"] = sum.into();
    sum.to_string()
}

fn main() {
    drop((web::get().to(one), web::get().to(first_of_all), web::get().to(between), web::get().to(named)));
    drop((web::get().to(by_its_path), web::get().to(to_be_read), web::get().to(readonly), web::get().to(readonly_too)));
    drop((web::get().to(of_user), web::get().to(generic::<u64>), web::get().to(Cart::associated), web::get().to(made)));
    drop((web::get().to(conditional), web::get().to(sixteen)));
    drop((web::get().to(of_visitor), web::get().to(of_visitor_and_user), web::get().to(conditional_visitor)));
}
