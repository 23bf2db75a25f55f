//! Two services of one process that take each other's cookies for their own, and keep other sessions.

use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;
use bsession::{Builder, FileStore, Mode, Sessions, connect};

use crate::events::events_of;
use crate::support::{SECRET, Setup, secret};

/// Returns the line of the only warning while a cookie of the first service is shown to the second, three times.
fn warning(one: &Sessions, two: &Sessions) -> Option<String> {
    let system = actix_web::rt::System::new();
    let cookie = system.block_on(one.cookie_for(|session| session.login("joe")));
    let lines = shown(cookie.expect("a session"), two);
    let mut warnings = lines.into_iter().filter(|line| line.starts_with("WARN"));
    let warning = warnings.next();
    assert_eq!(warnings.next(), None, "it is told once");
    warning
}

/// The events of three requests that show this cookie.
fn shown(cookie: Cookie<'static>, sessions: &Sessions) -> Vec<String> {
    events_of(|| {
        actix_web::rt::System::new().block_on(async {
            for _ in 0..3 {
                let request = TestRequest::default().app_data(sessions.clone());
                let request = request.cookie(cookie.clone()).to_http_request();
                connect(&request).await.expect("it works");
            }
        });
    })
}

/// Builds a service, and tells at which line.
fn built(builder: Builder) -> (Sessions, u32) {
    let (service, line) = (builder.build(), line!());
    (service.expect("a service"), line)
}

fn build(secret: &str) -> Sessions {
    built(Sessions::builder(secret).mode(Mode::Memory)).0
}

#[test]
fn a_service_that_every_worker_builds_is_told_with_its_place() {
    let [(one, line), (two, _)] = [SECRET; 2].map(|secret| built(Sessions::builder(secret)));
    let place = format!("{}:{line}:", file!());
    for (from, to) in [(&one, &two), (&two, &one)] {
        let line = warning(from, to).expect("a warning");
        assert!(
            line.starts_with("WARN message=session_of_another_service"),
            "{line}"
        );
        assert!(line.contains(&format!(" built={place}")), "{line}");
        assert!(line.contains(&format!(" other_built={place}")), "{line}");
        assert!(line.contains("`HttpServer::new`"), "{line}");
    }
    assert_eq!(warning(&one, &two), None, "it was told");
}

#[test]
fn two_services_that_take_each_others_cookies_are_told_with_both_places() {
    let (one, first) = built(Sessions::builder(SECRET));
    let builder = Sessions::builder(secret(1)).previous_secret(SECRET);
    let (two, second) = (builder.build().expect("a service"), line!());
    let line = warning(&one, &two).expect("a warning");
    for place in [
        format!(" built={}:{second}:", file!()),
        format!(" other_built={}:{first}:", file!()),
        "`cookie_name`".to_owned(),
        format!(" user={}", one.user_key("joe")),
    ] {
        assert!(line.contains(&place), "{place}: {line}");
    }
}

#[test]
fn services_that_do_not_meet_are_not_told() {
    let one = build(SECRET);
    assert_eq!(warning(&one, &build(&secret(1))), None, "another secret");
    let realm = Sessions::builder(SECRET).realm("staff");
    assert_eq!(warning(&one, &realm.build().expect("a service")), None);
    assert_eq!(warning(&one, &one), None, "the same service");

    // Sessions that are over, or gone with their service.
    let system = actix_web::rt::System::new();
    let gone = build(SECRET);
    let gone_cookie = system.block_on(gone.cookie_for(|session| session.login("joe")));
    drop(gone);
    let over = system.block_on(one.cookie_for(|session| session.login("ann")));
    let ended = system.block_on(one.revoke_user("ann", None));
    assert_eq!(ended.expect("it works"), 1);
    for cookie in [gone_cookie, over] {
        let lines = shown(cookie.expect("a session"), &build(SECRET));
        assert!(
            lines.iter().all(|line| line.contains("unknown_session")),
            "{lines:#?}"
        );
    }

    // Services on one directory have the same sessions.
    let setup = Setup::new(crate::support::Kind::File);
    let files = || Sessions::builder(SECRET).mode(FileStore::at(setup.dir.path().join("sessions")));
    let [one, two] = [files(), files()].map(|files| files.build().expect("a service"));
    assert_eq!(warning(&one, &two), None, "they share what they have");
}
