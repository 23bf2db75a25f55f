//! Requests of other sites' pages, with which a browser does not send the cookie that it has. A new cookie would take
//! its place.

use actix_web::rt::System;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{self, Html, ServiceConfig};
use actix_web::{App, HttpResponse, Responder};
use bsession::{Builder, SameSite, session};
use serde_json::json;

use crate::events::events_of;
use crate::support::{Kind, Reply, Setup, Site, configure, for_each_store};

/// Where a payment provider sends the visitor's browser back to.
#[session]
async fn paid() -> impl Responder {
    session["paid"] = true.into();
    session.flash(bsession::Level::Success, "Paid.");
    web::Redirect::to("/orders").see_other()
}

/// The same, saved in the middle.
#[session]
async fn paid_at_once() -> bsession::Result<&'static str> {
    session["paid"] = true.into();
    session.save().await?;
    Ok("paid")
}

/// Where a site that logs users in for others posts its answer to.
#[session]
async fn signed_in() -> impl Responder {
    session["by"] = "the other site".into();
    session.login("joe");
    web::Redirect::to("/orders").see_other()
}

#[session]
async fn form() -> Html {
    Html::new(session.csrf_token())
}

#[session(purge)]
async fn leave() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/paid", web::route().to(paid))
        .route("/paid-at-once", web::route().to(paid_at_once))
        .route("/signed-in", web::route().to(signed_in))
        .route("/form", web::route().to(form))
        .route("/leave", web::route().to(leave));
}

fn site(setup: &Setup, settings: impl FnOnce(Builder) -> Builder) -> Site {
    let sessions = settings(setup.builder()).build().expect("a service");
    Site::open_with(sessions, routes)
}

/// What browsers say of the requests of pages: `Sec-Fetch-Site`, `-Mode` and `-Dest`.
type Says = (&'static str, &'static str, &'static str);

const A_FORM_OR_LINK_ELSEWHERE: Says = ("cross-site", "navigate", "document");
const A_FRAME_ELSEWHERE: Says = ("cross-site", "navigate", "iframe");
const A_SCRIPT_ELSEWHERE: Says = ("cross-site", "cors", "empty");
const AN_IMAGE_ELSEWHERE: Says = ("cross-site", "no-cors", "image");
const A_SIBLING: Says = ("same-site", "navigate", "document");
const OUR_OWN: Says = ("same-origin", "navigate", "document");
const THE_ADDRESS_BAR: Says = ("none", "navigate", "document");

/// A request with this `Cookie` header, if any.
fn ask(site: &Site, method: &str, path: &str, says: Says, cookie: &str) -> Reply {
    let (of, mode, dest) = says;
    site.raw(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n{cookie}\
             Sec-Fetch-Site: {of}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n\r\n"
        )
        .as_bytes(),
    )
}

/// True if a visitor without a cookie gets one, and a record with it.
fn begins(site: &Site, method: &str, path: &str, says: Says) -> bool {
    let before = site.sessions.stats().creates;
    let reply = ask(site, method, path, says, "");
    assert!(reply.status < 400, "{method} {path} {says:?}");
    let begun = site.sessions.stats().creates > before;
    assert_eq!(
        !reply.set_cookies().is_empty(),
        begun,
        "{method} {path} {says:?}"
    );
    begun
}

for_each_store! {
    /// The browser sends no `Lax` cookie with another site's form, and would keep the cookie of a new session.
    fn a_form_of_another_site_logs_nobody_out(setup) {
        let site = site(setup, |it| it);
        for path in ["/paid", "/paid-at-once"] {
            for says in [A_FORM_OR_LINK_ELSEWHERE, A_FRAME_ELSEWHERE, A_SCRIPT_ELSEWHERE] {
                assert!(!begins(&site, "POST", path, says), "{path}: {says:?}");
            }
            for says in [A_SIBLING, OUR_OWN, THE_ADDRESS_BAR] {
                assert!(begins(&site, "POST", path, says), "{path}: {says:?}");
            }
        }
        let reply = ask(&site, "POST", "/form", A_FORM_OR_LINK_ELSEWHERE, "");
        assert_eq!((reply.status, reply.set_cookies()), (200, vec![]), "nor does a token");
        let reply = ask(&site, "POST", "/leave", A_FORM_OR_LINK_ELSEWHERE, "");
        assert_eq!((reply.status, reply.set_cookies()), (200, vec![]));
    }

    fn a_link_on_another_site_begins_a_session(setup) {
        let site = site(setup, |it| it);
        assert!(begins(&site, "GET", "/paid", A_FORM_OR_LINK_ELSEWHERE));
        assert!(begins(&site, "HEAD", "/paid", A_FORM_OR_LINK_ELSEWHERE));
        for says in [A_FRAME_ELSEWHERE, A_SCRIPT_ELSEWHERE, AN_IMAGE_ELSEWHERE] {
            assert!(!begins(&site, "GET", "/paid", says), "no browser keeps its cookie: {says:?}");
        }
    }

    fn a_strict_cookie_is_not_replaced_by_following_a_link(setup) {
        let site = site(setup, |it| it.same_site(SameSite::Strict));
        for method in ["GET", "POST"] {
            assert!(!begins(&site, method, "/paid", A_FORM_OR_LINK_ELSEWHERE), "{method}");
            assert!(begins(&site, method, "/paid", THE_ADDRESS_BAR), "{method}");
        }
        let reply = ask(&site, "GET", "/form", A_FORM_OR_LINK_ELSEWHERE, "");
        assert_eq!(reply.set_cookies(), Vec::<&str>::new());
    }

    fn a_cookie_for_all_sites_is_never_withheld(setup) {
        let site = site(setup, |it| it.secure(bsession::Secure::Always).same_site(SameSite::None));
        for says in [A_FORM_OR_LINK_ELSEWHERE, A_FRAME_ELSEWHERE, A_SCRIPT_ELSEWHERE] {
            assert!(begins(&site, "POST", "/paid", says), "{says:?}");
        }
    }

    /// A login is meant to replace what there was.
    fn another_site_may_send_the_answer_to_a_login(setup) {
        let site = site(setup, |it| it);
        let reply = ask(&site, "POST", "/signed-in", A_FORM_OR_LINK_ELSEWHERE, "");
        let token = reply.token().expect("a session");
        let session = site.with_token("GET", "/all", token).json();
        assert_eq!((&session["user"], &session["data"]), (&json!("joe"), &json!({"by": "the other site"})));
    }

    /// A sibling domain can plant a cookie of our name with `SameSite=None`, garbage or a token of somebody's. It is sent with
    /// another site's form, and the visitor's own cookie is not. Neither is replaced nor removed.
    fn a_planted_cookie_does_not_make_another_sites_form_replace_ones_own(setup) {
        let site = site(setup, |it| it);
        let token = site.with_cookies("POST", "/set/a/b", &[]).token().expect("a session").to_owned();
        let planted = format!("Cookie: bsession={token}\r\n");
        let garbage = "Cookie: bsession=garbage\r\n";
        let before = site.sessions.stats().creates;
        for shown in [garbage, &*planted] {
            for path in ["/paid", "/form", "/renew", "/leave"] {
                let reply = ask(&site, "POST", path, A_FORM_OR_LINK_ELSEWHERE, shown);
                assert!(reply.status < 400, "{path}");
                assert_eq!(reply.set_cookies(), Vec::<&str>::new(), "{path}: {shown}");
            }
        }
        assert_eq!(site.sessions.stats().creates, before);
        let login = ask(&site, "POST", "/signed-in", A_FORM_OR_LINK_ELSEWHERE, garbage);
        assert!(login.token().is_some(), "a login is told");
    }

    fn a_cookie_that_is_due_is_not_sent_to_another_sites_form(setup) {
        let site = site(setup, |it| it);
        let token = site.with_cookies("POST", "/set/a/b", &[]).token().expect("a session").to_owned();
        setup.clock.advance(std::time::Duration::from_secs(10 * 86_400));
        let planted = format!("Cookie: bsession={token}\r\n");
        let reply = ask(&site, "POST", "/paid", A_FORM_OR_LINK_ELSEWHERE, &planted);
        assert_eq!((reply.status, reply.set_cookies()), (303, vec![]));
        setup.clock.advance(std::time::Duration::from_secs(10 * 86_400));
        assert_eq!(ask(&site, "POST", "/paid", OUR_OWN, &planted).set_cookies().len(), 1);
    }
}

#[test]
fn what_another_sites_form_changed_is_told_with_its_remedy() {
    let setup = Setup::new(Kind::Memory);
    let sessions = setup.sessions();
    let lines = events_of(|| {
        System::new().block_on(async {
            let app = App::new()
                .app_data(sessions.clone())
                .configure(configure)
                .configure(routes);
            let app = init_service(app).await;
            let post = |path: &str| {
                TestRequest::post()
                    .uri(path)
                    .insert_header(("sec-fetch-site", "cross-site"))
                    .to_request()
            };
            for path in [
                "/paid",
                "/paid",
                "/paid-at-once",
                "/signed-in",
                "/form",
                "/leave",
            ] {
                call_service(&app, post(path)).await;
            }
        });
    });
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("cookie_withheld"))
        .collect();
    assert!(
        matches!(told[..], [line] if line.contains("WARN") && line.contains("a page of your own")),
        "{lines:#?}"
    );
    let stats = sessions.stats();
    assert_eq!(
        (stats.withheld, stats.creates),
        (3, 1),
        "told once a minute"
    );
}
