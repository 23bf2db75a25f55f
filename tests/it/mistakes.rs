//! What one does wrong at first, and the line of the log that says what to write instead. Mistakes that the
//! compiler refuses are in `tests/ui`, settings that cannot be in `settings`.

use std::collections::HashMap;
use std::io;

use actix_web::http::header::{CONTENT_TYPE, COOKIE};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use bsession::{Connection, InitError, Mode, Secret, Sessions, View, session};
use serde::{Deserialize, Serialize};

use crate::events::events_of;
use crate::support::SECRET;

fn service() -> Sessions {
    let builder = Sessions::builder(SECRET).mode(Mode::Memory);
    builder.build().expect("a service")
}

struct Told {
    status: u16,
    token: Option<String>,
    lines: String,
}

/// What an application with this service answers, and logs by the time the request is over.
fn told(sessions: &Sessions, request: TestRequest) -> Told {
    let mut answer = None;
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(sessions.clone()).configure(routes);
            let response = call_service(&init_service(app).await, request.to_request()).await;
            let cookie = response.response().cookies().next();
            let token = cookie.map(|cookie| cookie.value().to_owned());
            answer = Some((response.status().as_u16(), token));
        });
    });
    let (status, token) = answer.expect("it was asked");
    let lines = lines.join("\n");
    Told {
        status,
        token,
        lines,
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/count", web::get().to(count))
        .route("/list", web::get().to(list))
        .route("/fails", web::get().to(fails))
        .route("/other-type", web::get().to(other_type))
        .route("/tuples", web::get().to(tuples))
        .route("/large", web::get().to(large))
        .route("/large-by-index", web::get().to(large_by_index))
        .route("/nameless", web::get().to(nameless))
        .route("/two-users", web::get().to(two_users))
        .route("/unsaved", web::get().to(unsaved))
        .route("/account", web::get().to(account))
        .route("/login", web::get().to(login))
        .route("/logout", web::get().to(logout))
        .route("/sign", web::post().to(sign));
}

#[session]
async fn count() -> bsession::Result<String> {
    Ok(session.update("visits", |n: u64| n + 1)?.to_string())
}

#[derive(Default, Serialize, Deserialize)]
struct List(Vec<u32>);

impl View for List {}

#[session]
async fn list(list: &mut List) -> String {
    list.0.push(1);
    String::new()
}

#[session]
async fn fails() -> HttpResponse {
    session["key"] = 1.into();
    HttpResponse::InternalServerError().finish()
}

#[session]
async fn other_type() -> bsession::Result<String> {
    session["key"] = "text".into();
    let number: Option<u64> = session.get("key")?;
    Ok(format!("{number:?}"))
}

#[session]
async fn tuples() -> bsession::Result<String> {
    session.insert("key", HashMap::from([((1, 2), 3)]))?;
    Ok(String::new())
}

#[session]
async fn large() -> bsession::Result<String> {
    session.insert("key", "x".repeat(70_000))?;
    Ok(String::new())
}

#[session]
async fn large_by_index() -> &'static str {
    session["key"] = "x".repeat(70_000).into();
    ""
}

#[session]
async fn nameless() -> &'static str {
    session.login("");
    "welcome"
}

#[session]
async fn two_users(mut other: Connection) -> &'static str {
    other.session().login("joe");
    session.login("ann");
    "welcome"
}

async fn unsaved(mut connection: Connection) -> &'static str {
    connection.session()["key"] = 1.into();
    "never saved"
}

#[session(require = "user")]
async fn account() -> &'static str {
    "account"
}

#[session(require, redirect = "/login")]
async fn login() -> &'static str {
    "log in"
}

#[session(purge)]
async fn logout() -> &'static str {
    "gone"
}

#[session(csrf)]
async fn sign() -> &'static str {
    "signed"
}

#[test]
fn what_a_handler_does_wrong_is_told_with_its_remedy() {
    let cases = [
        ("/list", 500, "a struct with named fields"),
        ("/fails", 500, "answer below it to keep the rest"),
        ("/other-type", 500, "get it as what was inserted"),
        ("/tuples", 500, "insert it in another shape"),
        ("/large", 500, "raise `max_size`"),
        ("/large-by-index", 500, "raise `max_size`"),
        ("/nameless", 200, "check it before `session.login`"),
        ("/two-users", 503, "log in once"),
        (
            "/unsaved",
            200,
            "return `connection.respond(&req, response).await`",
        ),
        ("/account", 401, "to require a login, write `require` alone"),
    ];
    let sessions = service();
    let mut silent = Vec::new();
    for (path, status, remedy) in cases {
        let told = told(&sessions, TestRequest::with_uri(path));
        assert_eq!(told.status, status, "{path}: {}", told.lines);
        if !told.lines.contains(remedy) {
            silent.push(format!("{path}: {}", told.lines));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
    let browser = TestRequest::with_uri("/login").insert_header(("accept", "text/html"));
    let Told { status, lines, .. } = told(&sessions, browser);
    assert_eq!(status, 401);
    assert!(
        lines.contains("remove `require` and `fresh` from it"),
        "{lines}"
    );
}

#[test]
fn who_is_refused_by_csrf_is_told_what_to_send() {
    let form = "application/x-www-form-urlencoded";
    let cases = [
        (CONTENT_TYPE.as_str(), form, "as the field `csrf_token`"),
        (
            CONTENT_TYPE.as_str(),
            "application/json",
            "as the header `X-CSRF-Token`",
        ),
        (
            CONTENT_TYPE.as_str(),
            "multipart/form-data; boundary=x",
            "as the header `X-CSRF-Token`",
        ),
        ("accept", "*/*", "as the header `X-CSRF-Token`"),
        (
            "sec-fetch-site",
            "same-site",
            "name that origin with `trusted_origin`",
        ),
        (
            "origin",
            "https://other.example",
            "if a proxy rewrites `Host`",
        ),
    ];
    let sessions = service();
    let mut silent = Vec::new();
    for (name, value, remedy) in cases {
        let request = TestRequest::post()
            .uri("/sign")
            .insert_header((name, value));
        let Told { status, lines, .. } = told(&sessions, request);
        assert_eq!(status, 403, "{name}: {value}");
        if !lines.contains(remedy) {
            silent.push(format!("{name}: {value}: {lines}"));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
    let link = TestRequest::with_uri("/logout").insert_header(("sec-fetch-site", "cross-site"));
    let Told { status, lines, .. } = told(&sessions, link);
    assert_eq!(status, 403);
    assert!(lines.contains("calls `session.purge()`"), "{lines}");
}

/// Nothing is wrong with such a request, and its visitor wonders all the same where the session is.
#[test]
fn a_cookie_that_brings_no_session_says_why() {
    let sessions = service();
    let token = told(&sessions, TestRequest::with_uri("/count")).token;
    let token = token.expect("a session");
    let built = |builder: bsession::Builder| builder.build().expect("a service");
    let other = || Sessions::builder("another secret, which is as long as it has to be");
    let cases = [
        (service(), &*token, "they share no store"),
        (
            built(other()),
            &token,
            "pass the old one to `previous_secret`",
        ),
        (
            built(Sessions::builder(SECRET).realm("admin")),
            &token,
            "another `realm`",
        ),
        (
            service(),
            "made by something else",
            "of something else with this `cookie_name`",
        ),
    ];
    for (sessions, token, why) in cases {
        let cookie = (COOKIE, format!("bsession={token}"));
        let Told { status, lines, .. } = told(
            &sessions,
            TestRequest::with_uri("/count").insert_header(cookie),
        );
        assert_eq!(status, 200);
        assert!(lines.contains(why), "{why}: {lines}");
        assert!(!lines.contains(token), "{lines}");
    }
}

#[test]
fn sessions_that_are_ended_from_outside_are_told() {
    let sessions = service();
    let mut told = String::new();
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let cookie = sessions.cookie_for(|session| session.login("joe")).await;
            cookie.expect("a session");
            let handle = sessions.of_user("joe").await.expect("it works")[0].handle;
            told = format!("DEBUG message=revoked handle={handle} user=");
            for ended in [1, 0] {
                let revoked = sessions.revoke_user("joe", None).await;
                assert_eq!(revoked.expect("it works"), ended);
            }
        });
    });
    let told = |line: &&String| line.starts_with(&told);
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:#?}");
    assert!(!lines.concat().contains("joe"), "{lines:#?}");
}

/// The error of `main` is shown by `Debug`.
#[test]
fn a_main_for_io_errors_shows_what_to_set() {
    fn main() -> io::Result<()> {
        bsession::init(Secret::from_env("NO_SUCH_SECRET")?, Mode::File)?;
        Ok(())
    }

    let error = main().expect_err("there is no such variable");
    let shown = format!("{error:?}");
    assert!(shown.contains("openssl rand -base64 48"), "{shown}");
    let source = error.get_ref().expect("it is kept");
    assert!(source.is::<InitError>());
}

#[test]
fn an_address_with_tls_asks_for_the_feature() {
    for address in ["rediss://localhost", "valkeys-cluster://one:6379,two:6379"] {
        let builder = Sessions::builder(SECRET).mode(bsession::RedisStore::at(address));
        let refused = builder.build().err().map(|error| error.to_string());
        let asks = refused.is_some_and(|text| text.contains("feature `redis-tls`"));
        assert_eq!(asks, cfg!(not(feature = "redis-tls")), "{address}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_told_with_its_remedy() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("session.secret");
    Secret::load_or_create(&path).expect("a secret");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
    let lines = events_of(|| drop(Secret::load_or_create(&path).expect("the secret")));
    let [line] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert!(line.contains("`chmod 600`"), "{line}");
}
