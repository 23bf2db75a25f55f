//! Cookies with a `path`, and requests outside it, with which a browser does not send the cookie.

use actix_web::http::Method;
use actix_web::http::header::SET_COOKIE;
use actix_web::rt::System;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse, Responder, get};
use bsession::{Builder, session};

use crate::events::events_of;
use crate::support::{Kind, Setup, configure};

#[get("/form")]
#[session]
async fn form() -> impl Responder {
    session.csrf_token()
}

#[get("/leave")]
#[session(purge)]
async fn leave() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn routes(config: &mut ServiceConfig) {
    config.service(form).service(leave).configure(configure);
}

/// The answer to one request.
struct Answer {
    sets_cookie: bool,
    /// The number of sessions that the request has created.
    creates: u64,
    events: Vec<String>,
}

impl Answer {
    fn has(&self, event: &str) -> bool {
        self.events.iter().any(|line| line.contains(event))
    }
}

/// Sends a request to a service with these settings.
fn ask(settings: impl FnOnce(Builder) -> Builder, request: &str, cookie: Option<&str>) -> Answer {
    let setup = Setup::new(Kind::Memory);
    let sessions = settings(setup.builder()).build().expect("a service");
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let mut sets_cookie = false;
    let events = events_of(|| {
        System::new().block_on(async {
            let app = App::new().app_data(sessions.clone());
            let app = app.service(web::scope("/shop").configure(routes));
            let app = init_service(app.configure(routes)).await;
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let mut asked = TestRequest::with_uri(path).method(method);
            if let Some(cookie) = cookie {
                asked = asked.insert_header(("cookie", cookie));
            }
            let response = call_service(&app, asked.to_request()).await;
            assert_eq!(response.status(), 200, "{request}");
            sets_cookie = response.headers().contains_key(SET_COOKIE);
        });
    });
    let creates = sessions.stats().creates;
    Answer {
        sets_cookie,
        creates,
        events,
    }
}

/// The proxy strips `/site`, and the cookie is for `/site/shop`.
fn behind_a_proxy(builder: Builder) -> Builder {
    builder.base_path("/site").path("/site/shop")
}

/// No proxy that anybody has named.
fn by_itself(builder: Builder) -> Builder {
    builder.path("/shop")
}

const CHANGES: [&str; 3] = ["GET /form", "POST /set/cart/empty", "POST /note/text"];

#[test]
fn outside_its_path_no_change_and_no_token_overwrites_a_cookie() {
    for request in CHANGES {
        let answer = ask(behind_a_proxy, request, None);
        assert!(!answer.sets_cookie, "{request}");
        assert_eq!(answer.creates, 0, "{request}");
    }
    let change = ask(behind_a_proxy, CHANGES[1], None);
    assert!(
        change.has("cookie_withheld") && change.has("outside `path`"),
        "{:?}",
        change.events
    );
    for below in ["GET /shop/form", "POST /shop/set/cart/full"] {
        let answer = ask(behind_a_proxy, below, None);
        assert!(answer.sets_cookie, "{below}");
        assert!(
            !answer.has("cookie_withheld"),
            "{below}: {:?}",
            answer.events
        );
    }
    let shown = ask(behind_a_proxy, "POST /set/cart/full", Some("bsession=x"));
    assert!(
        shown.sets_cookie,
        "a browser that sends the cookie does not withhold it"
    );
    let root = ask(
        |builder| builder.base_path("/site"),
        "POST /set/cart/full",
        None,
    );
    assert!(root.sets_cookie, "the path `/` has everything below it");
}

#[test]
fn outside_its_path_a_login_begins_a_session() {
    let answer = ask(behind_a_proxy, "POST /login/joe", None);
    assert!(answer.sets_cookie && answer.creates == 1);
    let logout = ask(behind_a_proxy, "GET /leave", None);
    assert!(!logout.sets_cookie, "there is nothing to remove");
}

#[test]
fn a_cookie_that_may_overwrite_one_of_another_path_is_told() {
    const EVENT: &str = "cookie_of_another_path";
    for outside in ["GET /form", "POST /set/cart/empty", "POST /login/joe"] {
        let answer = ask(by_itself, outside, None);
        assert!(
            answer.sets_cookie,
            "{outside}: a proxy may have stripped `/shop`"
        );
        assert!(answer.has(EVENT), "{outside}: {:?}", answer.events);
    }
    for (quiet, cookie) in [
        ("POST /shop/set/cart/full", None),
        ("POST /set/cart/full", Some("bsession=x")),
        ("GET /all", None),
    ] {
        let answer = ask(by_itself, quiet, cookie);
        assert!(!answer.has(EVENT), "{quiet}: {:?}", answer.events);
    }
}
