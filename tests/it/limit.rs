//! How many sessions a user may have.

use std::time::Duration;

use actix_web::Responder;
use actix_web::rt::System;
use actix_web::web::{self, ServiceConfig};
use bsession::testing::Fault;
use bsession::{AtLimit, Error, Secure, Sessions, session};
use serde_json::json;

use crate::support::sentences::TOO_MANY;
use crate::support::{Faults, Kind, SECRET, Setup, Site, Visitor, for_each_store, secret};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn site(setup: &Setup, count: usize, at: AtLimit) -> Site {
    let builder = setup.builder().max_per_user(count, at);
    Site::open(builder.build().expect("a service"))
}

fn count(sessions: &Sessions) -> usize {
    let list = System::new().block_on(sessions.of_user("joe"));
    list.expect("the list").len()
}

fn is_in(visitor: &Visitor) -> bool {
    visitor.session()["user"] == json!("joe")
}

fn login(visitor: &Visitor) -> u16 {
    visitor.post("/login/joe").status
}

fn visitors<const N: usize>(site: &Site) -> [Visitor; N] {
    std::array::from_fn(|_| site.visitor())
}

#[session]
async fn anew(user: web::Path<String>) -> impl Responder {
    session.purge();
    session.login(&**user);
    "anew"
}

#[session]
async fn purge_and_too_much() -> impl Responder {
    session.purge();
    session["large"] = "x".repeat(1 << 20).into();
    "never"
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/anew/{user}", web::post().to(anew))
        .route("/too-much", web::post().to(purge_and_too_much));
}

/// Fails the `number`-th question for a list.
fn fail_list(faults: &Faults, number: usize) {
    let mut asked = 0;
    faults.say(move |operation| {
        asked += usize::from(operation == "list");
        match operation == "list" && asked == number {
            true => Fault::Fails,
            false => Fault::None,
        }
    });
}

fn faulty_site(at: AtLimit) -> (Site, Faults) {
    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let sessions = sessions.max_per_user(1, at).build().expect("a service");
    (Site::open(sessions), faults)
}

for_each_store! {
    fn a_purge_and_a_login_that_is_refused_change_nothing(setup) {
        let builder = setup.builder().max_per_user(1, AtLimit::RefuseNewest);
        let site = Site::open_with(builder.build().expect("a service"), routes);
        let [joe, ann] = visitors(&site);
        login(&joe);
        ann.post("/login/ann");
        ann.post("/set/cart/full");
        let refused = ann.post("/anew/joe");
        assert_eq!((refused.status, refused.set_cookies()), (409, vec![]));
        assert_eq!((ann.session()["user"].clone(), ann.session()["data"].clone()), (json!("ann"), json!({"cart": "full"})));
        assert!(is_in(&joe));
        assert_eq!(joe.post("/anew/joe").status, 200, "the place of the session that ends is free");
        assert!(is_in(&joe));
        assert_eq!(count(&site.sessions), 1);
    }

    fn a_purge_before_a_save_that_fails_removes_the_cookie(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        login(&visitor);
        let reply = visitor.post("/too-much");
        assert_eq!((reply.status, reply.set_cookies().len()), (500, 1));
        assert_eq!(visitor.token(), None, "the browser forgets the dead cookie");
        assert_eq!(visitor.post("/add/n").body, "1");
        assert_eq!(visitor.get("/get/n").body, "1", "and the next change begins a session");
    }

    fn the_oldest_login_ends(setup) {
        let site = site(setup, 2, AtLimit::EndOldest);
        let all: [_; 5] = visitors(&site);
        // Several within one millisecond, and none of them by the clock.
        for (number, visitor) in all.iter().enumerate() {
            assert_eq!(login(visitor), 200);
            let live: Vec<_> = all.iter().map(is_in).collect();
            let newest = number.saturating_sub(1)..=number;
            let expected: Vec<_> = (0..all.len()).map(|other| newest.contains(&other)).collect();
            assert_eq!(live, expected);
        }
        assert_eq!(login(&all[3]), 200, "who is in already is no more than before");
        assert!(is_in(&all[4]));
        assert_eq!(login(&all[0]), 200);
        assert!(is_in(&all[3]) && !is_in(&all[4]), "it is counted from the last login");
        site.visitor().post("/login/eve");
        assert_eq!(count(&site.sessions), 2, "of each user by himself");
        assert_eq!(site.sessions.stats().removals, 4);
    }

    fn one_login_after_the_other_is_the_newer_one(setup) {
        let builder = setup.builder().max_per_user(1, AtLimit::EndOldest);
        let sessions = builder.build().expect("a service");
        System::new().block_on(async {
            let mut last = None;
            for _ in 0..50 {
                sessions.cookie_for(|session| session.login("joe")).await.expect("a cookie");
                let list = sessions.of_user("joe").await.expect("the list");
                assert_eq!(list.len(), 1);
                assert_ne!(last, Some(list[0].handle), "within one millisecond, too");
                last = Some(list[0].handle);
            }
        });
    }

    /// Or each later login would end itself, until that clock would have come to it again.
    fn a_login_by_a_clock_that_was_set_back_is_the_oldest(setup) {
        let site = site(setup, 1, AtLimit::EndOldest);
        let [ahead, first, second] = visitors(&site);
        setup.clock.advance(DAY);
        login(&ahead);
        setup.clock.rewind(DAY);
        login(&first);
        assert_eq!([&ahead, &first].map(is_in), [false, true]);
        login(&second);
        assert_eq!([&first, &second].map(is_in), [false, true]);
    }

    fn a_login_too_many_is_refused_and_changes_nothing(setup) {
        let site = site(setup, 2, AtLimit::RefuseNewest);
        let [first, second, third] = visitors(&site);
        third.post("/set/cart/full");
        let token = third.token();
        assert_eq!([login(&first), login(&second)], [200; 2]);
        let reply = third.post("/login/joe");
        assert_eq!((reply.status, &*reply.body, reply.set_cookies()), (409, TOO_MANY, vec![]));
        assert_eq!(third.token(), token);
        let session = third.session();
        assert_eq!((&session["user"], &session["data"]), (&json!(null), &json!({"cart": "full"})));
        assert_eq!(site.visitor().post("/login/joe").status, 409, "a new visitor's, too");
        assert_eq!([login(&first), login(&second)], [200; 2], "who is in logs in again");
        assert!(is_in(&first) && is_in(&second));
        first.post("/logout");
        assert_eq!(login(&third), 200);
        assert_eq!(third.session()["data"], json!({"cart": "full"}));
        assert_eq!(third.post("/login/eve").status, 200);
        assert_eq!(login(&first), 200, "the place of who became another user is free");
    }

    fn what_has_expired_does_not_count(setup) {
        let site = site(setup, 1, AtLimit::RefuseNewest);
        let [first, second] = visitors(&site);
        assert_eq!([login(&first), login(&second)], [200, 409]);
        setup.clock.advance(31 * DAY);
        assert_eq!(login(&second), 200, "swept or not");
        assert_eq!(count(&site.sessions), 1);
    }

    fn sessions_under_every_secret_count(setup) {
        if setup.kind == Kind::Memory {
            return; // a memory store has one service, whose secrets do not change
        }
        let old = Site::open(setup.builder_with(&secret(1)).build().expect("a service"));
        let [first, second] = visitors(&old);
        assert_eq!([login(&first), login(&second)], [200; 2]);
        let both = |at| {
            let builder = setup.builder_with(&secret(2)).previous_secret(secret(1));
            Site::open(builder.max_per_user(2, at).build().expect("a service"))
        };
        let strict = both(AtLimit::RefuseNewest);
        assert_eq!(login(&strict.visitor()), 409);
        let site = both(AtLimit::EndOldest);
        let third = site.visitor();
        assert_eq!(login(&third), 200);
        assert_eq!(count(&site.sessions), 2);
        let [first, second] = [first, second].map(|visitor| visitor.at(site.address));
        assert!(!is_in(&first) && is_in(&second) && is_in(&third));
        assert_eq!(login(&second), 200, "moved over it is the same session");
        assert_eq!(count(&site.sessions), 2);
    }

    fn logins_at_once_keep_to_the_limit(setup) {
        for at in [AtLimit::EndOldest, AtLimit::RefuseNewest] {
            let setup = setup.another();
            let site = site(&setup, 3, at);
            for _ in 0..10 {
                let all: [_; 8] = visitors(&site);
                let logins = all.each_ref().map(|visitor| visitor.meanwhile(|tab| tab.post("/login/joe")));
                let replies = logins.map(|login| login.join().expect("an answer"));
                let left = count(&site.sessions);
                let live = all.iter().filter(|visitor| is_in(visitor)).count();
                assert_eq!(live, left, "nobody of before is left");
                if at == AtLimit::EndOldest {
                    assert_eq!(left, 3, "and no more were ended than had to be");
                } else {
                    assert!(left <= 3, "{left}");
                    for (visitor, reply) in all.iter().zip(&replies) {
                        assert_eq!(reply.token().is_some(), reply.status == 200);
                        assert_eq!(is_in(visitor), reply.status == 200, "{reply:?}");
                    }
                }
                System::new().block_on(site.sessions.revoke_user("joe", None)).expect("the store works");
            }
        }
    }
}

/// It cannot be seen whether there is room.
#[test]
fn a_login_that_cannot_be_counted_is_no_login() {
    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET)
        .mode(mode)
        .secure(Secure::Never)
        .max_per_user(1, AtLimit::RefuseNewest);
    let site = Site::open(sessions.build().expect("a service"));
    for fails in [0, 1] {
        let mut asked = 0;
        faults.say(move |operation| {
            asked += usize::from(operation == "list");
            match operation == "list" && asked == fails + 1 {
                true => Fault::Fails,
                false => Fault::None,
            }
        });
        let reply = site.visitor().post("/login/joe");
        assert_eq!((reply.status, reply.set_cookies()), (503, vec![]));
        faults.always(Fault::None);
        assert_eq!(count(&site.sessions), 0, "the place is free, {fails}");
    }
    let visitor = site.visitor();
    assert_eq!(login(&visitor), 200);
    assert!(is_in(&visitor));
}

#[test]
fn a_login_whose_limit_cannot_be_enforced_is_a_login() {
    let (site, faults) = faulty_site(AtLimit::EndOldest);
    let [first, second] = visitors(&site);
    login(&first);
    for with_cart in [true, false] {
        let visitor = site.visitor();
        if with_cart {
            visitor.post("/set/cart/full");
        }
        fail_list(&faults, 2);
        let reply = visitor.post("/login/joe");
        assert_eq!((reply.status, reply.set_cookies().len()), (200, 1));
        faults.always(Fault::None);
        let data = if with_cart {
            json!({"cart": "full"})
        } else {
            json!({})
        };
        assert_eq!(
            (is_in(&visitor), visitor.session()["data"].clone()),
            (true, data)
        );
        assert!(is_in(&first), "it has not ended");
    }
    assert_eq!(login(&second), 200);
    assert_eq!(
        count(&site.sessions),
        1,
        "the next login enforces the limit"
    );
}

#[test]
fn a_login_that_is_taken_back_leaves_the_session_as_it_was() {
    let (site, faults) = faulty_site(AtLimit::RefuseNewest);
    for before in ["", "ann"] {
        let visitor = site.visitor();
        if !before.is_empty() {
            visitor.post("/login/ann");
        }
        visitor.post("/set/cart/full");
        let old = visitor.session();
        fail_list(&faults, 2);
        let reply = visitor.post("/login/joe");
        assert_eq!(
            (reply.status, reply.set_cookies().len()),
            (503, 1),
            "its new id"
        );
        faults.always(Fault::None);
        let now = visitor.session();
        assert_eq!((&now["user"], &now["data"]), (&old["user"], &old["data"]));
        assert_eq!(count(&site.sessions), 0, "the place is free");
        visitor.post("/logout");
    }
}

#[test]
fn the_refusal_says_how_many_are_allowed() {
    let setup = Setup::new(Kind::Memory);
    let builder = setup.builder().max_per_user(1, AtLimit::RefuseNewest);
    let sessions = builder.build().expect("a service");
    let login = || System::new().block_on(sessions.cookie_for(|session| session.login("joe")));
    assert!(login().is_ok());
    let refusal = login().expect_err("one too many");
    assert!(matches!(refusal, Error::TooManySessions { max: 1 }));
    assert!(refusal.to_string().contains("max_per_user"));
}
