//! Two servers behind a proxy, with their sessions in Redis. Either server can answer a request, and no session
//! is lost if one of them is killed.
//!
//! ```text
//! redis-server --port 6379 &
//! cargo run --example two_servers --features redis
//! ```
//!
//! serves it at <http://127.0.0.1:8080>. To use another Redis, set `REDIS_URL=redis://host:6379`. Requests
//! alternate between the two servers. Log in, reload, stop one server by its button, and reload again: the other
//! server knows you. After a moment a new server takes the place of the stopped one.

mod proxy;

use std::process::{Child, Command};
use std::time::Duration;

use actix_web::http::KeepAlive;
use actix_web::web::{Data, Form, Html, Redirect};
use actix_web::{App, HttpServer, Responder, get, post};
use bsession::{RedisStore, Secret, Sessions, session};
use serde::Deserialize;

const FRONT: (&str, u16) = ("127.0.0.1", 8080);
const SERVERS: [(&str, u16); 2] = [("Anna", 8081), ("Bert", 8082)];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The name of this server.
struct Name(String);

#[derive(Deserialize)]
struct Login {
    name: String,
}

#[get("/")]
#[session]
async fn index(server: Data<Name>) -> bsession::Result<impl Responder> {
    let visits = session.update("visits", |n: u64| n + 1)?;
    let form = match session.user() {
        Some(user) => format!(
            "<p>You are <b>{}</b>.</p>
             <form action=/logout method=post>{token}<button>Log out</button></form>",
            escaped(user),
            token = token(session),
        ),
        None => format!(
            "<form action=/login method=post>{token}
             <label>Name <input name=name autocomplete=off required></label> <button>Log in</button></form>",
            token = token(session),
        ),
    };
    let server = &server.0;
    Ok(Html::new(format!(
        "<!doctype html><html lang=en><meta charset=utf-8>
         <meta name=viewport content='width=device-width, initial-scale=1'>
         <meta name=color-scheme content='light dark'><title>Two servers</title>
         <style>body {{ max-width: 32rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.6 system-ui }}
         input, button {{ font: inherit }} p {{ overflow-wrap: anywhere }}</style>
         <main><h1>Two servers</h1>
         <p>Visit {visits}, answered by <b>{server}</b>, process {}.</p>{form}
         <form action=/stop method=post>{}<p><button>Stop {server}</button></form></main>",
        std::process::id(),
        token(session),
    )))
}

#[post("/login")]
#[session(csrf)]
async fn login(form: Form<Login>) -> impl Responder {
    session.login(&form.name);
    Redirect::to("/").see_other()
}

#[post("/logout")]
#[session(csrf, purge)]
async fn logout() -> impl Responder {
    Redirect::to("/").see_other()
}

#[post("/stop")]
#[session(csrf, readonly)]
async fn stop() -> impl Responder {
    // The server stops a moment later, so that the response is sent first.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(200));
        std::process::exit(0);
    });
    Redirect::to("/").see_other()
}

fn token(session: &mut bsession::Session) -> String {
    format!(
        "<input type=hidden name=csrf_token value={}>",
        session.csrf_token()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[actix_web::main]
async fn main() -> Result<()> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [name, port] => serve(name, port.parse()?).await,
        _ => front().await,
    }
}

/// Runs one of the two servers. They share the secret and the Redis, and nothing else.
async fn serve(name: &str, port: u16) -> Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let sessions = Sessions::builder(Secret::load_or_create("two_servers.secret")?);
    sessions.mode(RedisStore::at(url)).init()?;
    let name = Data::new(Name(name.to_owned()));
    HttpServer::new(move || {
        App::new()
            .app_data(name.clone())
            .service(index)
            .service(login)
            .service(logout)
            .service(stop)
    })
    // The proxy chooses a server for each connection, so every request needs a new connection.
    .keep_alive(KeepAlive::Disabled)
    .workers(1)
    .bind(("127.0.0.1", port))?
    .run()
    .await?;
    Ok(())
}

/// Starts the proxy and the two servers behind it, and restarts a server that has ended.
async fn front() -> Result<()> {
    // The secret is created once, before both servers look for it.
    Secret::load_or_create("two_servers.secret")?;
    actix_web::rt::spawn(proxy::run(FRONT, SERVERS.map(|(_, port)| port)));
    println!("open http://{}:{}", FRONT.0, FRONT.1);
    let mut servers = Servers(Vec::new());
    for (name, port) in SERVERS {
        servers.0.push((start(name, port)?, name, port));
    }
    loop {
        for (process, name, port) in &mut servers.0 {
            if process.try_wait()?.is_some() {
                println!("{name} has ended, and is started again in five seconds");
                actix_web::rt::time::sleep(Duration::from_secs(5)).await;
                *process = start(name, *port)?;
            }
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
}

fn start(name: &str, port: u16) -> Result<Child> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program)
        .args([name, &port.to_string()])
        .spawn()?)
}

/// The server processes. They are killed when this is dropped.
struct Servers(Vec<(Child, &'static str, u16)>);

impl Drop for Servers {
    fn drop(&mut self) {
        for (process, ..) in &mut self.0 {
            drop(process.kill());
        }
    }
}
