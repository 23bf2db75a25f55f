//! Routes whose requests take turns: plain reading and writing under the session's lock.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder, post};
use bsession::Connection;

use super::Gate;

/// Adds one to `n` the plain way, with turns of other requests between reading and writing.
#[post("/plain-add")]
async fn plain_add(
    request: HttpRequest,
    mut connection: Connection,
) -> bsession::Result<impl Responder> {
    connection.lock().await?;
    let n: u64 = connection.session().get("n")?.unwrap_or(0);
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    connection.session().insert("n", n + 1)?;
    Ok(connection.respond(&request, n.to_string()).await)
}

/// Comes to the gate twice: when it stands in the queue, where it is not held, and with the lock in
/// its hands. Then adds its name to the list of those who had it, or does what the name says; and
/// tells the list that it found.
#[post("/locked/{name}")]
async fn turn(
    request: HttpRequest,
    mut connection: Connection,
    gate: Data<Gate>,
    name: Path<String>,
) -> bsession::Result<impl Responder> {
    {
        let mut lock = pin!(connection.lock());
        let first = poll_fn(|context| Poll::Ready(lock.as_mut().poll(context))).await;
        gate.arrive();
        match first {
            Poll::Ready(locked) => locked?,
            Poll::Pending => lock.await?,
        }
    }
    let session = connection.session();
    let mut names: Vec<String> = session.get("names")?.unwrap_or_default();
    let found = names.join(" ");
    gate.pass().await;
    match &**name {
        "logout" => session.purge(),
        "renew" => session.renew(),
        "login" => session.login("joe"),
        "read" => {}
        "panic" => panic!("as the test asked for"),
        name => {
            names.push(name.to_owned());
            session.insert("names", names)?;
        }
    }
    let mut response = HttpResponse::Ok();
    if *name == "fail" {
        response = HttpResponse::InternalServerError();
    }
    Ok(connection.respond(&request, response.body(found)).await)
}

pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(plain_add).service(turn);
}
