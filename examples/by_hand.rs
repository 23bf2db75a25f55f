//! Sessions without the attribute: a handler connects at its top and saves at its end.
//!
//! ```text
//! cargo run --example by_hand
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1, visit 2, …
//! curl -c jar -b jar -X POST -H "Origin: http://127.0.0.1:8080" http://127.0.0.1:8080/logout   # as a browser says it
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1 again
//! ```

use actix_web::web::Payload;
use actix_web::{App, HttpRequest, HttpServer, Responder, get, post};
use bsession::{Gate, Mode, Secret};

/// Only pages of this service may send a form to it.
const OWN_PAGES: Gate = Gate::new().csrf();

#[get("/")]
async fn index(req: HttpRequest) -> bsession::Result<impl Responder> {
    let mut connection = bsession::connect(&req).await?;
    let session = connection.session();

    let visits = session.update("visits", |n: u64| n + 1)?;

    Ok(connection.respond(&req, format!("visit {visits}\n")).await)
}

#[post("/logout")]
async fn logout(req: HttpRequest, body: Payload) -> actix_web::Result<impl Responder> {
    let connection = OWN_PAGES.connect(&req, &mut body.into_inner()).await?;
    Ok(connection.purge(&req, "see you\n").await)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    bsession::init(Secret::load_or_create("session.secret")?, Mode::Memory)?;
    HttpServer::new(|| App::new().service(index).service(logout))
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}
