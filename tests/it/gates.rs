//! Gates: they come before extractors and bodies, in a handler, around a scope and by hand.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::QueryPayloadError;
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, read_body, try_call_service};
use actix_web::web::{self, Bytes, Either, Form, Json, Path, Query, ServiceConfig};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, Responder};
use bsession::testing::{self, Fault, FaultyStore};
use bsession::{Connection, Gate, Hooks, Mode, Sessions, connect, session};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::support::{SECRET, Site, for_each_store};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");
const PAGE: (&str, &str) = ("accept", "text/html");

thread_local! {
    static SEEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn note(what: &'static str) {
    SEEN.with_borrow_mut(|seen| seen.push(what));
}

fn seen() -> Vec<&'static str> {
    SEEN.take()
}

/// An extractor that notes when it is created and when it is polled. It is ready at its third poll.
macro_rules! spy {
    ($name:ident, $created:literal, $polled:literal) => {
        struct $name;

        impl FromRequest for $name {
            type Error = actix_web::Error;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

            fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
                note($created);
                let mut left = 3;
                Box::pin(poll_fn(move |context| {
                    note($polled);
                    left -= 1;
                    if left > 0 {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Self))
                }))
            }
        }
    };
}
spy!(First, "first", "first?");
spy!(Second, "second", "second?");

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[session(csrf, require, redirect = "/login")]
async fn guarded(_first: First, user: &str, form: Form<Text>, _second: Second) -> impl Responder {
    note("body");
    format!("{user}: {}", form.text)
}

#[session]
async fn side_by_side(_first: First, _second: Second) -> impl Responder {
    "in"
}

#[session(sessions = services, require)]
async fn of_another_service(services: Sessions, _first: First) -> impl Responder {
    "in"
}

#[session]
async fn log_in(user: Path<String>) -> impl Responder {
    session.login(&*user);
    session.csrf_token()
}

#[session(csrf)]
async fn bytes(body: Bytes) -> String {
    body.len().to_string()
}

#[session(csrf)]
async fn stream(mut body: web::Payload) -> actix_web::Result<String> {
    let mut length = 0;
    while let Some(chunk) = body.next().await {
        length += chunk?.len();
    }
    Ok(length.to_string())
}

#[session(csrf)]
async fn either(body: Either<Json<Text>, Form<Text>>) -> String {
    match body {
        Either::Left(json) => json.into_inner().text,
        Either::Right(form) => form.into_inner().text,
    }
}

#[session(csrf, sessions = services)]
async fn form_of_another_service(services: Sessions, form: Form<Text>) -> String {
    form.into_inner().text
}

#[derive(Deserialize)]
struct Number {
    #[allow(dead_code, reason = "it is there to be missing")]
    number: u32,
}

#[session]
async fn wants_a_number(_number: Query<Number>) -> &'static str {
    "in"
}

async fn wants_a_number_without(_number: Query<Number>) -> &'static str {
    "in"
}

#[session(purge)]
async fn purges(_number: Query<Number>) -> &'static str {
    "out"
}

#[session(renew)]
async fn renews(_number: Query<Number>) -> &'static str {
    "renewed"
}

async fn plain_form(form: Form<Text>) -> String {
    note("body");
    form.into_inner().text
}

async fn who(connection: Option<Connection>) -> String {
    let mut connection = connection.expect("a service");
    connection.session().user().unwrap_or("nobody").to_owned()
}

const ADMIN: Gate = Gate::new()
    .csrf()
    .require()
    .redirect("/admin/login?by=name");

/// A middleware function with a gate by hand.
async fn staff_only(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    const STAFF: Gate = Gate::new().csrf().require_key("staff");
    let connection = STAFF.check(&mut request).await?;
    drop(connection);
    next.call(request).await
}

/// A middleware function that looks at the session and fails.
async fn fails_after_a_look(
    request: ServiceRequest,
    _: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse> {
    connect(request.request()).await?;
    Err(actix_web::error::ErrorNotFound("not for everybody"))
}

/// An extractor with a gate by hand.
struct Member(String);

impl FromRequest for Member {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = actix_web::Result<Self>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        const MEMBERS: Gate = Gate::new().csrf().require().redirect("/login");
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let mut connection = MEMBERS.connect(&req, &mut payload).await?;
            let user = connection.session().user().unwrap_or_default().to_owned();
            Ok(Self(user))
        })
    }
}

async fn member(Member(user): Member) -> String {
    user
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/guarded", web::post().to(guarded))
        .route("/side-by-side", web::get().to(side_by_side))
        .route("/another", web::get().to(of_another_service))
        .route("/another-form", web::post().to(form_of_another_service))
        .route("/log-in/{user}", web::get().to(log_in))
        .route("/bytes", web::post().to(bytes))
        .route("/stream", web::post().to(stream))
        .route("/either", web::post().to(either))
        .route("/number", web::get().to(wants_a_number))
        .route("/number-without", web::get().to(wants_a_number_without))
        .route("/purges", web::post().to(purges))
        .route("/renews", web::post().to(renews))
        .route("/member", web::to(member))
        .route("/login", web::to(member))
        .service(
            web::scope("/hooks")
                .wrap(from_fn(fails_after_a_look))
                .wrap(Hooks)
                .route("/who", web::get().to(who)),
        )
        .service(
            web::scope("/admin")
                .wrap(ADMIN)
                .route("/who", web::get().to(who))
                .service(web::resource("/any").to(who))
                .route("/login", web::get().to(async || "who are you?"))
                .route("/login", web::post().to(plain_form))
                .route("/form", web::post().to(plain_form))
                .route("/guarded", web::post().to(guarded))
                .route(
                    "/{id}/bytes",
                    web::post().to(async |body: Bytes| body.len().to_string()),
                )
                .route(
                    "/fails",
                    web::get().to(async || Err::<&str, _>(actix_web::error::ErrorConflict("no"))),
                )
                .service(
                    web::scope("/inner")
                        .wrap(Gate::new().require_key("staff"))
                        .route("/who", web::get().to(who)),
                )
                .default_service(web::to(async || {
                    HttpResponse::NotFound().body("nothing here")
                })),
        )
        .service(
            web::scope("/staff")
                .wrap(from_fn(staff_only))
                .route("/form", web::post().to(plain_form)),
        );
}

/// Services over a store that answers at once, and over one that answers late.
fn services() -> [Sessions; 2] {
    let late = FaultyStore::new(testing::store(Mode::Memory), |_, _| Fault::Waits);
    [Mode::Memory, late.into()].map(|mode| {
        let builder = Sessions::builder(SECRET).mode(mode);
        builder.build().expect("a service")
    })
}

/// An application in this thread, and what its answers are.
macro_rules! app {
    ($sessions:expr) => {
        actix_web::test::init_service(App::new().app_data($sessions.clone()).configure(routes))
            .await
    };
}

/// The status, the headers and the body of an answer.
macro_rules! ask {
    ($app:expr, $request:expr) => {{
        // A middleware function answers with an error, which the server makes a response of.
        let response = match try_call_service(&$app, $request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.expect("a body");
        (
            status,
            headers,
            String::from_utf8(body.to_vec()).expect("text"),
        )
    }};
}

/// The status and the body alone.
macro_rules! told {
    ($app:expr, $request:expr) => {{
        let (status, _, body) = ask!($app, $request);
        (status, body)
    }};
}

/// The cookie of a user, and the CSRF token of a page that they saw.
macro_rules! joe {
    ($app:expr) => {{
        let (_, headers, token) = ask!($app, TestRequest::get().uri("/log-in/joe"));
        let cookie = headers.get("set-cookie").and_then(|it| it.to_str().ok());
        let pair = cookie
            .and_then(|it| it.split(';').next())
            .expect("a cookie");
        (("cookie", pair.to_owned()), token)
    }};
}

fn post(path: &str, body: impl Into<Bytes>) -> TestRequest {
    let request = TestRequest::post().uri(path);
    request.insert_header(FORM).set_payload(body)
}

/// A request as browsers send it before one of another origin, and anybody may.
fn preflight(path: &str) -> TestRequest {
    TestRequest::default()
        .method(actix_web::http::Method::OPTIONS)
        .uri(path)
        .insert_header(("origin", "https://elsewhere.example"))
        .insert_header(("access-control-request-method", "POST"))
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

#[actix_web::test]
async fn a_refused_request_creates_no_extractor() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, token) = joe!(app);
        seen();
        for (refused, status) in [
            (post("/guarded", "text=x"), 403),
            (
                post("/guarded", "text=x").insert_header(("sec-fetch-site", "cross-site")),
                403,
            ),
            (
                post("/guarded", "text=x&csrf_token=1").insert_header(joe.clone()),
                403,
            ),
            (post("/guarded", "text=x").insert_header(OURS), 401),
            (post("/guarded", "broken").insert_header(OURS), 401),
            (
                post("/guarded", "broken")
                    .insert_header(OURS)
                    .insert_header(PAGE),
                303,
            ),
            (
                post("/guarded", "broken").insert_header(("sec-fetch-site", "cross-site")),
                403,
            ),
            (post("/admin/guarded", "broken").insert_header(OURS), 401),
            (post("/admin/guarded", "broken"), 403),
        ] {
            assert_eq!(told!(app, refused).0, status);
            assert_eq!(seen(), [""; 0]);
        }
        let form = format!("text=x&csrf_token={token}");
        let answer = told!(app, post("/guarded", form).insert_header(joe));
        assert_eq!(answer, (200, "joe: x".to_owned()));
        assert_eq!(seen().last(), Some(&"body"));
    }
}

#[actix_web::test]
async fn extractors_are_all_created_before_one_is_polled() {
    for sessions in services() {
        let app = app!(sessions);
        seen();
        assert_eq!(told!(app, get("/side-by-side")).0, 200);
        let polled = [
            "first?", "second?", "first?", "second?", "first?", "second?",
        ];
        assert_eq!(seen(), [&["first", "second"][..], &polled].concat());
    }
}

#[actix_web::test]
async fn a_handler_that_names_its_service_runs_its_extractors_first() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, token) = joe!(app);
        seen();
        assert_eq!(told!(app, get("/another")).0, 401);
        assert_eq!(seen().first(), Some(&"first"));
        let form = |token: &str| post("/another-form", format!("text=x&csrf_token={token}"));
        let answer = told!(app, form(&token).insert_header(joe.clone()));
        assert_eq!(
            answer,
            (200, "x".to_owned()),
            "the token is found all the same"
        );
        assert_eq!(told!(app, form("1").insert_header(joe)).0, 403);
    }
}

#[actix_web::test]
async fn a_body_with_a_token_is_whole_for_its_reader() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, token) = joe!(app);
        for filler in [0, 1, 1000, 64 * 1024, 200_000] {
            let body = format!("csrf_token={token}&text={}", "x".repeat(filler));
            for path in ["/bytes", "/stream", "/admin/7/bytes"] {
                let answer = told!(app, post(path, body.clone()).insert_header(joe.clone()));
                assert_eq!(answer, (200, body.len().to_string()), "{path}, {filler}");
            }
        }
        let body = format!("text=x&csrf_token={token}");
        for path in ["/either", "/admin/form", "/admin/guarded"] {
            let (status, text) = told!(app, post(path, body.clone()).insert_header(joe.clone()));
            assert_eq!(status, 200, "{path}");
            assert!(text.ends_with('x'), "{path}: {text}");
        }
    }
}

#[actix_web::test]
async fn an_extractor_that_fails_answers_as_without_the_attribute() {
    for sessions in services() {
        let app = app!(sessions);
        let mut answers = Vec::new();
        for path in ["/number", "/number-without"] {
            let response = call_service(&app, get(path).to_request()).await;
            let error = response.response().error().expect("it is in the response");
            assert!(error.as_error::<QueryPayloadError>().is_some(), "{path}");
            answers.push((response.status(), read_body(response).await));
        }
        assert_eq!(answers[0], answers[1]);
    }
}

#[actix_web::test]
async fn a_purge_whose_gate_has_passed_is_one_even_if_an_extractor_fails() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, _) = joe!(app);
        let (status, headers, _) = ask!(app, post("/renews", "").insert_header(joe.clone()));
        assert_eq!((status, headers.contains_key("set-cookie")), (400, false));
        assert_eq!(sessions.of_user("joe").await.expect("a list").len(), 1);
        let (status, headers, _) = ask!(app, post("/purges", "").insert_header(joe));
        assert_eq!((status, headers.contains_key("set-cookie")), (400, true));
        assert_eq!(sessions.of_user("joe").await.expect("a list"), []);
    }
}

#[actix_web::test]
async fn a_scope_is_guarded_with_all_that_is_below_it() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, token) = joe!(app);
        for path in [
            "/admin/who",
            "/admin/none",
            "/admin/inner/who",
            "/admin/7/bytes",
        ] {
            assert_eq!(told!(app, get(path)).0, 401, "{path}");
            let (status, headers, _) = ask!(app, get(path).insert_header(PAGE));
            let location = headers.get("location").and_then(|it| it.to_str().ok());
            let expected = format!("/admin/login?by=name&next={}", path.replace('/', "%2F"));
            assert_eq!((status, location), (303, Some(&*expected)));
            assert_eq!(
                headers.get("vary").map(|it| it.as_bytes()),
                Some(&b"Cookie"[..])
            );
        }
        assert_eq!(
            told!(app, get("/admin/who").insert_header(joe.clone())).1,
            "joe"
        );
        let nothing = told!(app, get("/admin/none").insert_header(joe.clone()));
        assert_eq!(nothing, (404, "nothing here".to_owned()));
        // The login page, exactly, and its form; never without the check of where it comes from.
        assert_eq!(told!(app, get("/admin/login")).1, "who are you?");
        assert_eq!(
            told!(app, post("/admin/login", "text=x").insert_header(OURS)).1,
            "x"
        );
        assert_eq!(told!(app, post("/admin/login", "text=x")).0, 403);
        assert_eq!(told!(app, get("/admin/login/")).0, 401);
        for path in ["/admin/form", "/admin/any"] {
            assert_eq!(
                told!(app, preflight(path)).0,
                401,
                "it may be forged: {path}"
            );
        }
        // An inner gate adds its own, and a user who lacks a right is not sent to log in.
        let inner = get("/admin/inner/who").insert_header(PAGE);
        assert_eq!(told!(app, inner.insert_header(joe.clone())).0, 403);
        // A token counts for a scope, too.
        let form = |token: &str| post("/admin/form", format!("text=x&csrf_token={token}"));
        assert_eq!(told!(app, form(&token).insert_header(joe.clone())).0, 200);
        assert_eq!(told!(app, form("1").insert_header(joe.clone())).0, 403);
        let (status, headers, _) = ask!(app, get("/admin/fails").insert_header(joe));
        assert_eq!(status, 409);
        assert!(headers.contains_key("vary"), "{headers:?}");
    }
}

#[actix_web::test]
async fn a_gate_is_checked_by_hand() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, token) = joe!(app);
        let form = format!("text=x&csrf_token={token}");
        assert_eq!(told!(app, post("/staff/form", form.clone())).0, 403);
        assert_eq!(
            told!(app, post("/staff/form", "text=x").insert_header(OURS)).0,
            401
        );
        let refused = told!(
            app,
            post("/staff/form", form.clone()).insert_header(joe.clone())
        );
        assert_eq!(refused.0, 403, "a user without the right");
        let cookie = sessions.cookie_for(|session| {
            session.login("ann");
            session["staff"] = true.into();
        });
        let ann = cookie.await.expect("a session");
        let staff = post("/staff/form", "text=x")
            .insert_header(OURS)
            .cookie(ann);
        assert_eq!(told!(app, staff), (200, "x".to_owned()));

        assert_eq!(
            told!(app, get("/member").insert_header(joe.clone())).1,
            "joe"
        );
        let (status, headers, _) = ask!(app, get("/member").insert_header(PAGE));
        let location = headers.get("location").and_then(|it| it.to_str().ok());
        assert_eq!((status, location), (303, Some("/login?next=%2Fmember")));
        assert_eq!(
            told!(app, post("/member", form).insert_header(joe)).1,
            "joe"
        );
        // An extractor has no login page below it: who gets through is logged in.
        assert_eq!(told!(app, preflight("/member")).0, 401);
        assert_eq!(told!(app, get("/login").insert_header(PAGE)).0, 401);
    }
}

/// Else a cache could give the answer to one visitor to all others.
#[actix_web::test]
async fn the_error_of_a_middleware_that_saw_the_session_varies_by_cookie() {
    for sessions in services() {
        let app = app!(sessions);
        let (joe, _) = joe!(app);
        let (status, headers, body) = ask!(app, get("/hooks/who").insert_header(joe));
        assert_eq!((status, &*body), (404, "not for everybody"));
        let vary = headers.get("vary").map(|it| it.as_bytes());
        assert_eq!(vary, Some(&b"Cookie"[..]));
    }
}

for_each_store! {
    fn a_visit_below_a_gate_is_a_visit(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.get("/log-in/joe");
        for _ in 0..3 {
            setup.clock.advance(std::time::Duration::from_secs(20 * 24 * 60 * 60));
            let reply = visitor.get("/admin/who");
            assert_eq!((reply.status, &*reply.body), (200, "joe"));
            assert_eq!(reply.header("vary"), ["Cookie"]);
            assert_eq!(reply.set_cookies().len(), 1, "its cookie is due");
        }
    }

    fn a_strangers_upload_is_refused_before_it_arrives(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for (path, header) in [
            ("/guarded", "Sec-Fetch-Site: same-origin"),
            ("/guarded", "X: no browser"),
            ("/admin/form", "Sec-Fetch-Site: cross-site"),
            ("/admin/form", "X: no browser"),
        ] {
            let reply = site.raw(
                format!(
                    "POST {path} HTTP/1.1\r\nHost: h\r\n{header}\r\nContent-Length: 1000000\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n"
                )
                .as_bytes(),
            );
            assert!([401, 403].contains(&reply.status), "{path}: {reply:?}");
        }
    }

    fn gates_attributes_and_hooks_may_stand_around_each_other(setup) {
        fn nested(config: &mut ServiceConfig) {
            let gate = || Gate::new().require().lock();
            config.service(
                web::scope("/nested").wrap(gate()).wrap(Hooks).service(
                    web::scope("").wrap(Hooks).wrap(gate()).route("/who", web::get().to(counted)),
                ),
            );
        }
        #[session(require, lock)]
        async fn counted() -> bsession::Result<impl Responder> {
            let count = session.update("n", |n: u32| n + 1)?;
            session.login("joe");
            Ok(count.to_string())
        }
        let site = Site::open_with(setup.sessions(), |config| {
            routes(config);
            nested(config);
        });
        let visitor = site.visitor();
        assert_eq!(visitor.get("/nested/who").status, 401);
        visitor.get("/log-in/joe");
        for count in 1..=3 {
            let reply = visitor.get("/nested/who");
            assert_eq!((reply.status, reply.body.clone()), (200, count.to_string()));
            assert_eq!(reply.set_cookies().len(), 1, "{reply:?}");
        }
    }
}
