//! Time: idle and absolute expiry, touches, and clocks that are wrong.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::{Setup, Site, for_each_store};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

fn max_age(cookie: &str) -> Option<u64> {
    cookie
        .split("; ")
        .find_map(|attribute| attribute.strip_prefix("Max-Age="))?
        .parse()
        .ok()
}

/// How many sessions are left after a sweep.
fn swept(site: &Site) -> usize {
    site.sessions.sweep().expect("the store works")
}

fn is_alive(site: &Site, token: &str) -> bool {
    site.with_token("GET", "/get/name", token).body == "\"joe\""
}

fn begin(site: &Site) -> String {
    site.with_cookies("POST", "/set/name/joe", &[])
        .token()
        .expect("a cookie")
        .to_owned()
}

for_each_store! {
    fn a_session_ends_when_it_is_not_visited(setup) {
        let site = setup.site();
        let token = begin(&site);
        setup.clock.advance(30 * DAY - MINUTE);
        assert!(is_alive(&site, &token));
        setup.clock.advance(30 * DAY + MINUTE);
        assert!(!is_alive(&site, &token));
        let reply = site.with_token("POST", "/add/n", &token);
        assert!(reply.token().is_some_and(|new| new != token), "an old token is never adopted");
    }

    fn reading_slides_the_expiry_at_most_once_a_minute(setup) {
        let site = setup.site();
        let token = begin(&site);
        let touches = || site.sessions.stats().touches;
        for _ in 0..3 {
            assert!(is_alive(&site, &token));
        }
        assert_eq!(touches(), 0);
        setup.clock.advance(MINUTE);
        for _ in 0..3 {
            assert!(is_alive(&site, &token));
        }
        assert_eq!(touches(), 1);
        setup.clock.advance(MINUTE / 2);
        assert!(is_alive(&site, &token));
        assert_eq!((touches(), site.sessions.stats().commits), (1, 0));
    }

    fn short_sessions_slide_by_tenths(setup) {
        let site = Site::open(setup.builder().idle(Duration::from_secs(100)).build().expect("a service"));
        let token = begin(&site);
        for _ in 0..20 {
            setup.clock.advance(Duration::from_secs(9));
            assert!(is_alive(&site, &token));
        }
        setup.clock.advance(Duration::from_secs(101));
        assert!(!is_alive(&site, &token));
    }

    fn the_max_age_moves_after_a_tenth_and_outlasts_the_session_by_as_much(setup) {
        let site = Site::open(setup.builder().days(100).build().expect("a service"));
        let visitor = site.visitor();
        let first = visitor.post("/set/name/joe");
        assert_eq!(max_age(first.set_cookies()[0]), Some(110 * 24 * 60 * 60));
        setup.clock.advance(9 * DAY);
        assert_eq!(visitor.get("/get/name").set_cookies(), Vec::<&str>::new());
        setup.clock.advance(DAY);
        let moved = visitor.get("/get/name");
        assert_eq!((max_age(moved.set_cookies()[0]), moved.token()), (Some(110 * 24 * 60 * 60), first.token()));
        assert_eq!(visitor.get("/get/name").set_cookies(), Vec::<&str>::new());
        setup.clock.advance(10 * DAY);
        assert_eq!(visitor.post("/add/n").set_cookies().len(), 1, "a save carries it, too");
    }

    fn no_max_age_is_above_400_days(setup) {
        let site = Site::open(setup.builder().days(400).build().expect("a service"));
        let reply = site.visitor().post("/set/a/b");
        assert_eq!(max_age(reply.set_cookies()[0]), Some(400 * 24 * 60 * 60));
    }

    fn a_lifetime_ends_a_session_however_often_it_is_visited(setup) {
        let site = Site::open(setup.builder().lifetime(10 * DAY).build().expect("a service"));
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        for _ in 0..9 {
            setup.clock.advance(DAY);
            visitor.post("/add/n");
            visitor.post("/renew");
        }
        assert_eq!(visitor.session()["data"], json!({"n": 9, "name": "joe"}));
        let token = visitor.token().expect("a cookie");
        setup.clock.advance(DAY - MINUTE);
        assert!(is_alive(&site, &token));
        setup.clock.advance(MINUTE);
        assert!(!is_alive(&site, &token));
    }

    fn a_lifetime_is_counted_from_the_last_login(setup) {
        let site = Site::open(setup.builder().lifetime(10 * DAY).build().expect("a service"));
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        setup.clock.advance(8 * DAY);
        let login = visitor.post("/login/joe");
        assert_eq!(max_age(login.set_cookies()[0]), Some(10 * 24 * 60 * 60), "the cookie follows");
        setup.clock.advance(8 * DAY);
        assert_eq!(visitor.session()["user"], json!("joe"));
        setup.clock.advance(2 * DAY);
        assert_eq!(visitor.session()["user"], json!(null));
    }

    /// What is left of its time may be a millisecond, or be over between the load and the save.
    fn the_last_moments_of_a_session_are_no_error(setup) {
        let site = Site::open(setup.builder().lifetime(10 * DAY).build().expect("a service"));
        let tokens: Vec<_> = (0..60).map(|_| begin(&site)).collect();
        setup.clock.advance(10 * DAY - Duration::from_millis(200));
        for token in &tokens {
            for (method, path) in [("POST", "/add/visits"), ("POST", "/renew"), ("GET", "/all")] {
                let reply = site.with_token(method, path, token);
                assert_eq!(reply.status, 200, "{path}: {}", reply.body);
            }
            setup.clock.advance(Duration::from_millis(5));
        }
        setup.clock.advance(Duration::from_millis(200));
        assert!(!tokens.iter().any(|token| is_alive(&site, token)));

        let token = begin(&site);
        setup.clock.advance(10 * DAY - MINUTE);
        let held = std::thread::scope(|scope| {
            let held = scope.spawn(|| site.with_token("POST", "/held/set/late", &token));
            site.gate.await_arrivals(1);
            setup.clock.advance(MINUTE);
            site.gate.open(1);
            held.join().expect("an answer")
        });
        assert_eq!((held.status, held.set_cookies()), (200, vec![]), "it came too late");
        assert!(!is_alive(&site, &token));
        assert_eq!((site.sessions.stats().late, site.sessions.stats().store_errors), (1, 0));
    }

    fn a_lifetime_that_is_set_later_binds_sessions_that_are_there(setup) {
        if setup.kind == crate::support::Kind::Memory {
            return; // its sessions end with the service that has the old setting
        }
        let site = setup.site();
        let (token, unvisited) = (begin(&site), begin(&site));
        let strict = Site::open(setup.builder().lifetime(10 * DAY).build().expect("a service"));
        setup.clock.advance(9 * DAY);
        assert!(is_alive(&strict, &token));
        setup.clock.advance(DAY);
        assert!(!is_alive(&strict, &token));
        assert!(!is_alive(&strict, &unvisited), "whatever the store has of it");
    }

    fn one_session_may_last_longer_than_the_others(setup) {
        let site = Site::open_with(setup.builder().days(1).browser_session(true).build().expect("a service"), routes);
        let (forgotten, remembered) = (site.visitor(), site.visitor());
        assert_eq!(max_age(forgotten.post("/set/name/joe").set_cookies()[0]), None);
        remembered.post("/set/name/joe");
        let reply = remembered.post("/days/30");
        assert_eq!(max_age(reply.set_cookies()[0]), Some(33 * 24 * 60 * 60), "its cookie says so at once");
        setup.clock.advance(29 * DAY);
        assert_eq!(remembered.session()["data"], json!({"name": "joe"}));
        assert_eq!(forgotten.session()["data"], json!({}));
        remembered.post("/renew");
        setup.clock.advance(29 * DAY);
        assert_eq!(remembered.session()["data"], json!({"name": "joe"}), "a renewal keeps it");
        let forgotten_again = site.visitor();
        forgotten_again.post("/set/name/joe");
        forgotten_again.post("/days/30");
        let reply = forgotten_again.post("/days/none");
        assert_eq!(max_age(reply.set_cookies()[0]), None, "it ends with the browser again, and its cookie says so");
        setup.clock.advance(2 * DAY);
        assert_eq!(forgotten_again.session()["data"], json!({}));
        assert_eq!(remembered.post("/days/0").status, 200);
        assert_eq!(remembered.post("/days/4294967295").status, 200, "nearer values are taken for both");
    }

    fn an_anonymous_session_ends_earlier_until_somebody_logs_in(setup) {
        let site = Site::open_with(setup.builder().anonymous_idle(DAY).build().expect("a service"), routes);
        let stranger = begin(&site);
        let (visited, joe, remembered) = (site.visitor(), site.visitor(), site.visitor());
        let began = visited.post("/set/name/joe");
        assert_eq!(max_age(began.set_cookies()[0]), Some(95_040), "a day and a tenth");
        remembered.post("/set/name/joe");
        remembered.post("/days/90");
        joe.post("/set/cart/a-book");
        setup.clock.advance(DAY - MINUTE);
        assert_eq!(visited.get("/get/name").body, "\"joe\"");
        let login = joe.post("/login/joe");
        assert_eq!(max_age(login.set_cookies()[0]), Some(33 * 86_400), "30 days and a tenth");
        setup.clock.advance(2 * MINUTE);
        assert!(!is_alive(&site, &stranger));
        assert_eq!(visited.get("/get/name").body, "\"joe\"", "a visit moves it by a day");
        setup.clock.advance(29 * DAY);
        assert_eq!(visited.get("/get/name").body, "null");
        assert_eq!(joe.get("/get/cart").body, "\"a-book\"");
        assert_eq!(remembered.get("/get/name").body, "\"joe\"", "its expiry is its own");
    }

    fn an_anonymous_expiry_that_is_set_later_binds_sessions_that_are_there(setup) {
        if setup.kind == crate::support::Kind::Memory {
            return; // They end with the service.
        }
        let token = begin(&setup.site());
        let later = Site::open(setup.builder().anonymous_idle(DAY).build().expect("a service"));
        assert!(is_alive(&later, &token));
        setup.clock.advance(2 * MINUTE);
        assert!(is_alive(&later, &token));
        setup.clock.advance(DAY);
        assert!(!is_alive(&later, &token));
    }

    fn a_clock_ahead_ends_sessions_and_one_behind_makes_none_immortal(setup) {
        let site = setup.site();
        let (visited, left) = (begin(&site), begin(&site));
        setup.clock.rewind(3650 * DAY);
        assert!(is_alive(&site, &visited), "a clock set back logs nobody out");
        setup.clock.advance(31 * DAY);
        assert!(!is_alive(&site, &visited), "what was visited then ends by that clock");
        setup.clock.advance(3650 * DAY);
        assert!(!is_alive(&site, &left));
        let token = begin(&site);
        setup.clock.advance(3650 * DAY);
        assert!(!is_alive(&site, &token));
    }

    fn a_clock_that_is_set_back_keeps_the_cookie_as_long_as_the_session(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        setup.clock.rewind(3650 * DAY);
        assert_eq!(visitor.get("/get/name").set_cookies().len(), 1);
        assert_eq!(visitor.get("/get/name").set_cookies(), Vec::<&str>::new(), "once");
        // A clock that is hardly behind another host's is none that was wrong.
        setup.clock.rewind(2 * MINUTE);
        assert_eq!(visitor.get("/get/name").set_cookies(), Vec::<&str>::new());
    }

    fn what_has_expired_is_swept(setup) {
        if setup.kind == crate::support::Kind::Redis {
            return; // which expires by itself, by a clock that nobody turns
        }
        let site = setup.site();
        let expired: Vec<_> = (0..20).map(|_| begin(&site)).collect();
        setup.clock.advance(DAY);
        let (kept, removed) = (begin(&site), begin(&site));
        site.with_token("POST", "/logout", &removed);
        assert_eq!(swept(&site), 0);
        setup.clock.advance(29 * DAY);
        assert_eq!(swept(&site), expired.len() + 1, "the expired ones and the tombstone");
        assert!(is_alive(&site, &kept));
        assert_eq!(swept(&site), 0);
        setup.clock.advance(40 * DAY);
        assert_eq!(swept(&site), 1);
    }

    fn a_session_tells_when_it_began_and_when_it_ends(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let seconds = |reply: crate::support::Reply| -> Vec<u64> {
            reply.body.split(' ').map(|text| text.parse().expect("a number")).collect()
        };
        let [created, expires] = seconds(visitor.get("/times"))[..] else { panic!("two times") };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        assert!(now - created < 60 && (expires - created).abs_diff(30 * 24 * 60 * 60) < 60);
        setup.clock.advance(DAY);
        visitor.get("/all");
        let [same, later] = seconds(visitor.get("/times"))[..] else { panic!("two times") };
        assert_eq!(same, created);
        assert!(later >= expires + 24 * 60 * 60);
    }
}

fn routes(config: &mut actix_web::web::ServiceConfig) {
    use actix_web::{Responder, get, post, web};
    use bsession::session;

    #[post("/days/{count}")]
    #[session]
    async fn days(count: web::Path<String>) -> impl Responder {
        session.set_days(count.parse::<u32>().ok());
        "set"
    }

    #[get("/times")]
    #[session]
    async fn times() -> impl Responder {
        let seconds = |at: Option<SystemTime>| {
            at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map_or(0, |span| span.as_secs())
        };
        format!(
            "{} {}",
            seconds(session.created_at()),
            seconds(session.expires_at())
        )
    }

    config.service(days).service(times);
}

#[test]
fn the_sweeper_thread_ends_with_its_service() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let sweepers = || {
        let threads = std::fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten();
        threads
            .filter(|thread| {
                std::fs::read_to_string(thread.path().join("comm"))
                    .is_ok_and(|name| name.starts_with("bsession-sweepe"))
            })
            .count()
    };
    if !cfg!(target_os = "linux") {
        println!("not checked: threads are counted in /proc, which this system does not have");
        return;
    }
    // Other tests have sweepers of their own, so a hundred more or less is what tells.
    let services: Vec<_> = (0..100).map(|_| setup.sessions()).collect();
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    let wait_until = |done: &dyn Fn() -> bool, what| {
        while !done() {
            assert!(std::time::Instant::now() < patience, "{what}");
            std::thread::yield_now();
        }
    };
    wait_until(&|| sweepers() >= 100, "the threads do not start");
    drop(services);
    wait_until(&|| sweepers() < 100, "the threads stay");
}

/// The cookie's `Max-Age` follows, a tenth longer and never above 400 days.
#[actix_web::test]
async fn an_expiry_out_of_range_is_brought_into_it() {
    let (sessions, _) = bsession::testing::sessions();
    let kept = async |set: fn(&mut bsession::Session)| {
        let cookie = sessions.cookie_for(set).await.expect("a session");
        cookie.max_age().expect("an age").whole_seconds()
    };
    assert_eq!(kept(|session| session.set_days(0)).await, 95_040);
    assert_eq!(kept(|session| session.set_days(1)).await, 95_040);
    assert_eq!(kept(|session| session.set_days(u32::MAX)).await, 34_560_000);
    assert_eq!(kept(|session| session.set_idle(Duration::ZERO)).await, 2);
}
