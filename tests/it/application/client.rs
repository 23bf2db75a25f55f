//! The client itself: what it sends, what it keeps, and where it follows.

use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, Bytes, Json, Path, Redirect, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, Responder, get, post, route};
use bsession::testing::{self, Client, days};
use serde_json::{Value, json};

/// What came: the method, the path, the body, and every header.
#[route(
    "/echo/{tail:.*}",
    method = "GET",
    method = "POST",
    method = "PUT",
    method = "HEAD"
)]
async fn tell(request: HttpRequest, body: Bytes) -> impl Responder {
    let text =
        |value: &actix_web::http::header::HeaderValue| value.to_str().expect("text").to_owned();
    let headers = request.headers().iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    Json(json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "body": String::from_utf8_lossy(&body),
        "peer": request.peer_addr().map(|peer| peer.to_string()),
        "headers": headers,
    }))
}

/// Redirects, with a status, to wherever the query says.
#[route(
    "/to/{status}",
    method = "GET",
    method = "POST",
    method = "PUT",
    method = "HEAD"
)]
async fn redirect(status: Path<u16>, request: HttpRequest) -> impl Responder {
    HttpResponse::build((*status).try_into().expect("a status"))
        .insert_header(("location", request.query_string()))
        .finish()
}

#[get("/loop")]
async fn endless() -> impl Responder {
    Redirect::to("/loop")
}

/// Sets a cookie as the body says.
#[post("/set/{tail:.*}")]
async fn set_cookie(cookie: String) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("set-cookie", cookie))
        .finish()
}

async fn refuses(
    _: actix_web::dev::ServiceRequest,
    _: Next<actix_web::body::BoxBody>,
) -> actix_web::Result<actix_web::dev::ServiceResponse> {
    Err(actix_web::error::ErrorImATeapot("tea"))
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(tell)
        .service(redirect)
        .service(endless)
        .service(set_cookie)
        .service(
            web::scope("/refused")
                .wrap(from_fn(refuses))
                .route("", web::get().to(|| async { "never" })),
        );
}

/// A client of those routes, and its clock.
macro_rules! client {
    () => {{
        let (sessions, clock) = testing::sessions();
        let app = init_service(App::new().configure(routes)).await;
        (Client::new(app, &sessions), clock)
    }};
}

fn header<'e>(echo: &'e Value, name: &str) -> Option<&'e str> {
    let mut headers = echo["headers"].as_array().expect("a list").iter();
    headers.find(|pair| pair[0] == name)?[1].as_str()
}

fn put_cookie(path: &str, cookie: &str) -> TestRequest {
    TestRequest::post().uri(path).set_payload(cookie.to_owned())
}

#[actix_web::test]
async fn it_says_what_a_browser_says() {
    let (client, _) = client!();
    let echo: Value = client.get("/echo/a?b=c").await.json();
    assert_eq!(
        (&echo["method"], &echo["uri"]),
        (&json!("GET"), &json!("/echo/a?b=c"))
    );
    assert_eq!(header(&echo, "sec-fetch-site"), Some("same-origin"));
    assert_eq!(header(&echo, "host"), Some("localhost"));
    assert!(header(&echo, "accept").is_some_and(|accept| accept.starts_with("text/html")));
    assert_eq!(
        (header(&echo, "origin"), header(&echo, "cookie")),
        (None, None)
    );
    let echo: Value = client
        .post("/echo/", [("a", "b c"), ("d", "é")])
        .await
        .json();
    assert_eq!(
        (&echo["method"], &echo["body"]),
        (&json!("POST"), &json!("a=b+c&d=%C3%A9"))
    );
    assert_eq!(
        header(&echo, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header(&echo, "origin"), Some("http://localhost"));
    let echo: Value = client.cross_site().post("/echo/", ()).await.json();
    assert_eq!(
        (header(&echo, "sec-fetch-site"), &echo["body"]),
        (Some("cross-site"), &json!(""))
    );
    assert_eq!(header(&echo, "origin"), Some("https://elsewhere.example"));
}

#[actix_web::test]
async fn it_says_nothing_over_what_the_test_says() {
    let (client, _) = client!();
    client.send(put_cookie("/set/", "mine=1; Path=/")).await;
    let large = "x".repeat(300_000);
    let request = TestRequest::put()
        .uri("/echo/")
        .insert_header(("accept", "application/json"))
        .insert_header(("sec-fetch-site", "none"))
        .insert_header(("host", "shop.example"))
        .cookie(actix_web::cookie::Cookie::new("yours", "2"))
        .peer_addr("192.0.2.1:80".parse().expect("an address"))
        .set_payload("x".repeat(200_000));
    let echo: Value = client.send(request).await.json();
    for (name, value) in [
        ("accept", "application/json"),
        ("sec-fetch-site", "none"),
        ("host", "shop.example"),
        ("cookie", "yours=2; mine=1"),
    ] {
        assert_eq!(header(&echo, name), Some(value));
    }
    assert_eq!(echo["peer"], "192.0.2.1:80");
    assert_eq!(echo["body"].as_str().map(str::len), Some(200_000));
    let refused = client
        .send(TestRequest::put().uri("/echo/").set_payload(large))
        .await;
    assert_eq!(
        refused.status(),
        413,
        "by the application, and not by the client"
    );
}

#[actix_web::test]
async fn it_keeps_the_cookies_of_the_application_too() {
    let (client, clock) = client!();
    let tab = client.clone();
    client
        .send(put_cookie(
            "/set/deep/page",
            "theme=dark; Path=/; Max-Age=172800",
        ))
        .await;
    client.send(put_cookie("/set/deep/page", "deep=1")).await;
    client
        .send(put_cookie("/set/", "echoed=1; Path=/echo"))
        .await;
    let sent = async || header(&tab.get("/echo/").await.json(), "cookie").map(str::to_owned);
    assert_eq!(sent().await.as_deref(), Some("echoed=1; theme=dark"));
    assert_eq!(
        client.cookie("deep").as_deref(),
        Some("1"),
        "kept, and not sent there"
    );
    clock.advance(days(1));
    client
        .send(put_cookie("/set/", "echoed=; Path=/echo; Max-Age=0"))
        .await;
    assert_eq!(sent().await.as_deref(), Some("theme=dark"));
    clock.advance(days(1));
    assert_eq!(sent().await, None);
}

#[actix_web::test]
async fn it_follows_as_a_browser_does_and_only_if_asked() {
    let (client, _) = client!();
    let reply = client.get("/to/303?/echo/").await;
    assert_eq!(
        (reply.status().as_u16(), reply.location()),
        (303, Some("/echo/"))
    );
    let follow = client.follow();
    for (method, status, then) in [
        ("POST", 303, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
    ] {
        let request = TestRequest::default().method(method.parse().expect("a method"));
        let request = request.uri(&format!("/to/{status}?/echo/")).set_json(7);
        let echo: Value = follow.send(request).await.json();
        assert_eq!(echo["method"], then, "{method} {status}");
        let body = if then == "GET" { "" } else { "7" };
        assert_eq!(echo["body"], body, "{method} {status}");
        assert_eq!(header(&echo, "content-type").is_some(), then != "GET");
    }
    for (location, uri) in [
        ("/to/302?/to/302?/echo/a", "/echo/a"),
        ("../echo/./a?b#c", "/echo/a?b"),
        ("http://localhost/echo/", "/echo/"),
        ("//localhost/echo/", "/echo/"),
    ] {
        let echo: Value = follow.get(&format!("/to/302?{location}")).await.json();
        assert_eq!(echo["uri"], uri, "{location}");
    }
    for elsewhere in [
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "https://localhost/",
        "mailto:joe",
    ] {
        let reply = follow.get(&format!("/to/302?{elsewhere}")).await;
        assert_eq!(
            (reply.status().as_u16(), reply.location()),
            (302, Some(elsewhere))
        );
    }
    assert_eq!(follow.get("/to/304?/echo/").await.status(), 304);
}

#[actix_web::test]
#[should_panic(expected = "more than 20 redirects, the last one to /loop")]
async fn it_does_not_follow_for_ever() {
    client!().0.follow().get("/loop").await;
}

#[actix_web::test]
async fn an_error_out_of_a_middleware_is_an_answer() {
    let reply = client!().0.get("/refused").await;
    assert_eq!((reply.status().as_u16(), reply.text()), (418, "tea"));
}

#[actix_web::test]
async fn a_visitor_without_a_session_has_an_empty_one() {
    let (sessions, _) = testing::sessions();
    let app = init_service(App::new().configure(routes)).await;
    let (one, other) = (Client::new(&app, &sessions), Client::new(&app, &sessions));
    assert!(one.session().await.is_new());
    one.begin(|session| session["a"] = 1.into()).await;
    let mut look = one.session().await;
    assert_eq!((look.is_new(), &look["a"]), (false, &json!(1)));
    look["a"] = 2.into();
    drop(look);
    assert_eq!(one.session().await["a"], 1, "a look changes nothing");
    assert!(other.session().await.is_new(), "another visitor");
}
