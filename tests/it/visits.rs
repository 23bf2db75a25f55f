//! Visits: a request that loads a session counts as one, however it was connected.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpRequest};
use bsession::{Gate, Hooks, Sessions, Visitor, connect, session};

use crate::events::events_of;
use crate::support::{Kind, Setup, Site, eventually, for_each_store};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The commonest extractor of an application.
struct CurrentUser(Option<String>);

impl FromRequest for CurrentUser {
    type Error = bsession::Error;
    type Future = Pin<Box<dyn Future<Output = bsession::Result<Self>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let mut connection = connect(&req).await?;
            Ok(Self(connection.session().user().map(str::to_owned)))
        })
    }
}

async fn who(CurrentUser(user): CurrentUser) -> String {
    user.unwrap_or_else(|| "nobody".to_owned())
}

async fn looks(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let user = connect(request.request())
        .await?
        .session()
        .user()
        .map(str::to_owned);
    let mut response = next.call(request).await?;
    let user = user.unwrap_or_else(|| "nobody".to_owned());
    let name = actix_web::http::header::HeaderName::from_static("x-user");
    let value = user.parse().expect("a header");
    response.headers_mut().insert(name, value);
    Ok(response)
}

#[session(csrf)]
async fn guarded() -> &'static str {
    "in"
}

struct Admin(Sessions);

#[session(csrf, sessions = admin.0)]
async fn guarded_by_another(admin: web::Data<Admin>, _visitor: Visitor) -> &'static str {
    "in"
}

#[session]
async fn endless() -> &'static str {
    std::future::pending().await
}

fn routes(config: &mut ServiceConfig) {
    let scope = || web::scope("/hooks").wrap(Hooks);
    let gate = || Gate::new().csrf();
    config
        .route("/extractor", web::get().to(who))
        .route("/guarded", web::post().to(guarded))
        .route("/endless", web::get().to(endless))
        .service(
            web::resource("/function")
                .wrap(from_fn(looks))
                .to(async || "in"),
        )
        .service(
            scope()
                .route("/extractor", web::get().to(who))
                .route("/guarded", web::post().to(guarded))
                .service(web::resource("/gate").wrap(gate()).to(async || "in")),
        )
        .service(
            web::scope("/below")
                .wrap(Gate::new().require())
                .service(web::resource("/gate").wrap(gate()).to(async || "in")),
        )
        .service(web::resource("/gate").wrap(gate()).to(async || "in"));
}

for_each_store! {
    fn a_user_who_is_seen_by_an_extractor_alone_stays_in_the_store(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let token = visitor.token().expect("a cookie");
        let touches = || site.sessions.stats().touches;
        for path in ["/extractor", "/function"].repeat(4) {
            setup.clock.advance(20 * DAY);
            let before = touches();
            let reply = site.with_token("GET", path, &token);
            assert!(reply.body == "joe" || reply.header("x-user") == ["joe"], "{path}");
            // The response does not wait for it.
            eventually("the visit is written", || touches() > before);
        }
        setup.clock.advance(31 * DAY);
        assert_eq!(site.with_token("GET", "/extractor", &token).body, "nobody");
    }

    fn a_visit_under_hooks_sends_its_cookie(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        for _ in 0..4 {
            setup.clock.advance(20 * DAY);
            let reply = visitor.get("/hooks/extractor");
            assert_eq!((&*reply.body, reply.set_cookies().len()), ("joe", 1));
            assert_eq!(reply.header("vary"), ["Cookie"]);
        }
    }

    fn a_request_that_csrf_refused_is_no_visit(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let touches = || site.sessions.stats().touches + site.sessions.stats().commits;
        for path in ["/guarded", "/gate", "/hooks/guarded", "/hooks/gate", "/below/gate"] {
            setup.clock.advance(5 * DAY);
            let before = touches();
            let refused = visitor.send(path, &[("sec-fetch-site", "cross-site")], &[]);
            assert_eq!((refused.status, touches() - before), (403, 0), "{path}");
        }
        assert_eq!(visitor.session()["user"], "joe");
    }
}

/// Here one service refuses, and an extractor or a gate has connected to the other one.
#[actix_web::test]
async fn a_request_that_csrf_refused_is_a_visit_of_no_service() {
    use actix_web::test::{TestRequest, call_service, init_service};

    let setup = Setup::new(Kind::Memory);
    let sessions = setup.sessions();
    let cookie = sessions.cookie_for(|session| session.login("joe"));
    let cookie = cookie.await.expect("a session");
    let admin = setup.builder().cookie_name("admin");
    let admin = admin.build().expect("a service");
    let gate = web::scope("/gate").wrap(Gate::new());
    let app = actix_web::App::new()
        .app_data(sessions.clone())
        .app_data(web::Data::new(Admin(admin)))
        .service(gate.route("", web::post().to(guarded_by_another)))
        .route("/extractor", web::post().to(guarded_by_another));
    let app = init_service(app).await;
    for path in ["/extractor", "/gate"] {
        setup.clock.advance(DAY);
        for (site, status, touches) in [("same-site", 403, 0), ("same-origin", 200, 1)] {
            let before = sessions.stats().touches;
            let request = TestRequest::post().uri(path).cookie(cookie.clone());
            let request = request.insert_header(("sec-fetch-site", site));
            let reply = call_service(&app, request.to_request()).await;
            assert_eq!(reply.status(), status, "{path} {site}");
            drop(reply);
            assert_eq!(sessions.stats().touches - before, touches, "{path} {site}");
        }
    }
}

#[test]
fn a_cookie_that_cannot_be_sent_is_told_once() {
    let setup = Setup::new(Kind::Memory);
    let told = |sessions: &bsession::Sessions, hooks: bool| {
        events_of(|| {
            actix_web::rt::System::new().block_on(async {
                use actix_web::test::{TestRequest, call_service, init_service};

                let app = actix_web::App::new()
                    .app_data(sessions.clone())
                    .configure(routes);
                let app = init_service(app).await;
                let cookie = sessions.cookie_for(|session| session.login("joe"));
                let cookie = cookie.await.expect("a session");
                let path = if hooks {
                    "/hooks/extractor"
                } else {
                    "/extractor"
                };
                for _ in 0..3 {
                    setup.clock.advance(DAY);
                    let request = TestRequest::get().uri(path).cookie(cookie.clone());
                    call_service(&app, request.to_request()).await;
                }
            });
        })
    };
    let is_told = |lines: &[String]| {
        lines
            .iter()
            .filter(|it| it.contains("cookie_not_renewed"))
            .count()
    };
    let sessions = setup.sessions();
    assert_eq!(is_told(&told(&sessions, true)), 0);
    let lines = told(&sessions, false);
    assert_eq!(is_told(&lines), 1, "{lines:#?}");
    let line = lines
        .iter()
        .find(|it| it.contains("cookie_not_renewed"))
        .expect("it is there");
    assert!(
        line.contains("days=33") && line.contains("bsession::Hooks"),
        "{line}"
    );
    assert_eq!(is_told(&told(&sessions, false)), 0, "once");
}

/// The library would have sent the cookie, so there is nothing to say.
#[test]
fn a_client_that_hangs_up_makes_a_visit_and_no_warning() {
    let setup = Setup::new(Kind::Memory);
    let sessions = setup.sessions();
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            use actix_web::dev::Service as _;
            use actix_web::test::{TestRequest, init_service};
            use futures_util::FutureExt as _;

            let app = actix_web::App::new()
                .app_data(sessions.clone())
                .configure(routes);
            let app = init_service(app).await;
            let cookie = sessions.cookie_for(|session| session.login("joe"));
            let cookie = cookie.await.expect("a session");
            setup.clock.advance(DAY);
            let request = TestRequest::get().uri("/endless").cookie(cookie);
            assert!(app.call(request.to_request()).now_or_never().is_none());
        });
    });
    assert_eq!(sessions.stats().touches, 1);
    assert!(
        !lines.iter().any(|line| line.contains("cookie_not_renewed")),
        "{lines:#?}"
    );
}
