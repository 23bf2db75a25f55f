//! An error with its finished response.

use std::cell::Cell;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::error::log;
use super::headers::vary;
use super::wording::wording;
use crate::error::Error;

/// A request that a [`Gate`](crate::Gate) refused by hand, or that an extractor could not connect, with the finished response.
///
/// In a function that returns `actix_web::Error`, `?` turns it into that response. In a function that returns
/// [`bsession::Error`](crate::Error), `?` keeps the error alone.
pub struct Refused(Box<Parts>);

struct Parts {
    error: Error,
    status: StatusCode,
    /// Until it is taken: a response cannot be copied.
    response: Cell<Option<HttpResponse>>,
}

impl Refused {
    /// Words the response to an error of a request.
    #[cold]
    pub(super) fn new(error: Error, req: &HttpRequest) -> Self {
        let mut response = wording(&error, None, req);
        vary(response.headers_mut());
        Self::with(error, response)
    }

    pub(super) fn with(error: Error, response: HttpResponse) -> Self {
        Self(Box::new(Parts {
            error,
            status: response.status(),
            response: Cell::new(Some(response)),
        }))
    }

    /// Returns the reason.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Returns the response: a redirect, or the status of the error with a sentence.
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        HttpResponse::from_error(self)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let Some(response) = self.0.response.take() else {
            let mut response = self.0.error.error_response();
            vary(response.headers_mut());
            return response;
        };
        if !response.status().is_redirection() {
            log(&self.0.error);
        }
        response
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.0.error
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.error(), f)
    }
}
