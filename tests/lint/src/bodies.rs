//! What can stand in the body.

use actix_web::http::StatusCode;
use actix_web::web::{self, Path, Redirect, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder, error};
use bsession::{Session, session};

/// Registers the handlers, so that none of them is dead code.
pub fn configure(config: &mut ServiceConfig) {
    let _: &mut ServiceConfig = config
        .route("/nothing", web::get().to(nothing))
        .route("/early-return", web::get().to(early_return))
        .route("/only-returns", web::get().to(only_returns))
        .route("/question-mark", web::get().to(question_mark))
        .route("/other-error", web::get().to(other_error))
        .route("/boxed", web::get().to(boxed))
        .route("/nested", web::get().to(nested))
        .route("/awaits", web::get().to(awaits))
        .route("/helper", web::get().to(helper))
        .route("/large", web::get().to(large))
        .route("/complex", web::get().to(complex))
        .route("/shadowed", web::get().to(shadowed))
        .route("/loops", web::get().to(loops))
        .route("/tail-temporary", web::get().to(tail_temporary))
        .route("/inner-attribute", web::get().to(inner_attribute))
        .route("/items", web::get().to(items))
        .route("/one-expression", web::get().to(one_expression))
        .route("/never", web::get().to(never))
        .route("/tuple", web::get().to(tuple))
        .route("/builder", web::get().to(builder));
}

#[session]
async fn nothing() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

#[session]
async fn early_return(id: Path<u32>) -> impl Responder {
    if *id == 0 {
        return HttpResponse::NotFound().finish();
    }
    session.login(id);
    HttpResponse::Ok().finish()
}

#[session]
async fn only_returns(id: Path<u32>) -> impl Responder {
    match *id {
        0 => return Redirect::to("/").see_other(),
        1 => session.login(id),
        _ => {}
    }
    Redirect::to("/one").see_other()
}

#[session]
async fn question_mark() -> bsession::Result<impl Responder> {
    let name = session.get::<String>("name")?.unwrap_or_default();
    session.insert("greeted", true)?;
    Ok(name)
}

#[session]
async fn other_error(id: Path<String>) -> Result<impl Responder, error::UrlGenerationError> {
    if id.is_empty() {
        return Err(error::UrlGenerationError::ResourceNotFound);
    }
    Ok(id.into_inner())
}

#[session]
async fn boxed(id: Path<String>) -> Result<impl Responder, Box<dyn core::error::Error>> {
    let number: u32 = id.parse()?;
    session.insert("number", number)?;
    Ok(number.to_string())
}

#[session]
async fn nested(id: Path<u32>) -> Option<Result<(impl Responder, StatusCode), actix_web::Error>> {
    if *id == 0 {
        return None;
    }
    Some(Ok(("nested", StatusCode::CREATED)))
}

#[session]
async fn awaits(request: HttpRequest) -> String {
    core::future::ready(()).await;
    session.login("joe");
    core::future::ready(request.path().to_owned()).await
}

/// A helper takes the session as an argument.
fn count(session: &mut Session) -> bsession::Result<u32> {
    let count = session.get("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(count)
}

#[session]
async fn helper() -> bsession::Result<String> {
    let first = count(session)?;
    let second = count(session)?;
    Ok((first + second).to_string())
}

/// Below what clippy calls a large future; the block around the body must not add one.
#[session]
async fn large() -> String {
    let bytes = [1_u8; 8 * 1024];
    core::future::ready(()).await;
    bytes
        .iter()
        .map(|byte| u32::from(*byte))
        .sum::<u32>()
        .to_string()
}

/// Just below what clippy calls a complex type.
type Deep = Option<Result<Box<(u8, Vec<Option<u8>>)>, u8>>;

#[session]
async fn complex(deep: web::Data<(Deep, Option<Result<Box<(u8, Vec<u8>)>, u8>>)>) -> String {
    deep.0.is_some().to_string()
}

#[session]
#[expect(clippy::shadow_unrelated, reason = "the shape under test")]
async fn shadowed() -> String {
    session.login("joe");
    let name = session.user().map(str::to_owned);
    let session = name.unwrap_or_default();
    session.to_uppercase()
}

#[session]
async fn loops() -> impl Responder {
    let mut number = 0_u32;
    'outer: loop {
        for step in 1..3 {
            number += step;
            if number > 7 {
                break 'outer;
            }
        }
    }
    number.to_string()
}

#[session]
async fn tail_temporary() -> String {
    let cell = core::cell::RefCell::new(String::new());
    cell.borrow().clone()
}

#[session]
async fn inner_attribute() -> String {
    #![expect(unused_variables, reason = "the shape under test")]
    let unused = 1_u8;
    String::new()
}

#[session]
async fn items() -> u32Response {
    const ONE: u32 = 1;
    u32Response(ONE)
}

/// A response of one's own.
#[expect(non_camel_case_types, reason = "nothing but a name")]
struct u32Response(u32);

impl Responder for u32Response {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().body(self.0.to_string())
    }
}

#[session]
async fn one_expression() -> impl Responder {
    Redirect::to("/").see_other()
}

#[session]
async fn never() -> HttpResponse {
    todo!()
}

#[session]
async fn tuple() -> (String, StatusCode) {
    (String::new(), StatusCode::ACCEPTED)
}

/// It is a response that is also a future.
#[session]
async fn builder() -> impl Responder {
    HttpResponse::NoContent()
}
