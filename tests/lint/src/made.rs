//! Handlers that another macro makes or has a hand in.

use actix_web::web::{self, Path, Query, ServiceConfig};
use actix_web::{Responder, get};
use bsession::session;
use tracing::instrument;

/// Registers the handlers, so that none of them is dead code.
pub fn configure(config: &mut ServiceConfig) {
    let _: &mut ServiceConfig = config
        .service(routed)
        .route("/named", web::get().to(named))
        .route("/typed", web::get().to(typed))
        .route("/whole", web::get().to(whole))
        .route("/inside", web::get().to(inside))
        .route("/instrumented-above", web::get().to(instrumented_above))
        .route("/instrumented-between", web::get().to(instrumented_below));
}

/// Makes a handler of a name and a body.
macro_rules! handler {
    ($name:ident $body:block) => {
        #[session]
        async fn $name() -> bsession::Result<impl Responder> $body
    };
    ($path:literal $name:ident $body:block) => {
        #[get($path)]
        #[session]
        async fn $name() -> bsession::Result<impl Responder> $body
    };
    ($(#[$attr:meta])* $vis:vis $name:ident($($arg:pat_param => $extractor:ty),*) -> $output:ty $body:block) => {
        $(#[$attr])*
        #[session]
        $vis async fn $name($($arg: $extractor),*) -> $output $body
    };
}

handler!(named {
    session.insert("name", "named")?;
    Ok("named")
});

handler!("/routed" routed {
    session.insert("name", "routed")?;
    Ok("routed")
});

handler!(
    /// Made of types and patterns.
    typed(Query((first, _)) => Query<(u32, u32)>, id => Path<u32>) -> bsession::Result<impl Responder> {
        session.insert("first", first)?;
        Ok(id.to_string())
    }
);

/// Passes an item through.
macro_rules! item {
    ($item:item) => {
        $item
    };
}

item! {
    #[session]
    async fn whole(id: Path<u32>) -> bsession::Result<impl Responder> {
        session.insert("id", *id)?;
        Ok("whole")
    }
}

/// Makes a handler with a body of its own.
macro_rules! own_body {
    ($name:ident) => {
        #[session]
        async fn $name() -> bsession::Result<impl Responder> {
            let count: u32 = session.get("count")?.unwrap_or(0);
            session.insert("count", count + 1)?;
            Ok(count.to_string())
        }
    };
}

own_body!(inside);

#[instrument]
#[session]
async fn instrumented_above(id: Path<u32>) -> bsession::Result<impl Responder> {
    session.insert("id", *id)?;
    Ok("instrumented")
}

#[session]
#[instrument]
async fn instrumented_below(id: Path<u32>) -> bsession::Result<impl Responder> {
    session.insert("id", *id)?;
    Ok("instrumented")
}
