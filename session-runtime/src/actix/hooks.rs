//! The hooks: connect before the request, save after it, for a whole application.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::connect::Followed;
use super::headers::{failed_response, set_cookie, tell, vary};
use super::host::is_plain_loopback;
use super::saved::{failure, settle, status_of};
use super::wording::{put, words_for};
use crate::error::Error;
use crate::store::StoreError;
use crate::visit::Visit;

/// Middleware that saves the changes that connections leave: the original's `before_request` and `after_request`
/// hooks.
///
/// A handler takes a [`Connection`](crate::Connection) and need not call `respond`. For a handler that does not take one,
/// nothing is loaded. Handlers with `#[session]` also work under this middleware, and save by themselves.
///
/// ```
/// use actix_web::{App, HttpResponse, Responder, web};
/// use bsession::{Connection, Hooks};
///
/// async fn index(mut connection: Connection) -> bsession::Result<impl Responder> {
///     let visits = connection.session().update("visits", |n: u64| n + 1)?;
///     Ok(format!("visit {visits}"))
/// }
///
/// let app = App::new().wrap(Hooks).route("/", web::get().to(index));
/// ```
///
/// If a session could not be loaded, the response is 503, even if the handler went on without it.
///
/// If an inner middleware fails with an error, only a purge or a renewal is saved. Other changes are dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks;

impl<S, B> Transform<S, ServiceRequest> for Hooks
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = HooksMiddleware<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(HooksMiddleware {
            service: Rc::new(service),
        }))
    }
}

/// The middleware that [`Hooks`] puts around a service.
#[derive(Debug)]
pub struct HooksMiddleware<S> {
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for HooksMiddleware<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // Kept apart from the request, because an inner error comes back without it.
        let visits = Followed::of(&request);
        let loopback = is_plain_loopback(request.request());
        let response = self.service.call(request);
        Box::pin(async move { after(&visits, response.await, loopback).await })
    }
}

/// Saves after a request, whatever it came to.
pub(super) async fn after<B: MessageBody>(
    visits: &Followed,
    result: Result<ServiceResponse<B>, actix_web::Error>,
    loopback: bool,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match result {
        Ok(response) => Ok(save_after(visits, response).await),
        Err(error) => Err(end_after(visits, error, loopback).await),
    }
}

/// Saves after a request, and adds the sessions' headers to its response.
async fn save_after<B: MessageBody>(
    visits: &Followed,
    response: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B>> {
    let status = failure(status_of(response.response()));
    let error = settle_all(visits, status).await;
    // The handler may have taken the outage for a stranger, and must not tell a user to log in.
    let error = error.or_else(|| unloadable(visits).filter(|_| status.is_none()));
    let mut response = match error {
        None if response.response().error().is_some() => worded(response),
        None => response.map_into_left_body(),
        Some(error) => {
            let failed = failed_response(error, response.request());
            response.into_response(failed.map_into_right_body())
        }
    };
    let request = response.request().clone();
    for visit in visits.all() {
        tell(&visit, &request, response.headers_mut());
    }
    response
}

/// Words the response to an error that a handler returned by itself.
#[cold]
fn worded<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
    match words_for(response.response(), response.request()) {
        None => response.map_into_left_body(),
        Some(words) => {
            let (request, response) = response.into_parts();
            ServiceResponse::new(request, put(words, response).map_into_right_body())
        }
    }
}

/// Saves after an inner middleware failed. Returns its error, or that of a save that failed, with the cookies that a
/// purge or a renewal has to send.
async fn end_after(visits: &Followed, error: actix_web::Error, loopback: bool) -> actix_web::Error {
    // An error of any status counts as a failure, because the response that the changes belong to is not sent.
    let status = error.as_response_error().status_code().as_u16();
    let failed = settle_all(visits, Some(status)).await;
    let error = failed.map_or(error, Into::into);
    let cookie = |visit: Arc<Visit>| Some(visit.sessions.0.cookies.header(visit.told()?, loopback));
    let cookies: Vec<_> = visits.all().into_iter().filter_map(cookie).collect();
    if visits.all().is_empty() {
        error
    } else {
        WithHeaders { error, cookies }.into()
    }
}

/// Saves all sessions of a request. If one save fails, the others are still done.
///
/// The caller must then send all their cookies ([`Visit::told`]).
async fn settle_all(visits: &Followed, failed: Option<u16>) -> Option<Error> {
    let mut failure = None;
    for visit in visits.all() {
        if let Err(error) = settle(&visit, failed).await {
            failure = failure.or(Some(error));
        }
    }
    failure
}

/// The error of a session that could not be loaded, if there is one.
fn unloadable(visits: &Followed) -> Option<Error> {
    let visits = visits.all();
    visits.iter().find(|visit| visit.is_unloadable())?;
    let text = "the session could not be loaded, and the handler went on without it";
    Some(StoreError::Other(text.into()).into())
}

/// An error with its original response, which also has the headers of the sessions.
pub(super) struct WithHeaders {
    pub(super) error: actix_web::Error,
    cookies: Vec<String>,
}

impl ResponseError for WithHeaders {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = self.error.error_response();
        for cookie in &self.cookies {
            set_cookie(response.headers_mut(), cookie);
        }
        vary(response.headers_mut());
        response
    }
}

impl fmt::Display for WithHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for WithHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}
