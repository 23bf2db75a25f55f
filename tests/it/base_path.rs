//! An application behind a proxy that strips a path: visitors are sent to paths as they see them.

use actix_web::http::header::HeaderValue;
use actix_web::web::{self, Form, Query, Redirect, ServiceConfig};
use actix_web::{Responder, get, post};
use bsession::{Builder, Gate, LocalPath, session};

use crate::support::{Kind, Reply, Setup, Site, Visitor};

const BASE: &str = "/shop/de";

#[get("/orders/{id}")]
#[session(require, redirect = "/login")]
async fn order(id: web::Path<u32>, user: &str) -> impl Responder {
    format!("order {id} of {user}")
}

#[post("/pay")]
#[session(fresh = "15m", redirect = "/login?by=name#form")]
async fn pay() -> impl Responder {
    "paid"
}

#[derive(serde::Deserialize)]
struct Next {
    #[serde(default)]
    next: LocalPath,
}

#[get("/login")]
#[session]
async fn login_page(query: Query<Next>) -> impl Responder {
    query.next.to_string()
}

#[post("/login")]
#[session]
async fn log_in(form: Form<Next>) -> impl Responder {
    session.login("joe");
    Redirect::to(form.into_inner().next).see_other()
}

/// A login page that stands behind its own gate.
#[get("/login")]
#[session]
async fn inner_login_page() -> impl Responder {
    "log in here"
}

#[get("/reports")]
#[session]
async fn reports() -> impl Responder {
    "reports"
}

/// A page that asks for the login that it is for.
#[get("/closed-login")]
#[session(require, redirect = "/closed-login")]
async fn closed_login() -> impl Responder {
    "never"
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(order)
        .service(pay)
        .service(login_page)
        .service(log_in)
        .service(closed_login)
        .service(
            web::scope("/admin")
                .wrap(Gate::new().require().redirect("/admin/login"))
                .service(inner_login_page)
                .service(reports),
        );
}

fn site(settings: impl FnOnce(Builder) -> Builder) -> Site {
    let builder = settings(Setup::new(Kind::Memory).builder());
    Site::open_with(builder.build().expect("a service"), routes)
}

/// A browser in front of a proxy that serves the application below [`BASE`], and strips that from the path.
struct Browser<'s> {
    visitor: Visitor,
    site: &'s Site,
}

impl Browser<'_> {
    /// The path as the application sees it.
    fn stripped<'p>(&self, path: &'p str) -> &'p str {
        let rest = path.strip_prefix(BASE);
        rest.unwrap_or_else(|| panic!("{path} leaves the application"))
    }

    fn get(&self, path: &str) -> Reply {
        let token = self.visitor.token().unwrap_or_default();
        let path = self.stripped(path);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept: text/html\r\nCookie: bsession={token}\r\n\r\n"
        );
        self.site.raw(request.as_bytes())
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        let headers = [("accept", "text/html")];
        self.visitor.send(self.stripped(path), &headers, form)
    }
}

fn browser(site: &Site) -> Browser<'_> {
    let visitor = site.visitor();
    Browser { visitor, site }
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{reply:?}");
    let [location] = reply.header("location")[..] else {
        panic!("one location: {reply:?}")
    };
    HeaderValue::from_str(location).expect("a header");
    location
}

#[test]
fn a_visitor_is_sent_to_the_login_and_back_as_the_proxy_has_the_paths() {
    let site = site(|builder| builder.base_path(BASE));
    let browser = browser(&site);
    let refused = browser.get("/shop/de/orders/7?page=2");
    let login = location(&refused);
    assert_eq!(
        login,
        "/shop/de/login?next=%2Fshop%2Fde%2Forders%2F7%3Fpage%3D2"
    );
    let page = browser.get(login);
    assert_eq!(
        (page.status, &*page.body),
        (200, "/shop/de/orders/7?page=2")
    );
    let logged_in = browser.post("/shop/de/login", &[("next", &page.body)]);
    let cookie = logged_in.set_cookies();
    assert!(cookie[0].contains("Path=/;"), "{cookie:?}");
    let back = browser.get(location(&logged_in));
    assert_eq!((back.status, &*back.body), (200, "order 7 of joe"));
}

#[test]
fn a_form_is_sent_to_the_login_without_its_page() {
    let site = site(|builder| builder.base_path(BASE));
    let refused = browser(&site).post("/shop/de/pay", &[]);
    assert_eq!(location(&refused), "/shop/de/login?by=name#form");
}

#[test]
fn a_login_page_is_known_by_the_path_that_the_application_sees() {
    let site = site(|builder| builder.base_path(BASE));
    let browser = browser(&site);
    let refused = browser.get("/shop/de/admin/reports");
    let login = location(&refused);
    assert_eq!(
        login,
        "/shop/de/admin/login?next=%2Fshop%2Fde%2Fadmin%2Freports"
    );
    assert_eq!(browser.get(login).body, "log in here");
    assert_eq!(browser.get("/shop/de/closed-login").status, 401, "no loop");
}

#[test]
fn without_a_base_path_paths_are_as_the_application_sees_them() {
    for site in [
        site(|builder| builder),
        site(|builder| builder.base_path("")),
    ] {
        let refused = browser(&site).get("/shop/de/orders/7");
        assert_eq!(location(&refused), "/login?next=%2Forders%2F7");
    }
}
