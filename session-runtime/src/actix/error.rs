//! Errors as responses: the client gets one sentence, and the log gets the reason.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::hooks::WithHeaders;
use super::refused::Refused;
use super::wording::plain;
use crate::error::Error;
use crate::one_line::OneLine;

impl Error {
    /// Returns the error that became this response, if it is an error of this library.
    ///
    /// A middleware asks it to answer in another way. For another body alone there is [`Refusals`](crate::Refusals).
    ///
    /// ```
    /// use actix_web::dev::ServiceResponse;
    /// use actix_web::middleware::{ErrorHandlerResponse, ErrorHandlers};
    /// use actix_web::http::StatusCode;
    /// use bsession::Error;
    ///
    /// fn forbidden<B>(response: ServiceResponse<B>) -> actix_web::Result<ErrorHandlerResponse<B>> {
    ///     if let Some(Error::CrossSite { rule }) = Error::in_response(response.response()) {
    ///         println!("refused by {rule}");
    ///     }
    ///     Ok(ErrorHandlerResponse::Response(response.map_into_left_body()))
    /// }
    ///
    /// let handlers = ErrorHandlers::new().handler(StatusCode::FORBIDDEN, forbidden);
    /// # let _: ErrorHandlers<actix_web::body::BoxBody> = handlers;
    /// ```
    #[must_use]
    pub fn in_response<B>(response: &HttpResponse<B>) -> Option<&Self> {
        find(response.error()?)
    }
}

fn find(error: &actix_web::Error) -> Option<&Error> {
    if let Some(error) = error.as_error::<Error>() {
        return Some(error);
    }
    if let Some(refused) = error.as_error::<Refused>() {
        return Some(refused.error());
    }
    find(&error.as_error::<WithHeaders>()?.error)
}

/// Logs an error that becomes a response.
pub(super) fn log(error: &Error) {
    if error.status_code().is_server_error() && !matches!(error, Error::Prefetch) {
        tracing::error!(target: "bsession", error = %OneLine(&error), "request_failed");
    } else if !matches!(error, Error::CrossSite { .. }) {
        // `CrossSite` is in the log already, with the name of its rule.
        tracing::debug!(target: "bsession", reason = %OneLine(error), "request_refused");
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            // Trying again would not help, so these are no 503.
            Self::NotInitialised
            | Self::Type { .. }
            | Self::Json { .. }
            | Self::View { .. }
            | Self::TooLarge { .. }
            | Self::TooDeep => StatusCode::INTERNAL_SERVER_ERROR,
            Self::LoginRequired | Self::LoginTooOld | Self::KeyRequired { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::CrossSite { .. } | Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::TooManySessions { .. } => StatusCode::CONFLICT,
            // Trying again later may help. In most of these the session could not be loaded or saved.
            Self::Prefetch
            | Self::TwoLogins
            | Self::Locked
            | Self::LockQueueFull
            | Self::Store(_)
            | Self::Random(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the status with one sentence of plain text. There is no request here, and so no JSON and no
    /// [`Refusals`](crate::Refusals).
    fn error_response(&self) -> HttpResponse {
        log(self);
        plain(self)
    }
}
