//! The application's own words for errors.

use std::fmt;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::wording::usual;
use crate::error::Error;

/// The application's own responses to errors of this library, in its data or in that of a scope.
///
/// Without it an error is answered with its status and one sentence: as plain text, or as `application/problem+json`
/// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) for clients whose `Accept` names JSON.
///
/// ```
/// use actix_web::{App, HttpRequest, HttpResponse, ResponseError, web};
/// use bsession::{Error, Refusals};
///
/// let refusals = Refusals::new(|error: &Error, request: &HttpRequest| -> HttpResponse {
///     match error {
///         Error::TooManySessions { max } => {
///             HttpResponse::Conflict().body(format!("You are logged in at {max} places. Log out at one of them."))
///         }
///         _ => Refusals::usual(error, request),
///     }
/// });
///
/// let api = Refusals::new(|error, _| {
///     let code = if matches!(error, Error::CrossSite { .. }) { "cross_site" } else { "refused" };
///     HttpResponse::build(error.status_code()).json(serde_json::json!({ "code": code }))
/// });
///
/// let app = App::new()
///     .app_data(refusals)
///     .service(web::scope("/api").app_data(api));         // the innermost one is asked
/// ```
///
/// It is asked for every error of this library that becomes a response where the library has the request: in the
/// attribute, a [`Gate`](crate::Gate), [`Hooks`](crate::Hooks), a [`Connection`](crate::Connection), and the extractors. An error
/// that a plain handler or a middleware returns with `?`, without any of these around it, is answered with the sentence.
/// It is not asked for the redirect of a browser to a login page, which is no error.
///
/// The response keeps the status and the headers that it is given. The session's `Set-Cookie`, `Cache-Control: no-store`
/// and `Vary: Cookie` are added. A 401 without a `Location` gets the login page as `Location`, and as
/// `HX-Redirect` for htmx, if the gate has a [`redirect`](crate::Gate::redirect). [`Error::in_response`] still finds the error.
///
/// The status of the error decides if the session is saved, not the status of your response: after a 5xx it is not saved.
#[derive(Clone)]
pub struct Refusals(Arc<Answer>);

/// The login page of the error that is being answered, in the request's extensions.
struct LoginPage(String);

fn login_page(request: &HttpRequest) -> Option<String> {
    let extensions = request.extensions();
    extensions.get().map(|LoginPage(page)| page.clone())
}

type Answer = dyn Fn(&Error, &HttpRequest) -> HttpResponse + Send + Sync;

impl Refusals {
    /// Answers errors with this function.
    pub fn new(
        answer: impl Fn(&Error, &HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }

    /// Returns the response that the error has without `Refusals`.
    #[must_use]
    pub fn usual(error: &Error, request: &HttpRequest) -> HttpResponse {
        usual(error, login_page(request).as_deref(), request)
    }

    /// Returns the application's response to an error.
    pub(super) fn answer(
        &self,
        error: &Error,
        login_page: Option<&str>,
        request: &HttpRequest,
    ) -> HttpResponse {
        let keep = |page: &str| request.extensions_mut().insert(LoginPage(page.to_owned()));
        login_page.map(keep);
        let response = (self.0)(error, request);
        request.extensions_mut().remove::<LoginPage>();
        response
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals(..)")
    }
}
