//! Guards: who may not come in does not get to the body.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{Path, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, Responder, get, post};
use bsession::{connect, session};
use serde_json::json;

use crate::support::sentences::LOG_IN;
use crate::support::{Setup, Site, for_each_store};

#[get("/account")]
#[session(require)]
async fn account(user: &str) -> impl Responder {
    session["visited"] = true.into();
    format!("account of {user}")
}

#[get("/checkout")]
#[session(require = "cart")]
async fn checkout() -> impl Responder {
    session["cart"].to_string()
}

#[post("/password/{new}")]
#[session(fresh = "15m", renew)]
async fn password(new: Path<String>, user: &str) -> impl Responder {
    session["password"] = new.into_inner().into();
    format!("password of {user}")
}

#[post("/leave")]
#[session(require, purge)]
async fn leave() -> impl Responder {
    "gone"
}

#[get("/orders/{id}")]
#[session(require, redirect = "/login?by=name")]
async fn orders(user: &str, id: Path<u32>) -> impl Responder {
    format!("order {id} of {user}")
}

#[post("/orders/{id}")]
#[session(fresh = "15m", redirect = "/login")]
async fn order(id: Path<u32>) -> impl Responder {
    format!("ordered {id}")
}

/// An extractor that knows whom to turn out, and whom to let in.
struct Doorman;

impl FromRequest for Doorman {
    type Error = bsession::Error;
    type Future = Pin<Box<dyn Future<Output = bsession::Result<Self>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let mut connection = connect(&req).await?;
            match req.query_string() {
                "out" => connection.session().purge(),
                "ann" => connection.session().login("ann"),
                _ => {}
            }
            Ok(Self)
        })
    }
}

#[get("/lounge")]
#[session(require)]
async fn lounge(_doorman: Doorman, user: &str) -> impl Responder {
    format!("lounge of {user}")
}

#[get("/locked-lounge")]
#[session(require, lock)]
async fn locked_lounge(_doorman: Doorman, user: &str) -> impl Responder {
    session["seen"] = user.into();
    format!("lounge of {user}")
}

#[get("/hall")]
#[session]
async fn hall(_doorman: Doorman) -> impl Responder {
    format!("hall of {}", session.user().unwrap_or("nobody"))
}

#[get("/login-for-users")]
#[session(require, redirect = "/login-for-users?by=name")]
async fn login_for_users() -> impl Responder {
    "log in"
}

#[post("/login-for-users")]
#[session(require, redirect = "/login-for-users")]
async fn form_for_users() -> impl Responder {
    "sent"
}

#[get("/form-for-users")]
#[session(require, redirect = "/form-for-users#form")]
async fn part_for_users() -> impl Responder {
    "log in"
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(account)
        .service(checkout)
        .service(password)
        .service(leave)
        .service(login_for_users)
        .service(form_for_users)
        .service(part_for_users)
        .service(orders)
        .service(order)
        .service(lounge)
        .service(locked_lounge)
        .service(hall);
}

fn site(setup: &Setup) -> Site {
    Site::open_with(setup.sessions(), routes)
}

for_each_store! {
    fn a_handler_that_requires_a_login_is_for_users(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        let refused = visitor.get("/account");
        assert_eq!((refused.status, &*refused.body), (401, LOG_IN));
        assert_eq!(refused.header("vary"), ["Cookie"]);
        assert_eq!(refused.set_cookies().len(), 0);
        visitor.post("/set/name/joe");
        assert_eq!(visitor.get("/account").status, 401);
        assert_eq!(visitor.session()["data"], json!({ "name": "joe" }), "the body did not run");
        visitor.post("/login/joe");
        assert_eq!(visitor.get("/account").body, "account of joe");
        visitor.post("/logout");
        assert_eq!(visitor.get("/account").status, 401);
    }

    fn a_handler_that_requires_a_key_is_for_who_has_it(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.get("/checkout").status, 401);
        visitor.post("/login/joe");
        assert_eq!(visitor.get("/checkout").status, 403, "a login is not the key, and another one would not help");
        visitor.post("/set/cart/full");
        assert_eq!(visitor.get("/checkout").body, "\"full\"");
    }

    fn a_handler_that_wants_a_fresh_login_gets_one(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.post("/password/a").status, 401);
        visitor.post("/login/joe");
        setup.clock.advance(Duration::from_secs(14 * 60));
        let before = visitor.token();
        assert_eq!(visitor.post("/password/b").body, "password of joe");
        assert_ne!(visitor.token(), before, "renewed");
        setup.clock.advance(Duration::from_secs(60));
        let before = visitor.token();
        assert_eq!(visitor.post("/password/c").status, 401, "a renewal is no login");
        assert_eq!(visitor.session()["data"]["password"], json!("b"));
        assert_eq!(visitor.token(), before);
        visitor.post("/login/joe");
        assert_eq!(visitor.post("/password/d").status, 200);
    }

    fn who_is_refused_is_not_logged_out(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let refused = visitor.post("/leave");
        assert_eq!((refused.status, refused.set_cookies().len()), (401, 0));
        assert_eq!(visitor.session()["data"], json!({ "name": "joe" }));
        visitor.post("/login/joe");
        assert!(visitor.post("/leave").removes_cookie());
    }

    fn a_browser_that_is_refused_is_sent_to_log_in(setup) {
        let site = site(setup);
        let ask = |request: &str, header: &str| {
            let reply = site.raw(format!("{request} HTTP/1.1\r\nHost: h\r\n{header}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").as_bytes());
            (reply.status, reply.header("location").join(" "), reply.header("vary").join(" "))
        };
        let sent = |location: &str| (303, location.to_owned(), "Cookie".to_owned());
        // A script may go there by itself.
        let told = |location: &str| (401, location.to_owned(), "Cookie".to_owned());
        let refused = told("");
        let page = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
        assert_eq!(ask("GET /orders/7", page), sent("/login?by=name&next=%2Forders%2F7"));
        assert_eq!(ask("GET /orders/7?a=1&next=//evil.example", page), sent("/login?by=name&next=%2Forders%2F7%3Fa%3D1%26next%3D%2F%2Fevil.example"));
        assert_eq!(ask("GET /orders/7", "Sec-Fetch-Mode: navigate"), sent("/login?by=name&next=%2Forders%2F7"));
        assert_eq!(ask("POST /orders/7", page), sent("/login"), "what changes something is not done again");
        assert_eq!(ask("GET /orders/7", "Accept: */*"), told("/login?by=name&next=%2Forders%2F7"));
        assert_eq!(ask("GET /orders/7", "Accept: text/html\r\nSec-Fetch-Mode: cors"), told("/login?by=name&next=%2Forders%2F7"), "a script");
        assert_eq!(ask("POST /orders/7", "X: y"), told("/login"));
        assert_eq!(ask("GET /login-for-users?next=%2F", page), refused, "not to itself, for ever");
        assert_eq!(ask("GET /form-for-users", page), refused, "nor to a part of it");
        assert_eq!(ask("POST /login-for-users", page), sent("/login-for-users"), "to the page of the form");
        let visitor = site.visitor();
        visitor.post("/login/joe");
        assert_eq!(visitor.get("/orders/7").body, "order 7 of joe");
    }

    fn a_visit_that_is_refused_is_a_visit(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        for _ in 0..3 {
            setup.clock.advance(Duration::from_secs(20 * 24 * 60 * 60));
            assert_eq!(visitor.get("/account").status, 401);
        }
        assert_eq!(visitor.session()["data"], json!({ "name": "joe" }));
    }

    fn the_gate_comes_before_the_extractors_and_looks_again_after_them(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.get("/lounge?ann").status, 401, "no extractor logs in who is refused");
        visitor.post("/login/joe");
        assert_eq!(visitor.get("/lounge?ann").body, "lounge of ann");
        assert_eq!(visitor.get("/lounge").body, "lounge of ann");
        visitor.post("/login/joe");
        assert_eq!(visitor.get("/locked-lounge?ann").body, "lounge of ann", "with the lock, too");
        assert_eq!(visitor.session()["data"]["seen"], "ann");
        let refused = visitor.get("/lounge?out");
        assert_eq!((refused.status, refused.removes_cookie()), (401, true), "{refused:?}");
        assert_eq!(visitor.get("/hall?ann").body, "hall of ann");
        assert_eq!(visitor.get("/hall?out").body, "hall of nobody");
        assert_eq!(visitor.get("/hall").body, "hall of nobody");
    }

    fn a_login_of_a_clock_that_was_wrong_is_not_fresh_for_ever(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        setup.clock.rewind(Duration::from_secs(60));
        assert_eq!(visitor.post("/password/a").status, 200, "clocks differ a little");
        setup.clock.rewind(Duration::from_secs(20 * 60));
        assert_eq!(visitor.post("/password/b").status, 401);
        visitor.post("/login/joe");
        assert_eq!(visitor.post("/password/c").status, 200);
    }
}
