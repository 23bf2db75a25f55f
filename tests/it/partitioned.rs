//! The cookie of an application in a frame of another site: partitioned, whichever way it is told.

use actix_web::dev::{Service, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use bsession::{Hooks, Mode, SameSite, Sessions, session};

use crate::support::SECRET;

#[session]
async fn begin() -> &'static str {
    session["a"] = 1.into();
    "begun"
}

#[session(purge)]
async fn end() -> &'static str {
    "over"
}

/// The attributes of the `Set-Cookie` in the response.
async fn told(partitioned: bool, path: &str) -> String {
    let sessions = Sessions::builder(SECRET)
        .mode(Mode::Memory)
        .cookie_name("__Host-shop")
        .same_site(SameSite::None)
        .partitioned(partitioned)
        .days(10);
    let sessions = sessions.build().expect("a service");
    let cookie = sessions.cookie_for(|session| session["a"] = 0.into());
    let cookie = cookie.await.expect("a session");
    // An error of an inner middleware has the cookie of the response in whose place it is.
    let failing = from_fn(async |request, next: Next<_>| {
        drop(next.call(request).await?);
        Err::<ServiceResponse, _>(actix_web::error::ErrorBadRequest("no"))
    });
    let failing = web::scope("/failing")
        .wrap(failing)
        .route("/end", web::to(end));
    let app = App::new()
        .app_data(sessions)
        .wrap(Hooks)
        .service(failing)
        .route("/begin", web::to(begin))
        .route("/end", web::to(end));
    let app = init_service(app).await;
    let mut request = TestRequest::post().uri(path);
    if path != "/begin" {
        request = request.cookie(cookie);
    }
    let response = match app.call(request.to_request()).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let mut cookies = response.headers().get_all("set-cookie");
    let told = cookies.next().expect("a cookie");
    assert!(cookies.next().is_none(), "{path}: it is told once");
    let told = told.to_str().expect("text");
    let (pair, attributes) = told.split_once("; ").expect("attributes");
    assert!(pair.starts_with("__Host-shop="), "{told}");
    attributes.to_owned()
}

#[actix_web::test]
async fn a_partitioned_cookie_is_set_and_removed_as_one() {
    let set = "HttpOnly; SameSite=None; Secure; Path=/; Max-Age=950400";
    let removed = "HttpOnly; SameSite=None; Secure; Path=/; Max-Age=0";
    for (path, attributes) in [
        ("/begin", set),
        ("/end", removed),
        ("/failing/end", removed),
    ] {
        assert_eq!(told(false, path).await, attributes, "{path}");
        let partitioned = format!("{attributes}; Partitioned");
        assert_eq!(told(true, path).await, partitioned, "{path}");
    }
}
