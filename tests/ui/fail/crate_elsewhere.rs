// A path that leads nowhere, or to something else.

use actix_web::web::Path;
use bsession::session;

#[session(crate = frame_work::bsession)]
async fn misspelt(id: Path<u32>) -> String {
    id.to_string()
}

#[session(crate = std)]
async fn another_crate() -> String {
    session["key"].to_string()
}

fn main() {}
