//! Settings that cannot be, alone or together: refused when the service is built, with a word on
//! what to write.

use std::sync::Arc;
use std::time::Duration;

use bsession::{
    AtLimit, Builder, Durability, FileStore, InitError, MemoryStore, Mode, RedisStore, SameSite,
    Secure, Sessions, testing,
};

use crate::support::SECRET;

fn refused(set: impl FnOnce(Builder) -> Builder) -> String {
    let result = set(Sessions::builder(SECRET)).build();
    match result.expect_err("it cannot be") {
        InitError::Setting(text) => text,
        other => panic!("another error: {other}"),
    }
}

fn redis(builder: Builder, address: &str) -> Builder {
    builder.mode(RedisStore::at(address))
}

/// Nor does a service connect before it has to.
#[test]
fn an_address_is_not_shown_for_the_password_in_it() {
    let builder = redis(Sessions::builder(SECRET), "redis://joe:whisper@127.0.0.1:1");
    assert!(!format!("{builder:?}").contains("whisper"));
    assert!(!format!("{:?}", builder.build().expect("a service")).contains("whisper"));
    for address in [
        "redis://joe:whisper@",
        "redis://joe:whisper@host:port",
        "redis-cluster://joe:whisper@one:7000,two:port",
        "redis-sentinel://joe:whisper@one",
    ] {
        let text = refused(|b| redis(b, address));
        assert!(!text.contains("whisper"), "{text}");
    }
}

#[test]
fn contradictions_say_what_to_write() {
    type Set = fn(Builder) -> Builder;
    let cases: &[(Set, &str)] = &[
        (|b| b.days(0), "write `days(30)`"),
        (|b| b.days(401), "between a second and 400 days"),
        (|b| b.days(u32::MAX), "between a second and 400 days"),
        (|b| b.idle(Duration::ZERO), "between a second and 400 days"),
        (|b| b.idle(Duration::MAX), "between a second and 400 days"),
        (|b| b.lifetime(Duration::ZERO), "leave it out for no limit"),
        (|b| redis(b, ""), "has no scheme"),
        (|b| redis(b, "localhost:6379"), "has no scheme"),
        (
            |b| redis(b, "http://localhost"),
            "as in `redis://localhost:6379`",
        ),
        (|b| redis(b, "redis://"), "as in `redis://localhost:6379`"),
        (|b| redis(b, "redis-cluster://a,"), "or an empty one"),
        (|b| redis(b, "redis-cluster://a:7000/1"), "has only one"),
        (
            |b| redis(b, "redis-sentinel://a"),
            "does not name the master",
        ),
        (|b| redis(b, "redis-sentinels://a/m"), "has another scheme"),
        (
            |b| b.mode(MemoryStore::new().max_sessions(0)),
            "leave it out for no limit",
        ),
        (|b| b.anonymous_idle(Duration::ZERO), "the same as `idle`"),
        (|b| b.anonymous_idle(Duration::MAX), "the same as `idle`"),
        (
            |b| b.max_per_user(0, AtLimit::EndOldest),
            "leave it out for no limit",
        ),
        (|b| b.base_path("shop"), "as in `/shop`"),
        (|b| b.base_path("/"), "without a `/` at its end"),
        (|b| b.base_path("/shop/"), "without a `/` at its end"),
        (|b| b.base_path("//shop"), "what the proxy strips"),
        (|b| b.base_path("/shop?a=b"), "or a query"),
        (|b| b.base_path("/shop#a"), "what the proxy strips"),
        (|b| b.base_path("https://h/shop"), "begin it with `/`"),
        (|b| b.base_path("/caf\u{e9}"), "what the proxy strips"),
        (|b| b.max_size(1), "as in `max_size(65_536)`"),
        (
            |b| b.store_timeout(Duration::ZERO),
            "as in `Duration::from_secs(2)`",
        ),
        (|b| b.store_timeout(Duration::MAX), "at most an hour"),
        (
            |b| b.lock_timeout(Duration::ZERO),
            "as in `Duration::from_secs(10)`",
        ),
        (
            |b| b.lock_timeout(Duration::MAX),
            "`lock_timeout` is at most an hour",
        ),
        (|b| b.cookie_name(""), "is no cookie name"),
        (|b| b.cookie_name("a b"), "is no cookie name"),
        (|b| b.cookie_name("a;b"), "is no cookie name"),
        (|b| b.cookie_name("ä"), "is no cookie name"),
        (|b| b.path("shop"), "begin it with `/`"),
        (|b| b.path("/a;b"), "without `;`"),
        (|b| b.path("/a\r\nb"), "in ASCII"),
        (|b| b.path("/a "), "no space at its end"),
        (|b| b.path("/".repeat(1025)), "at most 1024"),
        (|b| b.cookie_name("n".repeat(4033)), "at most 4032"),
        (|b| b.domain(""), "is no host name"),
        (|b| b.domain("a;b"), "is no host name"),
        (|b| b.domain("..example.org"), "is no host name"),
        (|b| b.domain("shop..example.org"), "is no host name"),
        (|b| b.domain("d".repeat(64)), "is no host name"),
        (
            |b| b.same_site(SameSite::None).secure(Secure::Never),
            "needs a secure cookie",
        ),
        (
            |b| b.cookie_name("__Host-s").secure(Secure::Never),
            "must be secure",
        ),
        (|b| b.partitioned(true), "`same_site(SameSite::None)`"),
        (
            |b| b.partitioned(true).same_site(SameSite::Strict),
            "or leave out `partitioned`",
        ),
        (
            |b| b.partitioned(true).secure(Secure::Never),
            "leave out `secure(Secure::Never)`",
        ),
        (
            |b| {
                b.partitioned(true)
                    .same_site(SameSite::None)
                    .secure(Secure::Never)
            },
            "`partitioned(true)` needs a secure cookie",
        ),
        (
            |b| b.cookie_name("__secure-s").secure(Secure::Never),
            "must be secure",
        ),
        (
            |b| b.cookie_name("__Http-s").secure(Secure::Never),
            "must be secure",
        ),
        (
            |b| b.cookie_name("__Host-s").path("/shop"),
            "leave out `path` and `domain`",
        ),
        (
            |b| b.cookie_name("__HOST-s").domain("example.org"),
            "leave out `path` and `domain`",
        ),
        (|b| b.trusted_origin(""), "as in `https://sso.example`"),
        (|b| b.trusted_origin("*"), "write scheme and host"),
        (|b| b.trusted_origin("null"), "write scheme and host"),
        (|b| b.trusted_origin("sso.example"), "write scheme and host"),
        (
            |b| b.trusted_origin("https://sso.example/"),
            "without a path",
        ),
        (
            |b| b.trusted_origin("https://a.example").trusted_origin("b"),
            "`trusted_origin(\"b\")`",
        ),
        (
            |b| (0..255).fold(b, |b, n| b.previous_secret(crate::support::secret(n))),
            "more than 254",
        ),
    ];
    for (number, (set, expected)) in cases.iter().enumerate() {
        let text = refused(set);
        assert!(text.contains(expected), "case {number}: {text}");
    }
}

#[test]
fn what_can_be_is_built() {
    let lasting = |b: Builder| {
        b.days(1)
            .lifetime(Duration::from_secs(1))
            .mode(MemoryStore::new().max_sessions(1))
    };
    for set in [
        |b: Builder| b.days(400),
        lasting,
        |b: Builder| b.idle(Duration::from_secs(1)),
        |b: Builder| b.cookie_name("__Host-s"),
        |b: Builder| {
            b.cookie_name("__Secure-s")
                .path("/shop")
                .domain(".example.org")
        },
        |b: Builder| b.same_site(SameSite::None),
        |b: Builder| b.cookie_name("n".repeat(4032)),
        |b: Builder| b.path("/".repeat(1024)),
        |b: Builder| b.path("/a b"),
        |b: Builder| b.domain("localhost"),
        |b: Builder| {
            b.trusted_origin("https://sso.example")
                .trusted_origin("http://[::1]:8080")
        },
    ] {
        set(Sessions::builder(SECRET)).build().expect("it can be");
    }
}

#[test]
fn a_mode_is_a_word_settings_or_any_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = FileStore::at(dir.path().join("sessions"));
    let store = testing::store(MemoryStore::new());
    let modes: [(Mode, &str); 5] = [
        (Mode::Memory, "MemoryStore"),
        (Mode::File, "File"),
        (files.durability(Durability::Disk).into(), "Disk"),
        (RedisStore::at("redis://localhost").into(), "RedisStore"),
        (store.into(), "Store(..)"),
    ];
    for (mode, name) in modes {
        let shown = format!("{:?}", Sessions::builder(SECRET).mode(mode));
        assert!(shown.contains(name), "{name}: {shown}");
    }
}

#[actix_web::test]
async fn two_services_share_a_store_of_ones_own() {
    let store = testing::store(Mode::Memory);
    let [one, other] = [Arc::clone(&store), store].map(|store| {
        let builder = Sessions::builder(SECRET).mode(store);
        builder.build().expect("a service")
    });
    one.cookie_for(|session| session.login("joe"))
        .await
        .expect("a session");
    assert_eq!(other.of_user("joe").await.expect("a list").len(), 1);
    assert_eq!(other.revoke_user("joe", None).await.expect("they end"), 1);
    assert_eq!(one.of_user("joe").await.expect("a list"), []);
}

/// The global service belongs to the whole process, so this test is alone with it: every other
/// test hands its service to its application.
#[test]
fn the_global_service_is_there_once_and_found_at_any_time() {
    use actix_web::test::{TestRequest, call_service, init_service, read_body, read_body_json};
    use actix_web::{App, FromRequest, HttpResponse, web};
    use bsession::{Error, Refusals};

    use crate::support::sentences::FAULTY;

    actix_web::rt::System::new().block_on(async {
        // The server runs already; nobody has called `init`.
        let app = init_service(App::new().configure(crate::support::configure)).await;
        let visit_with = |header| {
            let request = TestRequest::post().uri("/set/a/b");
            request.insert_header(header).to_request()
        };
        let visit = || visit_with(("accept", "*/*"));
        let reply = call_service(&app, visit()).await;
        assert_eq!(reply.status(), 500);
        assert_eq!(read_body(reply).await, FAULTY, "the client sees no cause");
        let json = visit_with(("accept", "application/json"));
        let problem = read_body_json::<serde_json::Value, _>(call_service(&app, json).await).await;
        assert_eq!(
            (&problem["status"], &problem["detail"]),
            (&500.into(), &FAULTY.into())
        );
        let words = Refusals::new(|error, _| HttpResponse::Ok().body(error.to_string()));
        let other = App::new()
            .app_data(words)
            .route("/", web::get().to(async |_: Sessions| "in"));
        let other = init_service(other).await;
        let reply = call_service(&other, TestRequest::default().to_request()).await;
        assert!(Error::in_response(reply.response()).is_some());
        let words = read_body(reply).await;
        assert!(
            words.starts_with(b"there is no session service"),
            "{words:?}"
        );
        let request = TestRequest::default().to_http_request();
        let error = bsession::connect(&request).await.expect_err("no service");
        assert!(error.to_string().contains("bsession::init("), "{error}");

        assert!(Sessions::global().is_none());
        let short = bsession::init("short", Mode::Memory);
        assert!(matches!(short, Err(InitError::Secret { .. })));
        assert!(
            Sessions::global().is_none(),
            "a failed init may be tried again"
        );
        bsession::init(SECRET, Mode::Memory).expect("the first");
        let twice = bsession::init(SECRET, Mode::Memory).expect_err("the second");
        assert!(matches!(twice, InitError::Twice), "{twice}");
        assert!(
            twice.to_string().contains("call `bsession::init` once"),
            "{twice}"
        );

        let reply = call_service(&app, visit()).await;
        assert_eq!(
            reply.status(),
            200,
            "an init that comes late is one all the same"
        );
        assert!(reply.headers().contains_key("set-cookie"));
        let sessions = Sessions::extract(&request).await.expect("the same");
        assert_eq!(sessions.stats().creates, 1);
    });
}
