//! Requests that a browser sends before its visitor has asked: they log nobody out.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::Payload;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, HttpRequest, Responder, get};
use bsession::session;

use crate::support::{Kind, Reply, Setup, Site};

static CREATED: AtomicUsize = AtomicUsize::new(0);
static RUN: AtomicUsize = AtomicUsize::new(0);

/// An extractor that counts.
struct Costly;

impl FromRequest for Costly {
    type Error = bsession::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        CREATED.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Self))
    }
}

#[get("/leave")]
#[session(purge)]
async fn leave(_costly: Costly) -> impl Responder {
    RUN.fetch_add(1, Ordering::Relaxed);
    "left"
}

fn routes(config: &mut ServiceConfig) {
    config.service(leave);
}

fn ask(site: &Site, path: &str, token: &str, purpose: &str) -> Reply {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: bsession={token}\r\n{purpose}\r\n"
    );
    site.raw(request.as_bytes())
}

#[test]
fn a_logout_that_is_only_prefetched_waits_for_the_click() {
    let site = Site::open_with(Setup::new(Kind::Memory).sessions(), routes);
    let login = site.with_cookies("POST", "/login/joe", &[]);
    let token = login.token().expect("a session");
    for purpose in [
        "Sec-Purpose: prefetch\r\nPurpose: prefetch\r\n",
        "Sec-Purpose: prefetch;prerender\r\n",
        "Purpose: prefetch\r\n",
    ] {
        let reply = ask(&site, "/leave", token, purpose);
        assert_eq!(reply.status, 503, "{purpose}");
        assert_eq!(reply.header("cache-control"), ["no-store"]);
        assert_eq!(reply.header("vary"), ["Cookie"]);
        assert_eq!(reply.set_cookies(), Vec::<&str>::new());
        let page = ask(&site, "/all", token, purpose);
        assert_eq!(page.status, 200, "other pages may be fetched ahead");
        assert_eq!(page.json()["user"], "joe", "{purpose}");
    }
    let ran = || (CREATED.load(Ordering::Relaxed), RUN.load(Ordering::Relaxed));
    assert_eq!(ran(), (0, 0));
    let reply = ask(&site, "/leave", token, "Sec-Fetch-Mode: navigate\r\n");
    assert_eq!((reply.status, reply.removes_cookie()), (200, true));
    assert_eq!(ran(), (1, 1));
    let page = site.with_token("GET", "/all", token);
    assert_eq!(page.json()["user"], serde_json::Value::Null);
}

/// A prefetch is nobody's fault.
#[test]
fn it_is_no_error_in_the_log() {
    use actix_web::test::{TestRequest, call_service, init_service};

    let sessions = Setup::new(Kind::Memory).sessions();
    let lines = crate::events::events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let app = actix_web::App::new()
                .app_data(sessions)
                .configure(crate::support::configure);
            let request = TestRequest::post().uri("/logout");
            let request = request.insert_header(("sec-purpose", "prefetch"));
            let response = call_service(&init_service(app).await, request.to_request()).await;
            assert_eq!(response.status(), 503);
        });
    });
    let [line] = &lines[..] else {
        panic!("one event: {lines:#?}")
    };
    assert!(
        line.starts_with("DEBUG") && line.contains("request_refused"),
        "{line}"
    );
}
