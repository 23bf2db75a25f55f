//! Hooks: the middleware connects and saves. The handlers only use the session. A gate lets only pages of this service
//! send a form to it.
//!
//! ```text
//! cargo run --example hooks
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1, visit 2, …
//! curl -c jar -b jar -X POST -H "Origin: http://127.0.0.1:8080" http://127.0.0.1:8080/logout   # as a browser says it
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1 again
//! ```

use actix_web::{App, HttpServer, Responder, get, post};
use bsession::{Connection, Gate, Hooks, Mode, Secret};

#[get("/")]
async fn index(mut connection: Connection) -> bsession::Result<impl Responder> {
    let visits = connection.session().update("visits", |n: u64| n + 1)?;
    Ok(format!("visit {visits}\n"))
}

#[post("/logout")]
async fn logout(mut connection: Connection) -> impl Responder {
    connection.session().purge();
    "see you\n"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    bsession::init(Secret::load_or_create("session.secret")?, Mode::Memory)?;
    let app = || {
        App::new()
            .wrap(Gate::new().csrf())
            .wrap(Hooks)
            .service(index)
            .service(logout)
    };
    HttpServer::new(app)
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}
