//! Two services in one application: an administrator's cookie beside the visitors'.

use actix_web::cookie::{Cookie, CookieJar};
use actix_web::dev::ServiceResponse;
use actix_web::rt::System;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Data};
use actix_web::{App, Responder, get, post};
use bsession::{Connection, Sessions, session};
use serde_json::{Value, json};

use crate::support::sentences::{LOG_IN, UNAVAILABLE};
use crate::support::{Faults, Setup, for_each_store};

struct Services {
    admin: Sessions,
}

#[post("/admin/login")]
#[session(sessions = services.admin)]
async fn login(services: Data<Services>) -> impl Responder {
    session.login("root");
    "in"
}

#[get("/admin")]
#[session(require, sessions = services.admin)]
async fn show(services: Data<Services>, user: &str) -> bsession::Result<impl Responder> {
    Ok(format!(
        "{user} {}",
        session.update("visits", |n: u64| n + 1)?
    ))
}

#[post("/admin/logout")]
#[session(sessions = services.admin, purge)]
async fn logout(services: Data<Services>) -> impl Responder {
    "out"
}

/// Reads the administrator's session beside the visitor's.
#[get("/both")]
#[session(sessions = services.admin, readonly)]
async fn both(services: Data<Services>, mut visitor: Connection) -> impl Responder {
    web::Json(json!({ "admin": session.user(), "visitor": visitor.session().user() }))
}

/// A browser, and the application that it visits.
struct Browser<S> {
    app: S,
    jar: CookieJar,
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
        let cookies = self.jar.iter().cloned();
        let request = cookies.fold(request, TestRequest::cookie);
        let response = call_service(&self.app, request.to_request()).await;
        let status = response.status().as_u16();
        for cookie in response.response().cookies().map(Cookie::into_owned) {
            if cookie.value().is_empty() {
                self.jar.force_remove(&cookie);
            } else {
                self.jar.add_original(cookie);
            }
        }
        let body = read_body(response).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&mut self, path: &str) -> String {
        self.send(TestRequest::get().uri(path)).await.1
    }

    async fn post(&mut self, path: &str) -> String {
        self.send(TestRequest::post().uri(path)).await.1
    }

    async fn users(&mut self) -> Value {
        serde_json::from_str(&self.get("/both").await).expect("JSON")
    }
}

macro_rules! browser {
    ($visitors:expr, $admin:expr) => {{
        let app = App::new()
            .app_data($visitors)
            .app_data(Data::new(Services { admin: $admin }))
            .service(login)
            .service(show)
            .service(logout)
            .service(both)
            .configure(crate::support::configure);
        Browser {
            app: init_service(app).await,
            jar: CookieJar::new(),
        }
    }};
}

for_each_store! {
    fn each_realm_has_its_own_session(setup) {
        System::new().block_on(async {
            let admin = setup.builder().cookie_name("admin").build().expect("a service");
            let mut browser = browser!(setup.sessions(), admin);
            assert_eq!(browser.send(TestRequest::get().uri("/admin")).await, (401, LOG_IN.to_owned()));
            browser.post("/admin/login").await;
            browser.post("/login/joe").await;
            assert_eq!(browser.get("/admin").await, "root 1");
            assert_eq!(browser.get("/admin").await, "root 2");
            assert_eq!(browser.users().await, json!({ "admin": "root", "visitor": "joe" }));
            browser.post("/admin/logout").await;
            assert_eq!(browser.users().await, json!({ "admin": null, "visitor": "joe" }));
            browser.post("/admin/login").await;
            browser.post("/logout").await;
            assert_eq!(browser.users().await, json!({ "admin": "root", "visitor": null }));
        });
    }

    fn a_cookie_of_one_realm_is_worth_nothing_in_the_other(setup) {
        System::new().block_on(async {
            let admin = setup.builder().cookie_name("admin").build().expect("a service");
            let mut browser = browser!(setup.sessions(), admin);
            browser.post("/login/joe").await;
            let token = browser.jar.get("bsession").expect("a cookie").value().to_owned();
            browser.jar.add_original(Cookie::new("admin", token));
            assert_eq!(browser.users().await, json!({ "admin": null, "visitor": "joe" }));
        });
    }
}

#[test]
fn a_scope_has_the_sessions_of_the_service_that_it_was_given() {
    let setup = Setup::new(crate::support::Kind::Memory);
    System::new().block_on(async {
        let builder = setup.builder().cookie_name("admin");
        let admin = builder.build().expect("a service");
        let scope = web::scope("/scope")
            .app_data(admin)
            .configure(crate::support::configure);
        let app = App::new()
            .app_data(setup.sessions())
            .configure(crate::support::configure)
            .service(scope);
        let mut browser = Browser {
            app: init_service(app).await,
            jar: CookieJar::new(),
        };
        browser.post("/scope/login/root").await;
        browser.post("/login/joe").await;
        let user = async |browser: &mut Browser<_>, path| {
            let all: Value = serde_json::from_str(&browser.get(path).await).expect("JSON");
            all["user"].clone()
        };
        assert_eq!(user(&mut browser, "/scope/all").await, json!("root"));
        assert_eq!(user(&mut browser, "/all").await, json!("joe"));
    });
}

#[test]
fn a_realm_whose_store_fails_is_unavailable() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let (mode, faults) = Faults::mode();
    System::new().block_on(async {
        let admin = setup
            .builder()
            .cookie_name("admin")
            .mode(mode)
            .build()
            .expect("a service");
        let mut browser = browser!(setup.sessions(), admin);
        browser.post("/admin/login").await;
        browser.post("/login/joe").await;
        faults.always(bsession::testing::Fault::Fails);
        let (status, body) = browser.send(TestRequest::get().uri("/admin")).await;
        assert_eq!((status, &*body), (503, UNAVAILABLE));
        assert_eq!(
            browser.get("/get/user").await,
            "null",
            "the other realm goes on"
        );
        faults.always(bsession::testing::Fault::None);
        assert_eq!(browser.get("/admin").await, "root 1");
    });
}
