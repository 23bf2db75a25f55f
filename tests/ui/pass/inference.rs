// What a `return`, a `?` or the last expression is, the signature says, from the first line on.

use std::error::Error;

use actix_web::web::{self, Path};
use actix_web::{Either, HttpResponse, Responder};
use bsession::session;

// The first `return` would make the error a `Box<Refused>`.
#[session]
async fn unsized_error(id: Path<u32>) -> Result<impl Responder, Box<dyn Error>> {
    if *id == 0 {
        return Err(Box::new(Refused));
    }
    let number: i8 = "1".parse()?;
    Ok(number.to_string())
}

// `into` needs to know what into.
#[session]
async fn converted(id: Path<u32>) -> String {
    if *id == 0 {
        return "zero".into();
    }
    if *id == 1 {
        return id.to_string().chars().rev().collect();
    }
    Default::default()
}

// Nothing in the body says what the error is.
#[session]
async fn error_from_the_signature() -> actix_web::Result<impl Responder> {
    let number: u8 = "1".parse().map_err(actix_web::error::ErrorBadRequest)?;
    Ok((number > 0).then(|| "positive"))
}

// Nor here what the other half is.
#[session]
async fn either(id: Path<u32>) -> Either<HttpResponse, String> {
    if *id == 0 {
        return Either::Left(HttpResponse::Ok().finish());
    }
    Either::Right(id.to_string())
}

// A `return` in a closure or an async block belongs to that.
#[session]
async fn inner_returns(id: Path<u32>) -> String {
    let doubled = (|| {
        if *id == 0 {
            return 0;
        }
        *id * 2
    })();
    let later: Result<u8, std::num::ParseIntError> = async {
        let number = "1".parse::<u8>()?;
        return Ok(number);
    }
    .await;
    format!("{doubled} {later:?}")
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl Error for Refused {}

fn main() {
    drop(web::get().to(unsized_error));
    drop(web::get().to(converted));
    drop(web::get().to(error_from_the_signature));
    drop(web::get().to(either));
    drop(web::get().to(inner_returns));
}
