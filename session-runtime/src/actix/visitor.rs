//! The visitor, who may or may not be logged in, as an extractor.

use actix_web::dev::{Extensions, Payload};
use actix_web::{FromRequest, HttpRequest};

use super::connect::{Connecting, Visits};
use super::refused::Refused;

/// The visitor of a page that is open to everybody, as an extractor.
///
/// It works in every handler, in middleware functions and in other extractors, with or without `#[session]`. A visitor who is
/// not logged in is no error. A store that fails is an error, so an outage does not make a user a stranger.
///
/// ```
/// use actix_web::{Responder, get};
/// use bsession::Visitor;
///
/// #[get("/")]
/// async fn index(visitor: Visitor) -> impl Responder {
///     match visitor.user() {
///         Some(user) => format!("welcome back, {user}"),
///         None => "welcome".to_owned(),
///     }
/// }
/// ```
///
/// # Errors
/// The errors of [`connect`](crate::connect).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Visitor {
    user: Option<Box<str>>,
}

impl Visitor {
    /// Returns the name of the user who is logged in; `None` for a stranger.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl FromRequest for Visitor {
    type Error = Refused;
    type Future = Connecting<Result<Self, Refused>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        Connecting::extract(req, |visit| Ok(Self { user: visit.user() }))
    }
}

/// Returns the user of a request whose session is loaded already, without waiting: for route guards, access logs and the root
/// span of a trace.
///
/// A [`Gate`](crate::Gate) around the routes loads the session before it routes. Returns `None` for a stranger, for a request
/// whose session has not been loaded yet, and for one whose session could not be loaded. It is therefore no check of a login.
/// If a request connects to several services, the one that it connected to last counts.
///
/// ```
/// use actix_web::{App, HttpResponse, guard, web};
/// use bsession::{Gate, user_of};
///
/// let app = App::new().service(
///     web::scope("/board")
///         .wrap(Gate::new())
///         .route("", web::get().guard(guard::fn_guard(|ctx| user_of(&ctx.req_data()).is_some()))
///             .to(|| async { "the members' board" }))
///         .default_service(web::to(|| async { "the public board" })),
/// );
/// ```
#[must_use]
pub fn user_of(extensions: &Extensions) -> Option<String> {
    let user = Visits::last(extensions)?.user()?;
    Some(user.into_string())
}
