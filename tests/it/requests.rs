//! What a request does to its session: saved before the response leaves, or not at all.

use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, Responder, delete, post, web};
use bsession::session;
use serde_json::json;

use crate::support::sentences::FAULTY;
use crate::support::{Setup, Site, Visitor, for_each_store};

#[post("/early/{stop}")]
#[session]
async fn early(stop: web::Path<bool>) -> impl Responder {
    session["early"] = true.into();
    if *stop {
        return "early";
    }
    session["late"] = true.into();
    "late"
}

#[post("/about-nothing/{and:.*}")]
#[session]
async fn about_nothing(and: web::Path<String>) -> impl Responder {
    match &**and {
        "note" => session.set_note("a note"),
        "data" => session["data"] = true.into(),
        _ => {}
    }
    session.set_days(100);
    session.note().map_or("none", |_| "note")
}

#[post("/question/{text}")]
#[session]
async fn question(text: web::Path<String>) -> actix_web::Result<impl Responder> {
    session["asked"] = text.as_str().into();
    let number: i32 = text.parse().map_err(actix_web::error::ErrorBadRequest)?;
    Ok(number.to_string())
}

#[post("/broken")]
#[session]
async fn broken() -> actix_web::Result<HttpResponse> {
    session["broken"] = true.into();
    Err(actix_web::error::ErrorInternalServerError("no"))
}

#[post("/panic")]
#[session]
async fn panics() -> HttpResponse {
    session["panic"] = true.into();
    panic!("as the test asked for")
}

#[post("/panic-after-purge")]
#[session]
async fn panics_after_purge() -> HttpResponse {
    session.purge();
    session["panic"] = true.into();
    panic!("as the test asked for")
}

#[post("/logout-panics")]
#[session(purge)]
async fn logout_panics() -> HttpResponse {
    session["panic"] = true.into();
    panic!("as the test asked for")
}

#[post("/logout-fails")]
#[session(purge)]
async fn logout_fails() -> actix_web::Result<HttpResponse> {
    Err(actix_web::error::ErrorInternalServerError("no"))
}

#[post("/login-fails")]
#[session]
async fn login_fails() -> HttpResponse {
    session.login("mallory");
    session["stolen"] = true.into();
    HttpResponse::InternalServerError().finish()
}

#[post("/needs-number/{number}")]
#[session]
async fn needs_number(number: web::Path<u32>) -> impl Responder {
    session["number"] = (*number).into();
    "ok"
}

#[post("/then")]
#[session]
async fn then() -> bsession::Result<impl Responder> {
    session.update("step", |n: u64| n + 1)?;
    Ok(web::Redirect::to("/get/step").see_other())
}

struct Chunks(std::collections::VecDeque<Result<web::Bytes, actix_web::Error>>);

impl actix_web::body::MessageBody for Chunks {
    type Error = actix_web::Error;

    fn size(&self) -> actix_web::body::BodySize {
        actix_web::body::BodySize::Stream
    }

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<web::Bytes, Self::Error>>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[delete("/empty/{status}")]
#[session]
async fn empty(status: web::Path<u16>) -> impl Responder {
    session["status"] = (*status).into();
    HttpResponse::new(actix_web::http::StatusCode::from_u16(*status).expect("a status"))
}

#[post("/unserialisable")]
#[session]
async fn unserialisable() -> impl Responder {
    let map = std::collections::HashMap::from([((1, 2), "a tuple is no key in JSON")]);
    let error = session.insert("name", map).expect_err("it cannot be kept");
    error.to_string()
}

#[post("/large/{bytes}")]
#[session]
async fn large(bytes: web::Path<usize>) -> bsession::Result<impl Responder> {
    session.insert("large", "x".repeat(*bytes))?;
    Ok("kept")
}

#[post("/deep/{levels}")]
#[session]
async fn deep(levels: web::Path<usize>) -> impl Responder {
    session["deep"] = (0..*levels).fold(json!(0), |value, _| json!([value]));
    "kept"
}

#[post("/own-cookie")]
#[session]
async fn own_cookie() -> impl Responder {
    session["a"] = 1.into();
    HttpResponse::Ok()
        .append_header(("set-cookie", "theme=dark"))
        .append_header(("set-cookie", "bsession=mine"))
        .append_header(("vary", "Accept"))
        .append_header(("cache-control", "public"))
        .finish()
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(about_nothing)
        .service(early)
        .service(question)
        .service(broken)
        .service(panics)
        .service(panics_after_purge)
        .service(logout_panics)
        .service(logout_fails)
        .service(login_fails)
        .service(needs_number)
        .service(then)
        .service(empty)
        .service(unserialisable)
        .service(large)
        .service(deep)
        .service(own_cookie)
        .service(web::resource("/stream").route(web::route().to(stream_handler)));
}

/// `stream` for any method, so that HEAD meets it, too.
async fn stream_handler(request: actix_web::HttpRequest) -> impl Responder {
    let mut connection = bsession::connect(&request).await.expect("a session");
    connection.session()["streamed"] = true.into();
    let chunks = ["a", "b", "c"].map(|chunk| Ok(web::Bytes::from(chunk)));
    let body = HttpResponse::Ok().body(Chunks(chunks.into_iter().collect()));
    connection.respond(&request, body).await
}

fn site(setup: &Setup) -> (Site, Visitor) {
    let site = Site::open_with(setup.sessions(), routes);
    let visitor = site.visitor();
    (site, visitor)
}

for_each_store! {
    fn whoever_only_reads_gets_nothing(setup) {
        let (site, visitor) = site(setup);
        for path in ["/get/a", "/all", "/bare"] {
            let reply = visitor.get(path);
            assert_eq!((reply.status, reply.header("set-cookie")), (200, vec![]));
        }
        for path in ["/logout", "/purge/nothing", "/renew", "/remove/a"] {
            let reply = visitor.post(path);
            assert_eq!((reply.status, reply.header("set-cookie")), (200, vec![]), "{path}");
        }
        let stats = site.sessions.stats();
        assert_eq!((stats.loads, stats.creates, stats.commits, stats.removals), (0, 0, 0, 0));
    }

    fn the_first_change_begins_a_session(setup) {
        let (site, visitor) = site(setup);
        let reply = visitor.post("/set/name/joe");
        assert_eq!(reply.set_cookies().len(), 1);
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
        assert_eq!(visitor.session()["new"], json!(false));
        assert_eq!(site.sessions.stats().creates, 1);
    }

    fn an_equal_value_writes_nothing(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let before = site.sessions.stats();
        for path in ["/set/name/joe", "/remove/missing", "/early/true", "/early/true"] {
            assert_eq!(visitor.post(path).status, 200);
        }
        assert_eq!(site.sessions.stats().commits, before.commits + 1, "the first /early alone");
    }

    fn the_cookie_is_not_sent_again(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/add/n");
        for _ in 0..3 {
            let reply = visitor.post("/add/n");
            assert_eq!(reply.header("set-cookie"), Vec::<&str>::new());
            assert_eq!(reply.header("cache-control"), Vec::<&str>::new());
            assert_eq!(reply.header("vary"), ["Cookie"]);
        }
    }

    fn a_session_has_its_headers_beside_the_handlers_own(setup) {
        let (_site, visitor) = site(setup);
        let reply = visitor.post("/own-cookie");
        assert_eq!(reply.header("set-cookie").len(), 2);
        assert!(reply.header("set-cookie").contains(&"theme=dark"));
        assert_eq!(reply.set_cookies().len(), 1, "one of our name");
        assert_ne!(reply.token(), Some("mine"));
        assert_eq!(reply.header("vary"), ["Accept, Cookie"]);
        assert_eq!(reply.header("cache-control"), ["no-store"]);
    }

    fn early_returns_and_question_marks_save(setup) {
        let (_site, visitor) = site(setup);
        assert_eq!(visitor.post("/early/true").body, "early");
        assert_eq!(visitor.session()["data"], json!({"early": true}));
        assert_eq!(visitor.post("/early/false").body, "late");
        assert_eq!(visitor.post("/question/x").status, 400);
        assert_eq!(visitor.session()["data"]["asked"], json!("x"), "a 4xx saves");
    }

    fn below_500_is_saved_and_from_500_on_not(setup) {
        let (_site, visitor) = site(setup);
        for status in [200, 201, 302, 303, 400, 403, 404, 422, 499] {
            visitor.post(&format!("/status/{status}/status/{status}"));
            assert_eq!(visitor.session()["data"]["status"], json!(status.to_string()));
        }
        for status in [500, 501, 503, 599] {
            let reply = visitor.post(&format!("/status/{status}/status/{status}"));
            assert_eq!((reply.status, reply.set_cookies()), (status, vec![]));
            assert_eq!(visitor.session()["data"]["status"], json!("499"));
        }
        assert_eq!(visitor.post("/broken").status, 500);
        assert_eq!(visitor.session()["data"]["broken"], json!(null));
        let newcomer = _site.visitor();
        assert_eq!(newcomer.post("/broken").set_cookies(), Vec::<&str>::new());
    }

    fn a_panic_saves_nothing_and_harms_nothing(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let token = visitor.token().expect("a cookie");
        for path in ["/panic", "/panic"] {
            assert!(site.breaks_off("POST", path, &token));
        }
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
    }

    fn a_logout_whose_body_panics_is_a_logout(setup) {
        let (site, _) = site(setup);
        for path in ["/panic-after-purge", "/logout-panics"] {
            let visitor = site.visitor();
            visitor.post("/set/name/joe");
            let token = visitor.token().expect("a cookie");
            assert!(site.breaks_off("POST", path, &token));
            crate::support::eventually(path, || visitor.session()["data"] == json!({}));
        }
        assert_eq!(site.sessions.stats().removals, 2);
    }

    fn a_logout_that_fails_is_a_logout(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let reply = visitor.post("/logout-fails");
        assert_eq!(reply.status, 500);
        assert!(reply.removes_cookie());
        assert_eq!(visitor.token(), None);
    }

    fn a_login_that_fails_renews_and_logs_nobody_in(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let before = visitor.token().expect("a cookie");
        assert_eq!(visitor.post("/login-fails").status, 500);
        assert_ne!(visitor.token().expect("a cookie"), before);
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!(null), &json!({"name": "joe"})));
        assert_eq!(site.with_token("GET", "/get/name", &before).body, "null", "the old id is dead");
    }

    fn a_failing_extractor_leaves_the_session_alone(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let before = site.sessions.stats();
        let reply = visitor.post("/needs-number/x");
        assert_eq!((reply.status, reply.set_cookies()), (404, vec![]));
        assert_eq!(site.sessions.stats().commits, before.commits);
    }

    fn a_redirect_sees_what_was_saved_before_it(setup) {
        let (_site, visitor) = site(setup);
        for step in 1..=1000 {
            let reply = visitor.post("/then");
            assert_eq!(reply.status, 303);
            assert_eq!(visitor.get(reply.header("location")[0]).body, step.to_string());
        }
    }

    fn streams_and_empty_answers_save(setup) {
        let (site, visitor) = site(setup);
        assert_eq!(visitor.get("/stream").body, "abc");
        assert_eq!(visitor.session()["data"], json!({"streamed": true}));
        for status in [200, 204, 304] {
            let reply = site.with_token("DELETE", &format!("/empty/{status}"), &visitor.token().expect("a cookie"));
            assert_eq!(reply.status, status);
            assert_eq!(visitor.session()["data"]["status"], json!(status));
        }
        for method in ["HEAD", "OPTIONS"] {
            let reply = site.with_cookies(method, "/stream", &[]);
            assert_eq!((reply.status, reply.set_cookies().len()), (200, 1), "{method}");
        }
    }

    fn an_upgraded_connection_saves_before_it_switches(setup) {
        let sessions = setup.sessions();
        actix_web::rt::System::new().block_on(async move {
            use actix_web::test::{TestRequest, call_service, init_service};
            let app = init_service(actix_web::App::new().app_data(sessions.clone()).configure(routes)).await;
            let reply = call_service(&app, TestRequest::delete().uri("/empty/101").to_request()).await;
            assert_eq!(reply.status(), 101);
            assert!(reply.headers().contains_key("set-cookie"));
            assert_eq!(sessions.stats().creates, 1);
        });
    }

    fn a_note_or_an_idle_timeout_alone_begins_no_session(setup) {
        let (site, visitor) = site(setup);
        for path in ["/about-nothing/", "/about-nothing/note"] {
            assert_eq!(visitor.post(path).set_cookies(), Vec::<String>::new(), "{path}");
        }
        assert_eq!(site.sessions.stats().creates, 0);
        assert_eq!(visitor.post("/about-nothing/data").set_cookies().len(), 1);
        let reply = visitor.post("/about-nothing/note");
        assert_eq!((&*reply.body, site.sessions.stats().commits), ("note", 1), "it is about a session now");
    }

    fn what_cannot_be_kept_changes_nothing(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        assert!(visitor.post("/unserialisable").body.contains("`name`"));
        for path in ["/large/70000", "/deep/200"] {
            let reply = visitor.post(path);
            assert_eq!((reply.status, reply.set_cookies(), &*reply.body), (500, vec![], FAULTY), "{path}");
        }
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
        assert_eq!(visitor.post("/large/60000").status, 200);
        assert_eq!(visitor.post("/deep/120").status, 200);
        assert_eq!(visitor.get("/all").status, 200, "and it can be read again");
    }

    fn purge_then_insert_is_a_new_session(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        visitor.post("/login/joe");
        let before = visitor.token().expect("a cookie");
        let reply = visitor.post("/purge/begun");
        assert_eq!(reply.set_cookies().len(), 1);
        assert_ne!(visitor.token().expect("a cookie"), before);
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!(null), &json!({"after": "begun"})));
        assert_eq!(site.with_token("GET", "/get/name", &before).body, "null");
    }

    fn a_logout_takes_what_its_body_wrote(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let reply = visitor.post("/logout");
        assert!(reply.removes_cookie());
        assert_eq!(reply.header("cache-control"), ["no-store"]);
        assert_eq!(visitor.token(), None);
    }

    fn login_keeps_the_cart_and_kills_the_planted_cookie(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/cart/book");
        let planted = visitor.token().expect("a cookie");
        visitor.post("/login/joe");
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("joe"), &json!({"cart": "book"})));
        let thief = site.with_token("GET", "/all", &planted).json();
        assert_eq!((&thief["user"], &thief["data"]), (&json!(null), &json!({})));
    }

    fn nothing_of_one_user_reaches_another(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/login/joe");
        visitor.post("/set/letter/private");
        visitor.post("/login/joe");
        assert_eq!(visitor.session()["data"], json!({"letter": "private"}), "the same user keeps it");
        visitor.post("/login/eve");
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("eve"), &json!({})));
    }

    fn renewal_keeps_the_session_and_its_handle(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        let (before, old) = (visitor.session(), visitor.token().expect("a cookie"));
        visitor.post("/renew");
        assert_ne!(visitor.token().expect("a cookie"), old);
        assert_eq!(visitor.session(), before);
        assert_eq!(site.with_token("GET", "/all", &old).json()["data"], json!({}));
    }

    fn two_services_live_side_by_side_in_one_application(setup) {
        let (one, other) = (setup.sessions(), setup.builder().cookie_name("admin").build().expect("a second service"));
        actix_web::rt::System::new().block_on(async move {
            use actix_web::test::{TestRequest, call_service, init_service, read_body};
            let admin = web::scope("/admin").app_data(other.clone()).configure(crate::support::configure);
            let app = init_service(
                actix_web::App::new().app_data(one.clone()).service(admin).configure(crate::support::configure),
            ).await;
            let visitors = call_service(&app, TestRequest::post().uri("/set/who/visitor").to_request()).await;
            let admins = call_service(&app, TestRequest::post().uri("/admin/set/who/admin").to_request()).await;
            let cookie = |response: &actix_web::dev::ServiceResponse<_>| {
                response.response().cookies().next().expect("a cookie").into_owned()
            };
            let (visitor, admin) = (cookie(&visitors), cookie(&admins));
            assert_eq!((visitor.name(), admin.name()), ("bsession", "admin"));
            let both = |uri: &str| TestRequest::get().uri(uri).cookie(visitor.clone()).cookie(admin.clone()).to_request();
            let at = |response| async { read_body(response).await };
            assert_eq!(at(call_service(&app, both("/get/who")).await).await, "\"visitor\"");
            assert_eq!(at(call_service(&app, both("/admin/get/who")).await).await, "\"admin\"");
            let swapped = actix_web::cookie::Cookie::new("bsession", admin.value().to_owned());
            let reply = call_service(&app, TestRequest::get().uri("/get/who").cookie(swapped).to_request()).await;
            assert_eq!(at(reply).await, "null", "a token is worth nothing under another name");
        });
    }
}
