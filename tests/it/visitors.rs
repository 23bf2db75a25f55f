//! The user of a request, wherever an application asks: in handlers, extractors, middleware functions and route guards.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::Cookie;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, FromRequest as _, HttpMessage as _, HttpRequest, Responder, guard, rt};
use bsession::testing::Fault;
use bsession::{Clock, Gate, Hooks, LoggedIn, Secure, Sessions, Visitor, session, user_of};

use crate::support::{Faults, SECRET, Site, for_each_store};

async fn owned(user: LoggedIn) -> actix_web::Result<impl Responder> {
    // It may be moved into another thread.
    Ok(web::block(move || format!("{user}, of {} letters", user.len())).await?)
}

async fn open(visitor: Visitor) -> impl Responder {
    visitor.user().unwrap_or("a stranger").to_owned()
}

async fn outage_as_stranger(user: Option<LoggedIn>) -> impl Responder {
    user.map_or_else(|| "a stranger".to_owned(), String::from)
}

async fn by_hand(request: HttpRequest) -> actix_web::Result<impl Responder> {
    let visitor = Visitor::extract(&request).await?;
    let user = LoggedIn::extract(&request).await?;
    assert_eq!(visitor.user(), Some(&*user));
    Ok(user.into_string())
}

#[session]
async fn lent(user: Option<&str>) -> impl Responder {
    user.map_or_else(|| "a stranger".to_owned(), str::to_owned)
}

#[session(require)]
async fn with_attribute(owned: LoggedIn, visitor: Visitor, user: &str) -> impl Responder {
    assert_eq!((&*owned, visitor.user()), (user, Some(user)));
    owned.into_string()
}

#[session]
async fn logs_in(path: web::Path<String>, mut user: Option<&str>) -> impl Responder {
    let before = user.take().is_some();
    session.login(&**path);
    format!("{before}")
}

/// A middleware function may take extractors before the request.
async fn guards(
    user: LoggedIn,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    request.extensions_mut().insert(user);
    next.call(request).await
}

async fn passed_on(user: web::ReqData<LoggedIn>) -> impl Responder {
    user.to_string()
}

fn is_known(ctx: &guard::GuardContext<'_>) -> bool {
    user_of(&ctx.req_data()).is_some()
}

/// The user as a route guard sees it: `None` without a gate around the routes.
fn board() -> actix_web::Scope {
    web::scope("/board").service(
        web::resource("")
            .route(
                web::get()
                    .guard(guard::fn_guard(is_known))
                    .to(async || "members"),
            )
            .route(web::get().to(async || "public")),
    )
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/owned", web::get().to(owned))
        .route("/open", web::get().to(open))
        .route("/by-hand", web::get().to(by_hand))
        .route("/lent", web::get().to(lent))
        .route("/with-attribute", web::get().to(with_attribute))
        .route("/logs-in/{user}", web::post().to(logs_in))
        .route("/option", web::get().to(outage_as_stranger))
        .service(
            web::resource("/function")
                .wrap(from_fn(guards))
                .to(passed_on),
        )
        .service(web::scope("/gate").wrap(Gate::new()).service(board()))
        .service(web::scope("/bare").service(board()));
}

for_each_store! {
    fn every_way_to_ask_for_the_user_answers_the_same(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let asks = |strangers: bool| {
            for (path, user, stranger) in [
                ("/owned", "joe, of 3 letters", None),
                ("/open", "joe", Some("a stranger")),
                ("/by-hand", "joe", None),
                ("/lent", "joe", Some("a stranger")),
                ("/with-attribute", "joe", None),
                ("/option", "joe", Some("a stranger")),
                ("/function", "joe", None),
                ("/gate/board", "members", Some("public")),
                ("/bare/board", "public", Some("public")),
            ] {
                let reply = visitor.get(path);
                let expected = if strangers { stranger } else { Some(user) };
                let is = (reply.status == 200).then_some(&*reply.body);
                assert_eq!(is, expected, "{path}");
                assert!(expected.is_some() || reply.status == 401, "{path}: {}", reply.status);
            }
        };
        asks(true);
        assert_eq!(visitor.post("/logs-in/joe").body, "false");
        asks(false);
        assert_eq!(visitor.post("/logs-in/joe").body, "true");
        visitor.post("/logout");
        asks(true);
    }
}

const PATHS: [&str; 8] = [
    "/owned",
    "/open",
    "/by-hand",
    "/lent",
    "/with-attribute",
    "/function",
    "/gate/board",
    "/option",
];

/// The statuses of every way to ask for the user.
async fn statuses<S, B>(app: &S, cookie: &Cookie<'static>) -> Vec<(&'static str, u16)>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
{
    let mut statuses = Vec::new();
    for path in PATHS {
        let request = TestRequest::get().uri(path).cookie(cookie.clone());
        let status = match app.call(request.to_request()).await {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        statuses.push((path, status.as_u16()));
    }
    statuses
}

#[test]
fn an_outage_makes_no_stranger_of_a_user() {
    actix_web::rt::System::new().block_on(async {
        for fault in [Fault::Fails, Fault::Hangs] {
            let (mode, faults) = Faults::mode();
            let builder = Sessions::builder(SECRET).mode(mode);
            let builder = builder.store_timeout(Duration::from_millis(20));
            let sessions = builder.build().expect("a service");
            let cookie = sessions.cookie_for(|session| session.login("joe"));
            let cookie = cookie.await.expect("a session");
            let app = || App::new().app_data(sessions.clone()).configure(routes);
            let (bare, hooks) = (init_service(app()), init_service(app().wrap(Hooks)));
            let (bare, hooks) = (bare.await, hooks.await);
            faults.always(fault);
            for (path, status) in statuses(&hooks, &cookie).await {
                assert_eq!(status, 503, "{path} under hooks");
            }
            for (path, status) in statuses(&bare, &cookie).await {
                // The limit that the documentation names.
                let expected = if path == "/option" { 200 } else { 503 };
                assert_eq!(status, expected, "{path}");
            }
        }
    });
}

/// A second load, after the store is back, finds the session, and the response is no 503.
#[test]
fn a_load_that_succeeds_at_last_is_no_outage() {
    actix_web::rt::System::new().block_on(async {
        let (mode, faults) = Faults::mode();
        let sessions = Sessions::builder(SECRET).mode(mode);
        let sessions = sessions.build().expect("a service");
        let cookie = sessions.cookie_for(|session| session.login("joe"));
        let cookie = cookie.await.expect("a session");
        let back = web::Data::new(faults.clone());
        let asks_again = async |request: HttpRequest, back: web::Data<Faults>| {
            assert!(Visitor::extract(&request).await.is_err());
            back.always(Fault::None);
            let visitor = Visitor::extract(&request).await?;
            Ok::<_, bsession::Error>(visitor.user().unwrap_or_default().to_owned())
        };
        let app = App::new().app_data(sessions).app_data(back).wrap(Hooks);
        let app = init_service(app.route("/", web::get().to(asks_again))).await;
        faults.always(Fault::Fails);
        let response = call_service(&app, TestRequest::get().cookie(cookie).to_request()).await;
        assert_eq!(response.status(), 200);
        let body = actix_web::test::read_body(response).await;
        assert_eq!(body, "joe");
    });
}

/// A part of a request that runs for long looks again, and the store fails at that look alone.
#[test]
fn an_outage_in_a_long_request_makes_no_stranger() {
    rt::System::new().block_on(async {
        let (mode, faults) = Faults::mode();
        let clock = Clock::default();
        let builder = Sessions::builder(SECRET).mode(mode).clock(clock.clone());
        let sessions = builder.secure(Secure::Never).build().expect("a service");
        let cookie = sessions.cookie_for(|session| session.login("joe")).await;
        let slow = {
            let faults = faults.clone();
            move |request: ServiceRequest, next: Next<BoxBody>| {
                clock.advance(Duration::from_millis(1001));
                faults.always(Fault::Fails);
                async move { next.call(request).await }
            }
        };
        let app = App::new().app_data(sessions.clone()).service(
            web::scope("")
                .wrap(from_fn(slow))
                .wrap(Gate::new())
                .route("/option", web::get().to(outage_as_stranger)),
        );
        let app = init_service(app).await;
        let request = TestRequest::with_uri("/option").cookie(cookie.expect("a session"));
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 503);
    });
}
