// `session` belongs to the braces of the body. Who writes them with `macro_rules!` takes the body
// as a block, or else it is the macro that has a session, and not its caller.

use actix_web::web;
use bsession::session;

macro_rules! as_block {
    ($name:ident $body:block) => {
        #[session]
        async fn $name() -> String $body
    };
}

macro_rules! as_tokens {
    ($name:ident $($body:tt)*) => {
        #[session]
        async fn $name() -> String {
            session.purge();
            $($body)*
        }
    };
}

as_block!(works {
    session.purge();
    String::new()
});

as_tokens!(does_not session.purge(); String::new());

fn main() {
    drop((web::get().to(works), web::get().to(does_not)));
}
