//! Requests that run for long: a part of one that connects late sees the present.

use actix_web::test::TestRequest;
use actix_web::{HttpRequest, rt};
use bsession::{Connection, Sessions, connect};
use std::time::Duration;

use crate::support::{Setup, for_each_store};

/// Somewhat longer than a request may be before it looks again.
const LONG: Duration = Duration::from_millis(1001);

fn request(sessions: &Sessions, cookie: &actix_web::cookie::Cookie<'static>) -> HttpRequest {
    TestRequest::default()
        .app_data(sessions.clone())
        .cookie(cookie.clone())
        .to_http_request()
}

/// A service, and a request of a session in it that has connected once. The rest is up to the test.
fn begun(setup: &Setup, test: impl AsyncFnOnce(&Sessions, HttpRequest, HttpRequest)) {
    rt::System::new().block_on(async {
        let sessions = setup.sessions();
        let cookie = sessions.cookie_for(|session| session.login("joe")).await;
        let cookie = cookie.expect("a session");
        let (slow, other) = (request(&sessions, &cookie), request(&sessions, &cookie));
        test(&sessions, slow, other).await;
    });
}

async fn open(request: &HttpRequest) -> Connection {
    connect(request).await.expect("it connects")
}

async fn act(request: &HttpRequest, act: impl FnOnce(&mut bsession::Session)) {
    let mut connection = open(request).await;
    act(connection.session());
    let saved = connection.respond(request, "").await.into_response();
    assert_eq!(saved.status(), 200);
}

for_each_store! {
    fn a_late_connection_sees_what_others_have_saved(setup) {
        begun(setup, async |_, slow, other| {
            let mut early = open(&slow).await;
            early.session()["early"] = 1.into();
            act(&other, |session| session["n"] = 7.into()).await;
            assert!(open(&slow).await.session()["n"].is_null(), "within a second, what it has");
            setup.clock.advance(LONG);
            drop(early);
            let mut late = open(&slow).await;
            assert_eq!(late.session()["n"], 7);
            assert_eq!(late.session()["early"], 1, "and what this request has changed");
            let saved = late.respond(&slow, "").await.into_response();
            assert_eq!(saved.status(), 200);
            assert_eq!(open(&other).await.session()["early"], 1);
        });
    }

    fn a_session_that_was_ended_or_renewed_elsewhere_is_no_session_there(setup) {
        for what in ["logout", "renew", "login", "revoke"] {
            begun(setup, async |sessions, slow, other| {
                let mut early = open(&slow).await;
                early.session()["early"] = 1.into();
                let mut open_still = open(&slow).await;
                open_still.session()["open"] = 1.into();
                drop(early);
                match what {
                    "logout" => act(&other, bsession::Session::purge).await,
                    "renew" => act(&other, bsession::Session::renew).await,
                    "login" => act(&other, |session| session.login("eve")).await,
                    _ => drop(sessions.revoke_user("joe", None).await.expect("it ends")),
                }
                setup.clock.advance(LONG);
                let mut late = open(&slow).await;
                let session = late.session();
                assert_eq!((session.user(), session.len()), (None, 0), "{what}");
                assert!(session.is_new());
                assert_eq!(sessions.stats().late, 1, "{what}");
                drop(open_still);
                late.session()["late"] = 1.into();
                let creates = sessions.stats().creates;
                let response = late.respond(&slow, "").await.into_response();
                assert_eq!((response.status().as_u16(), response.cookies().count()), (200, 0));
                assert_eq!(sessions.stats().creates, creates, "{what}: nothing new begins");
                assert!(sessions.stats().late > 1, "{what}");
            });
        }
    }

    fn a_login_in_a_session_that_was_ended_elsewhere_begins_another_one(setup) {
        begun(setup, async |_, slow, other| {
            let mut early = open(&slow).await;
            early.session().login("joe");
            drop(early);
            act(&other, bsession::Session::purge).await;
            setup.clock.advance(LONG);
            let mut late = open(&slow).await;
            assert_eq!(late.session().user(), Some("joe"));
            let response = late.respond(&slow, "").await.into_response();
            assert_eq!(response.cookies().count(), 1);
        });
    }

    fn a_session_that_has_expired_meanwhile_is_no_session_there(setup) {
        begun(setup, async |sessions, slow, _| {
            drop(open(&slow).await);
            setup.clock.advance(bsession::testing::days(31));
            let mut late = open(&slow).await;
            assert_eq!(late.session().user(), None);
            late.session()["late"] = 1.into();
            let response = late.respond(&slow, "").await.into_response();
            assert_eq!(response.cookies().count(), 0);
            assert_eq!(sessions.stats().creates, 1);
        });
    }

    fn connections_close_together_cost_one_load(setup) {
        begun(setup, async |sessions, slow, _| {
            let before = sessions.stats().loads;
            for _ in 0..5 {
                drop(open(&slow).await);
            }
            assert_eq!(sessions.stats().loads, before + 1);
            // What this request itself has just written need not be asked for.
            setup.clock.advance(LONG);
            act(&slow, |session| session["a"] = 1.into()).await;
            let after = sessions.stats().loads;
            drop(open(&slow).await);
            assert_eq!(sessions.stats().loads, after);
        });
    }
}
