// Once is enough, whatever the attribute is called and whatever stands between.

use actix_web::get;
use bsession::session;
use bsession::session as sitting;

#[session]
#[session]
async fn twice() -> &'static str {
    "text"
}

#[session(purge)]
#[sitting]
async fn renamed() -> &'static str {
    "text"
}

#[session(purge)]
#[session(crate = bsession)]
async fn at_another_path() -> &'static str {
    "text"
}

#[session]
#[get("/")]
#[session]
async fn around_the_route() -> &'static str {
    "text"
}

fn main() {
    drop(around_the_route);
}
