//! A response whose session is saved, or is being saved.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};

use super::headers::{failed_response, tell, tell_change};
use super::wording::word;
use crate::background::Lasting;
use crate::error::{Error, Result};
use crate::visit::Visit;

/// A response whose session is saved.
///
/// `#[session]` makes one from a handler's return value `R`. [`Connection::respond`] makes one from the response that it
/// is given.
///
/// [`Connection::respond`]: crate::Connection::respond
#[must_use = "a response does nothing unless it is returned"]
pub struct Saved<R> {
    response: HttpResponse,
    of: PhantomData<fn(R)>,
}

impl<R> Saved<R> {
    /// Returns the finished response.
    pub fn into_response(self) -> HttpResponse {
        self.response
    }

    pub(super) fn of(response: HttpResponse) -> Self {
        Self {
            response,
            of: PhantomData,
        }
    }

    /// Returns the response to a request whose session failed before its handler ran.
    pub(super) fn failed(error: Error, req: &HttpRequest) -> Self {
        Self::of(failed_response(error, req))
    }

    /// Returns the response to a request that is no visit. It has the cookie of an earlier save of the request.
    pub(super) fn refused(visit: &Visit, req: &HttpRequest, error: Error) -> Self {
        let mut response = failed_response(error, req);
        tell(visit, req, response.headers_mut());
        Self::of(response)
    }
}

/// Shows the status alone, because the headers may carry the session's cookie.
impl<R> fmt::Debug for Saved<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("status", &self.response.status())
            .finish_non_exhaustive()
    }
}

impl<R: Responder> Responder for Saved<R> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

/// A response whose session is being saved. It resolves to that response, or to an error response if the save fails.
///
/// The future is written by hand because every handler has one: an `async` block would store and move everything twice.
#[must_use = "futures do nothing unless polled"]
pub struct Saving<R> {
    visit: Arc<Visit>,
    request: HttpRequest,
    response: Option<HttpResponse>,
    save: Option<Save>,
    of: PhantomData<fn(R)>,
}

impl<R> Saving<R> {
    pub(super) fn new(visit: Arc<Visit>, request: HttpRequest, response: HttpResponse) -> Self {
        Self {
            visit,
            request,
            response: Some(response),
            save: None,
            of: PhantomData,
        }
    }
}

impl<R> Future for Saving<R> {
    type Output = Saved<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Saved<R>> {
        let this = self.get_mut();
        let Some(response) = &mut this.response else {
            return Poll::Pending;
        };
        let told = match &this.save {
            None => this.visit.told_if_settled(),
            Some(_) => None,
        };
        let (saved, told) = if let Some(told) = told {
            (Ok(()), told)
        } else {
            let failed = failure(status_of(response));
            let save = this.save.get_or_insert_with(|| save(&this.visit, failed));
            let saved = ready!(Pin::new(save).poll(cx));
            (saved, this.visit.told())
        };
        match saved {
            // After the save: only the status of the error itself decides what is saved.
            Ok(()) if response.error().is_some() => word(response, &this.request),
            Ok(()) => {}
            Err(error) => *response = failed_response(error, &this.request),
        }
        tell_change(&this.visit, told, &this.request, response.headers_mut());
        let saved = this.response.take().map(Saved::of);
        saved.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<R> fmt::Debug for Saving<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saving(..)")
    }
}

/// Returns the status of a response, or of the error in it, which may have been worded with another one.
pub(super) fn status_of<B>(response: &HttpResponse<B>) -> StatusCode {
    Error::in_response(response).map_or(response.status(), ResponseError::status_code)
}

/// Returns the status if it says that the request failed, with a 5xx.
pub(super) fn failure(status: StatusCode) -> Option<u16> {
    status.is_server_error().then(|| status.as_u16())
}

type Save = Lasting<Result<()>>;

/// Saves a visit. Once it has begun, the save finishes even if the request is dropped.
fn save(visit: &Arc<Visit>, failed: Option<u16>) -> Save {
    let visit = Arc::clone(visit);
    Lasting::new(async move { visit.save(failed).await })
}

/// Saves a visit if there is anything to save.
pub(super) async fn settle(visit: &Arc<Visit>, failed: Option<u16>) -> Result<()> {
    if visit.is_settled() {
        return Ok(());
    }
    save(visit, failed).await
}
