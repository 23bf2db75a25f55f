// An argument that there is not, or not so: the error says what to write, on the wrong word.

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

#[session(purge, readonly)]
async fn ends_what_it_reads() -> &'static str {
    "gone"
}

#[session(readonly, renew)]
async fn renews_what_it_reads() -> &'static str {
    "new"
}

#[session(lock, readonly)]
async fn locks_what_it_reads() -> &'static str {
    "locked"
}

#[session(lock = "10s")]
async fn locks_for_a_time() -> &'static str {
    "locked"
}

#[session(quiet, purge)]
async fn quiet_logout() -> &'static str {
    ""
}

#[session(quiet, renew)]
async fn quiet_renewal() -> &'static str {
    ""
}

#[session(polling)]
async fn polling() -> &'static str {
    ""
}

#[session(renew, purge)]
async fn renews_what_it_ends() -> &'static str {
    "gone"
}

#[session(require = cart)]
async fn no_text() -> &'static str {
    "cart"
}

#[session(require("cart"))]
async fn in_parentheses() -> &'static str {
    "cart"
}

#[session(require = "role", require = "cart")]
async fn required_twice() -> &'static str {
    "cart"
}

#[session(fresh)]
async fn how_fresh() -> &'static str {
    "fresh"
}

#[session(fresh = 15)]
async fn fresh_number() -> &'static str {
    "fresh"
}

#[session(fresh = "15 minutes")]
async fn fresh_words() -> &'static str {
    "fresh"
}

#[session(sessions)]
async fn which_sessions() -> &'static str {
    "sessions"
}

#[session(redirect = "/login")]
async fn redirects_nobody() -> &'static str {
    "login"
}

#[session(require, redirect = "https://login.example/")]
async fn leaves_the_site() -> &'static str {
    "login"
}

#[session(require, redirect = "//login.example/")]
async fn leaves_the_site_too() -> &'static str {
    "login"
}

#[session(require, redirect = "/login?next=/")]
async fn says_what_is_next() -> &'static str {
    "login"
}

#[session(require, redirect)]
async fn where_to() -> &'static str {
    "login"
}

#[session(sessions = "admin")]
async fn sessions_by_name() -> &'static str {
    "sessions"
}

#[session(csrf = true)]
async fn csrf_with_value() -> &'static str {
    "csrf"
}

#[session(readonly, csrf, csrf)]
async fn csrf_twice() -> &'static str {
    "csrf"
}

#[session(requires)]
async fn plural() -> &'static str {
    "require"
}

#[session(read_only)]
async fn in_two_words() -> &'static str {
    "readonly"
}

#[session(purge_all)]
async fn more_than_the_word() -> &'static str {
    "purge"
}

#[session(login, CSFR, clear)]
async fn from_elsewhere() -> &'static str {
    "require, csrf, purge"
}

#[session(timeout = "15m")]
async fn like_no_word() -> &'static str {
    "timeout"
}

#[session(require(user))]
async fn required_by_call() -> &'static str {
    "require"
}

#[session(require = user)]
async fn required_by_name() -> &'static str {
    "require"
}

fn main() {}
