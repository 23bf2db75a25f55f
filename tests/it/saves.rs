//! Saves in the middle of a request: other requests see them at once, and the rest of the request takes nothing back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use actix_web::test::TestRequest;
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder, post};
use bsession::store::{
    Answer, Cursor, Entry, Expected, Key, Listed, Scanned, Store, StoreError, Swap, UserKey,
};
use bsession::testing::{self, Fault};
use bsession::{Clock, Connection, Mode, Secure, Sessions, Timestamp, View, connect, session};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Faults, Gate, SECRET, Setup, Site, Visitor, for_each_store};

/// Adds one to `n`, saves, waits at the gate, and adds one more.
#[post("/save-held")]
#[session]
async fn save_held(gate: Data<Gate>) -> bsession::Result<impl Responder> {
    session.update("n", |n: u64| n + 1)?;
    session.save().await?;
    gate.pass().await;
    session.update("n", |n: u64| n + 1)?;
    Ok(session["n"].to_string())
}

#[post("/save-locked")]
#[session(lock)]
async fn save_locked(gate: Data<Gate>) -> bsession::Result<impl Responder> {
    session["early"] = 1.into();
    session.save().await?;
    gate.pass().await;
    Ok("saved")
}

/// Does something, saves, changes more, and ends as the path says.
#[post("/save-then/{what}/{end}")]
#[session]
async fn save_then(path: Path<(String, String)>) -> bsession::Result<HttpResponse> {
    let (what, end) = path.into_inner();
    match &*what {
        "set" => {}
        "renew" => session.renew(),
        "purge" => session.purge(),
        user => session.login(user),
    }
    session["early"] = what.into();
    session.save().await?;
    let is_stored = !session.is_new();
    match &*end {
        "nothing" => {}
        "purge" => session.purge(),
        "panic" => {
            session["late"] = 1.into();
            panic!("as the test asked for");
        }
        _ => session["late"] = 1.into(),
    }
    let mut response = match &*end {
        "fail" => HttpResponse::InternalServerError(),
        _ => HttpResponse::Ok(),
    };
    Ok(response.body(is_stored.to_string()))
}

/// Tries to save in the middle, and responds with the result.
#[post("/try")]
#[session]
async fn try_to_save(gate: Data<Gate>) -> bsession::Result<impl Responder> {
    session.update("n", |n: u64| n + 1)?;
    let saved = session.save().await.is_ok();
    gate.pass().await;
    session.update("m", |m: u64| m + 1)?;
    Ok(saved.to_string())
}

/// Puts something into a view, saves after the gate, and logs in.
#[post("/view-held/{user}")]
#[session]
async fn view_held(
    gate: Data<Gate>,
    user: Path<String>,
    cart: &mut Cart,
) -> bsession::Result<impl Responder> {
    cart.items.push(7);
    session["a"] = 1.into();
    gate.pass().await;
    session.save().await?;
    session.login(&**user);
    Ok("in")
}

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

/// Puts something into a view, and ends the view's session in the middle.
#[post("/view/{what}")]
#[session]
async fn view(what: Path<String>, cart: &mut Cart) -> bsession::Result<impl Responder> {
    cart.items.push(7);
    match &*what.into_inner() {
        "purge" => session.purge(),
        "nothing" => session["a"] = 1.into(),
        user => session.login(user),
    }
    session.save().await?;
    Ok("saved")
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(save_held)
        .service(save_locked)
        .service(save_then)
        .service(try_to_save)
        .service(view)
        .service(view_held);
}

fn site(setup: &Setup) -> Site {
    Site::open_with(setup.sessions(), routes)
}

fn begun(site: &Site) -> Visitor {
    let visitor = site.visitor();
    visitor.post("/set/name/joe");
    visitor
}

for_each_store! {
    fn other_requests_see_it_before_the_request_ends(setup) {
        let site = site(setup);
        let visitor = begun(&site);
        let slow = visitor.meanwhile(|tab| tab.post("/save-held"));
        site.gate.await_arrivals(1);
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "n": 1}));
        visitor.post("/add/n");
        site.gate.open(1);
        assert_eq!(slow.join().expect("an answer").status, 200);
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "n": 3}));
    }

    fn it_stays_saved_when_the_response_is_a_5xx_and_the_cookie_goes_along(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        let reply = visitor.post("/save-then/joe/fail");
        assert_eq!((reply.status, &*reply.body), (500, "true"));
        assert_eq!(reply.header("cache-control"), ["no-store"]);
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("joe"), &json!({"early": "joe"})));
    }

    fn it_stays_saved_when_the_handler_panics(setup) {
        let site = site(setup);
        let visitor = begun(&site);
        let token = visitor.token().expect("a cookie");
        assert!(site.breaks_off("POST", "/save-then/set/panic", &token));
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "early": "set"}));
    }

    fn its_cookie_goes_with_a_response_that_changes_nothing_more(setup) {
        let site = site(setup);
        for what in ["set", "joe"] {
            let visitor = site.visitor();
            assert!(visitor.post(&format!("/save-then/{what}/nothing")).token().is_some());
            assert_eq!(visitor.session()["data"], json!({"early": what}));
        }
        let visitor = begun(&site);
        let old = visitor.token().expect("a cookie");
        assert!(visitor.post("/save-then/renew/nothing").token().is_some());
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "early": "renew"}));
        assert_eq!(site.with_token("GET", "/get/name", &old).body, "null");
        let before = visitor.token();
        let reply = visitor.post("/save-then/set/set");
        assert_eq!(reply.set_cookies(), Vec::<&str>::new(), "nothing has changed for the browser");
        assert_eq!(visitor.token(), before);
    }

    fn a_purge_counts_before_it_and_after_it(setup) {
        let site = site(setup);
        for (what, end, data) in [
            ("purge", "nothing", json!({"early": "purge"})),
            ("set", "purge", json!({})),
            ("joe", "purge", json!({})),
        ] {
            let visitor = begun(&site);
            let old = visitor.token().expect("a cookie");
            let reply = visitor.post(&format!("/save-then/{what}/{end}"));
            assert_eq!(reply.removes_cookie(), end == "purge", "{what} {end}");
            assert_eq!(visitor.session()["data"], data, "{what} {end}");
            assert_eq!(site.with_token("GET", "/get/name", &old).body, "null");
        }
        assert_eq!(site.visitor().post("/save-then/joe/purge").status, 200);
        assert_eq!(site.sessions.stats().removals, 4, "and nothing else is left of joe");
    }

    fn the_lock_stays_until_the_end(setup) {
        let site = site(setup);
        let visitor = begun(&site);
        let slow = visitor.meanwhile(|tab| tab.post("/save-locked"));
        site.gate.await_arrivals(1);
        let behind = visitor.meanwhile(|tab| tab.post("/locked/second"));
        site.gate.await_arrivals(1);
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "early": 1}));
        assert!(!behind.is_finished());
        site.gate.open(1);
        assert_eq!(slow.join().expect("an answer").status, 200);
        site.gate.await_arrivals(1);
        site.gate.open(1);
        assert_eq!(behind.join().expect("an answer").status, 200);
        assert_eq!(visitor.session()["data"]["names"], json!(["second"]));
    }

    fn changes_to_a_session_that_was_ended_elsewhere_are_dropped(setup) {
        let site = site(setup);
        let visitor = begun(&site);
        let token = visitor.token().expect("a cookie");
        let slow = visitor.meanwhile(|tab| tab.post("/save-held"));
        site.gate.await_arrivals(1);
        visitor.post("/logout");
        site.gate.open(1);
        let reply = slow.join().expect("an answer");
        assert_eq!((reply.status, reply.set_cookies()), (200, vec![]));
        assert_eq!(site.with_token("GET", "/get/n", &token).body, "null");
        assert_eq!(site.sessions.stats().late, 1);
    }

    fn a_view_is_written_after_it_and_never_into_another_session(setup) {
        let site = site(setup);
        for (what, data) in [
            ("nothing", json!({"name": "joe", "items": [7], "a": 1})),
            ("purge", json!({})),
            ("eve", json!({})),
        ] {
            let visitor = begun(&site);
            visitor.post("/login/joe");
            assert_eq!(visitor.post(&format!("/view/{what}")).status, 200);
            assert_eq!(visitor.session()["data"], data, "{what}");
        }
    }
}

for_each_store! {
    fn a_view_of_a_session_that_was_ended_elsewhere_is_not_written_into_another_one(setup) {
        let site = site(setup);
        let visitor = begun(&site);
        visitor.post("/login/joe");
        let slow = visitor.meanwhile(|tab| tab.post("/view-held/eve"));
        site.gate.await_arrivals(1);
        visitor.post("/logout");
        site.gate.open(1);
        assert_eq!(slow.join().expect("an answer").status, 200);
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("eve"), &json!({})));
    }
}

/// A site on a store that fails when it is told to, and a visitor with a session.
fn faulty() -> (Site, Faults, Visitor) {
    faulty_at(&Clock::default())
}

fn faulty_at(clock: &Clock) -> (Site, Faults, Visitor) {
    let (mode, faults) = Faults::mode();
    let builder = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let builder = builder.clock(clock.clone());
    let site = Site::open_with(builder.build().expect("a service"), routes);
    let visitor = begun(&site);
    (site, faults, visitor)
}

/// Decides the outcome of the first write.
fn first_write(faults: &Faults, fault: Fault) {
    let mut is_first = true;
    faults.say(move |operation| match operation {
        "commit" | "create" | "renew" if std::mem::take(&mut is_first) => fault,
        _ => Fault::None,
    });
}

#[test]
fn a_save_that_fails_is_tried_again_at_the_end() {
    for fault in [Fault::Fails, Fault::LosesReply] {
        let (site, faults, visitor) = faulty();
        for visitor in [visitor, site.visitor()] {
            site.gate.open(1);
            first_write(&faults, fault);
            let reply = visitor.post("/try");
            site.gate.await_arrivals(1);
            assert_eq!((reply.status, &*reply.body), (200, "false"), "{fault:?}");
            let data = &visitor.session()["data"];
            assert_eq!(
                (&data["n"], &data["m"]),
                (&json!(1), &json!(1)),
                "{fault:?}"
            );
        }
    }
}

/// A save failed, and other requests have saved before the end of this one. If the session was written once since the
/// load, its revision tells by whom. If it was written twice, the first write may have been the failed save: the response
/// is a 503.
#[test]
fn a_save_whose_reply_was_lost_is_never_done_twice() {
    for (fault, others, status, count) in [
        (Fault::LosesReply, 0, 200, 1),
        (Fault::LosesReply, 1, 503, 1),
        (Fault::Fails, 1, 200, 1),
        (Fault::Fails, 2, 503, 0),
    ] {
        let (site, faults, visitor) = faulty();
        first_write(&faults, fault);
        let slow = visitor.meanwhile(|tab| tab.post("/try"));
        site.gate.await_arrivals(1);
        (0..others).for_each(|_| drop(visitor.post("/add/other")));
        site.gate.open(1);
        assert_eq!(
            slow.join().expect("an answer").status,
            status,
            "{fault:?} {others}"
        );
        let stored = visitor.session()["data"]["n"].as_u64().unwrap_or(0);
        assert_eq!(stored, count, "{fault:?} {others}");
    }
}

#[test]
fn a_purge_that_fails_in_the_middle_is_done_at_the_end() {
    let (site, faults, visitor) = faulty();
    let token = visitor.token().expect("a cookie");
    let mut is_first = true;
    faults.say(move |operation| match operation {
        "end" if std::mem::take(&mut is_first) => Fault::Fails,
        _ => Fault::None,
    });
    // The handler ends with the error of its save.
    assert_eq!(visitor.post("/save-then/purge/nothing").status, 503);
    assert_eq!(site.with_token("GET", "/get/name", &token).body, "null");
}

#[test]
fn a_save_without_changes_asks_for_nothing() {
    let clock = Clock::default();
    let (site, faults, visitor) = faulty_at(&clock);
    // An expiry that is due is left to the end.
    clock.advance(Duration::from_secs(3600));
    let cookie = visitor.token().expect("a cookie");
    actix_web::rt::System::new().block_on(async {
        let request = TestRequest::default()
            .app_data(site.sessions.clone())
            .insert_header(("Cookie", format!("bsession={cookie}")))
            .to_http_request();
        let mut connection = connect(&request).await.expect("a session");
        faults.always(Fault::Fails);
        connection.session().save().await.expect("nothing to do");
        assert_eq!(connection.session()["name"], "joe");
        assert_eq!(site.sessions.stats().store_errors, 0);
    });
}

/// A caller that stops waiting for a save goes on with the changes in it.
#[test]
fn a_save_that_is_dropped_goes_on() {
    let (site, faults, visitor) = faulty();
    let cookie = visitor.token().expect("a cookie");
    actix_web::rt::System::new().block_on(async {
        let request = TestRequest::default()
            .app_data(site.sessions.clone())
            .insert_header(("Cookie", format!("bsession={cookie}")))
            .to_http_request();
        let mut connection = connect(&request).await.expect("a session");
        connection
            .session()
            .update("n", |n: u64| n + 1)
            .expect("a number");
        faults.say(|operation| match operation {
            "commit" => Fault::Waits,
            _ => Fault::None,
        });
        {
            let mut save = pin!(connection.session().save());
            let first = poll_fn(|context| Poll::Ready(save.as_mut().poll(context))).await;
            assert!(first.is_pending());
        }
        connection
            .session()
            .update("n", |n: u64| n + 1)
            .expect("a number");
        assert_eq!(connection.session()["n"], 2);
        let saved = connection.respond(&request, "").await.into_response();
        assert_eq!(saved.status(), 200);
    });
    assert_eq!(visitor.session()["data"]["n"], json!(2));
    assert_eq!(site.sessions.stats().commits, 2);
}

/// Two connections of one request: a save takes what either has handed over, and the other keeps its own.
#[test]
fn connections_of_one_request_save_in_either_order() {
    let (site, _, visitor) = faulty();
    let cookie = visitor.token().expect("a cookie");
    actix_web::rt::System::new().block_on(async {
        let request = TestRequest::default()
            .app_data(site.sessions.clone())
            .insert_header(("Cookie", format!("bsession={cookie}")))
            .to_http_request();
        let open = async || connect(&request).await.expect("a session");
        let add = |connection: &mut Connection, key: &str| {
            connection
                .session()
                .update(key, |n: u64| n + 1)
                .expect("a number")
        };
        let (mut first, mut second, mut third) = (open().await, open().await, open().await);
        add(&mut first, "n");
        add(&mut second, "n");
        add(&mut third, "n");
        drop(third);
        first.session().save().await.expect("saved");
        assert_eq!(first.session()["n"], 2, "its own, and what was handed over");
        assert_eq!(visitor.session()["data"]["n"], json!(2));
        second.session().save().await.expect("saved");
        assert_eq!(second.session()["n"], 3);
        add(&mut first, "n");
        let _ = second.respond(&request, "").await;
        let _ = first.respond(&request, "").await;
    });
    assert_eq!(visitor.session()["data"]["n"], json!(4));
}

#[test]
fn a_session_of_no_request_is_saved_nowhere() {
    actix_web::rt::System::new().block_on(async {
        let mut session = bsession::Session::default();
        session["a"] = 1.into();
        session.save().await.expect("nothing to do");
        assert!(session["a"] == 1 && session.is_new());
        assert!(!session.watch().is_live().await.expect("nothing to ask"));
        session.watch().ended().await;
    });
}

/// A visitor's request at the service of a site.
fn request_of(site: &Site, visitor: &Visitor) -> HttpRequest {
    let cookie = visitor.token().expect("a cookie");
    TestRequest::default()
        .app_data(site.sessions.clone())
        .insert_header(("Cookie", format!("bsession={cookie}")))
        .to_http_request()
}

fn add_to(connection: &mut Connection, key: &str) {
    let added = connection.session().update(key, |n: u64| n + 1);
    added.expect("a number");
}

/// What the lock protects is not stored yet when the save in the middle fails.
#[test]
fn a_lock_stays_until_the_end_when_a_save_fails() {
    let (site, faults, visitor) = faulty();
    actix_web::rt::System::new().block_on(async {
        let [request, other] = [(); 2].map(|()| request_of(&site, &visitor));
        let mut connection = connect(&request).await.expect("a session");
        connection.lock().await.expect("the lock");
        add_to(&mut connection, "n");
        first_write(&faults, Fault::Fails);
        connection.session().save().await.expect_err("it fails");
        faults.say(|operation| match operation {
            "commit" => Fault::Hangs,
            _ => Fault::None,
        });
        let mut end = pin!(connection.respond(&request, ""));
        let is_saved = poll_fn(|context| Poll::Ready(end.as_mut().poll(context).is_ready()));
        assert!(!is_saved.await, "the last save is under way");
        let mut behind = connect(&other).await.expect("a session");
        let mut lock = pin!(behind.lock());
        let has_lock = poll_fn(|context| Poll::Ready(lock.as_mut().poll(context).is_ready()));
        assert!(!has_lock.await, "nobody else has the lock before that");
    });
}

/// The reply of a save was lost. What then looks at the session finds its changes there, and does not add them once more.
#[test]
fn a_save_whose_reply_was_lost_is_not_seen_twice() {
    for look in ["claim", "lock", "connect"] {
        let clock = Clock::default();
        let (site, faults, visitor) = faulty_at(&clock);
        actix_web::rt::System::new().block_on(async {
            let request = request_of(&site, &visitor);
            let mut connection = connect(&request).await.expect("a session");
            add_to(&mut connection, "n");
            first_write(&faults, Fault::LosesReply);
            connection.session().save().await.expect_err("no reply");
            let seen = match look {
                "claim" => {
                    let claimed = connection.session().claim::<u64>("n").await;
                    claimed.expect("a number")
                }
                "lock" => {
                    connection.lock().await.expect("the lock");
                    connection.session().get("n").expect("a number")
                }
                _ => {
                    clock.advance(Duration::from_millis(1001));
                    let mut late = connect(&request).await.expect("a session");
                    late.session().get("n").expect("a number")
                }
            };
            assert_eq!(seen, Some(1), "{look}");
            let saved = connection.respond(&request, "").await.into_response();
            assert_eq!(saved.status(), 200, "{look}");
        });
        let stored = if look == "claim" {
            json!(null)
        } else {
            json!(1)
        };
        assert_eq!(visitor.session()["data"]["n"], stored, "{look}");
    }
}

/// A store in which the first commits fail, and are done late, in their order, before the next load.
struct Late {
    store: Arc<dyn Store>,
    fails: AtomicUsize,
    commits: Mutex<Vec<LateCommit>>,
}

type LateCommit = (Key, Expected, Option<Entry>, Timestamp);

impl Store for Late {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        if self.fails.load(Ordering::SeqCst) == 0 {
            let late = std::mem::take(&mut *self.commits.lock().expect("one at a time"));
            for (key, expected, entry, now) in late {
                drop(self.store.swap(key, expected, entry, now));
            }
        }
        self.store.load(key)
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        let is_commit = matches!(expected, Expected::At(_));
        if is_commit && self.fails.load(Ordering::SeqCst) > 0 {
            self.fails.fetch_sub(1, Ordering::SeqCst);
            let mut commits = self.commits.lock().expect("one at a time");
            commits.push((key, expected, entry, now));
            return Answer::Now(Err(StoreError::TimedOut));
        }
        self.store.swap(key, expected, entry, now)
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        self.store.list(users)
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        self.store.scan(cursor, budget)
    }
}

/// A store that stalls, and then does all that it was told meanwhile.
#[test]
fn of_several_saves_that_failed_the_one_that_is_done_late_counts() {
    for tries in 1..4 {
        let store = Arc::new(Late {
            store: testing::store(Mode::Memory),
            fails: AtomicUsize::new(0),
            commits: Mutex::default(),
        });
        let builder = Sessions::builder(SECRET).mode(Arc::clone(&store));
        let sessions = builder.secure(Secure::Never).build().expect("a service");
        let site = Site::open_with(sessions, routes);
        let visitor = begun(&site);
        actix_web::rt::System::new().block_on(async {
            let request = request_of(&site, &visitor);
            let mut connection = connect(&request).await.expect("a session");
            store.fails.store(tries, Ordering::SeqCst);
            for _ in 0..tries {
                add_to(&mut connection, "n");
                connection.session().save().await.expect_err("it fails");
            }
            let saved = connection.respond(&request, "").await.into_response();
            assert_eq!(saved.status(), 200, "{tries}");
        });
        assert_eq!(visitor.session()["data"]["n"], json!(tries), "{tries}");
    }
}
