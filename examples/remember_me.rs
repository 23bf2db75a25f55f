//! "Remember me": a login ends when the browser is closed, unless the visitor ticks a box.
//!
//! ```text
//! cargo run --example remember_me
//! from="Origin: http://127.0.0.1:8080"                                        # as a browser says it
//! curl -i -H "$from" -d name=joe http://127.0.0.1:8080/login                  # a cookie without Max-Age
//! curl -i -H "$from" -d name=joe -d remember=on http://127.0.0.1:8080/login   # a cookie that stays
//! ```
//!
//! Or open <http://127.0.0.1:8080> and close the browser in between.

use actix_web::web::{Form, Html, Redirect};
use actix_web::{App, HttpServer, Responder, get, post};
use bsession::{Mode, Secret, Sessions, session};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    name: String,
    remember: Option<String>, // browsers do not send a box that is not ticked
}

#[get("/")]
#[session]
async fn index() -> impl Responder {
    let content = match session.user() {
        Some(_) => "<p>You are logged in.</p>".to_owned(),
        None => format!(
            r#"<form action="/login" method="post">
                 <input type="hidden" name="csrf_token" value="{}">
                 <p><label>Name <input name="name" autocomplete="off" required></label></p>
                 <p><label><input type="checkbox" name="remember"> Remember me for 30 days</label></p>
                 <p><button>Log in</button></p>
               </form>"#,
            session.csrf_token()
        ),
    };
    Html::new(format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8">
           <meta name="viewport" content="width=device-width, initial-scale=1">
           <meta name="color-scheme" content="light dark"><title>Remember me</title>
           <style>body {{ max-width: 32rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.6 system-ui }}
           input, button {{ font: inherit }}</style>
           <main><h1>Remember me</h1>{content}</main>"#
    ))
}

#[post("/login")]
#[session(csrf)]
async fn login(form: Form<Login>) -> impl Responder {
    session.login(&form.name);
    if form.remember.is_some() {
        session.set_days(30);
    }
    Redirect::to("/").see_other()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    Sessions::builder(Secret::load_or_create("session.secret")?)
        .mode(Mode::File)
        .browser_session(true)
        .days(1) // for visitors who never close the browser
        .init()?;
    HttpServer::new(|| App::new().service(index).service(login))
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}
