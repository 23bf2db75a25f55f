//! Refusals: every error of ours is answered with a body, in the words that the client or the application wants.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{DefaultHeaders, ErrorHandlerResponse, ErrorHandlers, Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, Responder, ResponseError, rt};
use bsession::testing::Fault;
use bsession::{
    AtLimit, Clock, Connection, Error, Gate, Hooks, Refusals, Refused, Sessions, connect, session,
};
use serde_json::{Value, json};

use crate::support::sentences::{
    FAULTY, LOG_IN, LOG_IN_AGAIN, NO_RIGHT, NOT_FROM_THERE, TOO_MANY, UNAVAILABLE,
};
use crate::support::{Faults, SECRET, Site, for_each_store};

const JSON: (&str, &str) = ("accept", "application/json");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FRESH: Duration = Duration::from_secs(15 * 60);

/// The name of an error's kind, by which a test knows it again.
fn name_of(error: &Error) -> &'static str {
    match error {
        Error::NotInitialised => "NotInitialised",
        Error::Type { .. } => "Type",
        Error::LoginRequired => "LoginRequired",
        Error::LoginTooOld => "LoginTooOld",
        Error::KeyRequired { .. } => "KeyRequired",
        Error::Forbidden { .. } => "Forbidden",
        Error::CrossSite { .. } => "CrossSite",
        Error::TooManySessions { .. } => "TooManySessions",
        Error::Store(_) => "Store",
        Error::Locked => "Locked",
        _ => "another one",
    }
}

/// The same requirements for each way to have them, by the last part of the path.
fn gate_for(path: &str) -> Gate {
    match path.rsplit('/').next() {
        Some("csrf") => Gate::new().csrf(),
        Some("login") => Gate::new().require().redirect("/login"),
        Some("key") => Gate::new().require_key("staff").redirect("/login?by=name"),
        Some("fresh") => Gate::new().fresh(FRESH).redirect("/login"),
        Some("lock") => Gate::new().lock(),
        _ => Gate::new(),
    }
}

#[session(csrf)]
async fn csrf() -> &'static str {
    "in"
}

#[session(require, redirect = "/login")]
async fn login() -> &'static str {
    "in"
}

#[session(require = "staff", redirect = "/login?by=name")]
async fn key() -> &'static str {
    "in"
}

#[session(fresh = "15m", redirect = "/login")]
async fn fresh() -> &'static str {
    "in"
}

#[session(lock)]
async fn lock() -> &'static str {
    "in"
}

#[session]
async fn any() -> &'static str {
    "in"
}

async fn by_check(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let connection = gate_for(request.path()).check(&mut request).await?;
    drop(connection);
    next.call(request).await
}

struct ByConnect;

impl FromRequest for ByConnect {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = actix_web::Result<Self>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            gate_for(req.path()).connect(&req, &mut payload).await?;
            Ok(Self)
        })
    }
}

/// Every way in, below a path of its own.
const WAYS: [&str; 4] = ["attribute", "scope", "check", "connect"];
const REQUIREMENTS: [&str; 6] = ["csrf", "login", "key", "fresh", "lock", "any"];

fn ways(config: &mut ServiceConfig) {
    config
        .route("/attribute/csrf", web::to(csrf))
        .route("/attribute/login", web::to(login))
        .route("/attribute/key", web::to(key))
        .route("/attribute/fresh", web::to(fresh))
        .route("/attribute/lock", web::to(lock))
        .route("/attribute/any", web::to(any))
        .service(
            web::scope("/check")
                .wrap(from_fn(by_check))
                .default_service(web::to(async || "in")),
        )
        .service(web::scope("/connect").default_service(web::to(async |_: ByConnect| "in")))
        .route("/parameter/connection", web::to(async |_: Connection| "in"))
        .route(
            "/parameter/result",
            web::to(async |connection: Result<Connection, Error>| connection.map(|_| "in")),
        )
        .route(
            "/parameter/maybe",
            web::to(async |it: Option<Connection>| it.is_some().to_string()),
        )
        .route("/under/attribute", web::to(asks_under_the_attribute))
        .route("/under/respond", web::to(asks_and_responds))
        .route("/under/save", web::to(over_the_limit))
        .route("/bare", web::to(asks))
        .service(
            web::scope("/hooks")
                .wrap(Hooks)
                .route("/ask", web::to(asks))
                .route("/save", web::to(over_the_limit_by_hooks)),
        )
        .service(
            web::scope("/gate")
                .wrap(Gate::new())
                .route("/ask", web::to(asks)),
        );
    for requirement in REQUIREMENTS {
        let path = format!("/scope/{requirement}");
        let scope = web::scope(&path).wrap(gate_for(&path));
        config.service(scope.default_service(web::to(async || "in")));
    }
}

/// Fails with an error of ours in a plain handler, for a session that is text where a number is wanted.
async fn asks(req: HttpRequest) -> bsession::Result<String> {
    let mut connection = connect(&req).await?;
    let number: Option<u32> = connection.session().get("text")?;
    Ok(format!("{number:?}"))
}

#[session]
async fn asks_under_the_attribute() -> bsession::Result<String> {
    session["kept"] = true.into();
    let number: Option<u32> = session.get("text")?;
    Ok(format!("{number:?}"))
}

async fn asks_and_responds(req: HttpRequest, mut connection: Connection) -> impl Responder {
    let number = connection.session().get::<u32>("text");
    let response = number.map(|number| format!("{number:?}"));
    connection.respond(&req, response).await
}

#[session]
async fn over_the_limit() -> &'static str {
    session.login("joe");
    "in"
}

async fn over_the_limit_by_hooks(mut connection: Connection) -> &'static str {
    connection.session().login("joe");
    "in"
}

/// Refusals that name themselves in the body, with headers and a status other than ours.
fn refusals(whose: &'static str) -> Refusals {
    Refusals::new(move |error, req| {
        HttpResponse::build(error.status_code())
            .insert_header(("x-worded-by", whose))
            .insert_header(("vary", "Accept"))
            .insert_header(("set-cookie", "theirs=1"))
            .body(format!("{whose}: {} at {}", name_of(error), req.path()))
    })
}

fn routes(config: &mut ServiceConfig) {
    config.service(web::scope("/ours").configure(ways)).service(
        web::scope("/app")
            .app_data(refusals("app"))
            .configure(ways)
            .service(
                web::scope("/inner")
                    .app_data(refusals("inner"))
                    .configure(ways),
            ),
    );
}

/// A store that fails on demand, a clock, and a user in it.
struct Place {
    sessions: Sessions,
    faults: Faults,
    clock: Clock,
}

impl Place {
    fn new() -> Self {
        let (mode, faults) = Faults::mode();
        let clock = Clock::default();
        let builder = Sessions::builder(SECRET)
            .mode(mode)
            .clock(clock.clone())
            .max_per_user(1, AtLimit::RefuseNewest)
            .lock_timeout(Duration::from_millis(1));
        Self {
            sessions: builder.build().expect("a service"),
            faults,
            clock,
        }
    }

    async fn joe(&self) -> Joe {
        let cookie = self.sessions.cookie_for(|session| {
            session.login("joe");
            session["text"] = "text".into();
        });
        let cookie = cookie.await.expect("a session");
        ("cookie", format!("{}={}", cookie.name(), cookie.value()))
    }
}

/// The `Cookie` header of a user.
type Joe = (&'static str, String);

/// An answer, with the kind of error that another middleware finds in it.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    error: Option<&'static str>,
}

impl Answer {
    async fn read(response: HttpResponse) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            error: Error::in_response(&response).map(name_of),
            body: String::from_utf8(
                to_bytes(response.into_body())
                    .await
                    .expect("a body")
                    .to_vec(),
            )
            .expect("text"),
        }
    }

    fn header(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name);
        values.map(|value| value.to_str().expect("text")).collect()
    }

    fn varies_by_cookie(&self) -> bool {
        let fields = self.header("vary").join(", ");
        fields.split(", ").any(|field| field == "Cookie")
    }

    fn json(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            ["application/problem+json"],
            "{self:?}"
        );
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

macro_rules! app {
    ($place:expr) => {
        init_service(
            App::new()
                .app_data($place.sessions.clone())
                .configure(routes),
        )
        .await
    };
}

macro_rules! ask {
    ($app:expr, $request:expr) => {{
        // A middleware function returns an error, and the server makes a response from it.
        let response = match actix_web::test::try_call_service(&$app, $request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => HttpResponse::from_error(error),
        };
        Answer::read(response).await
    }};
}

fn get(path: &str) -> TestRequest {
    TestRequest::with_uri(path)
}

/// What each requirement refuses: the path, the method, and what is expected.
struct Case {
    path: &'static str,
    method: Method,
    user: bool,
    error: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
    login_page: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let case = |path, error, status: u16, title, detail| Case {
        path,
        method: if path == "csrf" {
            Method::POST
        } else {
            Method::GET
        },
        user: matches!(path, "lock" | "any" | "fresh"),
        error,
        status,
        title,
        detail,
        login_page: None,
    };
    vec![
        case("csrf", "CrossSite", 403, "Forbidden", NOT_FROM_THERE),
        Case {
            login_page: Some("/login?next="),
            ..case("login", "LoginRequired", 401, "Unauthorized", LOG_IN)
        },
        Case {
            login_page: Some("/login?by=name&next="),
            ..case("key", "KeyRequired", 401, "Unauthorized", LOG_IN)
        },
        Case {
            user: true,
            ..case("key", "Forbidden", 403, "Forbidden", NO_RIGHT)
        },
        Case {
            login_page: Some("/login?next="),
            ..case("fresh", "LoginTooOld", 401, "Unauthorized", LOG_IN_AGAIN)
        },
        case("lock", "Locked", 503, "Service Unavailable", UNAVAILABLE),
        case("any", "Store", 503, "Service Unavailable", UNAVAILABLE),
    ]
}

impl Case {
    /// The request, at a place that is ready to refuse it.
    fn request(&self, place: &Place, joe: &Joe, prefix: &str) -> TestRequest {
        let is_down = self.error == "Store";
        let fault = if is_down { Fault::Fails } else { Fault::None };
        place.faults.always(fault);
        let request = get(&self.path_at(prefix)).method(self.method.clone());
        if self.user {
            request.insert_header(joe.clone())
        } else {
            request
        }
    }

    fn path_at(&self, prefix: &str) -> String {
        format!("{prefix}/{}", self.path)
    }

    fn login_page_at(&self, prefix: &str) -> Option<String> {
        let next = self.path_at(prefix).replace('/', "%2F");
        self.login_page.map(|page| format!("{page}{next}"))
    }
}

/// Tells a story for every way to refuse, and every reason, with a lock that somebody else has.
macro_rules! for_each_refusal {
    (|$app:ident, $request:ident, $case:ident, $prefix:ident| $tell:block) => {
        let place = Place::new();
        let $app = app!(place);
        let joe = place.joe().await;
        place.clock.advance(2 * FRESH);
        let holder = get("/")
            .insert_header(joe.clone())
            .app_data(place.sessions.clone());
        let mut holder = connect(&holder.to_http_request()).await.expect("a session");
        holder.lock().await.expect("it is free");
        for way in WAYS {
            for $case in cases() {
                for scope in ["/ours", "/app", "/app/inner"] {
                    let $prefix = format!("{scope}/{way}");
                    let $request = || $case.request(&place, &joe, &$prefix);
                    $tell
                }
            }
        }
    };
}

#[actix_web::test]
async fn every_refusal_is_one_sentence() {
    for_each_refusal!(|app, request, case, prefix| {
        if prefix.starts_with("/app") {
            continue;
        }
        for accept in [None, Some("*/*"), Some("text/plain"), Some("image/png")] {
            let request = accept.into_iter().fold(request(), |request, accept| {
                request.insert_header(("accept", accept))
            });
            let answer = ask!(app, request);
            let told = (answer.status, answer.error, &*answer.body);
            assert_eq!(
                told,
                (case.status, Some(case.error), case.detail),
                "{prefix}"
            );
            assert_eq!(answer.header("content-type"), ["text/plain; charset=utf-8"]);
            assert!(answer.varies_by_cookie(), "{prefix}: {answer:?}");
            let login_page = case.login_page_at(&prefix);
            assert_eq!(
                answer.header("location"),
                Vec::from_iter(login_page.as_deref())
            );
            assert!(answer.header("hx-redirect").is_empty());
        }
    });
}

#[actix_web::test]
async fn a_client_that_accepts_json_gets_a_problem() {
    for_each_refusal!(|app, request, case, prefix| {
        if prefix.starts_with("/app") {
            continue;
        }
        let answer = ask!(app, request().insert_header(JSON));
        let told = (answer.status, answer.error);
        assert_eq!(
            told,
            (case.status, Some(case.error)),
            "{prefix}: {answer:?}"
        );
        let mut problem = json!({
            "title": case.title, "status": case.status, "detail": case.detail,
        });
        let login_page = case.login_page_at(&prefix);
        if let Some(page) = &login_page {
            problem["location"] = page.as_str().into();
        }
        assert_eq!(answer.json(), problem, "{prefix}");
        assert!(answer.varies_by_cookie(), "{prefix}: {answer:?}");
        assert_eq!(
            answer.header("location"),
            Vec::from_iter(login_page.as_deref())
        );
    });
}

#[actix_web::test]
async fn an_application_words_every_refusal_and_the_innermost_words_count() {
    for_each_refusal!(|app, request, case, prefix| {
        let whose = match prefix.split('/').nth(2) {
            _ if prefix.starts_with("/ours") => continue,
            Some("inner") => "inner",
            _ => "app",
        };
        let answer = ask!(app, request().insert_header(JSON));
        let told = (answer.status, answer.error);
        assert_eq!(
            told,
            (case.status, Some(case.error)),
            "{prefix}: {answer:?}"
        );
        let words = format!("{whose}: {} at {}", case.error, case.path_at(&prefix));
        assert_eq!(
            (&*answer.body, answer.header("x-worded-by")),
            (&*words, vec![whose])
        );
        assert!(answer.varies_by_cookie(), "{prefix}: {answer:?}");
        assert!(
            answer.header("vary").join(", ").contains("Accept"),
            "{answer:?}"
        );
        assert_eq!(answer.header("set-cookie"), ["theirs=1"]);
        let login_page = case.login_page_at(&prefix);
        assert_eq!(
            answer.header("location"),
            Vec::from_iter(login_page.as_deref())
        );
    });
}

#[actix_web::test]
async fn htmx_is_told_where_to_log_in_and_come_back_to() {
    for_each_refusal!(|app, request, case, prefix| {
        let request = || request().insert_header(("hx-request", "true"));
        let around = ("hx-current-url", "http://localhost:8080/cart?a=1");
        for (headers, next) in [
            (vec![around], Some("%2Fcart%3Fa%3D1")),
            (
                vec![around, ("accept", "text/html")],
                Some("%2Fcart%3Fa%3D1"),
            ),
            (vec![("hx-current-url", "https://evil.example/cart")], None),
            (
                vec![("hx-current-url", "http://localhost:8080//evil.example")],
                None,
            ),
            (vec![], None),
            (
                vec![("hx-current-url", "http://localhost:8080/login?a=1")],
                Some(""),
            ),
        ] {
            let request = headers
                .iter()
                .fold(request(), |request, header| request.insert_header(*header));
            let answer = ask!(app, request.insert_header(("host", "localhost:8080")));
            let told = (answer.status, answer.error);
            assert_eq!(
                told,
                (case.status, Some(case.error)),
                "{prefix}: {answer:?}"
            );
            let without_next = |page: &'static str| page.trim_end_matches("next=");
            let page = match (case.login_page, next) {
                (None, _) | (_, Some("")) => None,
                (Some(page), Some(next)) => Some(format!("{page}{next}")),
                (Some(page), None) => {
                    let page = without_next(page);
                    Some(page.trim_end_matches(['?', '&']).to_owned())
                }
            };
            let page = Vec::from_iter(page.as_deref());
            assert_eq!(answer.header("hx-redirect"), page, "{prefix}, {headers:?}");
            assert_eq!(answer.header("location"), page, "{prefix}, {headers:?}");
        }
    });
}

#[actix_web::test]
async fn a_browser_is_redirected_and_nobody_is_asked_for_words() {
    for_each_refusal!(|app, request, case, prefix| {
        let answer = ask!(app, request().insert_header(("sec-fetch-mode", "navigate")));
        let Some(page) = case.login_page_at(&prefix) else {
            assert_eq!(answer.status, case.status);
            continue;
        };
        assert_eq!((answer.status, &*answer.body), (303, ""), "{prefix}");
        assert_eq!(answer.header("location"), [page]);
        assert!(answer.varies_by_cookie() && answer.header("x-worded-by").is_empty());
    });
}

#[actix_web::test]
async fn extractors_are_refused_with_a_body() {
    let place = Place::new();
    let app = app!(place);
    let joe = place.joe().await;
    place.faults.always(Fault::Fails);
    for path in ["/parameter/connection", "/parameter/result", "/bare"] {
        let request = |scope| get(&format!("{scope}{path}")).insert_header(joe.clone());
        let answer = ask!(app, request("/ours"));
        let told = (answer.status, answer.error, &*answer.body);
        assert_eq!(told, (503, Some("Store"), UNAVAILABLE), "{path}");
        // Nothing of ours sees an error that a plain handler returns by itself.
        if path != "/parameter/connection" {
            continue;
        }
        assert!(answer.varies_by_cookie());
        let answer = ask!(app, request("/ours").insert_header(JSON));
        assert_eq!(answer.json()["status"], 503);
        let answer = ask!(app, request("/app/inner").insert_header(JSON));
        assert_eq!(answer.error, Some("Store"));
        assert_eq!(answer.body, format!("inner: Store at /app/inner{path}"));
    }
    let answer = ask!(app, get("/ours/parameter/maybe").insert_header(joe.clone()));
    assert_eq!(answer.body, "false");
}

#[actix_web::test]
async fn an_error_that_a_handler_returns_is_worded_by_what_is_around_it() {
    let place = Place::new();
    let app = app!(place);
    let joe = place.joe().await;
    for path in [
        "/under/attribute",
        "/under/respond",
        "/hooks/ask",
        "/gate/ask",
        "/bare",
    ] {
        let request = |scope| get(&format!("{scope}{path}")).insert_header(joe.clone());
        let answer = ask!(app, request("/ours"));
        let told = (answer.status, answer.error, &*answer.body);
        assert_eq!(told, (500, Some("Type"), FAULTY), "{path}");
        let is_bare = path == "/bare";
        assert_eq!(answer.varies_by_cookie(), !is_bare, "{path}");
        let answer = ask!(app, request("/ours").insert_header(JSON));
        if is_bare {
            assert_eq!(answer.body, FAULTY);
            continue;
        }
        assert_eq!(answer.error, Some("Type"));
        let problem = json!({ "title": "Internal Server Error", "status": 500, "detail": FAULTY });
        assert_eq!(answer.json(), problem, "{path}");
        for whose in ["app", "inner"] {
            let scope = if whose == "app" { "/app" } else { "/app/inner" };
            let answer = ask!(app, request(scope));
            assert_eq!(answer.error, Some("Type"));
            assert_eq!(answer.body, format!("{whose}: Type at {scope}{path}"));
            assert!(answer.varies_by_cookie(), "{path}");
        }
    }
}

#[actix_web::test]
async fn a_save_that_is_refused_is_worded_too() {
    let place = Place::new();
    let app = app!(place);
    place.joe().await;
    for path in ["/under/save", "/hooks/save"] {
        let answer = ask!(app, get(&format!("/ours{path}")));
        let told = (answer.status, answer.error, &*answer.body);
        assert_eq!(told, (409, Some("TooManySessions"), TOO_MANY), "{path}");
        let answer = ask!(app, get(&format!("/ours{path}")).insert_header(JSON));
        let problem = json!({ "title": "Conflict", "status": 409, "detail": TOO_MANY });
        assert_eq!(answer.json(), problem, "{path}");
        let answer = ask!(app, get(&format!("/app/inner{path}")));
        assert_eq!(
            answer.body,
            format!("inner: TooManySessions at /app/inner{path}")
        );
        assert!(answer.varies_by_cookie());
        assert_eq!(
            answer.header("set-cookie"),
            ["theirs=1"],
            "and no cookie of ours"
        );
    }
}

#[actix_web::test]
async fn a_refused_visit_sends_its_cookie_in_any_words() {
    let place = Place::new();
    let app = app!(place);
    for way in WAYS {
        for scope in ["/ours", "/app"] {
            place
                .sessions
                .revoke_user("joe", None)
                .await
                .expect("it works");
            let joe = place.joe().await;
            place.clock.advance(20 * DAY);
            let answer = ask!(app, get(&format!("{scope}/{way}/key")).insert_header(joe));
            let told = (answer.status, answer.error);
            assert_eq!(told, (403, Some("Forbidden")), "{scope}/{way}");
            let cookies = answer.header("set-cookie");
            let ours = cookies
                .iter()
                .filter(|cookie| cookie.starts_with("bsession="));
            assert_eq!(ours.count(), 1, "{scope}/{way}: {answer:?}");
            assert_eq!(cookies.contains(&"theirs=1"), scope == "/app");
            assert_eq!(answer.header("cache-control"), ["no-store"]);
            assert!(answer.varies_by_cookie());
        }
    }
}

/// Writes, and fails with an error whose status the application changes.
#[session]
async fn keeps_and_fails(status: web::Path<u16>) -> bsession::Result<&'static str> {
    session["kept"] = status.into_inner().into();
    Err(if *session["kept"].as_u64().get_or_insert_default() < 500 {
        Error::LoginRequired
    } else {
        Error::TooDeep
    })
}

#[actix_web::test]
async fn words_do_not_decide_what_is_saved() {
    let place = Place::new();
    let turned = Refusals::new(|error, _| {
        let fails = error.status_code().is_server_error();
        HttpResponse::build(if fails {
            StatusCode::OK
        } else {
            StatusCode::BAD_GATEWAY
        })
        .finish()
    });
    let app = App::new().app_data(place.sessions.clone()).app_data(turned);
    let app = init_service(app.route("/{status}", web::get().to(keeps_and_fails))).await;
    let answer = ask!(app, get("/503"));
    assert_eq!((answer.status, answer.header("set-cookie").len()), (200, 0));
    assert_eq!(place.sessions.stats().creates, 0);
    let answer = ask!(app, get("/401"));
    assert_eq!((answer.status, answer.header("set-cookie").len()), (502, 1));
    assert_eq!(answer.header("location").len(), 0, "of a 401 alone");
    assert_eq!(place.sessions.stats().creates, 1);
}

#[actix_web::test]
async fn a_body_that_another_middleware_gave_stays() {
    fn page(
        response: ServiceResponse<BoxBody>,
    ) -> actix_web::Result<ErrorHandlerResponse<BoxBody>> {
        let response = response.map_body(|_, _| BoxBody::new("their page"));
        Ok(ErrorHandlerResponse::Response(
            response.map_into_left_body(),
        ))
    }

    let place = Place::new();
    let handlers = || ErrorHandlers::new().handler(StatusCode::INTERNAL_SERVER_ERROR, page);
    let app = App::new()
        .app_data(place.sessions.clone())
        .app_data(refusals("app"))
        .service(
            web::resource("/hooks")
                .wrap(handlers())
                .wrap(Hooks)
                .to(asks),
        )
        .service(
            web::resource("/gate")
                .wrap(handlers())
                .wrap(Gate::new())
                .to(asks),
        );
    let app = init_service(app).await;
    let joe = place.joe().await;
    for path in ["/hooks", "/gate"] {
        let answer = ask!(app, get(path).insert_header(joe.clone()));
        let told = (answer.status, answer.error, &*answer.body);
        assert_eq!(told, (500, Some("Type"), "their page"), "{path}");
    }
}

#[actix_web::test]
async fn headers_that_other_middleware_gave_stay() {
    let place = Place::new();
    let headers = || {
        DefaultHeaders::new()
            .add(("set-cookie", "other=1"))
            .add(("vary", "Origin"))
            .add(("x-frame-options", "DENY"))
    };
    let app = App::new()
        .app_data(place.sessions.clone())
        .app_data(refusals("app"))
        .service(web::resource("/hooks").wrap(headers()).wrap(Hooks).to(asks))
        .service(
            web::resource("/gate")
                .wrap(headers())
                .wrap(Gate::new())
                .to(asks),
        );
    let app = init_service(app).await;
    let joe = place.joe().await;
    for path in ["/hooks", "/gate"] {
        let answer = ask!(app, get(path).insert_header(joe.clone()));
        assert_eq!(answer.body, format!("app: Type at {path}"));
        assert_eq!(answer.header("set-cookie"), ["other=1", "theirs=1"]);
        let fields = answer.header("vary").join(", ");
        for field in ["Origin", "Accept", "Cookie"] {
            assert!(fields.contains(field), "{path}: {fields}");
        }
        assert_eq!(answer.header("x-frame-options"), ["DENY"]);
    }
}

#[actix_web::test]
async fn the_usual_words_can_be_had_among_others() {
    let place = Place::new();
    let mostly_usual = Refusals::new(|error, req| match error {
        Error::CrossSite { .. } => HttpResponse::Forbidden().body("ours alone"),
        _ => Refusals::usual(error, req),
    });
    let app = App::new()
        .app_data(place.sessions.clone())
        .app_data(mostly_usual);
    let app = init_service(app.configure(ways)).await;
    for way in WAYS {
        let answer = ask!(app, get(&format!("/{way}/csrf")).method(Method::POST));
        assert_eq!((answer.status, &*answer.body), (403, "ours alone"));
        let path = format!("/{way}/login");
        let answer = ask!(app, get(&path).insert_header(JSON));
        let next = format!("/login?next=%2F{way}%2Flogin");
        assert_eq!(
            answer.json()["location"],
            next,
            "the login page is known there, too"
        );
        assert_eq!(ask!(app, get(&path)).body, LOG_IN);
    }
}

#[actix_web::test]
async fn by_hand_the_error_is_there_with_its_response() {
    let place = Place::new();
    let request = get("/")
        .insert_header(JSON)
        .app_data(place.sessions.clone());
    let request = request.to_http_request();
    let gate = Gate::new().require().redirect("/login");
    let refused = || async { gate.connect(&request, &mut Payload::None).await };
    let refused_once: Refused = refused().await.expect_err("nobody is logged in");
    assert!(matches!(refused_once.error(), Error::LoginRequired));
    assert_eq!(refused_once.status_code(), 401);
    let answer = Answer::read(refused_once.into_response()).await;
    assert_eq!(answer.json()["location"], "/login?next=%2F");
    let refused_once = refused().await.expect_err("nobody is logged in");
    let alone = Error::from(refused_once);
    assert!(matches!(alone, Error::LoginRequired));
    let missing = Sessions::extract(&get("/").to_http_request()).await;
    assert!(missing.is_ok() || matches!(missing.map_err(Error::from), Err(Error::NotInitialised)));
}

for_each_store! {
    fn a_refusal_over_http_has_a_length_and_a_head_has_no_body(setup) {
        let site = Site::open_with(setup.sessions(), |config| {
            config.route("/login", web::route().to(login));
        });
        let ask = |method: &str, headers: &str| {
            site.raw(format!("{method} /login HTTP/1.1\r\nHost: h\r\n{headers}Connection: close\r\n\r\n").as_bytes())
        };
        let text = ask("GET", "");
        assert_eq!((text.status, &*text.body), (401, LOG_IN));
        assert_eq!(text.header("content-type"), ["text/plain; charset=utf-8"]);
        assert_eq!(text.header("content-length"), [LOG_IN.len().to_string()]);
        let head = ask("HEAD", "");
        assert_eq!((head.status, &*head.body), (401, ""));
        let problem = ask("GET", "Accept: application/json\r\n");
        assert_eq!(problem.header("content-type"), ["application/problem+json"]);
        let problem: Value = serde_json::from_str(&problem.body).expect("JSON");
        assert_eq!(problem, json!({ "title": "Unauthorized", "status": 401, "detail": LOG_IN }));
    }
}

/// Changes the session, and then waits in vain for its lock.
async fn changes_and_locks(
    req: HttpRequest,
    mut connection: Connection,
) -> Result<&'static str, Refused> {
    connection.session()["kept"] = true.into();
    drop(connection);
    Gate::new().lock().connect(&req, &mut Payload::None).await?;
    Ok("in")
}

#[test]
fn an_error_of_the_server_saves_nothing_however_it_is_worded() {
    rt::System::new().block_on(async {
        let place = Place::new();
        let joe = place.joe().await;
        let milder = Refusals::new(|_, _| HttpResponse::Conflict().finish());
        let app = App::new()
            .app_data(place.sessions.clone())
            .app_data(milder)
            .wrap(Hooks)
            .route("/", web::to(changes_and_locks));
        let app = init_service(app).await;
        let request = get("/")
            .app_data(place.sessions.clone())
            .insert_header(joe.clone());
        let request = request.to_http_request();
        let mut holder = connect(&request).await.expect("a session");
        holder.lock().await.expect("the lock");
        let answer = ask!(app, get("/").insert_header(joe));
        assert_eq!((answer.status, answer.error), (409, Some("Locked")));
        drop(holder);
        let mut late = connect(&request).await.expect("a session");
        late.lock().await.expect("the lock");
        assert!(late.session()["kept"].is_null(), "it was a 503");
    });
}
