//! The user who is logged in, as an extractor.

use std::fmt;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::connect::Connecting;
use super::refused::Refused;
use crate::error::Error;

/// The name of the user who is logged in, as an extractor. Without a login the response is 401.
///
/// It works in every handler, in middleware functions and in other extractors, with or without `#[session]`. The value is
/// owned, so it can be moved into a stream, a task or `web::block`.
///
/// ```
/// use actix_web::{Responder, get, web};
/// use bsession::LoggedIn;
///
/// #[get("/report")]
/// async fn report(user: LoggedIn) -> actix_web::Result<impl Responder> {
///     let text = web::block(move || format!("the report of {user}")).await?;
///     Ok(text)
/// }
/// ```
///
/// An extractor of the application can build on it:
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
///
/// use actix_web::dev::Payload;
/// use actix_web::{FromRequest, HttpRequest};
/// use bsession::LoggedIn;
///
/// struct CurrentUser {
///     id: u64,
/// }
///
/// impl FromRequest for CurrentUser {
///     type Error = actix_web::Error;
///     type Future = Pin<Box<dyn Future<Output = actix_web::Result<Self>>>>;
///
///     fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
///         let user = LoggedIn::extract(req);
///         Box::pin(async move {
///             let id = user.await?.parse().map_err(actix_web::error::ErrorUnauthorized)?;
///             Ok(Self { id }) // from here on, ask the database
///         })
///     }
/// }
/// ```
///
/// For a page that is also open to strangers, use [`Visitor`](crate::Visitor). `Option<LoggedIn>` compiles, but actix-web makes
/// it `None` for every error. If the store is down, every user then looks like a stranger.
/// [`Hooks`](crate::Hooks) and [`Gate`](crate::Gate) answer such a request with 503 all the same.
///
/// # Errors
/// [`Error::LoginRequired`], and the errors of [`connect`](crate::connect).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoggedIn(Box<str>);

impl FromRequest for LoggedIn {
    type Error = Refused;
    type Future = Connecting<Result<Self, Refused>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        Connecting::extract(req, |visit| {
            visit.user().map(Self).ok_or(Error::LoginRequired)
        })
    }
}

impl LoggedIn {
    /// Returns the name as a `String`, without copying it.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl Deref for LoggedIn {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LoggedIn {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<LoggedIn> for String {
    fn from(user: LoggedIn) -> Self {
        user.into_string()
    }
}

impl fmt::Display for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}
