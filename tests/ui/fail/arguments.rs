// An argument that there is not: the error names what there is, on the wrong word.

use bsession::session;

#[session(purg)]
async fn misspelt() -> &'static str {
    "gone"
}

#[session(purge, purge)]
async fn twice() -> &'static str {
    "gone"
}

#[session(purge = true)]
async fn with_value() -> &'static str {
    "gone"
}

#[session(purge(all))]
async fn with_arguments() -> &'static str {
    "gone"
}

#[session(purge all)]
async fn without_comma() -> &'static str {
    "gone"
}

#[session("purge")]
async fn quoted() -> &'static str {
    "gone"
}

#[session(, purge)]
async fn comma_first() -> &'static str {
    "gone"
}

#[session(all, purge, at = "/", purge)]
async fn all_at_once() -> &'static str {
    "gone"
}

fn main() {}
