use actix_web::{App, Responder, get, test};
use bsession::session;
use bsession::testing::{self, Client, days};

#[get("/")]
#[session]
async fn index() -> impl Responder {
    format!("hello {}", session.user().unwrap_or("stranger"))
}

#[actix_web::test]
async fn joe_is_greeted_for_a_month() {
    let (sessions, clock) = testing::sessions();
    let app = test::init_service(App::new().app_data(sessions.clone()).service(index)).await;
    let client = Client::new(app, &sessions);

    client.login("joe").await; // without a login page
    assert_eq!(client.get("/").await.text(), "hello joe");

    clock.advance(days(31));
    assert_eq!(client.get("/").await.text(), "hello stranger");
}
