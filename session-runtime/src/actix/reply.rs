//! The reply that the client for tests receives.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::body::{self, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, LOCATION};
use actix_web::web::Bytes;
use serde::de::DeserializeOwned;

/// The reply of an application to a [`Client`](crate::testing::Client), with the body read to the end.
#[derive(Clone)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(super) async fn read<B: MessageBody>(response: HttpResponse<B>) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let Ok(body) = body::to_bytes(response.into_body()).await else {
            panic!("the body of a reply with {status} broke off");
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// Returns the status, which can be compared with a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns all headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the first header of that name, if there is one and it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the target of a redirect, or the login page in a 401, exactly as the reply states it.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.header(LOCATION.as_str())
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as text.
    ///
    /// # Panics
    /// The body is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body)
            .unwrap_or_else(|error| panic!("the reply is no text: {error}: {self:?}"))
    }

    /// Reads the body as JSON.
    ///
    /// # Panics
    /// The body is not JSON, or not a `T`.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the reply does not read as JSON: {error}: {self:?}"))
    }
}

/// Shows the status, the location and the body: the parts that explain why a test failed.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status.as_u16())
            .field("location", &self.location())
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish_non_exhaustive()
    }
}
