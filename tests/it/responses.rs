//! What a session adds to a response: one cookie of its own beside those of the handler, and the word to all caches
//! that this response is for one visitor.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::middleware::{ErrorHandlerResponse, ErrorHandlers, Next, from_fn};
use actix_web::web::{self, Path, ServiceConfig};
use bsession::{Hooks, Level, connect, session};
use serde_json::json;

use crate::support::{Setup, Site, for_each_store};

/// What one cache or another reads before it reads `Cache-Control`, or instead of it.
const OUTRANKING: [&str; 5] = [
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Surrogate-Control",
    "Edge-Control",
    "X-Accel-Expires",
];

/// A file that everybody may have, for all that its handler knows.
fn public() -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.append_header(("cache-control", "public, max-age=86400"));
    for name in OUTRANKING {
        response.append_header((name, "max-age=86400"));
    }
    response.append_header(("x-cache-control-policy", "mine"));
    response.finish()
}

#[session]
async fn asset(what: Path<String>) -> HttpResponse {
    match &**what {
        "set" => session["seen"] = true.into(),
        "purge" => session.purge(),
        _ => {}
    }
    public()
}

fn own_cookies() -> HttpResponse {
    HttpResponse::Ok()
        .append_header(("set-cookie", "theme=; Max-Age=0"))
        .append_header(("set-cookie", "lang=en"))
        .append_header(("set-cookie", "bsessions=not ours"))
        .finish()
}

#[session(purge)]
async fn logout() -> HttpResponse {
    own_cookies()
}

/// Does all that brings a cookie, one after the other, and saves after each.
#[session]
async fn much() -> bsession::Result<HttpResponse> {
    session["cart"] = json!(["tea"]);
    session.save().await?;
    session.login("joe");
    session.save().await?;
    session.renew();
    session.save().await?;
    session.renew();
    session.set_days(90);
    session.save().await?;
    session.login("joe");
    session["last"] = "words".into();
    Ok(own_cookies())
}

/// A login page that forgets whoever was there, more than once.
#[session]
async fn forget_and_login() -> bsession::Result<HttpResponse> {
    session.purge();
    session.save().await?;
    session.purge();
    session.login("eve");
    session.purge();
    session.login("joe");
    Ok(own_cookies())
}

#[session]
async fn broken(status: Path<u16>) -> HttpResponse {
    session["broken"] = true.into();
    HttpResponse::new(StatusCode::from_u16(*status).expect("a status"))
}

/// An error page that uses the session after its handler did.
fn error_page<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
) -> actix_web::Result<ErrorHandlerResponse<B>> {
    Ok(ErrorHandlerResponse::Future(Box::pin(async move {
        let mut connection = connect(response.request()).await?;
        connection.session().flash(Level::Error, "It broke.");
        connection.session().update("errors", |n: u64| n + 1)?;
        let request = response.request().clone();
        let page = HttpResponse::build(response.status()).body("an error page");
        let page = connection.respond(&request, page).await.into_response();
        Ok(ServiceResponse::new(request, page).map_into_right_body())
    })))
}

/// The page of an error that a middleware makes for whatever failed within it.
async fn in_its_place(
    request: actix_web::dev::ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse> {
    let response = next.call(request).await?;
    let request = response.request().clone();
    Ok(ServiceResponse::new(request, HttpResponse::Ok().finish()))
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/asset/{what}", web::get().to(asset))
        .route("/leave", web::post().to(logout))
        .route("/much", web::post().to(much))
        .route("/forget-and-login", web::post().to(forget_and_login))
        .service(
            web::scope("/paged")
                .wrap(
                    ErrorHandlers::new()
                        .handler(StatusCode::NOT_FOUND, error_page)
                        .handler(StatusCode::INTERNAL_SERVER_ERROR, error_page),
                )
                .route("/{status}", web::post().to(broken)),
        )
        .service(
            web::scope("/hooked")
                .wrap(from_fn(in_its_place))
                .wrap(Hooks)
                .route("/{status}", web::post().to(broken)),
        );
}

fn site(setup: &Setup) -> Site {
    Site::open_with(setup.sessions(), routes)
}

for_each_store! {
    /// A cache that keeps the response with its cookie gives one visitor's session to all that come after.
    fn no_cache_keeps_a_response_that_sets_the_cookie(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        for path in ["/asset/set", "/asset/purge"] {
            let reply = visitor.get(path);
            assert_eq!(reply.set_cookies().len(), 1, "{path}");
            assert_eq!(reply.header("cache-control"), ["no-store"], "{path}");
            for name in OUTRANKING {
                assert_eq!(reply.header(&name.to_lowercase()), Vec::<&str>::new(), "{path}: {name}");
            }
            assert_eq!(reply.header("x-cache-control-policy"), ["mine"], "no cache reads it");
        }
        // Without a cookie it is as the handler has it.
        let reply = visitor.get("/asset/read");
        assert_eq!((reply.set_cookies().len(), reply.header("vary")), (0, vec!["Cookie"]));
        assert_eq!(reply.header("cache-control"), ["public, max-age=86400"]);
        for name in OUTRANKING {
            assert_eq!(reply.header(&name.to_lowercase()), ["max-age=86400"], "{name}");
        }
    }

    fn a_logout_keeps_the_handlers_own_cookies(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let reply = visitor.post("/leave");
        assert!(reply.removes_cookie());
        assert_eq!(reply.header("set-cookie")[..3], ["theme=; Max-Age=0", "lang=en", "bsessions=not ours"]);
        assert_eq!(reply.header("set-cookie").len(), 4);
    }

    fn however_often_a_request_saves_it_sets_one_cookie(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        for path in ["/much", "/much", "/forget-and-login"] {
            let shown = visitor.token().expect("a cookie");
            let reply = visitor.post(path);
            assert_eq!((reply.status, reply.header("set-cookie").len()), (200, 4), "{path}");
            let token = reply.token().expect("one cookie of ours").to_owned();
            assert_eq!(visitor.token().as_deref(), Some(&*token), "the browser keeps that one");
            assert_eq!(visitor.session()["user"], "joe", "{path}");
            assert_eq!(site.with_token("GET", "/all", &shown).json()["new"], true, "{path}: the one before is over");
            let listed = actix_web::rt::System::new().block_on(site.sessions.of_user("joe"));
            assert_eq!(listed.expect("the list").len(), 1, "{path}: no session is left on the way");
        }
        assert_eq!(visitor.session()["data"], json!({}), "of the last one");
        let eves = actix_web::rt::System::new().block_on(site.sessions.of_user("eve"));
        assert_eq!(eves.expect("the list").len(), 0, "nobody has the cookie of that login");
    }

    fn an_error_page_shares_the_session_of_what_it_stands_for(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        let reply = visitor.post("/paged/404");
        assert_eq!((reply.status, reply.set_cookies().len(), &*reply.body), (404, 1, "an error page"));
        let session = visitor.session();
        assert_eq!((&session["data"]["broken"], &session["data"]["errors"]), (&json!(true), &json!(1)));
        assert_eq!(visitor.post("/flashes/none").json(), json!(["It broke."]));
        let token = visitor.token();
        assert_eq!(visitor.post("/paged/500").status, 500);
        assert_eq!(visitor.token(), token);
        assert_eq!(visitor.session()["data"]["errors"], 1, "of a 5xx nothing is saved");
        assert_eq!(site.sessions.stats().creates, 1);
    }

    fn what_stands_in_the_place_of_an_error_has_its_cookie(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.post("/hooked/404").set_cookies().len(), 1);
        assert_eq!(visitor.session()["data"], json!({"broken": true}));
        assert_eq!(site.sessions.stats().creates, 1);
    }
}
