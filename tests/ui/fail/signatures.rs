// What a handler cannot have, each on its word, and no second error after it.

use actix_web::web::{Path, Query};
use bsession::{Session, session};

#[session]
fn not_async() -> &'static str {
    "text"
}

#[session]
fn helper(session: &mut Session) -> String {
    session.user().unwrap_or("nobody").to_owned()
}

#[session]
const fn constant() -> &'static str {
    "text"
}

#[session]
unsafe fn careless() -> &'static str {
    "text"
}

#[session]
pub extern "C" fn foreign() -> &'static str {
    "text"
}

#[session]
unsafe extern "C" fn variadic(_: Path<u32>, _: ...) -> &'static str {
    "text"
}

#[session]
async fn without_response() {
    session.purge();
}

#[session]
async fn named_session(session: Path<u32>) -> String {
    session.into_inner().to_string()
}

#[session]
async fn named_session_inside(Query((session, other)): Query<(u32, u32)>) -> String {
    (session + other).to_string()
}

struct Handlers {
    count: u32,
}

impl Handlers {
    #[session]
    async fn by_reference(&self) -> String {
        self.count.to_string()
    }

    #[session]
    async fn by_value(mut self, id: Path<u32>) -> String {
        self.count += *id;
        self.count.to_string()
    }

    #[session]
    async fn boxed(self: Box<Self>) -> String {
        self.count.to_string()
    }

    #[session]
    const unsafe fn all_at_once(&mut self, session: Path<u32>) {
        self.count += 1;
        let _ = session.into_inner();
    }
}

#[session]
async fn name_twice(id: Path<u32>, Query((a, id)): Query<(u32, u32)>) -> String {
    format!("{a} {id}")
}

#[session]
async fn name_of_a_view(cart: Path<u32>, cart: &mut Session) -> String {
    format!("{cart:?}")
}

fn main() {}
