//! Requests of one session that take turns: plain reading and writing, and nobody else waits.

use std::io::Write;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, Responder, post};
use bsession::testing::Fault;
use bsession::{Connection, Hooks, Sessions};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::sentences::UNAVAILABLE;
use crate::support::{
    Faults, Gate, Kind, Reply, SECRET, Setup, Site, Visitor, Wire, eventually, for_each_store,
};

/// A visitor with a session.
fn begun(site: &Site) -> Visitor {
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    visitor
}

/// A request that has the lock and stands before the gate.
fn holding(site: &Site, visitor: &Visitor, name: &str) -> JoinHandle<Reply> {
    let request = asking(visitor, name);
    site.gate.await_arrivals(2);
    request
}

/// A request that stands in the queue.
fn waiting(site: &Site, visitor: &Visitor, name: &str) -> JoinHandle<Reply> {
    let request = asking(visitor, name);
    site.gate.await_arrivals(1);
    request
}

fn asking(visitor: &Visitor, name: &str) -> JoinHandle<Reply> {
    let path = format!("/locked/{name}");
    visitor.meanwhile(move |tab| tab.post(&path))
}

/// Lets somebody who has the lock go on.
fn go_on(site: &Site, request: JoinHandle<Reply>) -> Reply {
    site.gate.open(1);
    request.join().expect("an answer")
}

/// The next one in the queue got the lock; lets it go on.
fn next(site: &Site, request: JoinHandle<Reply>) -> Reply {
    site.gate.await_arrivals(1);
    go_on(site, request)
}

/// What is given back is so a moment later, where that takes time.
fn assert_no_lock_stays(setup: &Setup) {
    eventually("no lock stays", || match setup.kind {
        Kind::Memory => true,
        Kind::File => {
            let locks = setup.dir.path().join("sessions/locks");
            std::fs::read_dir(&locks).expect("there were some").count() == 0
        }
        Kind::Redis => setup.server().command(&["KEYS", "*:lock"]) == redis::Value::Array(vec![]),
    });
}

fn impatient(setup: &Setup) -> Site {
    let builder = setup.builder().lock_timeout(Duration::from_millis(50));
    Site::open_with(builder.build().expect("a service"), routes)
}

/// A body that ends when the gate opens.
struct AtGate(Pin<Box<dyn Future<Output = ()>>>);

impl MessageBody for AtGate {
    type Error = actix_web::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        ready!(self.0.as_mut().poll(context));
        Poll::Ready(None)
    }
}

#[post("/stream")]
async fn stream(
    request: HttpRequest,
    mut connection: Connection,
    gate: Data<Gate>,
) -> bsession::Result<impl Responder> {
    connection.lock().await?;
    connection.session()["streamed"] = true.into();
    let body = AtGate(Box::pin(async move { gate.pass().await }));
    let response = HttpResponse::Ok().body(body);
    Ok(connection.respond(&request, response).await)
}

/// Has the lock, and asks its own server for what needs it too.
#[post("/calls-itself")]
async fn calls_itself(
    request: HttpRequest,
    mut connection: Connection,
) -> bsession::Result<impl Responder> {
    connection.lock().await?;
    let address = request.app_config().local_addr();
    let cookie = request.cookie("bsession").expect("a cookie");
    let inner = web::block(move || Wire::open(address).post("/plain-add", Some(cookie.value())));
    let status = inner.await.expect("it runs").status;
    connection.session().insert("inner", status)?;
    Ok(connection.respond(&request, status.to_string()).await)
}

/// Locks twice: in an extractor of its own, and by another one.
#[post("/locks-twice")]
async fn locks_twice(
    request: HttpRequest,
    (mut one, mut other): (Connection, Connection),
) -> bsession::Result<impl Responder> {
    one.session()["before"] = 1.into();
    one.lock().await?;
    other.lock().await?;
    let seen = other.session()["before"].to_string();
    one.session()["one"] = 1.into();
    other.session()["other"] = 2.into();
    drop(one);
    Ok(other.respond(&request, seen).await)
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(stream)
        .service(calls_itself)
        .service(locks_twice);
}

for_each_store! {
    fn two_hundred_plain_increments_are_two_hundred(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let tabs: Vec<_> = (0..40).map(|_| visitor.meanwhile(|tab| {
            (0..4).for_each(|_| assert_eq!(tab.post("/plain-add").status, 200));
            tab.post("/plain-add")
        })).collect();
        tabs.into_iter().for_each(|tab| assert_eq!(tab.join().expect("an answer").status, 200));
        assert_eq!(visitor.session()["data"], json!({"n": 200, "name": "joe"}));
        assert_eq!(site.sessions.stats().conflicts, 0, "they met nobody");
        assert_no_lock_stays(setup);
    }

    fn nobody_else_waits(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let held = holding(&site, &visitor, "first");
        let behind = waiting(&site, &visitor, "second");
        assert_eq!(begun(&site).post("/plain-add").status, 200, "another session");
        assert_eq!(visitor.post("/add/n").status, 200, "this one, without the lock");
        assert_eq!(visitor.session()["data"], json!({"n": 1, "name": "joe"}));
        assert_eq!(go_on(&site, held).status, 200);
        assert_eq!(next(&site, behind).status, 200);
        assert_eq!(visitor.session()["data"], json!({"n": 1, "name": "joe", "names": ["first", "second"]}));
        assert_no_lock_stays(setup);
    }

    fn whoever_asked_first_is_next(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let names: Vec<_> = ('b'..='k').map(String::from).collect();
        let mut requests = vec![holding(&site, &visitor, "a")];
        requests.extend(names.iter().map(|name| waiting(&site, &visitor, name)));
        site.gate.open(requests.len());
        site.gate.await_arrivals(names.len());
        requests.into_iter().for_each(|request| assert_eq!(request.join().expect("an answer").status, 200));
        let expected: Vec<_> = std::iter::once("a".to_owned()).chain(names).collect();
        assert_eq!(visitor.session()["data"]["names"], json!(expected));
    }

    fn a_queue_has_an_end(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let mut requests = vec![holding(&site, &visitor, "read")];
        requests.extend((0..64).map(|_| waiting(&site, &visitor, "read")));
        assert_eq!(visitor.post("/plain-add").status, 503, "at once");
        assert_eq!(begun(&site).post("/plain-add").status, 200, "another session");
        site.gate.open(requests.len());
        requests.into_iter().for_each(|request| assert_eq!(request.join().expect("an answer").status, 200));
        site.gate.await_arrivals(64);
        assert_eq!(visitor.post("/plain-add").status, 200);
    }

    fn whoever_waits_in_vain_gets_503_and_harms_nothing(setup) {
        let site = impatient(setup);
        let visitor = begun(&site);
        let held = holding(&site, &visitor, "first");
        let reply = visitor.post("/plain-add");
        assert_eq!((reply.status, &*reply.body, reply.set_cookies()), (503, UNAVAILABLE, vec![]));
        assert_eq!(go_on(&site, held).status, 200);
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "names": ["first"]}));
        assert_eq!(visitor.post("/plain-add").status, 200);
    }

    fn a_handler_that_calls_itself_gets_an_error_inside(setup) {
        let site = impatient(setup);
        let visitor = begun(&site);
        let reply = visitor.post("/calls-itself");
        assert_eq!((reply.status, &*reply.body), (200, "503"));
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "inner": 503}));
    }

    fn a_panic_lets_the_next_one_in(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let token = visitor.token().expect("a cookie");
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| site.breaks_off("POST", "/locked/panic", &token));
            site.gate.await_arrivals(2);
            let behind = waiting(&site, &visitor, "second");
            site.gate.open(1);
            assert!(panics.join().expect("no failure"));
            assert_eq!(next(&site, behind).status, 200);
        });
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "names": ["second"]}));
        assert_no_lock_stays(setup);
    }

    fn a_response_of_5xx_lets_the_next_one_in(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let held = holding(&site, &visitor, "fail");
        let behind = waiting(&site, &visitor, "second");
        assert_eq!(go_on(&site, held).status, 500);
        assert_eq!(next(&site, behind).status, 200);
        assert_eq!(visitor.session()["data"]["names"], json!(["second"]));
    }

    fn whoever_hangs_up_lets_the_next_one_in(setup) {
        let site = setup.site();
        let visitor = begun(&site);
        let token = visitor.token().expect("a cookie");
        let mut wire = TcpStream::connect(site.address).expect("the server listens");
        let mut send = |request: &str| {
            let request = format!("{request} HTTP/1.1\r\nHost: h\r\nCookie: bsession={token}\r\nContent-Length: 0\r\n\r\n");
            wire.write_all(request.as_bytes()).expect("the server reads");
        };
        // An answer that is there and never read makes a reset of the connection's end, which stops the
        // handler; whoever only says no more is still answered.
        send("GET /bare");
        send("POST /locked/first");
        wire.peek(&mut [0]).expect("an answer");
        site.gate.await_arrivals(2);
        let second = waiting(&site, &visitor, "second");
        drop(wire);
        assert_eq!(next(&site, second).status, 200);
        assert_eq!(visitor.session()["data"]["names"], json!(["second"]));
        assert_no_lock_stays(setup);
    }

    fn a_body_that_streams_holds_no_lock(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = begun(&site);
        let streaming = visitor.meanwhile(|tab| tab.post("/stream"));
        site.gate.await_arrivals(1);
        assert_eq!(visitor.post("/plain-add").status, 200);
        assert_eq!(visitor.session()["data"], json!({"n": 1, "name": "joe", "streamed": true}));
        assert_eq!(go_on(&site, streaming).status, 200);
    }

    fn whoever_waits_for_a_logout_or_a_renewal_has_no_session_then(setup) {
        let site = setup.site();
        for last in ["logout", "renew", "login"] {
            let visitor = begun(&site);
            let held = holding(&site, &visitor, last);
            let late: Vec<_> = (0..3).map(|_| waiting(&site, &visitor, "late")).collect();
            let before = site.sessions.stats().late;
            site.gate.open(4);
            assert_eq!(held.join().expect("an answer").set_cookies().len(), 1);
            for request in late {
                let reply = request.join().expect("an answer");
                assert_eq!((reply.status, &*reply.body, reply.set_cookies()), (200, "", vec![]), "{last}");
            }
            site.gate.await_arrivals(3);
            assert_eq!(site.sessions.stats().late - before, 3);
            let expected = if last == "logout" { json!({}) } else { json!({"name": "joe"}) };
            assert_eq!(visitor.session()["data"], expected);
        }
        assert_no_lock_stays(setup);
    }

    fn a_visitor_without_a_session_locks_nothing(setup) {
        let site = setup.site();
        let requests: Vec<_> = (0..2).map(|_| holding(&site, &site.visitor(), "new")).collect();
        site.gate.open(2);
        for request in requests {
            assert!(request.join().expect("an answer").token().is_some());
        }
    }

    fn a_request_does_not_wait_for_itself_and_keeps_what_it_changed_before(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = begun(&site);
        let reply = visitor.post("/locks-twice");
        assert_eq!((reply.status, &*reply.body), (200, "1"));
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "before": 1, "one": 1, "other": 2}));
        assert_eq!(visitor.post("/plain-add").status, 200, "it is free again");
    }
}

/// As `/plain-add`, but that it leaves the save to the hooks.
#[post("/plain-add-unsaved")]
async fn plain_add_unsaved(mut connection: Connection) -> bsession::Result<impl Responder> {
    connection.lock().await?;
    let n: u64 = connection.session().get("n")?.unwrap_or(0);
    connection.session().insert("n", n + 1)?;
    Ok("added")
}

#[test]
fn hooks_save_before_the_next_one_has_its_turn() {
    actix_web::rt::System::new().block_on(async {
        let (mode, faults) = Faults::mode();
        let builder = Sessions::builder(SECRET).mode(mode);
        let sessions = builder.build().expect("a service");
        // A save leaves room for the others.
        faults.say(|operation| match operation {
            "commit" => Fault::Waits,
            _ => Fault::None,
        });
        let routes = App::new().app_data(sessions.clone()).wrap(Hooks);
        let app = init_service(routes.service(plain_add_unsaved)).await;
        let cookie = sessions.cookie_for(|session| session["n"] = 0.into());
        let cookie = cookie.await.expect("a session");
        let add = || {
            let request = TestRequest::post().uri("/plain-add-unsaved");
            call_service(&app, request.cookie(cookie.clone()).to_request())
        };
        for reply in join_all((0..20).map(|_| add())).await {
            assert_eq!(reply.status(), 200);
        }
        let request = TestRequest::default()
            .app_data(sessions.clone())
            .cookie(cookie);
        let connection = bsession::connect(&request.to_http_request()).await;
        assert_eq!(connection.expect("it works").session()["n"], 20);
        assert_eq!(sessions.stats().conflicts, 0);
    });
}

/// A store that is shared, and a lock that somebody else has at first.
#[test]
fn whoever_finds_the_lock_with_another_process_asks_again() {
    let (mode, faults) = Faults::mode();
    let builder = Sessions::builder(SECRET)
        .mode(mode)
        .secure(bsession::Secure::Never);
    let site = Site::open(builder.build().expect("a service"));
    let visitor = begun(&site);
    let mut left = 3;
    faults.say(move |operation| match operation {
        "lock" if left > 0 => {
            left -= 1;
            Fault::Refuses
        }
        _ => Fault::None,
    });
    assert_eq!(visitor.post("/plain-add").status, 200);
    faults.say(|operation| match operation {
        "lock" => Fault::Fails,
        _ => Fault::None,
    });
    assert_eq!(visitor.post("/plain-add").status, 503);
    assert_eq!(visitor.post("/add/n").body, "2", "without the lock");
    faults.always(Fault::None);
    assert_eq!(visitor.post("/plain-add").status, 200, "nobody has it");
}
