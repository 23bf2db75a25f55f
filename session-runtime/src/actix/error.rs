//! Errors as responses: the client sees the status, and the log gets the reason.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::error::Error;

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

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        if status.is_server_error() && !matches!(self, Self::Prefetch) {
            tracing::error!(target: "bsession", error = %self, "request_failed");
        } else if !matches!(self, Self::CrossSite { .. }) {
            // `CrossSite` is in the log already, with the name of its rule.
            tracing::debug!(target: "bsession", reason = %self, "request_refused");
        }
        HttpResponse::new(status)
    }
}
