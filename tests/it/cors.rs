//! The middleware of actix-cors on either side of a gate. `Cors` belongs outside.

use std::cell::Cell;

use actix_cors::Cors;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, Error, Responder, body::MessageBody, web};
use bsession::{Gate, Mode, Sessions, session};

use crate::support::SECRET;

/// The origin of the page that may use the API.
const PAGE: &str = "https://page.example";
const ELSEWHERE: &str = "https://elsewhere.example";

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

/// Answers every method.
async fn any() -> impl Responder {
    RUNS.set(RUNS.get() + 1);
    "in"
}

#[session]
async fn log_in() -> impl Responder {
    session.login("joe");
    session.csrf_token()
}

fn sessions() -> Sessions {
    let builder = Sessions::builder(SECRET).mode(Mode::Memory);
    builder.trusted_origin(PAGE).build().expect("a service")
}

fn cors() -> Cors {
    Cors::default()
        .allowed_origin(PAGE)
        .allowed_methods([Method::GET, Method::POST])
        .allowed_headers(["content-type", "x-csrf-token"])
        .supports_credentials()
}

/// A gate in a scope, with `Cors` outside of it, inside, or not at all.
macro_rules! app {
    (outside: $gate:expr) => {
        app!(@ web::scope("/api").wrap($gate).wrap(cors()))
    };
    (inside: $gate:expr) => {
        app!(@ web::scope("/api").wrap(cors()).wrap($gate))
    };
    (without: $gate:expr) => {
        app!(@ web::scope("/api").wrap($gate))
    };
    (@ $scope:expr) => {
        init_service(
            App::new()
                .app_data(sessions())
                .route("/log-in", web::get().to(log_in))
                .service($scope.default_service(web::to(any))),
        )
        .await
    };
}

/// Sends a request, and returns the status, the headers of interest and how often the handler ran.
async fn ask<S, B>(app: &S, request: TestRequest) -> Told
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    RUNS.set(0);
    let response = app.call(request.to_request()).await.expect("an answer");
    let text = |name: &str| {
        let values = response.headers().get_all(name);
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        values.join(", ").to_lowercase()
    };
    Told {
        status: response.status().as_u16(),
        readable_by: text("access-control-allow-origin"),
        with_credentials: text("access-control-allow-credentials") == "true",
        vary: text("vary"),
        runs: RUNS.get(),
    }
}

struct Told {
    status: u16,
    /// The origin whose scripts may read the response.
    readable_by: String,
    with_credentials: bool,
    vary: String,
    runs: u32,
}

fn preflight(origin: &str) -> TestRequest {
    let request = TestRequest::default().method(Method::OPTIONS);
    request
        .uri("/api/orders")
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", "POST"))
        .insert_header(("access-control-request-headers", "x-csrf-token"))
}

/// A request of a script on a page of that origin, as a browser sends it.
fn post(origin: &str) -> TestRequest {
    let site = if origin == PAGE {
        "same-site"
    } else {
        "cross-site"
    };
    TestRequest::post()
        .uri("/api/orders")
        .insert_header(("origin", origin))
        .insert_header(("sec-fetch-site", site))
}

/// The cookie of a user, and a CSRF token.
macro_rules! joe {
    ($app:expr) => {{
        let request = TestRequest::get().uri("/log-in").to_request();
        let response = $app.call(request).await.expect("an answer");
        let cookie = response.response().cookies().next().expect("a cookie");
        let pair = format!("{}={}", cookie.name(), cookie.value());
        let token = String::from_utf8(read_body(response).await.to_vec()).expect("text");
        (("cookie", pair), ("x-csrf-token", token))
    }};
}

#[actix_web::test]
async fn cors_outside_a_gate_answers_preflights_and_lets_its_page_read_refusals() {
    let app = app!(outside: Gate::new().csrf().require());
    let (joe, token) = joe!(app);

    let told = ask(&app, preflight(PAGE)).await;
    assert_eq!((told.status, told.runs), (200, 0));
    assert_eq!(told.readable_by, PAGE);
    assert!(told.with_credentials);

    let told = ask(
        &app,
        post(PAGE)
            .insert_header(joe.clone())
            .insert_header(token.clone()),
    )
    .await;
    assert_eq!((told.status, told.runs), (200, 1));
    assert_eq!(told.readable_by, PAGE);
    assert!(told.with_credentials);
    assert!(
        told.vary.contains("cookie") && told.vary.contains("origin"),
        "{}",
        told.vary
    );

    // The page's script can tell a login that has ended from a network that is down.
    let told = ask(&app, post(PAGE)).await;
    assert_eq!((told.status, told.runs), (401, 0));
    assert_eq!(told.readable_by, PAGE);
    assert!(
        told.vary.contains("cookie") && told.vary.contains("origin"),
        "{}",
        told.vary
    );

    // The cookie and the token of somebody else's page are of no use.
    let told = ask(
        &app,
        post(ELSEWHERE).insert_header(joe).insert_header(token),
    )
    .await;
    assert_eq!((told.status, told.runs), (403, 0));
    assert_eq!(told.readable_by, "");
}

#[actix_web::test]
async fn no_preflight_runs_a_handler_below_a_gate() {
    let app = app!(outside: Gate::new().require());
    for request in [
        preflight(PAGE),
        preflight(ELSEWHERE),
        // It is no preflight, so `Cors` leaves it to the gate.
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/api/orders"),
    ] {
        assert_eq!(ask(&app, request).await.runs, 0);
    }
    let app = app!(without: Gate::new().require());
    for origin in [PAGE, ELSEWHERE] {
        let told = ask(&app, preflight(origin)).await;
        assert_eq!((told.status, told.runs), (401, 0), "{origin}");
    }
}

#[actix_web::test]
async fn cors_inside_a_gate_sees_no_refused_request() {
    let app = app!(inside: Gate::new().csrf().require());
    let (joe, _) = joe!(app);

    // A browser sends a preflight without the cookie, and so gives up here.
    let told = ask(&app, preflight(PAGE)).await;
    assert_eq!((told.status, told.runs), (401, 0));
    assert_eq!(told.readable_by, "");
    let told = ask(&app, post(PAGE)).await;
    assert_eq!((told.status, told.runs), (401, 0));
    assert_eq!(
        told.readable_by, "",
        "the page's script cannot read the refusal"
    );
    // `Cors` is reached only by requests that pass the gate.
    let told = ask(&app, post(PAGE).insert_header(joe)).await;
    assert_eq!((told.status, told.runs), (200, 1));
    assert_eq!(told.readable_by, PAGE);
}

/// `OPTIONS` changes nothing, so `csrf` alone lets a preflight through.
#[actix_web::test]
async fn a_gate_with_csrf_alone_lets_a_preflight_through_to_cors_inside() {
    let app = app!(inside: Gate::new().csrf());
    // It is `Cors` that refuses this one.
    let told = ask(&app, preflight(ELSEWHERE)).await;
    assert_eq!((told.status, told.runs), (400, 0));
    assert_eq!(told.readable_by, "");

    let told = ask(&app, preflight(PAGE)).await;
    assert_eq!((told.status, told.runs), (200, 0));
    assert_eq!(told.readable_by, PAGE);

    let told = ask(&app, post(ELSEWHERE)).await;
    assert_eq!((told.status, told.runs), (403, 0));
}
