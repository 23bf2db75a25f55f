//! The error of a gate that is checked by hand.

use std::cell::Cell;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::headers::error_response;
use crate::error::Error;

/// A request that a [`Gate`](crate::Gate) refused by hand, with the finished response.
///
/// As an error of actix-web it becomes that response, so `?` is enough.
pub struct Refused {
    error: Error,
    status: StatusCode,
    /// Until it is taken: a response cannot be copied.
    response: Cell<Option<HttpResponse>>,
}

impl Refused {
    pub(super) fn new(error: Error, response: HttpResponse) -> Self {
        Self {
            error,
            status: response.status(),
            response: Cell::new(Some(response)),
        }
    }

    /// Returns the reason.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the response: a redirect, or the status of the error.
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        HttpResponse::from_error(self)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let finished = self.response.take();
        finished.unwrap_or_else(|| error_response(&self.error))
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}
