//! A store that is down or slow: 503 and nothing lost, never "no session".

use std::time::Duration;

use bsession::testing::Fault;
use bsession::{Builder, Mode, Sessions};
use serde_json::json;

use crate::support::sentences::UNAVAILABLE;
use crate::support::{Faults, SECRET, Site};

fn site_with(build: impl FnOnce(Builder) -> Builder) -> (Site, Faults) {
    let (mode, faults) = Faults::mode();
    let builder = Sessions::builder(SECRET)
        .mode(mode)
        .secure(bsession::Secure::Never);
    (
        Site::open(build(builder).build().expect("a service")),
        faults,
    )
}

fn site() -> (Site, Faults) {
    site_with(|builder| builder)
}

#[test]
fn a_store_that_is_down_answers_503_and_comes_back() {
    let (site, faults) = site();
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    faults.always(Fault::Fails);
    for path in ["/add/n", "/logout", "/login/joe", "/renew"] {
        let reply = visitor.post(path);
        assert_eq!(
            (reply.status, &*reply.body, reply.set_cookies()),
            (503, UNAVAILABLE, vec![]),
            "{path}"
        );
    }
    assert_eq!(
        visitor.get("/all").status,
        503,
        "and not a visitor without a session"
    );
    assert_eq!(visitor.get("/bare").status, 200);
    let newcomer = site.visitor();
    assert_eq!(
        newcomer.get("/all").status,
        200,
        "whoever has no cookie needs no store"
    );
    let reply = newcomer.post("/set/a/b");
    assert_eq!((reply.status, reply.set_cookies()), (503, vec![]));
    faults.always(Fault::None);
    assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
    assert!(site.sessions.stats().store_errors >= 6);
}

#[test]
fn a_store_that_reads_and_does_not_write_promises_nothing() {
    let (site, faults) = site();
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    faults.say(|operation| {
        if operation == "load" {
            Fault::None
        } else {
            Fault::Fails
        }
    });
    for path in ["/add/n", "/set/name/eve", "/logout", "/login/joe", "/renew"] {
        let reply = visitor.post(path);
        assert_eq!((reply.status, reply.set_cookies()), (503, vec![]), "{path}");
    }
    assert_eq!(
        visitor.session()["data"],
        json!({"name": "joe"}),
        "reading goes on"
    );
}

#[test]
fn a_store_that_does_not_answer_is_waited_for_no_longer_than_it_may_be() {
    let (site, faults) = site_with(|builder| builder.store_timeout(Duration::from_millis(50)));
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    faults.always(Fault::Hangs);
    let begin = std::time::Instant::now();
    assert_eq!(visitor.get("/all").status, 503);
    assert_eq!(site.visitor().post("/set/a/b").status, 503);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "far below the client's patience"
    );
    faults.always(Fault::None);
    assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
}

#[test]
fn a_store_that_waits_keeps_every_promise() {
    let (site, faults) = site();
    faults.always(Fault::Waits);
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    let held: Vec<_> = (0..20)
        .map(|_| visitor.meanwhile(|tab| tab.post("/held/add/n")))
        .collect();
    site.gate.await_arrivals(20);
    site.gate.open(20);
    held.into_iter()
        .for_each(|request| assert_eq!(request.join().expect("an answer").status, 200));
    visitor.post("/login/joe");
    assert_eq!(visitor.session()["data"], json!({"n": 20, "name": "joe"}));
    let token = visitor.token().expect("a cookie");
    assert!(visitor.post("/logout").removes_cookie());
    assert_eq!(site.with_token("GET", "/get/n", &token).body, "null");
}

/// The save is a task of its own once it has begun: whoever hangs up does not stop it.
#[test]
fn a_save_that_has_begun_comes_to_its_end() {
    use actix_web::FromRequest;
    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET)
        .mode(mode)
        .build()
        .expect("a service");
    actix_web::rt::System::new().block_on(async {
        let cookie = sessions
            .cookie_for(|session| session["n"] = 1.into())
            .await
            .expect("a session");
        let request = || {
            actix_web::test::TestRequest::default()
                .app_data(sessions.clone())
                .cookie(cookie.clone())
                .to_http_request()
        };
        let first = request();
        let mut connection = bsession::Connection::extract(&first)
            .await
            .expect("a session");
        connection.session()["n"] = 2.into();
        faults.always(Fault::Waits);
        {
            let mut save = std::pin::pin!(connection.respond(&first, "saved"));
            let poll = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(save.as_mut().poll(cx).is_ready())
            });
            assert!(!poll.await, "it waits for the store");
            // And here the request is dropped.
        }
        faults.always(Fault::None);
        let patience = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let second = request();
            let mut connection = bsession::Connection::extract(&second)
                .await
                .expect("a session");
            if connection.session()["n"] == 2 {
                break;
            }
            assert!(
                tokio::time::Instant::now() < patience,
                "the save was cancelled"
            );
            tokio::task::yield_now().await;
        }
    });
}

/// A reply that is lost is no reason to do a thing twice, nor to say that it was not done.
#[test]
fn a_lost_reply_is_an_error_and_loses_nothing() {
    let (site, faults) = site();
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    faults.say(|operation| {
        if operation == "load" {
            Fault::None
        } else {
            Fault::LosesReply
        }
    });
    assert_eq!(visitor.post("/add/n").status, 503);
    faults.always(Fault::None);
    assert_eq!(
        visitor.session()["data"],
        json!({"n": 1, "name": "joe"}),
        "it was done, once"
    );
}

#[test]
fn a_million_who_only_read_leave_nothing() {
    use actix_web::FromRequest;
    let sessions = Sessions::builder(SECRET)
        .mode(Mode::Memory)
        .build()
        .expect("a service");
    actix_web::rt::System::new().block_on(async {
        let request = || {
            actix_web::test::TestRequest::default()
                .app_data(sessions.clone())
                .to_http_request()
        };
        for _ in 0..1_000_000 / if cfg!(debug_assertions) { 10 } else { 1 } {
            let request = request();
            let mut connection = bsession::Connection::extract(&request)
                .await
                .expect("a visitor");
            assert!(connection.session().is_empty());
            drop(connection.respond(&request, "read").await);
        }
    });
    assert_eq!(sessions.stats(), bsession::Stats::default());
}
