// `#[session = ..]` is nothing that rustc passes on as it stands; its words and ours.

use bsession::session;

#[session = "purge"]
async fn handler() -> &'static str {
    "gone"
}

fn main() {}
