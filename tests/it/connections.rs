//! Connections by hand, as extractors, in guards and under hooks: one session, one load, one save.

use actix_web::dev::ServiceResponse;
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service, read_body, try_call_service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, Responder, get, post};
use bsession::{Connection, Hooks, Sessions, connect, session};
use serde_json::json;

use crate::support::for_each_store;

async fn by_hand(request: HttpRequest) -> bsession::Result<impl Responder> {
    let mut connection = connect(&request).await?;
    let visits = connection.session().update("visits", |n: u64| n + 1)?;
    Ok(connection.respond(&request, visits.to_string()).await)
}

async fn purge_by_hand(request: HttpRequest, mut connection: Connection) -> impl Responder {
    connection.session()["last"] = "words".into();
    connection.purge(&request, "gone").await
}

async fn two_extractors(
    request: HttpRequest,
    (mut one, mut other): (Connection, Connection),
) -> bsession::Result<impl Responder> {
    one.session()["one"] = 1.into();
    one.session().update("n", |n: u64| n + 1)?;
    other.session()["other"] = 1.into();
    other.session().update("n", |n: u64| n + 1)?;
    drop(one);
    Ok(other.respond(&request, "both").await)
}

async fn nested(request: HttpRequest) -> bsession::Result<impl Responder> {
    let mut first = connect(&request).await?;
    first.session()["a"] = 1.into();
    drop(first);
    let mut second = connect(&request).await?;
    let seen = second.session()["a"].clone();
    second.session()["b"] = 2.into();
    Ok(second.respond(&request, seen.to_string()).await)
}

async fn two_logins(
    request: HttpRequest,
    (mut one, mut other): (Connection, Connection),
) -> impl Responder {
    one.session().login("joe");
    other.session().login("eve");
    drop(one);
    other.respond(&request, "both").await
}

async fn purge_beside(
    request: HttpRequest,
    (mut one, mut other): (Connection, Connection),
) -> impl Responder {
    one.session().purge();
    other.session()["late"] = 1.into();
    drop(one);
    other.respond(&request, "purged").await
}

async fn unsaved(mut connection: Connection) -> impl Responder {
    connection.session()["a"] = 1.into();
    "unsaved"
}

async fn unsaved_purge(mut connection: Connection) -> impl Responder {
    connection.session().purge();
    "unsaved"
}

async fn failing(mut connection: Connection) -> impl Responder {
    connection.session()["a"] = 1.into();
    HttpResponse::InternalServerError()
}

#[get("/attribute")]
#[session]
async fn attribute() -> bsession::Result<impl Responder> {
    Ok(session.update("visits", |n: u64| n + 1)?.to_string())
}

#[post("/guarded")]
#[session]
async fn guarded() -> impl Responder {
    let seen = session["guard"].clone();
    session["handler"] = seen;
    "guarded"
}

/// A middleware that saves by hand, and whose response is not the one that leaves.
async fn saves_and_drops(
    request: actix_web::dev::ServiceRequest,
    next: Next<impl actix_web::body::MessageBody>,
) -> actix_web::Result<ServiceResponse<impl actix_web::body::MessageBody>> {
    let mut connection = connect(request.request()).await?;
    if request.query_string() == "login" {
        connection.session().login("joe");
    }
    connection.session().update("seen", |n: u64| n + 1)?;
    drop(connection.respond(request.request(), "dropped").await);
    next.call(request).await
}

#[session(csrf)]
async fn own_pages() -> impl Responder {
    "own"
}

#[session(require = "admin")]
async fn admins() -> impl Responder {
    "admins"
}

#[session]
async fn without_its_extractor(_: web::ReqData<u32>) -> impl Responder {
    "extracted"
}

#[session]
async fn broken() -> impl Responder {
    actix_web::HttpResponse::InternalServerError()
}

#[session]
async fn too_large() -> impl Responder {
    session["large"] = "x".repeat(1 << 20).into();
    "never"
}

async fn checked_by_hand(request: HttpRequest) -> actix_web::Result<impl Responder> {
    let gate = bsession::Gate::new().require_key("admin");
    let mut payload = actix_web::dev::Payload::None;
    gate.connect(&request, &mut payload).await?;
    Ok("checked")
}

async fn checked_for_csrf(request: HttpRequest) -> actix_web::Result<impl Responder> {
    let mut payload = actix_web::dev::Payload::None;
    let gate = bsession::Gate::new().csrf();
    gate.connect(&request, &mut payload).await?;
    Ok("checked")
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/own-pages", web::to(own_pages))
        .route("/admins", web::to(admins))
        .route("/extractor", web::to(without_its_extractor))
        .route("/broken", web::to(broken))
        .route("/too-large", web::to(too_large))
        .route("/checked-by-hand", web::to(checked_by_hand))
        .route("/checked-for-csrf", web::to(checked_for_csrf))
        .service(
            web::resource("/gate")
                .wrap(bsession::Gate::new().csrf())
                .to(async || "own"),
        )
        .configure(crate::support::configure)
        .route("/by-hand", web::get().to(by_hand))
        .route("/purge-by-hand", web::get().to(purge_by_hand))
        .route("/two-extractors", web::get().to(two_extractors))
        .route("/nested", web::get().to(nested))
        .route("/two-logins", web::get().to(two_logins))
        .route("/purge-beside", web::get().to(purge_beside))
        .route("/unsaved", web::get().to(unsaved))
        .route("/unsaved-purge", web::get().to(unsaved_purge))
        .route("/failing", web::get().to(failing))
        .service(attribute)
        .service(guarded);
}

/// A browser for a service inside this process.
struct Browser<S> {
    app: S,
    jar: Option<actix_web::cookie::Cookie<'static>>,
}

impl<S, B> Browser<S>
where
    S: actix_web::dev::Service<
            actix_http::Request,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
        >,
    B: actix_web::body::MessageBody,
{
    async fn send(&mut self, request: TestRequest) -> (u16, String) {
        let request = self
            .jar
            .iter()
            .fold(request, |request, cookie| request.cookie(cookie.clone()));
        let response = call_service(&self.app, request.to_request()).await;
        let ours: Vec<_> = response
            .response()
            .cookies()
            .filter(|cookie| cookie.name() == "bsession")
            .collect();
        assert!(ours.len() <= 1, "one cookie of our name");
        if let Some(cookie) = ours.into_iter().next() {
            self.jar = (!cookie.value().is_empty()).then(|| cookie.into_owned());
        }
        let status = response.status().as_u16();
        (
            status,
            String::from_utf8_lossy(&read_body(response).await).into_owned(),
        )
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        self.send(TestRequest::get().uri(path)).await
    }

    async fn data(&mut self) -> serde_json::Value {
        let (_, body) = self.get("/all").await;
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["data"].clone()
    }
}

macro_rules! browser {
    ($sessions:expr) => {
        Browser { app: init_service(App::new().app_data($sessions.clone()).configure(routes)).await, jar: None }
    };
    ($sessions:expr, $($wrap:expr),+) => {
        Browser {
            app: init_service(App::new().app_data($sessions.clone())$(.wrap($wrap))+.configure(routes)).await,
            jar: None,
        }
    };
}

fn in_system(future: impl Future<Output = ()>) {
    actix_web::rt::System::new().block_on(future);
}

/// Waits until a session was removed behind the response.
async fn removal(sessions: &Sessions) {
    while sessions.stats().removals == 0 {
        actix_web::rt::task::yield_now().await;
    }
}

for_each_store! {
    fn by_hand_is_what_the_attribute_does(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions);
            assert_eq!(browser.get("/by-hand").await, (200, "1".into()));
            assert_eq!(browser.get("/attribute").await, (200, "2".into()));
            assert_eq!(browser.get("/purge-by-hand").await, (200, "gone".into()));
            assert!(browser.jar.is_none());
            assert_eq!(browser.data().await, json!({}));
        });
    }

    fn connections_of_one_request_share_the_load_and_the_save(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions);
            browser.get("/by-hand").await;
            let before = sessions.stats();
            assert_eq!(browser.get("/two-extractors").await.0, 200);
            let after = sessions.stats();
            assert_eq!((after.loads - before.loads, after.commits - before.commits), (1, 1));
            assert_eq!(browser.data().await, json!({"visits": 1, "one": 1, "other": 1, "n": 2}));
            assert_eq!(browser.get("/nested").await, (200, "1".into()), "the second sees what the first did");
            assert_eq!(browser.data().await, json!({"visits": 1, "one": 1, "other": 1, "n": 2, "a": 1, "b": 2}));
        });
    }

    fn two_logins_in_one_request_are_an_error(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions);
            assert_eq!(browser.get("/two-logins").await.0, 503);
            assert!(browser.jar.is_none());
        });
    }

    fn a_purge_wins_over_what_was_begun_before_it(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions);
            browser.get("/by-hand").await;
            assert_eq!(browser.get("/purge-beside").await.0, 200);
            assert!(browser.jar.is_none());
            assert_eq!(sessions.stats().removals, 1);
        });
    }

    fn without_hooks_an_unsaved_connection_saves_no_data_and_purges_all_the_same(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions);
            browser.get("/by-hand").await;
            browser.get("/unsaved").await;
            assert_eq!(browser.data().await, json!({"visits": 1}));
            assert_eq!(sessions.stats().dropped, 1);
            browser.get("/unsaved-purge").await;
            // Not before the response: so ends a connection that nobody saves.
            removal(&sessions).await;
            assert_eq!(browser.data().await, json!({}));
        });
    }

    fn hooks_save_what_connections_leave(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions, Hooks);
            let before = sessions.stats();
            assert_eq!(browser.get("/bare").await.0, 200);
            browser.get("/unsaved").await;
            assert_eq!(browser.data().await, json!({"a": 1}));
            assert_eq!(sessions.stats().loads, before.loads + 1, "nothing is loaded for a handler that asks for nothing");
            assert_eq!(browser.get("/by-hand").await, (200, "1".into()));
            assert_eq!(browser.get("/attribute").await, (200, "2".into()), "once, not twice");
            assert_eq!(browser.get("/failing").await.0, 500);
            assert_eq!(browser.data().await, json!({"a": 1, "visits": 2}));
            browser.get("/unsaved-purge").await;
            assert!(browser.jar.is_none());
        });
    }

    fn hooks_save_what_is_left_though_somebody_around_them_connected_first(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let around = from_fn(|connection: Connection, request: actix_web::dev::ServiceRequest, next: Next<_>| async move {
                drop(connection);
                next.call(request).await
            });
            let mut browser = browser!(sessions, Hooks, around);
            browser.get("/unsaved").await;
            assert_eq!(sessions.stats().dropped, 0);
            assert_eq!(browser.data().await, json!({"a": 1}));
        });
    }

    fn whichever_response_leaves_tells_the_cookie(setup) {
        in_system(async {
            for (path, status) in [
                ("/all", 200),
                ("/own-pages", 403),
                ("/gate", 403),
                ("/admins", 403),
                ("/extractor", 500),
                ("/broken", 500),
                ("/too-large", 500),
                ("/checked-by-hand", 403),
                ("/checked-for-csrf", 403),
            ] {
                let mut browser = browser!(setup.sessions(), from_fn(saves_and_drops));
                let request = TestRequest::post().uri(&format!("{path}?login"));
                let request = if path == "/all" { TestRequest::get().uri("/all?login") } else { request };
                let (answered, _) = browser.send(request.insert_header(("sec-fetch-site", "cross-site"))).await;
                assert_eq!(answered, status, "{path}");
                let (_, body) = browser.get("/all").await;
                assert!(body.contains(r#""user":"joe""#), "{path}: {body}");
            }
            let mut browser = browser!(setup.sessions(), from_fn(saves_and_drops), Hooks);
            browser.get("/bare?login").await;
            let (_, body) = browser.get("/all").await;
            assert!(body.contains(r#""user":"joe""#), "{body}");
        });
    }

    fn a_counter_behind_a_dropped_save_has_one_record(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let mut browser = browser!(sessions, from_fn(saves_and_drops));
            for _ in 0..5 {
                browser.get("/all").await;
            }
            assert_eq!(browser.data().await["seen"], 6);
        });
        assert_eq!(sessions.stats().creates, 1);
    }

    fn a_guard_and_a_handler_have_one_session(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let guard = from_fn(|mut connection: Connection, request: actix_web::dev::ServiceRequest, next: Next<_>| async move {
                connection.session()["guard"] = "was here".into();
                drop(connection);
                next.call(request).await
            });
            let mut browser = browser!(sessions, guard);
            assert_eq!(browser.send(TestRequest::post().uri("/guarded")).await.0, 200);
            assert_eq!(browser.data().await, json!({"guard": "was here", "handler": "was here"}));
        });
    }

    fn an_inner_middleware_that_fails_drops_changes_and_keeps_a_purge(setup) {
        let sessions = setup.sessions();
        in_system(async {
            // Inside the hooks: the last one wrapped is the first one called.
            let failing = from_fn(|request, next: Next<actix_web::body::BoxBody>| async move {
                let response: ServiceResponse<_> = next.call(request).await?;
                if response.request().path() == "/all" || response.request().path() == "/by-hand" {
                    return Ok(response);
                }
                Err(actix_web::error::ErrorImATeapot("no"))
            });
            let app = init_service(
                App::new().app_data(sessions.clone()).wrap(failing).wrap(Hooks).configure(routes),
            ).await;
            let begin = call_service(&app, TestRequest::get().uri("/by-hand").to_request()).await;
            let cookie = begin.response().cookies().next().expect("a cookie").into_owned();
            let send = |path: &str| TestRequest::get().uri(path).cookie(cookie.clone()).to_request();
            let Err(error) = try_call_service(&app, send("/unsaved")).await else { panic!("an error") };
            assert_eq!(error.error_response().status(), 418);
            assert!(!error.error_response().headers().contains_key("set-cookie"));
            let seen = read_body(call_service(&app, send("/all")).await).await;
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&seen).expect("JSON")["data"], json!({"visits": 1}));
            let Err(error) = try_call_service(&app, send("/unsaved-purge")).await else { panic!("an error") };
            let response = error.error_response();
            assert_eq!(response.status(), 418);
            let cookie = response.cookies().next().expect("the removal").into_owned();
            assert_eq!((cookie.name(), cookie.value()), ("bsession", ""));
            let seen = read_body(call_service(&app, send("/all")).await).await;
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&seen).expect("JSON")["data"], json!({}));
        });
    }

    /// The handler saved its login: the visitor's old cookie is dead.
    fn an_inner_middleware_that_fails_takes_no_cookie_away(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let failing = from_fn(|request, next: Next<actix_web::body::BoxBody>| async move {
                let response: ServiceResponse<_> = next.call(request).await?;
                if response.request().path() == "/all" {
                    return Ok(response);
                }
                Err(actix_web::error::ErrorImATeapot("no"))
            });
            let app = init_service(
                App::new().app_data(sessions.clone()).wrap(failing).wrap(Hooks).configure(routes),
            ).await;
            let cookie = sessions.cookie_for(|session| session["k"] = 1.into()).await.expect("a session");
            let login = TestRequest::post().uri("/login/joe").cookie(cookie).to_request();
            let Err(error) = try_call_service(&app, login).await else { panic!("an error") };
            let response = error.error_response();
            let cookie = response.cookies().next().expect("the new one").into_owned();
            let seen = TestRequest::get().uri("/all").cookie(cookie).to_request();
            let seen = read_body(call_service(&app, seen).await).await;
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&seen).expect("JSON")["user"], json!("joe"));
        });
    }

    fn a_connection_that_outlives_its_response_saves_nothing(setup) {
        let sessions = setup.sessions();
        in_system(async {
            let request = TestRequest::default().app_data(sessions.clone()).to_http_request();
            let mut in_a_stream = connect(&request).await.expect("a visitor");
            let handler = connect(&request).await.expect("a visitor");
            drop(handler.respond(&request, "streaming").await);
            in_a_stream.session()["late"] = 1.into();
            drop((in_a_stream, request));
            assert_eq!((sessions.stats().creates, sessions.stats().dropped), (0, 1));
        });
    }
}

#[test]
fn the_service_is_an_extractor() {
    let sessions = crate::support::Setup::new(crate::support::Kind::Memory).sessions();
    in_system(async {
        use actix_web::FromRequest;
        let request = TestRequest::default()
            .app_data(sessions.clone())
            .to_http_request();
        let extracted = Sessions::extract(&request).await.expect("the service");
        assert_eq!(format!("{extracted:?}"), format!("{sessions:?}"));
    });
}

/// A service and a cookie of a session in it, for requests that no server sees.
async fn begun(
    setup: &crate::support::Setup,
    f: impl FnOnce(&mut bsession::Session),
) -> (Sessions, TestRequest) {
    let sessions = setup.sessions();
    let cookie = sessions.cookie_for(f).await.expect("a session");
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .cookie(cookie);
    (sessions, request)
}

/// The session that a cookie stands for.
async fn stored(sessions: &Sessions, request: &HttpRequest) -> serde_json::Value {
    let cookie = request.headers().get("cookie").expect("a cookie").clone();
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .insert_header(("cookie", cookie))
        .to_http_request();
    let mut connection = connect(&request).await.expect("a session");
    let session = connection.session();
    json!({ "user": session.user(), "data": session.data() })
}

for_each_store! {
    fn a_claim_gives_to_one_whatever_was_claimed_before_it(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| {
                session["a"] = 1.into();
                session["code"] = "once".into();
            }).await;
            let one = request.to_http_request();
            let cookie = one.headers().get("cookie").expect("a cookie").clone();
            let other = TestRequest::default().app_data(sessions.clone()).insert_header(("cookie", cookie)).to_http_request();
            let mut first = connect(&one).await.expect("a session");
            let mut second = connect(&other).await.expect("a session");
            assert_eq!(first.session().claim::<String>("code").await.expect("a claim").as_deref(), Some("once"));
            assert_eq!(second.session().claim::<u8>("a").await.expect("a claim"), Some(1));
            assert_eq!(second.session().claim::<String>("code").await.expect("a claim"), None);
        });
    }

    fn a_claim_of_what_another_part_has_set_back_gives_it_once(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["code"] = "once".into()).await;
            let request = request.to_http_request();
            let mut part = connect(&request).await.expect("a session");
            part.session().update("code", |code: String| code + " more").expect("text");
            drop(part);
            let mut part = connect(&request).await.expect("a session");
            part.session()["code"] = "once".into();
            drop(part);
            let mut handler = connect(&request).await.expect("a session");
            assert_eq!(handler.session().claim::<String>("code").await.expect("a claim").as_deref(), Some("once"));
            drop(handler.respond(&request, "claimed").await);
            assert_eq!(stored(&sessions, &request).await["data"], json!({}));
        });
    }

    fn a_claim_is_a_visit_and_the_session_tells_so(setup) {
        in_system(async {
            const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
            let (sessions, request) = begun(setup, |session| session["code"] = "once".into()).await;
            setup.clock.advance(DAY);
            let request = request.to_http_request();
            let mut connection = connect(&request).await.expect("a session");
            let before = connection.session().expires_at().expect("a session");
            assert_eq!(connection.session().claim::<String>("code").await.expect("a claim").as_deref(), Some("once"));
            assert!(connection.session().expires_at() >= Some(before + DAY));
            drop(connection.respond(&request, "claimed").await);
            assert_eq!((sessions.stats().commits, sessions.stats().touches), (1, 0), "it needs no touch");
        });
    }

    fn a_claim_that_comes_after_a_purge_begins_no_session(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["code"] = "once".into()).await;
            let request = request.to_http_request();
            let mut guard = connect(&request).await.expect("a session");
            let mut handler = connect(&request).await.expect("a session");
            guard.session().purge();
            drop(guard);
            assert_eq!(handler.session().claim::<String>("code").await.expect("a claim"), None);
            let response = handler.respond(&request, "out").await.into_response();
            assert_eq!(response.cookies().next().expect("the removal").value(), "");
            assert_eq!(sessions.stats().creates, 1, "the one that was purged");
        });
    }

    fn nothing_of_one_user_reaches_another_within_a_request(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| {
                session.login("joe");
                session["letter"] = "private".into();
            }).await;
            let request = request.to_http_request();
            let mut guard = connect(&request).await.expect("a session");
            let mut handler = connect(&request).await.expect("a session");
            handler.session().login("eve");
            drop(handler.respond(&request, "in").await);
            let letter = guard.session()["letter"].clone();
            guard.session()["recent"] = letter;
            drop(guard.respond(&request, "late").await);
            let list = sessions.of_user("eve").await.expect("the list");
            assert_eq!(list.len(), 1);
            assert_eq!(sessions.stats().late, 1);
        });
    }

    fn a_purge_wins_over_two_logins(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["k"] = 1.into()).await;
            let request = request.to_http_request();
            let mut one = connect(&request).await.expect("a session");
            let mut other = connect(&request).await.expect("a session");
            one.session().login("joe");
            other.session().login("eve");
            drop((one, other));
            let purge = connect(&request).await.expect("a session");
            let response = purge.purge(&request, "out").await.into_response();
            assert_eq!(response.status(), 200);
            assert_eq!(response.cookies().next().expect("the removal").value(), "");
            assert_eq!(sessions.stats().creates, 1, "nothing of the logins is left");
            assert_eq!(stored(&sessions, &request).await, json!({"user": null, "data": {}}));
        });
    }

    fn two_logins_after_a_purge_are_an_error_and_the_purge_is_done(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["k"] = 1.into()).await;
            let request = request.to_http_request();
            let cookie = request.headers().get("cookie").expect("a cookie").clone();
            let mut guard = connect(&request).await.expect("a session");
            guard.session().purge();
            drop(guard);
            let mut one = connect(&request).await.expect("a session");
            let mut other = connect(&request).await.expect("a session");
            one.session().login("joe");
            other.session().login("eve");
            drop(one);
            let response = other.respond(&request, "both").await.into_response();
            assert_eq!(response.status(), 503);
            assert!(connect(&request).await.expect("a session").session().is_empty());
            drop(request);
            removal(&sessions).await;
            let next = TestRequest::default().app_data(sessions.clone()).insert_header(("cookie", cookie)).to_http_request();
            assert_eq!(stored(&sessions, &next).await["data"], json!({}));
            assert_eq!(sessions.stats().removals, 1);
        });
    }

    fn a_panic_that_somebody_catches_leaves_nothing_to_be_saved(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["k"] = 1.into()).await;
            let request = request.to_http_request();
            let mut connection = connect(&request).await.expect("a session");
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                connection.session()["k"] = 2.into();
                panic!("as the test asked for");
            }));
            assert!(caught.is_err());
            let next = connect(&request).await.expect("a session");
            drop(next.respond(&request, "saved").await);
            assert_eq!(stored(&sessions, &request).await["data"], json!({"k": 1}));
        });
    }

    fn a_login_as_a_second_user_keeps_nothing_of_before(setup) {
        in_system(async {
            let (sessions, request) = begun(setup, |session| session["cart"] = "book".into()).await;
            let request = request.to_http_request();
            let mut connection = connect(&request).await.expect("a session");
            let created = connection.session().created_at();
            connection.session().login("joe");
            connection.session().login("eve");
            assert_eq!((connection.session().len(), connection.session().created_at()), (0, created));
            let response = connection.respond(&request, "in").await.into_response();
            let cookie = response.cookies().next().expect("a cookie").into_owned();
            let next = TestRequest::default().app_data(sessions.clone()).cookie(cookie).to_http_request();
            assert_eq!(stored(&sessions, &next).await, json!({"user": "eve", "data": {}}));
        });
    }

    fn of_two_services_under_hooks_one_may_fail_and_the_other_still_tells(setup) {
        use bsession::testing::Fault;
        in_system(async {
            let (mode, faults) = crate::support::Faults::mode();
            let (good, bad) = (setup.sessions(), Sessions::builder(crate::support::SECRET).mode(mode).cookie_name("bad").build().expect("a service"));
            let cookie = good.cookie_for(|session| session["k"] = 1.into()).await.expect("a session");
            // The handler sees the inner service; the guard around it the outer one.
            let guard = from_fn(|mut connection: Connection, request: actix_web::dev::ServiceRequest, next: Next<_>| async move {
                connection.session().renew();
                drop(connection);
                next.call(request).await
            });
            let inner = web::scope("/inner").app_data(bad).route("", web::get().to(unsaved));
            let app = init_service(App::new().app_data(good.clone()).wrap(guard).wrap(Hooks).service(inner)).await;
            faults.always(Fault::Fails);
            let response = call_service(&app, TestRequest::get().uri("/inner").cookie(cookie).to_request()).await;
            assert_eq!(response.status(), 503);
            let told: Vec<_> = response.response().cookies().map(|cookie| cookie.name().to_owned()).collect();
            assert_eq!(told, ["bsession"], "the renewed cookie is not lost");
        });
    }
}

/// Nor does a save that comes after the handler's, and fails.
#[test]
fn a_later_save_that_fails_takes_no_cookie_away() {
    let (mode, faults) = crate::support::Faults::mode();
    let sessions = Sessions::builder(crate::support::SECRET).mode(mode).build();
    let sessions = sessions.expect("a service");
    in_system(async {
        let late = from_fn(|request, next: Next<actix_web::body::BoxBody>| async move {
            let response: ServiceResponse<_> = next.call(request).await?;
            let mut connection = connect(response.request()).await?;
            connection.session()["late"] = true.into();
            drop(connection);
            Ok(response)
        });
        let app = App::new()
            .app_data(sessions.clone())
            .wrap(late)
            .wrap(Hooks)
            .configure(routes);
        let app = init_service(app).await;
        let cookie = sessions
            .cookie_for(|session| session["k"] = 1.into())
            .await
            .expect("a session");
        faults.say(|operation| match operation {
            "commit" => bsession::testing::Fault::Fails,
            _ => bsession::testing::Fault::None,
        });
        let login = TestRequest::post().uri("/login/joe").cookie(cookie);
        let response = call_service(&app, login.to_request()).await;
        assert_eq!(response.status(), 503);
        let cookie = response.response().cookies().next().expect("the new one");
        let request = TestRequest::default().app_data(sessions.clone());
        let mut connection = connect(&request.cookie(cookie.into_owned()).to_http_request())
            .await
            .expect("a session");
        assert_eq!(connection.session().user(), Some("joe"));
    });
}

/// A logout that is dropped where nothing can wait is an error in the log, and no panic.
#[test]
fn a_purge_that_must_wait_without_a_runtime_does_not_panic() {
    let (mode, faults) = crate::support::Faults::mode();
    let sessions = Sessions::builder(crate::support::SECRET)
        .mode(mode)
        .build()
        .expect("a service");
    let mut left = None;
    in_system(async {
        let cookie = sessions
            .cookie_for(|session| session["k"] = 1.into())
            .await
            .expect("a session");
        let request = TestRequest::default()
            .app_data(sessions.clone())
            .cookie(cookie)
            .to_http_request();
        let mut connection = connect(&request).await.expect("a session");
        connection.session().purge();
        left = Some((connection, request));
    });
    faults.always(bsession::testing::Fault::Waits);
    drop(left);
    assert_eq!(sessions.stats().store_errors, 1);
}

/// Over a store that waits, two saves of one request really are at work at once.
#[test]
fn saves_of_one_request_at_once_make_one_session() {
    let (mode, faults) = crate::support::Faults::mode();
    let sessions = Sessions::builder(crate::support::SECRET)
        .mode(mode)
        .build()
        .expect("a service");
    faults.always(bsession::testing::Fault::Waits);
    in_system(async {
        let request = TestRequest::default()
            .app_data(sessions.clone())
            .to_http_request();
        let mut one = connect(&request).await.expect("a visitor");
        let mut other = connect(&request).await.expect("a visitor");
        one.session()["one"] = 1.into();
        other.session()["other"] = 2.into();
        let (first, second) = futures_util::future::join(
            one.respond(&request, "one"),
            other.respond(&request, "other"),
        )
        .await;
        let cookies: Vec<_> = [first.into_response(), second.into_response()]
            .iter()
            .flat_map(|response| {
                response
                    .cookies()
                    .map(|cookie| cookie.into_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!((sessions.stats().creates, cookies.len()), (1, 2));
        assert_eq!(cookies[0], cookies[1], "either response may leave");
        let next = TestRequest::default()
            .app_data(sessions.clone())
            .cookie(cookies[0].clone())
            .to_http_request();
        assert_eq!(
            stored(&sessions, &next).await["data"],
            json!({"one": 1, "other": 2})
        );
    });
}
