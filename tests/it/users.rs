//! The sessions of a user: listed and ended from outside.

use std::time::{Duration, SystemTime};

use actix_web::rt::System;
use bsession::testing::{Client, Fault};
use bsession::{SessionInfo, Sessions};
use serde_json::json;

use crate::support::{Faults, SECRET, Site, Visitor, for_each_store};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn list(sessions: &Sessions, user: &str) -> Vec<SessionInfo> {
    System::new()
        .block_on(sessions.of_user(user))
        .expect("the list")
}

/// The one session of a user.
fn only(sessions: &Sessions, user: &str) -> SessionInfo {
    let mut list = list(sessions, user);
    assert_eq!(list.len(), 1);
    list.remove(0)
}

fn notes(sessions: &Sessions, user: &str) -> Vec<Option<String>> {
    let list = list(sessions, user).into_iter();
    list.map(|info| info.note).collect()
}

for_each_store! {
    /// Names that look like paths, patterns or one another, to whatever keeps lists of them.
    fn any_text_is_the_name_of_one_user(setup) {
        use actix_web::test::init_service;
        let sessions = setup.sessions();
        System::new().block_on(async {
            let app = actix_web::App::new().app_data(sessions.clone()).configure(crate::support::configure);
            let app = init_service(app).await;
            let long = "n".repeat(10_000);
            let names = [
                "joe", "Joe", "joe ", "joe\0", "joe\n", "joe:1", "joe/1", "../joe", ".", "*", "j?e", "[j]oe", "{joe}",
                "\u{e9}", "e\u{301}", "\u{1F600}", "\u{feff}joe", "\u{202e}eoj", "user:joe", "%6Aoe", "joe\\", "\"joe\"",
                "null", "0", &long,
            ];
            let mut clients = Vec::new();
            for name in names {
                let client = Client::new(&app, &sessions);
                client.login(name).await;
                assert_eq!(client.session().await.user(), Some(name));
                clients.push((name, client));
            }
            for (name, client) in &clients {
                let page = client.get("/all").await.json::<serde_json::Value>();
                assert_eq!(page["user"], **name);
                let list = sessions.of_user(name).await.expect("the list");
                assert_eq!(list.len(), 1, "{name:?}");
                assert_eq!(page["handle"], list[0].handle.to_string());
            }
            for (at, (name, _)) in clients.iter().enumerate() {
                assert_eq!(sessions.revoke_user(name, None).await.expect("done"), 1, "{name:?}");
                for (other, (name, client)) in clients.iter().enumerate() {
                    let user = client.session().await.user().map(str::to_owned);
                    assert_eq!(user.as_deref(), (other > at).then_some(*name));
                }
            }
        });
    }

    fn a_users_sessions_are_listed_the_oldest_first(setup) {
        let site = setup.site();
        let devices: Vec<_> = (0..3).map(|_| {
            let device = site.visitor();
            device.post("/login/joe");
            setup.clock.advance(std::time::Duration::from_secs(1));
            device
        }).collect();
        site.visitor().post("/login/eve");
        site.visitor().post("/set/name/joe");
        let listed = || -> Vec<String> {
            let list = System::new().block_on(site.sessions.of_user("joe")).expect("the list");
            list.iter().map(|info| info.handle.to_string()).collect()
        };
        let handles: Vec<_> = devices.iter().map(|device| device.session()["handle"].as_str().expect("a handle").to_owned()).collect();
        assert_eq!(listed(), handles);
        devices[0].post("/renew");
        devices[1].post("/set/a/b");
        assert_eq!(listed(), handles, "renewals and saves change nothing");
        devices[2].post("/logout");
        assert_eq!(listed(), handles[..2]);
        devices[1].post("/login/eve");
        assert_eq!(listed(), handles[..1]);
        setup.clock.advance(std::time::Duration::from_secs(31 * 24 * 60 * 60));
        assert_eq!(listed(), Vec::<String>::new());
    }

    fn a_list_tells_when_and_what_of_each_session(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        let near = |at: SystemTime| {
            let off = setup.clock.now().as_millis().abs_diff(
                u64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis()).expect("small"),
            );
            assert!(off < 30_000, "{off} ms off");
        };
        visitor.post("/set/cart/full");
        let created = setup.clock.now();
        setup.clock.advance(DAY);
        visitor.post("/login/joe");
        let info = only(&site.sessions, "joe");
        assert_eq!(info.note, None);
        let login = info.authenticated.expect("a login");
        near(login);
        near(info.seen);
        near(info.expires - 30 * DAY);
        assert!(info.created - Duration::from_secs(30) < SystemTime::from(created));
        setup.clock.advance(DAY);
        visitor.get("/all");
        let info = only(&site.sessions, "joe");
        near(info.seen);
        near(info.expires - 30 * DAY);
        assert_eq!(info.authenticated, Some(login));
        visitor.post("/note/kitchen");
        for path in ["/set/a/b", "/renew", "/claim/a"] {
            visitor.post(path);
            let info = only(&site.sessions, "joe");
            assert_eq!((info.note.as_deref(), info.authenticated), (Some("kitchen"), Some(login)), "{path}");
        }
        setup.clock.advance(DAY);
        visitor.post("/login/joe");
        let info = only(&site.sessions, "joe");
        near(info.authenticated.expect("a login"));
        assert_eq!(info.note.as_deref(), Some("kitchen"));
    }

    fn a_list_is_right_to_the_end_of_a_lifetime(setup) {
        let site = Site::open(setup.builder().lifetime(10 * DAY).build().expect("a service"));
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let first = only(&site.sessions, "joe");
        // Two days behind the last visit that had a cookie to send.
        for _ in 0..8 {
            setup.clock.advance(DAY);
            visitor.get("/all");
        }
        let info = only(&site.sessions, "joe");
        assert_eq!(info.expires, first.expires, "it ends when it ends");
        assert!(info.seen >= first.seen + 8 * DAY);
        let touches = site.sessions.stats().touches;
        visitor.get("/all");
        setup.clock.advance(MINUTE / 2);
        visitor.get("/all");
        assert_eq!(site.sessions.stats().touches, touches, "once a minute");
    }

    fn a_note_belongs_to_what_the_session_holds(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/set/k/v");
        visitor.post("/note/kitchen");
        visitor.post("/login/joe");
        assert_eq!(notes(&site.sessions, "joe"), [Some("kitchen".to_owned())], "it came along");
        visitor.post("/login/eve");
        assert_eq!(notes(&site.sessions, "eve"), [None], "but not to somebody else");
        visitor.post(&format!("/note/{}", "x".repeat(255) + "%C3%A4"));
        assert_eq!(notes(&site.sessions, "eve"), [Some("x".repeat(255))], "cut before half of a character");
        visitor.post("/logout");
        visitor.post("/login/eve");
        assert_eq!(notes(&site.sessions, "eve"), [None]);
    }

    fn a_note_survives_requests_that_save_meanwhile(setup) {
        let site = setup.site();
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let held = visitor.meanwhile(|tab| tab.post("/held/add/n"));
        site.gate.await_arrivals(1);
        visitor.post("/note/kitchen");
        site.gate.open(1);
        held.join().expect("an answer");
        assert_eq!(site.sessions.stats().conflicts, 1);
        assert_eq!(visitor.session()["data"], json!({"n": 1}));
        assert_eq!(notes(&site.sessions, "joe"), [Some("kitchen".to_owned())]);
        // And the other way round.
        let held = visitor.meanwhile(|tab| tab.post("/held/note/cellar"));
        site.gate.await_arrivals(1);
        visitor.post("/add/n");
        site.gate.open(1);
        held.join().expect("an answer");
        assert_eq!(visitor.session()["data"], json!({"n": 2}));
        assert_eq!(notes(&site.sessions, "joe"), [Some("cellar".to_owned())]);
    }

    fn a_note_moves_over_to_a_new_secret(setup) {
        if setup.kind == crate::support::Kind::Memory {
            return; // a memory store has one service, whose secrets do not change
        }
        use crate::support::secret;
        let old = Site::open(setup.builder_with(&secret(1)).build().expect("a service"));
        let visitor = old.visitor();
        visitor.post("/login/joe");
        visitor.post("/note/kitchen");
        let both = setup.builder_with(&secret(2)).previous_secret(secret(1));
        let both = Site::open(both.build().expect("a service"));
        let info = only(&both.sessions, "joe");
        assert_eq!(info.note.as_deref(), Some("kitchen"), "before it has moved");
        visitor.at(both.address).get("/all");
        let new = setup.builder_with(&secret(2)).build().expect("a service");
        assert_eq!(only(&new, "joe"), only(&both.sessions, "joe"));
        let moved = only(&new, "joe");
        assert_eq!((moved.note, moved.authenticated), (info.note, info.authenticated));
    }

    fn a_user_is_logged_out_everywhere_else(setup) {
        let site = crate::support::Site::open_with(setup.sessions(), routes);
        let devices: Vec<_> = (0..3).map(|_| site.visitor()).collect();
        let eve = site.visitor();
        for device in &devices {
            device.post("/login/joe");
        }
        eve.post("/login/eve");
        assert_eq!(devices[0].post("/elsewhere").body, "2");
        assert_eq!(devices[0].session()["user"], json!("joe"));
        for device in &devices[1..] {
            assert_eq!(device.session()["user"], json!(null), "at the very next request");
        }
        assert_eq!(System::new().block_on(site.sessions.revoke_user("joe", None)).expect("removed"), 1);
        assert_eq!(devices[0].session()["user"], json!(null));
        assert_eq!(eve.session()["user"], json!("eve"));
    }

    fn a_logout_everywhere_leaves_a_message_after_a_purge(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let [visitor, other] = [site.visitor(), site.visitor()];
        for (path, shown) in [("/everywhere/", "[]"), ("/everywhere/purge", r#"["bye"]"#)] {
            visitor.post("/login/joe");
            other.post("/login/joe");
            assert_eq!(visitor.post(path).body, "2", "{path}");
            assert_eq!(other.session()["user"], json!(null));
            assert_eq!(visitor.post("/flashes/none").body, shown, "{path}");
            assert_eq!(visitor.session()["user"], json!(null));
        }
    }

    fn a_session_is_revoked_by_its_own_user_alone(setup) {
        let site = setup.site();
        let [phone, laptop, eve] = [(); 3].map(|()| site.visitor());
        for (visitor, path) in [(&phone, "/login/joe"), (&laptop, "/login/joe"), (&eve, "/login/eve")] {
            visitor.post(path);
        }
        let revoke = |user: &str, visitor: &str| {
            let handle = visitor.parse().expect("a handle");
            System::new().block_on(site.sessions.revoke(user, handle)).expect("the store works")
        };
        let handle = |visitor: &Visitor| visitor.session()["handle"].as_str().expect("a handle").to_owned();
        let [of_phone, of_eve] = [handle(&phone), handle(&eve)];
        let removals = site.sessions.stats().removals;
        assert!(!revoke("joe", &of_eve), "a stranger's is not his to end");
        assert!(!revoke("eve", &of_phone));
        assert!(!revoke("joe", &"0".repeat(24)));
        phone.post("/renew");
        assert!(revoke("joe", &of_phone), "also under its new id");
        assert_eq!(site.sessions.stats().removals, removals + 1);
        assert!(!revoke("joe", &of_phone), "once");
        assert_eq!(phone.session()["user"], json!(null), "at the very next request");
        assert_eq!(laptop.session()["user"], json!("joe"));
        assert_eq!(eve.session()["user"], json!("eve"));
        laptop.post("/logout");
        assert!(list(&site.sessions, "joe").is_empty());
    }

    fn a_login_that_ends_all_others_is_spared(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let [new, anonymous, other, again] = [(); 4].map(|()| site.visitor());
        anonymous.post("/set/cart/full");
        other.post("/login/eve");
        again.post("/login/joe");
        for (visitor, ended) in [(&again, "0"), (&new, "1"), (&anonymous, "1"), (&other, "1"), (&again, "1")] {
            assert_eq!(visitor.post("/alone/joe").body, ended);
            assert_eq!(visitor.session()["user"], json!("joe"));
            assert_eq!(list(&site.sessions, "joe").len(), 1);
        }
        assert!(list(&site.sessions, "eve").is_empty());
    }

    fn a_user_is_found_under_every_secret(setup) {
        if setup.kind == crate::support::Kind::Memory {
            return; // a memory store has one service, whose secrets do not change
        }
        let old = setup.builder_with(&crate::support::secret(1)).build().expect("a service");
        let site = crate::support::Site::open(old);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let new = setup.builder_with(&crate::support::secret(2)).previous_secret(crate::support::secret(1));
        let new = crate::support::Site::open(new.build().expect("a service"));
        let count = || System::new().block_on(new.sessions.of_user("joe")).expect("the list").len();
        assert_eq!(count(), 1);
        visitor.at(new.address).get("/all");
        assert_eq!(count(), 1, "moved over, it is there once");
        assert_eq!(System::new().block_on(site.sessions.of_user("joe")).expect("the list").len(), 0);
    }
}

/// Servers with the two orders of a rotation move a session to and fro; a claim of a request that saves nothing
/// else moves all of it.
#[test]
fn a_claim_in_a_rotation_leaves_the_session_on_its_users_list() {
    use crate::support::{Kind, Setup, Site, secret};
    let setup = Setup::new(Kind::File);
    let service = |first: usize, previous: Option<usize>| {
        let builder = setup.builder_with(&secret(first));
        let builder = previous.into_iter().fold(builder, |builder, number| {
            builder.previous_secret(secret(number))
        });
        builder.build().expect("a service")
    };
    let rotated = Site::open_with(service(2, Some(1)), routes);
    let visitor = rotated.visitor();
    visitor.post("/login/joe");
    visitor.post("/set/code/once");
    // An answer that did not arrive: the cookie stays under the new secret, the record is under the old one.
    let prepared = Site::open(service(1, Some(2)));
    let token = visitor.token().expect("a cookie");
    assert_eq!(
        prepared
            .with_token("GET", "/get/code", &token)
            .set_cookies()
            .len(),
        1
    );
    assert_eq!(visitor.post("/claim-alone").body, "once");
    assert_eq!(visitor.session()["user"], json!("joe"));
    assert_eq!(list(&service(2, None), "joe").len(), 1);
}

#[test]
fn the_name_of_a_user_has_room_beside_the_session() {
    let setup = crate::support::Setup::new(crate::support::Kind::Memory);
    let sessions = setup.builder().max_size(1000).build().expect("a service");
    let login = |length: usize| {
        System::new().block_on(sessions.cookie_for(|session| session.login("x".repeat(length))))
    };
    assert!(login(900).is_ok());
    assert!(login(64 * 1024).is_ok());
    assert!(matches!(
        login(5_000_000),
        Err(bsession::Error::TooLarge { max: 1000, .. })
    ));
}

#[test]
fn an_end_of_all_sessions_goes_on_if_nobody_waits_for_it() {
    use std::task::{Context, Waker};

    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET).mode(mode).build();
    let sessions = sessions.expect("a service");
    System::new().block_on(async {
        for _ in 0..3 {
            let made = sessions.cookie_for(|session| session.login("joe")).await;
            made.expect("a session");
        }
        faults.always(Fault::Waits);
        {
            let mut ending = Box::pin(sessions.revoke_user("joe", None));
            let polled = ending
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "it has only begun");
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            if sessions.of_user("joe").await.expect("the list").is_empty() {
                return;
            }
        }
        panic!("they are still there");
    });
}

fn routes(config: &mut actix_web::web::ServiceConfig) {
    use actix_web::{Responder, post};
    use bsession::{Sessions, session};

    #[post("/elsewhere")]
    #[session]
    async fn elsewhere(sessions: Sessions) -> bsession::Result<impl Responder> {
        let user = session.user().unwrap_or_default().to_owned();
        Ok(sessions
            .revoke_user(&user, Some(session))
            .await?
            .to_string())
    }

    /// Of its own session, too: only what comes after a purge begins another one.
    #[post("/everywhere/{purge:.*}")]
    #[session]
    async fn everywhere(
        sessions: Sessions,
        purge: actix_web::web::Path<String>,
    ) -> bsession::Result<impl Responder> {
        let user = session.user().unwrap_or_default().to_owned();
        let ended = sessions.revoke_user(&user, None).await?;
        if !purge.is_empty() {
            session.purge();
        }
        session.flash(bsession::Level::Info, "bye");
        Ok(ended.to_string())
    }

    #[post("/alone/{user}")]
    #[session]
    async fn alone(
        sessions: Sessions,
        user: actix_web::web::Path<String>,
    ) -> bsession::Result<impl Responder> {
        session.login(&*user);
        Ok(sessions
            .revoke_user(&user, Some(session))
            .await?
            .to_string())
    }

    /// Nobody saves at its end.
    #[post("/claim-alone")]
    async fn claim_alone(mut connection: bsession::Connection) -> bsession::Result<String> {
        let code = connection.session().claim("code").await?;
        Ok(code.unwrap_or_default())
    }

    config
        .service(elsewhere)
        .service(everywhere)
        .service(alone)
        .service(claim_alone);
}
