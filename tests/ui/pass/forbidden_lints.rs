// A lint that is forbidden cannot be allowed again, not by a macro either.

#![forbid(unused, clippy::all, clippy::pedantic)]
#![forbid(unused_variables, unused_mut)]

use actix_web::web::{self, Path};
use bsession::session;

#[session]
async fn handler(id: Path<u32>) -> String {
    id.to_string()
}

#[session(purge)]
async fn logout() -> &'static str {
    "gone"
}

fn main() {
    drop((web::get().to(handler), web::get().to(logout)));
}
