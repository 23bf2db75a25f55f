//! Two logins from one page, as after a double click: the later one counts, and the other one leaves nothing.

use std::time::Duration;

use actix_web::rt::System;
use bsession::{AtLimit, Sessions};
use serde_json::{Value, json};

use crate::support::{Reply, Site, for_each_store};

/// An anonymous session with something in its cart.
fn with_a_cart(site: &Site) -> String {
    let reply = site.with_cookies("POST", "/set/cart/full", &[]);
    reply.token().expect("a session").to_owned()
}

fn login(site: &Site, user: &str, token: &str) -> String {
    let reply = site.with_token("POST", &format!("/login/{user}"), token);
    assert_eq!(reply.status, 200);
    reply.token().expect("a new id").to_owned()
}

fn session(site: &Site, token: &str) -> (Value, Value) {
    let page = site.with_token("GET", "/all", token).json();
    (page["user"].clone(), page["data"].clone())
}

fn count(sessions: &Sessions, user: &str) -> usize {
    let list = System::new().block_on(sessions.of_user(user));
    list.expect("the list").len()
}

/// Answers the second of two logins. It waits between its load and its save until the first one is answered.
fn held_login(site: &Site, user: &str, token: &str, meanwhile: impl FnOnce()) -> Reply {
    std::thread::scope(|scope| {
        let held = scope.spawn(|| site.with_token("POST", &format!("/held/login/{user}"), token));
        site.gate.await_arrivals(1);
        meanwhile();
        site.gate.open(1);
        held.join().expect("an answer")
    })
}

for_each_store! {
    fn the_later_of_two_logins_ends_the_session_of_the_other(setup) {
        for second in ["joe", "ann"] {
            let site = setup.site();
            let cart = with_a_cart(&site);
            let first = login(&site, "joe", &cart);
            assert_eq!(session(&site, &first), (json!("joe"), json!({"cart": "full"})));
            let later = login(&site, second, &cart);
            assert_eq!(session(&site, &later), (json!(second), json!({})), "nothing is handed over");
            assert_eq!(session(&site, &first), (json!(null), json!({})), "it is over");
            assert_eq!(count(&site.sessions, second), 1);
            let logout = site.with_token("POST", "/logout", &later);
            assert!(logout.removes_cookie());
            assert_eq!(count(&site.sessions, second), 0);
        }
    }

    /// Nobody knows which of the two cookies the browser will keep, so neither may be dead at once.
    fn of_two_logins_that_overlap_the_session_that_is_visited_stays(setup) {
        for keeps_the_first in [true, false] {
            let site = setup.site();
            let cart = with_a_cart(&site);
            let mut first = String::new();
            let held = held_login(&site, "joe", &cart, || first = login(&site, "joe", &cart));
            let later = held.token().expect("a new id");
            let full = (json!("joe"), json!({"cart": "full"}));
            let empty = (json!("joe"), json!({}));
            setup.clock.advance(Duration::from_secs(5));
            if keeps_the_first {
                assert_eq!(session(&site, &first), full);
            } else {
                assert_eq!(session(&site, later), empty, "nothing is handed over");
            }
            setup.clock.advance(Duration::from_secs(601));
            let stays = |first: &str| session(&site, first) == full;
            assert_eq!(stays(&first), keeps_the_first);
            assert_eq!(session(&site, later), empty);
            assert_eq!(count(&site.sessions, "joe"), 1 + usize::from(keeps_the_first));
            setup.clock.advance(Duration::from_secs(20 * 86_400));
            assert_eq!(stays(&first), keeps_the_first, "it lasts as long as any other");
            site.with_token("POST", "/logout", later);
            site.with_token("POST", "/logout", &first);
        }
    }

    fn a_double_click_needs_one_place_of_the_limit(setup) {
        let builder = setup.builder().max_per_user(1, AtLimit::RefuseNewest);
        let site = Site::open(builder.build().expect("a service"));
        let cart = with_a_cart(&site);
        login(&site, "joe", &cart);
        let later = login(&site, "joe", &cart);
        assert_eq!(session(&site, &later).0, json!("joe"));
        let elsewhere = site.with_cookies("POST", "/login/joe", &[]);
        assert_eq!((elsewhere.status, elsewhere.set_cookies()), (409, vec![]), "the place is taken");
    }

    fn a_login_from_a_page_of_long_ago_ends_nothing(setup) {
        let site = setup.site();
        let cart = with_a_cart(&site);
        let first = login(&site, "joe", &cart);
        setup.clock.advance(Duration::from_secs(61));
        login(&site, "joe", &cart);
        assert_eq!(session(&site, &first), (json!("joe"), json!({"cart": "full"})));
    }
}
