// `session` is the session. Nothing else can have that name where a handler is.

use actix_web::get;
use bsession::{Session, session};

#[session]
async fn session() -> String {
    session["key"].to_string()
}

mod routed {
    use super::*;

    #[get("/session")]
    #[session]
    async fn session() -> String {
        session["key"].to_string()
    }
}

// With a name of its own for the session, the handler may be called so.
mod renamed {
    use super::*;

    #[session]
    async fn session(visitor: &mut Session) -> String {
        visitor["key"].to_string()
    }
}

// A route of that name is a struct, which hides the session of the other handlers.
mod neighbours {
    use super::*;

    #[get("/session")]
    async fn session() -> &'static str {
        "text"
    }

    #[get("/")]
    #[session]
    async fn index() -> String {
        session["key"].to_string()
    }
}

fn main() {}
