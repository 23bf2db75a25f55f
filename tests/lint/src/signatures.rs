//! What can stand before the body.

use actix_web::http::Method;
use actix_web::web::{self, Data, Path, Query, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, get, route, routes};
use bsession::session;

/// Registers the handlers, so that none of them is dead code.
pub fn configure(config: &mut ServiceConfig) {
    let _: &mut ServiceConfig = config
        .service(above)
        .service(below)
        .service(several_methods)
        .service(several_routes)
        .service(documented)
        .service(without_extractor)
        .route("/purge", web::get().to(purge))
        .route("/seven", web::get().to(seven))
        .route("/sixteen", web::get().to(sixteen))
        .route("/patterns/{a}/{b}", web::get().to(patterns))
        .route("/mutable/{id}", web::get().to(mutable))
        .route("/conditional/{id}", web::get().to(conditional))
        .route("/only-conditional/{id}", web::get().to(only_conditional))
        .route("/ignored/{id}", web::get().to(ignored))
        .route("/generic", web::get().to(generic::<Data<u8>>))
        .route("/lifetime", web::get().to(lifetime))
        .route("/associated", web::get().to(Counter::associated))
        .route("/associated-generic", web::get().to(Of::<u8>::associated))
        .route("/trait", web::get().to(<Counter as Show>::show));
}

#[get("/above")]
#[session]
async fn above(id: Path<u32>) -> impl Responder {
    session.insert("id", *id)?;
    Ok::<_, bsession::Error>(format!("{id}"))
}

#[session]
#[get("/below")]
async fn below(id: Path<u32>) -> bsession::Result<impl Responder> {
    session.insert("id", *id)?;
    Ok(format!("{id}"))
}

#[route("/several-methods", method = "GET", method = "HEAD")]
#[session]
async fn several_methods(method: Method) -> impl Responder {
    method.to_string()
}

#[routes]
#[get("/one")]
#[post("/two")]
#[session]
async fn several_routes() -> impl Responder {
    "one or two"
}

/// Says hello.
///
/// At some length.
#[get("/documented")]
#[session]
async fn documented() -> &'static str {
    "hello"
}

#[get("/without-extractor")]
#[session(purge)]
async fn without_extractor() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[session(purge)]
async fn purge() -> &'static str {
    "gone"
}

/// As many as clippy allows: the hidden one must not be the eighth.
#[session]
async fn seven(
    one: Method,
    two: Method,
    three: Method,
    four: Method,
    five: Method,
    six: Method,
    seven: Method,
) -> String {
    [one, two, three, four, five, six, seven]
        .map(|method| method.to_string())
        .concat()
}

/// As many as actix-web allows without the attribute.
#[session]
async fn sixteen(
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    _: Method,
    last: Method,
) -> String {
    last.to_string()
}

/// Two numbers in a path.
struct Pair {
    /// The first.
    first: u32,
    /// The second.
    second: u32,
}

#[session]
async fn patterns(
    Query((first, second)): Query<(u32, u32)>,
    Own(Pair {
        first: third,
        second: fourth,
    }): Own<Pair>,
) -> String {
    (first + second + third + fourth).to_string()
}

/// An extractor that is a tuple struct.
struct Own<T>(T);

impl FromRequest for Own<Pair> {
    type Error = actix_web::Error;
    type Future = core::future::Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        core::future::ready(Ok(Self(Pair {
            first: 1,
            second: 2,
        })))
    }
}

#[session]
async fn mutable(mut id: Path<u32>) -> String {
    *id += 1;
    id.to_string()
}

#[session]
async fn conditional(id: Path<u32>, #[cfg(any())] other: Path<u32>) -> String {
    #[cfg(any())]
    return other.to_string();
    #[cfg(not(any()))]
    id.to_string()
}

#[session]
async fn only_conditional(#[cfg(not(any()))] id: Path<u32>) -> String {
    id.to_string()
}

#[session]
async fn ignored(
    _: Method,
    #[expect(unused_variables, reason = "the shape under test")] id: Path<u32>,
) -> String {
    String::new()
}

#[session]
async fn generic<T>(state: Option<T>) -> impl Responder
where
    T: FromRequest + 'static,
{
    state.map(|_| "state")
}

/// An extractor that could borrow.
struct Borrowing<'a>(&'a str);

impl FromRequest for Borrowing<'static> {
    type Error = actix_web::Error;
    type Future = core::future::Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        core::future::ready(Ok(Self("text")))
    }
}

#[session]
async fn lifetime(first: Borrowing<'_>, second: Borrowing<'static>) -> String {
    let longer: Borrowing<'_> = if first.0.len() > second.0.len() {
        first
    } else {
        second
    };
    longer.0.to_owned()
}

/// A type with handlers.
struct Counter;

impl Counter {
    /// Where to start.
    const START: u32 = 7;

    #[session]
    async fn associated(id: Option<Path<u32>>) -> bsession::Result<impl Responder> {
        let count = session.get("count")?.unwrap_or(Self::START);
        session.insert("count", count + id.map_or(1, Path::into_inner))?;
        Ok(count.to_string())
    }
}

/// A generic type with a handler.
struct Of<T>(T);

impl<T: Default + ToString> Of<T> {
    #[session]
    async fn associated() -> String {
        Self(T::default()).0.to_string()
    }
}

/// A trait with a handler.
trait Show {
    /// What is shown.
    const WHAT: &'static str;

    #[session]
    async fn show() -> &'static str {
        Self::WHAT
    }
}

impl Show for Counter {
    const WHAT: &'static str = "a counter";
}
