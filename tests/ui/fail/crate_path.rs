// A path that does not lead to the library, or that is no path.

use bsession::session;

#[session(crate = "my_framework::bsession")]
async fn of_a_string() -> &'static str {
    "text"
}

#[session(crate = "bsession")]
async fn of_a_string_that_would_do() -> &'static str {
    "text"
}

#[session(crate)]
async fn without_path() -> &'static str {
    "text"
}

#[session(crate = 5)]
async fn of_a_number() -> &'static str {
    "text"
}

#[session(crate = bsession::Result<u8>)]
async fn of_a_type() -> &'static str {
    "text"
}

#[session(crate = bsession, crate = ::bsession)]
async fn twice() -> &'static str {
    "text"
}

#[session(krate = bsession)]
async fn another_word() -> &'static str {
    "text"
}

fn main() {}
