use actix_web::{App, Responder, get, post, test};
use bsession::{Mode, Sessions, session};

#[get("/")]
#[session]
async fn index() -> bsession::Result<impl Responder> {
    let visits = session.update("visits", |n: u64| n + 1)?;
    session["last"] = "index".into();
    Ok(format!("visit {visits} {:?}", session.user()))
}

#[get("/read")]
#[session]
async fn read() -> impl Responder {
    format!("{} {}", session["visits"], session["last"])
}

#[post("/login")]
#[session]
async fn login() -> impl Responder {
    session.login("joe");
    "in"
}

#[post("/logout")]
#[session(purge)]
async fn logout() -> impl Responder {
    "out"
}

#[actix_web::test]
async fn smoke() {
    let sessions = Sessions::builder("0123456789abcdef0123456789abcdef")
        .mode(Mode::Memory)
        .build()
        .unwrap();
    let app = test::init_service(
        App::new()
            .app_data(sessions.clone())
            .service(index)
            .service(read)
            .service(login)
            .service(logout),
    )
    .await;
    let res = test::call_service(&app, test::TestRequest::get().uri("/").to_request()).await;
    println!("{:?}", res.headers());
    let cookie = res.response().cookies().next().unwrap().into_owned();
    assert_eq!(test::read_body(res).await, "visit 1 None");
    let res = test::call_service(
        &app,
        test::TestRequest::get()
            .uri("/")
            .cookie(cookie.clone())
            .to_request(),
    )
    .await;
    println!("{:?}", res.headers());
    assert_eq!(test::read_body(res).await, "visit 2 None");
    let res = test::call_service(
        &app,
        test::TestRequest::post()
            .uri("/login")
            .cookie(cookie.clone())
            .to_request(),
    )
    .await;
    println!("{:?}", res.headers());
    let new = res.response().cookies().next().unwrap().into_owned();
    let res = test::call_service(
        &app,
        test::TestRequest::get()
            .uri("/")
            .cookie(new.clone())
            .to_request(),
    )
    .await;
    assert_eq!(test::read_body(res).await, "visit 3 Some(\"joe\")");
    let res = test::call_service(
        &app,
        test::TestRequest::post()
            .uri("/logout")
            .cookie(new.clone())
            .to_request(),
    )
    .await;
    println!("{:?}", res.headers());
    let res = test::call_service(
        &app,
        test::TestRequest::get()
            .uri("/read")
            .cookie(new.clone())
            .to_request(),
    )
    .await;
    assert_eq!(test::read_body(res).await, "null null");
    println!("{:?}", sessions.stats());
}
