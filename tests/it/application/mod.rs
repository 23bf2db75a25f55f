//! The tests of an application, as its author writes them: a shop, its login and its cart.

mod client;
mod readme;

use actix_web::http::StatusCode;
use actix_web::test::init_service;
use actix_web::web::{Form, Html, Query, Redirect, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, Responder, get, post};
use bsession::testing::{self, Client, days};
use bsession::{Clock, Level, LocalPath, Sessions, session};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: LocalPath,
}

#[get("/login")]
async fn login_page(query: Query<Next>) -> impl Responder {
    let next = query.next.as_str().replace('&', "&amp;");
    Html::new(format!(
        r#"<input type="hidden" name="next" value="{next}">"#
    ))
}

#[derive(Deserialize)]
struct Login {
    name: String,
    #[serde(default)]
    remember: bool,
    #[serde(default)]
    next: LocalPath,
}

#[post("/login")]
#[session]
async fn login(form: Form<Login>) -> impl Responder {
    let Login {
        name,
        remember,
        next,
    } = form.into_inner();
    session.login(name);
    if remember {
        session.set_days(90);
    }
    Redirect::to(next).see_other()
}

#[post("/logout")]
#[session]
async fn logout() -> impl Responder {
    session.purge();
    session.flash(Level::Success, "You are logged out.");
    Redirect::to("/").see_other()
}

#[get("/")]
#[session]
async fn index() -> bsession::Result<impl Responder> {
    let mut page = format!("hello {}", session.user().unwrap_or("stranger"));
    for flash in session.flashes().await? {
        page += &format!("\n{}: {}", flash.level, flash.text);
    }
    Ok(page)
}

#[get("/cart")]
#[session]
async fn show() -> impl Responder {
    HttpResponse::Ok().json(session["cart"].clone())
}

#[derive(Deserialize)]
struct Item {
    name: String,
}

#[post("/cart")]
#[session]
async fn add(form: Form<Item>) -> bsession::Result<impl Responder> {
    let Item { name } = form.into_inner();
    session.update("cart", |mut cart: Vec<String>| {
        cart.push(name);
        cart
    })?;
    // Whatever else it takes to add something to a cart.
    tokio::task::yield_now().await;
    Ok(Redirect::to("/cart").see_other())
}

#[post("/order")]
#[session]
async fn order(request: HttpRequest) -> impl Responder {
    let site = request.headers().get("sec-fetch-site");
    if site.is_none_or(|site| site != "same-origin") {
        return HttpResponse::Forbidden().body("not from here");
    }
    session.remove("cart");
    HttpResponse::Ok().body("ordered")
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(login_page)
        .service(login)
        .service(logout)
        .service(index)
        .service(show)
        .service(add)
        .service(order);
}

/// What such tests have in common is a macro or a line of each, for the type of the service has no name.
macro_rules! shop {
    ($sessions:expr) => {
        Client::new(
            init_service(App::new().app_data($sessions.clone()).configure(routes)).await,
            &$sessions,
        )
    };
}

#[actix_web::test]
async fn a_login_leads_to_where_the_visitor_wanted_to_go() {
    let (sessions, _) = testing::sessions();
    let client = shop!(sessions);
    let page = client.get("/login?next=/cart%3Fall").await;
    assert!(page.text().contains(r#"value="/cart?all""#), "{page:?}");
    for (next, location) in [
        ("/cart?all", "/cart?all"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("", "/"),
    ] {
        let form = [("name", "joe"), ("next", next)];
        let reply = client.post("/login", form).await;
        assert_eq!(
            (reply.status(), reply.location()),
            (StatusCode::SEE_OTHER, Some(location))
        );
    }
    let reply = client.follow().post("/login", [("name", "joe")]).await;
    assert_eq!(reply.text(), "hello joe");
    assert_eq!(client.session().await.user(), Some("joe"));
}

#[actix_web::test]
async fn two_tabs_fill_one_cart() {
    let (sessions, _) = testing::sessions();
    let client = shop!(sessions);
    client
        .begin(|session| session["cart"] = json!(["a book"]))
        .await;
    let (one, other) = (client.follow(), client.clone());
    let (shown, reply) = futures_util::future::join(
        one.post("/cart", [("name", "a pen")]),
        other.post("/cart", [("name", "ink")]),
    )
    .await;
    assert!(shown.json::<Vec<String>>().contains(&"a pen".to_owned()));
    assert_eq!(reply.status(), 303);
    let cart: Vec<String> = client
        .session()
        .await
        .get("cart")
        .expect("a list")
        .expect("a cart");
    assert_eq!(cart.len(), 3, "{cart:?}");
    assert!(
        sessions.stats().conflicts > 0,
        "they were under way at the same time"
    );
}

#[actix_web::test]
async fn after_the_logout_there_is_a_word_and_nothing_else() {
    let (sessions, _) = testing::sessions();
    let client = shop!(sessions);
    client.login("joe").await;
    let before = client.cookie("bsession");
    let page = client.follow().post("/logout", ()).await;
    assert_eq!(page.text(), "hello stranger\nsuccess: You are logged out.");
    assert_eq!(client.get("/").await.text(), "hello stranger");
    assert_ne!(client.cookie("bsession"), before);
    assert_eq!(sessions.of_user("joe").await.expect("a list").len(), 0);
}

#[actix_web::test]
async fn another_site_cannot_order() {
    let (sessions, _) = testing::sessions();
    let client = shop!(sessions);
    client
        .begin(|session| session["cart"] = json!(["a book"]))
        .await;
    assert_eq!(client.cross_site().post("/order", ()).await.status(), 403);
    assert_eq!(client.session().await["cart"], json!(["a book"]));
    assert_eq!(client.post("/order", ()).await.text(), "ordered");
    assert!(client.session().await.is_empty());
}

#[actix_web::test]
async fn who_is_to_be_remembered_is() {
    let clock = Clock::default();
    let sessions = Sessions::builder(bsession::Secret::random().expect("bytes"))
        .clock(clock.clone())
        .browser_session(true)
        .days(1)
        .build()
        .expect("a service");
    let app = init_service(App::new().app_data(sessions.clone()).configure(routes)).await;
    let (joe, eve) = (Client::new(&app, &sessions), Client::new(&app, &sessions));
    joe.post("/login", [("name", "joe"), ("remember", "true")])
        .await;
    eve.post("/login", [("name", "eve")]).await;
    assert_eq!(eve.get("/").await.text(), "hello eve");
    joe.restart();
    eve.restart();
    assert_eq!(joe.get("/").await.text(), "hello joe");
    assert_eq!(eve.get("/").await.text(), "hello stranger");
    clock.advance(days(89));
    assert_eq!(joe.get("/").await.text(), "hello joe");
    clock.advance(days(91));
    assert_eq!(joe.get("/").await.text(), "hello stranger");
}

#[test]
fn the_readme_shows_what_is_tested() {
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(include_str!("readme.rs")));
}
