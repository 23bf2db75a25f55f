//! A response whose session is saved, or is being saved.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};

use super::headers::{error_response, tell};
use crate::background::Lasting;
use crate::error::{Error, Result};
use crate::service::CookieChange;
use crate::visit::Visit;

/// A response whose session is saved.
///
/// What `#[session]` makes of a handler's return value `R`, and [`Connection::save`] of the
/// response it is given.
///
/// [`Connection::save`]: crate::Connection::save
#[must_use = "a response does nothing unless it is returned"]
pub struct Saved<R> {
    response: HttpResponse,
    of: PhantomData<fn(R)>,
}

impl<R> Saved<R> {
    /// The finished response.
    pub fn into_response(self) -> HttpResponse {
        self.response
    }

    pub(super) fn of(response: HttpResponse) -> Self {
        Self {
            response,
            of: PhantomData,
        }
    }

    /// The response to a request whose session failed before its handler.
    pub(super) fn failed(error: Error) -> Self {
        Self::of(error_response(error))
    }
}

/// The status alone: the headers may carry the session's cookie.
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

/// A response whose session is being saved: it becomes that response, or the error of the save.
///
/// A future by hand, for each handler has one: `async` would keep, and move, everything twice.
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
        let told = if this.save.is_none() && this.visit.is_settled() {
            Ok(None)
        } else {
            let failed = failure(response.status());
            let save = this.save.get_or_insert_with(|| save(&this.visit, failed));
            ready!(Pin::new(save).poll(cx))
        };
        match told {
            Ok(change) => tell(&this.visit, change, &this.request, response.headers_mut()),
            Err(error) => *response = error_response(error),
        }
        let saved = this.response.take().map(Saved::of);
        saved.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<R> fmt::Debug for Saving<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saving(..)")
    }
}

/// The status, if it says that the request failed.
pub(super) fn failure(status: StatusCode) -> Option<u16> {
    status.is_server_error().then(|| status.as_u16())
}

type Save = Lasting<Result<Option<CookieChange>>>;

/// Saves a visit, and gives what there is to tell. Once begun it comes to its end, even if the
/// request is dropped meanwhile.
fn save(visit: &Arc<Visit>, failed: Option<u16>) -> Save {
    let visit = Arc::clone(visit);
    Lasting::new(async move { visit.save(failed).await })
}

/// The same, if there is anything to save.
pub(super) async fn settle(visit: &Arc<Visit>, failed: Option<u16>) -> Result<()> {
    if visit.is_settled() {
        return Ok(());
    }
    save(visit, failed).await.map(drop)
}
