//! Quiet requests, which are no visits: a page that polls keeps nobody logged in.

use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, Responder};
use bsession::{Connection, Gate, Hooks, Sessions, Visitor, session};

use crate::support::{Kind, SECRET, Setup, Site, for_each_store, secret};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[session(quiet)]
async fn polls(user: Option<&str>) -> impl Responder {
    user.unwrap_or("a stranger").to_owned()
}

#[session(quiet)]
async fn counts() -> bsession::Result<impl Responder> {
    Ok(session.update("polls", |n: u64| n + 1)?.to_string())
}

#[session(quiet)]
async fn takes() -> bsession::Result<impl Responder> {
    let taken: Option<String> = session.claim("gift").await?;
    Ok(taken.unwrap_or_default())
}

#[session(quiet)]
async fn logs_in() -> impl Responder {
    session.login("joe");
    "in"
}

#[session(quiet)]
async fn stays() -> impl Responder {
    session.set_days(60);
    "stays"
}

#[session(quiet)]
async fn renews() -> impl Responder {
    session.renew();
    "renewed"
}

/// It connects by hand, below a gate that is quiet.
async fn below(visitor: Visitor, request: HttpRequest, connection: Connection) -> impl Responder {
    let user = visitor.user().unwrap_or("a stranger").to_owned();
    connection.respond(&request, user).await
}

#[session]
async fn attribute_below(user: Option<&str>) -> impl Responder {
    user.unwrap_or("a stranger").to_owned()
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/polls", web::get().to(polls))
        .route("/counts", web::post().to(counts))
        .route("/takes", web::post().to(takes))
        .route("/logs-in", web::post().to(logs_in))
        .route("/stays", web::post().to(stays))
        .route("/renews", web::post().to(renews))
        .service(
            web::scope("/hooks")
                .wrap(Hooks)
                .route("/polls", web::get().to(polls)),
        )
        .service(
            web::scope("/quiet")
                .wrap(Gate::new().quiet())
                .route("/below", web::get().to(below))
                .route("/attribute", web::get().to(attribute_below)),
        );
}

for_each_store! {
    fn a_page_that_polls_keeps_nobody_logged_in(setup) {
        let builder = setup.builder().idle(30 * MINUTE);
        let site = Site::open_with(builder.build().expect("a service"), routes);
        for path in ["/polls", "/hooks/polls", "/quiet/below", "/quiet/attribute"] {
            let visitor = site.visitor();
            visitor.post("/login/joe");
            for minute in 0..29 {
                setup.clock.advance(MINUTE);
                let reply = visitor.get(path);
                assert_eq!((&*reply.body, reply.set_cookies().len()), ("joe", 0), "{path} in minute {minute}");
            }
            setup.clock.advance(2 * MINUTE);
            assert_eq!(visitor.get(path).body, "a stranger", "{path}");
        }
    }

    fn a_quiet_change_is_saved_with_the_expiry_that_stood(setup) {
        let builder = setup.builder().idle(30 * MINUTE);
        let site = Site::open_with(builder.build().expect("a service"), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        visitor.post("/set/gift/rose");
        for minute in 1..15 {
            setup.clock.advance(MINUTE);
            let reply = visitor.post("/counts");
            assert_eq!((&reply.body, reply.set_cookies().len()), (&minute.to_string(), 0));
        }
        assert_eq!(visitor.post("/takes").body, "rose");
        assert_eq!(visitor.get("/get/polls").body, "14");
        setup.clock.advance(29 * MINUTE);
        assert_eq!(visitor.get("/polls").body, "joe", "an ordinary visit still counts");
        setup.clock.advance(2 * MINUTE);
        assert_eq!(visitor.get("/polls").body, "a stranger");
        assert_eq!(visitor.post("/counts").body, "1", "and begins with a session of its full length");
        setup.clock.advance(29 * MINUTE);
        assert_eq!(visitor.post("/counts").body, "2");
    }

    fn a_login_a_renewal_and_a_new_idle_timeout_count_as_ever(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for (path, days, left) in [("/logs-in", 29, 29), ("/renews", 29, 29), ("/stays", 29, 59)] {
            let visitor = site.visitor();
            visitor.post("/login/ann");
            setup.clock.advance(days * DAY);
            let reply = visitor.post(path);
            assert_eq!((reply.status, reply.set_cookies().len()), (200, 1), "{path}");
            setup.clock.advance(left * DAY);
            assert_ne!(visitor.get("/polls").body, "a stranger", "{path}");
            setup.clock.advance(2 * DAY);
            assert_eq!(visitor.get("/polls").body, "a stranger", "{path}");
        }
    }

    fn a_quiet_request_leaves_a_session_under_its_secret(setup) {
        let site = Site::open_with(setup.builder_with(SECRET).build().expect("a service"), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        if setup.kind == Kind::Memory {
            return; // another service has another memory
        }
        let rotated = setup.builder_with(&secret(1)).previous_secret(SECRET);
        let rotated = Site::open_with(rotated.build().expect("a service"), routes);
        let visitor = visitor.at(rotated.address);
        assert_eq!(visitor.get("/polls").set_cookies().len(), 0);
        let reply = visitor.post("/counts");
        assert_eq!((&*reply.body, reply.set_cookies().len()), ("1", 0));
        assert_eq!(visitor.get("/all").set_cookies().len(), 1, "an ordinary visit moves it");
        assert_eq!(visitor.session()["data"]["polls"], 1);
    }
}

struct Admin(Sessions);

#[session(sessions = admin.0)]
async fn of_another_service(admin: web::Data<Admin>, user: Option<&str>) -> impl Responder {
    user.unwrap_or("a stranger").to_owned()
}

#[actix_web::test]
async fn a_quiet_request_is_a_visit_of_no_service() {
    use actix_web::test::{TestRequest, call_service, init_service};

    let setup = Setup::new(Kind::Memory);
    let admin = setup.builder().cookie_name("admin");
    let admin = admin.build().expect("a service");
    let cookie = admin.cookie_for(|session| session.login("joe"));
    let cookie = cookie.await.expect("a session");
    let scope = web::scope("").wrap(Gate::new().quiet());
    let app = actix_web::App::new()
        .app_data(setup.sessions())
        .app_data(web::Data::new(Admin(admin.clone())))
        .service(scope.route("/", web::get().to(of_another_service)));
    let app = init_service(app).await;
    setup.clock.advance(DAY);
    let request = TestRequest::get().cookie(cookie).to_request();
    let body = actix_web::test::read_body(call_service(&app, request).await).await;
    assert_eq!((&body[..], admin.stats().touches), (&b"joe"[..], 0));
}
