//! Events and counters: what happened is told under names that last, and nothing else is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Once;
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, ResponseError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Kind, SECRET, Setup, for_each_store};

thread_local! {
    /// The events of this thread, while a test listens.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Hears all threads, because whether an event is heard is decided once for all of them.
struct Collector;

/// The events of what `run` does on this thread.
pub(crate) fn events_of(run: impl FnOnce()) -> Vec<String> {
    listen();
    LINES.set(Some(Vec::new()));
    run();
    LINES.take().expect("it was set above")
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING
        .call_once(|| tracing::subscriber::set_global_default(Collector).expect("the only one"));
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "bsession"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| {
            lines
                .iter_mut()
                .for_each(|lines| lines.push(line.0.clone()))
        });
    }
}

for_each_store! {
    fn events_tell_what_happened_and_no_secret(setup) {
        let sessions = setup.sessions();
        let mut tokens = Vec::new();
        let lines = events_of(|| {
            actix_web::rt::System::new().block_on(async {
                let app = init_service(App::new().app_data(sessions.clone()).configure(crate::support::configure)).await;
                let mut send = async |path: &str, token: &str| {
                    let cookie = actix_web::cookie::Cookie::new("bsession", token.to_owned());
                    let response = call_service(&app, TestRequest::post().uri(path).cookie(cookie).to_request()).await;
                    let set = response.response().cookies().next().map(|cookie| cookie.value().to_owned());
                    let token = set.unwrap_or_else(|| token.to_owned());
                    tokens.push(token.clone());
                    token
                };
                let first = send("/set/key/whisper", "garbage").await;
                let second = send("/login/somebody", &first).await;
                send("/status/500/other/whisper", &second).await;
                // The value is text, and `update` wants a number: the error must not tell the value.
                send("/add/key", &second).await;
                send("/set/key/whisper", &first).await;
                send("/logout", &second).await;
                setup.clock.advance(std::time::Duration::from_secs(24 * 60 * 60));
                sessions.sweep().expect("a sweep");
            });
        });
        let mut names = BTreeMap::<_, usize>::new();
        for line in &lines {
            let level = line.split(' ').next().expect("a level");
            let name = line.split("message=").nth(1).expect("a name").split(' ').next().expect("a name");
            *names.entry(format!("{level} {name}")).or_default() += 1;
        }
        let mut expected = vec![
            ("DEBUG bad_cookie", 1), ("DEBUG created", 1), ("DEBUG purged", 1), ("DEBUG renewed", 1), ("DEBUG swept", 1), ("ERROR request_failed", 1),
            ("INFO late_save_dropped", 1), ("WARN changes_dropped", 1),
        ];
        // A Redis expires by itself.
        let sweeps = setup.kind != crate::support::Kind::Redis;
        expected.retain(|&(name, _)| sweeps || name != "DEBUG swept");
        let names: Vec<_> = names.iter().map(|(name, count)| (&**name, *count)).collect();
        assert_eq!(names, expected, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("status=500")), "{lines:#?}");
        for secret in tokens.iter().map(|token| &**token).chain(["whisper", "somebody", SECRET]).filter(|text| !text.is_empty()) {
            assert!(!lines.iter().any(|line| line.contains(secret)), "{secret}: {lines:#?}");
        }
        let stats = sessions.stats();
        assert_eq!((stats.creates, stats.renewals, stats.removals, stats.bad_cookies), (1, 1, 1, 1));
        assert_eq!((stats.late, stats.dropped, stats.swept), (1, 1, if sweeps { 2 } else { 0 }));
    }

    /// So that a support case is found: `Sessions::user_key` tells the hash of a user.
    fn an_event_about_a_session_names_it_and_the_hash_of_its_user(setup) {
        let sessions = setup.sessions();
        let key = sessions.user_key("joe");
        let mut handles = Vec::new();
        let lines = events_of(|| {
            actix_web::rt::System::new().block_on(async {
                let mut begin = async || {
                    let cookie = sessions.cookie_for(|session| session.login("joe")).await.expect("a session");
                    let request = || TestRequest::post().app_data(sessions.clone()).cookie(cookie.clone());
                    let mut connection = bsession::connect(&request().to_http_request()).await.expect("it works");
                    let handle = connection.session().handle().expect("a session");
                    handles.push(handle);
                    (cookie, handle)
                };
                let (cookie, handle) = begin().await;
                let request = || TestRequest::post().app_data(sessions.clone()).cookie(cookie.clone());

                // Another site's, one that fails, one that nobody saves.
                let foreign = request().insert_header(("sec-fetch-site", "cross-site"));
                let (foreign, mut body) = foreign.to_http_parts();
                assert!(bsession::Gate::new().csrf().connect(&foreign, &mut body).await.is_err());
                let failing = request().to_http_request();
                let mut connection = bsession::connect(&failing).await.expect("it works");
                connection.session()["a"] = 1.into();
                drop(connection.respond(&failing, actix_web::HttpResponse::BadGateway()).await);
                let mut connection = bsession::connect(&request().to_http_request()).await.expect("it works");
                connection.session()["a"] = 1.into();
                drop(connection);

                // One that comes too late, and an end.
                let slow = request().to_http_request();
                let mut connection = bsession::connect(&slow).await.expect("it works");
                connection.session()["a"] = 1.into();
                assert!(sessions.revoke("joe", handle).await.expect("the store works"));
                drop(connection.respond(&slow, "too late").await);
                let (cookie, _) = begin().await;
                let last = TestRequest::post().app_data(sessions.clone()).cookie(cookie).to_http_request();
                let connection = bsession::connect(&last).await.expect("it works");
                drop(connection.purge(&last, "").await);
            });
        });
        let [one, two] = &handles[..] else { panic!("{handles:?}") };
        let events = [
            ("created", one), ("cross_site_refused", one), ("changes_dropped", one), ("unsaved_changes_dropped", one),
            ("revoked", one), ("late_save_dropped", one), ("created", two), ("purged", two),
        ];
        assert_eq!(lines.len(), events.len(), "{lines:#?}");
        for (line, (name, handle)) in lines.iter().zip(events) {
            for part in [format!(" message={name} "), format!(" handle={handle}"), format!(" user={key}")] {
                assert!(format!("{line} ").contains(&part), "{part:?}: {line}");
            }
        }
    }

    /// Nobody has to look into it.
    fn a_login_too_many_is_no_error_of_the_server(setup) {
        let builder = setup.builder().max_per_user(1, bsession::AtLimit::RefuseNewest);
        let sessions = builder.build().expect("a service");
        let lines = events_of(|| {
            actix_web::rt::System::new().block_on(async {
                let app = init_service(App::new().app_data(sessions.clone()).configure(crate::support::configure)).await;
                for status in [200, 409] {
                    let request = TestRequest::post().uri("/login/joe").to_request();
                    assert_eq!(call_service(&app, request).await.status(), status);
                }
            });
        });
        let [created, refused] = &lines[..] else { panic!("{lines:#?}") };
        assert!(created.starts_with("DEBUG message=created"), "{created}");
        assert!(refused.starts_with("DEBUG message=request_refused"), "{refused}");
        assert!(!refused.contains("joe"), "{refused}");
    }
}

#[actix_web::test]
async fn a_refusal_is_told_with_its_rule_and_is_no_error() {
    use bsession::{Mode, Sessions, session};

    #[session(csrf)]
    async fn handler() -> &'static str {
        "passed"
    }

    let sessions = Sessions::builder(SECRET).mode(Mode::Memory).build();
    let sessions = sessions.expect("a service");
    let routes = App::new()
        .app_data(sessions.clone())
        .default_service(actix_web::web::to(handler));
    let app = init_service(routes).await;
    listen();
    LINES.set(Some(Vec::new()));
    for header in ["sec-fetch-site", "origin", "x-csrf-token"] {
        let request = TestRequest::post().insert_header((header, "whisper"));
        assert_eq!(call_service(&app, request.to_request()).await.status(), 403);
    }
    let lines = LINES.take().expect("it was set above");
    let rules = ["Sec-Fetch-Site", "Origin", "token"];
    assert_eq!(lines.len(), rules.len(), "{lines:#?}");
    for (line, rule) in lines.iter().zip(rules) {
        let beginning = format!("INFO message=cross_site_refused rule={rule:?} ");
        assert!(line.starts_with(&beginning), "{line}");
        assert!(!line.contains("whisper"), "{line}");
    }
    assert_eq!(sessions.stats().cross_site, 3);
}

#[test]
fn whoever_waits_for_a_lock_in_vain_is_told_why() {
    let setup = Setup::new(Kind::Memory);
    let builder = setup.builder().lock_timeout(Duration::from_millis(20));
    let sessions = builder.build().expect("a service");
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let cookie = sessions.cookie_for(|session| session["a"] = 1.into());
            let cookie = cookie.await.expect("a session");
            let connect = async || {
                let request = TestRequest::default()
                    .app_data(sessions.clone())
                    .cookie(cookie.clone());
                let connection = bsession::connect(&request.to_http_request()).await;
                connection.expect("it works")
            };
            let (mut first, mut second) = (connect().await, connect().await);
            first.lock().await.expect("it is free");
            let error = second.lock().await.expect_err("it is held");
            assert!(matches!(error, bsession::Error::Locked));
            assert_eq!(error.error_response().status(), 503);
        });
    });
    let [_created, failed] = &lines[..] else {
        panic!("{lines:#?}");
    };
    for part in [
        "ERROR",
        "request_failed",
        "`lock_timeout`",
        "waits for itself",
    ] {
        assert!(failed.contains(part), "{failed}");
    }
}

#[actix_web::test]
async fn a_field_that_does_not_fit_its_view_is_told_without_its_value() {
    use bsession::{Mode, Sessions, View, session};

    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Cart {
        count: u32,
        total: u32,
    }

    impl View for Cart {}

    #[session]
    async fn handler(cart: &Cart) -> String {
        (cart.count + cart.total).to_string()
    }

    let sessions = Sessions::builder(SECRET).mode(Mode::Memory).build();
    let sessions = sessions.expect("a service");
    let cookie = sessions.cookie_for(|session| {
        session["count"] = "whisper".into();
        session["total"] = 7.into();
    });
    let cookie = cookie.await.expect("a session");
    let routes = App::new()
        .app_data(sessions)
        .default_service(actix_web::web::to(handler));
    let app = init_service(routes).await;
    listen();
    LINES.set(Some(Vec::new()));
    let request = TestRequest::default().cookie(cookie).to_request();
    assert_eq!(call_service(&app, request).await.status(), 200);
    let lines = LINES.take().expect("it was set above");
    let [line] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert!(
        line.starts_with("WARN message=field_does_not_fit"),
        "{line}"
    );
    assert!(line.contains("key=\"count\""), "{line}");
    assert!(!line.contains("whisper"), "{line}");
}

/// A key may be a visitor's word, and an error may name it.
#[test]
fn no_text_of_a_visitor_breaks_a_line_of_the_log() {
    use bsession::connect;

    const KEY: &str = "cart\nERROR forged\r\u{1b}[2K\u{2028}";

    let sessions = Setup::new(Kind::Memory).sessions();
    let mut messages = Vec::new();
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let cookie = sessions.cookie_for(|session| session[KEY] = 1.into());
            let cookie = cookie.await.expect("a session");
            let request = || {
                let request = TestRequest::default().app_data(sessions.clone());
                request.cookie(cookie.clone()).to_http_request()
            };
            // An update that another request makes impossible.
            let (one, two) = (request(), request());
            let mut updating = connect(&one).await.expect("it works");
            let update = updating.session().update(KEY, |n: u64| n + 1);
            assert_eq!(update.expect("a number"), 2);
            let mut other = connect(&two).await.expect("it works");
            other.session()[KEY] = "words".into();
            drop(other.respond(&two, "").await);
            drop(updating.respond(&one, "").await);
            // A value of another type, and one that cannot be stored.
            let mut connection = connect(&request()).await.expect("it works");
            let session = connection.session();
            messages.extend(session.get::<u64>(KEY).err());
            messages.extend(session.insert(KEY, f64::NAN).err());
            messages
                .iter()
                .for_each(|error| drop(error.error_response()));
        });
    });
    let events = ["update_not_replayed", "request_failed", "request_failed"];
    let told: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("DEBUG"))
        .collect();
    assert_eq!(told.len(), events.len(), "{lines:#?}");
    for (line, event) in told.iter().zip(events) {
        assert!(line.contains(event), "{line}");
        assert!(line.contains("forged"), "{line}");
        assert!(
            !line.contains(['\n', '\r', '\u{1b}', '\u{2028}']),
            "{line:?}"
        );
    }
    for message in messages {
        let message = message.to_string();
        assert!(message.contains("`cart\\nERROR forged"), "{message}");
        assert!(
            !message.contains(['\n', '\r', '\u{1b}', '\u{2028}']),
            "{message:?}"
        );
    }
}
