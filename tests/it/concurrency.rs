//! Requests of one session at the same time: nothing lost, nothing undone.

use std::sync::Barrier;

use actix_web::test::TestRequest;
use serde_json::json;

use crate::support::{Reply, Wire, for_each_store};

for_each_store! {
    fn two_hundred_updates_are_two_hundred(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        // All of them have read the session before the first of them saves it.
        let held: Vec<_> = (0..200).map(|_| visitor.meanwhile(|tab| tab.post("/held/add/n"))).collect();
        site.gate.await_arrivals(200);
        site.gate.open(200);
        for request in held {
            assert_eq!(request.join().expect("an answer").status, 200);
        }
        assert_eq!(visitor.session()["data"], json!({"n": 200, "name": "joe"}));
        let conflicts = site.sessions.stats().conflicts;
        assert!(conflicts >= 199, "they did race");
        assert!(conflicts < 600, "and then took turns, and not every one was in the way of all: {conflicts}");
    }

    fn different_keys_all_survive(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let held: Vec<_> = (0..50).map(|number| visitor.meanwhile(move |tab| tab.post(&format!("/held/set/key{number}")))).collect();
        site.gate.await_arrivals(50);
        assert_eq!(visitor.post("/remove/name").status, 200);
        site.gate.open(50);
        held.into_iter().for_each(|request| assert_eq!(request.join().expect("an answer").status, 200));
        let data = visitor.session()["data"].clone();
        assert_eq!(data.as_object().expect("a map").len(), 50, "{data}");
        assert!((0..50).all(|number| data[format!("key{number}")] == "held"));
    }

    fn different_keys_are_claimed_at_once(setup) {
        const KEYS: u64 = 40;
        let sessions = setup.sessions();
        actix_web::rt::System::new().block_on(async {
            let fill = |session: &mut bsession::Session| (0..KEYS).for_each(|key| session[&*key.to_string()] = key.into());
            let cookie = sessions.cookie_for(fill).await.expect("a session");
            let request = || TestRequest::default().app_data(sessions.clone()).cookie(cookie.clone()).to_http_request();
            let mut connections = Vec::new();
            for _ in 0..KEYS {
                connections.push(bsession::connect(&request()).await.expect("a session"));
            }
            let claims = connections.iter_mut().zip(0..KEYS).map(async |(connection, key)| {
                connection.session().claim::<u64>(&key.to_string()).await.expect("the store works")
            });
            let claimed = futures_util::future::join_all(claims).await;
            assert_eq!(claimed, (0..KEYS).map(Some).collect::<Vec<_>>());
        });
        let conflicts = sessions.stats().conflicts;
        assert!((KEYS - 1..3 * KEYS).contains(&conflicts), "they meet, and then take turns: {conflicts}");
    }

    fn two_sets_of_one_key_end_as_one_of_them(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/key/first");
        let held = visitor.meanwhile(|tab| tab.post("/held/set/key"));
        site.gate.await_arrivals(1);
        visitor.post("/set/key/second");
        site.gate.open(1);
        assert_eq!(held.join().expect("an answer").status, 200);
        assert_eq!(visitor.session()["data"], json!({"key": "held"}));
    }

    fn a_logout_is_not_undone_by_a_request_in_flight(setup) {
        let site = setup.site();
        for what in ["set/key", "add/n", "renew/x", "read/x", "purge/x"] {
            let visitor = site.visitor();
            visitor.post("/set/name/joe");
            visitor.post("/login/joe");
            let token = visitor.token().expect("a cookie");
            let path = format!("/held/{what}");
            let held = visitor.meanwhile(move |tab| tab.post(&path));
            site.gate.await_arrivals(1);
            assert!(visitor.post("/logout").removes_cookie());
            site.gate.open(1);
            let late = held.join().expect("an answer");
            assert_eq!(late.status, 200, "{what}: it keeps its response");
            assert_eq!(late.token(), None, "{what}: and gets no session cookie");
            assert_eq!(visitor.token(), None);
            let replayed = site.with_token("GET", "/all", &token).json();
            assert_eq!((&replayed["user"], &replayed["data"]), (&json!(null), &json!({})), "{what}");
        }
        assert_eq!(site.sessions.stats().late, 3, "set, add and renew came too late");
    }

    fn a_touch_in_flight_revives_nothing(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let token = visitor.token().expect("a cookie");
        setup.clock.advance(std::time::Duration::from_secs(3600));
        let held = visitor.meanwhile(|tab| tab.get("/held/read/name"));
        site.gate.await_arrivals(1);
        visitor.post("/logout");
        site.gate.open(1);
        assert_eq!(held.join().expect("an answer").token(), None);
        assert_eq!(site.with_token("GET", "/get/name", &token).body, "null");
    }

    fn a_login_is_not_lost_to_anonymous_requests_in_flight(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/cart/book");
        let held: Vec<_> = (0..10).map(|_| visitor.meanwhile(|tab| tab.post("/held/set/late"))).collect();
        site.gate.await_arrivals(10);
        visitor.post("/login/joe");
        site.gate.open(10);
        for request in held {
            let late = request.join().expect("an answer");
            assert_eq!((late.status, late.set_cookies()), (200, vec![]));
        }
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("joe"), &json!({"cart": "book"})));
    }

    fn a_double_click_on_login_ends_logged_in(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/cart/book");
        let held: Vec<_> = (0..2).map(|_| visitor.meanwhile(|tab| tab.post("/held/login/joe"))).collect();
        site.gate.await_arrivals(2);
        site.gate.open(2);
        for request in held {
            assert_eq!(request.join().expect("an answer").set_cookies().len(), 1);
        }
        assert_eq!(visitor.session()["user"], json!("joe"));
    }

    fn a_retired_id_is_never_revived_nor_extended(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let old = visitor.token().expect("a cookie");
        visitor.post("/renew");
        for _ in 0..10 {
            for path in ["/set/name/eve", "/add/n", "/renew"] {
                let reply = site.with_token("POST", path, &old);
                assert_eq!((reply.status, reply.set_cookies()), (200, vec![]), "{path}");
            }
            setup.clock.advance(std::time::Duration::from_secs(5));
        }
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
        setup.clock.advance(std::time::Duration::from_secs(11));
        let stranger = site.with_token("POST", "/set/name/eve", &old);
        assert!(stranger.token().is_some_and(|token| token != old), "a minute later it is a visitor as any other");
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
    }

    fn a_login_on_a_retired_id_begins_anew_with_its_own_keys(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let old = visitor.token().expect("a cookie");
        visitor.post("/renew");
        let reply = site.with_token("POST", "/login/eve", &old);
        let session = site.with_token("GET", "/all", reply.token().expect("a new session")).json();
        assert_eq!((&session["user"], &session["data"]), (&json!("eve"), &json!({})));
    }

    fn a_purge_follows_a_renewal(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let old = visitor.token().expect("a cookie");
        let logout = visitor.meanwhile(|tab| tab.post("/held-logout"));
        site.gate.await_arrivals(1);
        visitor.post("/renew");
        visitor.post("/renew");
        let new = visitor.token().expect("a cookie");
        site.gate.open(1);
        assert!(logout.join().expect("an answer").removes_cookie());
        for token in [old, new] {
            assert_eq!(site.with_token("GET", "/get/name", &token).body, "null");
        }
    }

    fn one_of_many_claims_the_value(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        for round in 0..20 {
            visitor.post("/set/other/stays");
            visitor.post(&format!("/set/code/{round}"));
            let barrier = std::sync::Arc::new(Barrier::new(8));
            let claims: Vec<_> = (0..8).map(|_| {
                let barrier = std::sync::Arc::clone(&barrier);
                visitor.meanwhile(move |tab| {
                    barrier.wait();
                    tab.post("/claim/code")
                })
            }).collect();
            let answers: Vec<_> = claims.into_iter().map(|claim| claim.join().expect("an answer").body).collect();
            let winners = answers.iter().filter(|body| **body == format!("\"{round}\"")).count();
            assert_eq!(winners, 1, "{answers:?}");
            assert!(answers.iter().all(|body| body == "null" || *body == format!("\"{round}\"")));
            assert_eq!(visitor.session()["data"], json!({"other": "stays"}));
        }
    }

    fn first_visits_do_not_meet(setup) {
        let site = setup.site();
        let held: Vec<_> = (0..50).map(|number| {
            site.visitor().meanwhile(move |newcomer| {
                newcomer.post(&format!("/set/me/{number}"));
                newcomer.get("/get/me")
            })
        }).collect();
        for (number, visit) in held.into_iter().enumerate() {
            assert_eq!(visit.join().expect("an answer").body, format!("\"{number}\""));
        }
        assert_eq!(site.sessions.stats().creates, 50);
    }

    /// A proxy sends the requests of all visitors over few connections, and need not wait for one answer before the next
    /// request.
    fn visitors_who_share_a_connection_stay_apart(setup) {
        let site = setup.site();
        let mut wire = Wire::open(site.address);
        let tokens = ["ann", "bob", "eve"].map(|user| {
            let token = wire.post(&format!("/login/{user}"), None).token().expect("a session").to_owned();
            assert_eq!(wire.post(&format!("/set/name/{user}"), Some(&token)).status, 200);
            (user, token)
        });
        let seen = |reply: &Reply| {
            let session = reply.json();
            (session["user"].clone(), session["data"]["name"].clone())
        };
        for _ in 0..50 {
            for (_, token) in &tokens {
                wire.send("GET", "/all", Some(token));
                wire.send("POST", "/add/visits", Some(token));
                wire.send("GET", "/all", None);
            }
            for (user, _) in &tokens {
                assert_eq!(seen(&wire.receive()), (json!(user), json!(user)));
                let added = wire.receive();
                assert_eq!((added.status, added.set_cookies()), (200, vec![]));
                let stranger = wire.receive();
                assert_eq!(seen(&stranger), (json!(null), json!(null)));
                assert_eq!(stranger.set_cookies(), Vec::<&str>::new());
            }
        }
        // One logs out, and the next request on the same connection is somebody else's.
        wire.send("POST", "/logout", Some(&tokens[0].1));
        wire.send("GET", "/all", Some(&tokens[1].1));
        assert!(wire.receive().removes_cookie());
        let next = wire.receive();
        assert_eq!((seen(&next), next.set_cookies()), ((json!("bob"), json!("bob")), vec![]));
        for (user, token) in &tokens[1..] {
            assert_eq!(wire.get("/get/visits", Some(token)).body, "50", "{user}");
        }
    }

    fn a_client_that_leaves_does_not_stop_its_save(setup) {
        use std::io::Write;
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let token = visitor.token().expect("a cookie");
        for left in 0..5 {
            let mut stream = std::net::TcpStream::connect(site.address).expect("the server listens");
            let request = format!("POST /held/add/n HTTP/1.1\r\nHost: h\r\nCookie: bsession={token}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("the server reads");
            site.gate.await_arrivals(1);
            drop(stream);
            site.gate.open(1);
            let n = visitor.session()["data"]["n"].as_u64().unwrap_or(0);
            assert!(n <= left + 1, "all or nothing: {n}");
        }
    }
}
