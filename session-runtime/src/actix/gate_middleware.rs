//! The gate around a scope or an application, and by hand.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError as _};

use super::connect::{Connecting, Followed, Visits};
use super::connection::Connection;
use super::gate::{Gate, Refusal, see_other};
use super::headers::tell;
use super::hooks::after;
use super::host::is_plain_loopback;
use super::refused::Refused;
use super::saved::{failure, settle};
use super::unread_body::UnreadBody;
use super::wording::wording;
use crate::error::Result;
use crate::service::Sessions;
use crate::visit::Visit;

impl Gate {
    /// Checks a request in a middleware function, and connects to its session.
    ///
    /// The path that [`redirect`](Self::redirect) names passes, as it does around a scope: nobody has to be logged in there.
    ///
    /// ```
    /// use actix_web::body::MessageBody;
    /// use actix_web::dev::{ServiceRequest, ServiceResponse};
    /// use actix_web::middleware::Next;
    /// use bsession::Gate;
    ///
    /// const STAFF: Gate = Gate::new().csrf().require_key("staff").redirect("/login");
    ///
    /// async fn staff_only(
    ///     mut request: ServiceRequest,
    ///     next: Next<impl MessageBody>,
    /// ) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    ///     let mut connection = STAFF.check(&mut request).await?;
    ///     println!("{:?} is at work", connection.session().user());
    ///     drop(connection); // its changes, if there were any, wait for the next save
    ///     next.call(request).await
    /// }
    /// # let _ = |request, next: Next<actix_web::body::BoxBody>| staff_only(request, next);
    /// ```
    ///
    /// # Errors
    /// The request is refused, or the store fails. The error becomes the finished response.
    pub async fn check(&self, request: &mut ServiceRequest) -> Result<Connection, Refused> {
        let mut payload = request.take_payload();
        let visit = Connecting::new(request.request(), |visit| visit).await;
        let gate = self.around(request.path());
        let admitted = gate.connect_visit(visit, request.request(), &mut payload);
        let admitted = admitted.await;
        request.set_payload(payload);
        admitted
    }

    /// Checks a request in an extractor, and connects to its session.
    ///
    /// The other extractors of the handler run side by side with this one, so the gate does not come before them. An extractor
    /// that takes the payload for [`csrf`](Self::csrf) leaves nothing of the body to them: for a handler that reads a body, use
    /// the attribute, [`check`](Self::check), or the gate around the scope.
    ///
    /// # Errors
    /// The same as those of [`check`](Self::check).
    pub async fn connect(
        &self,
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> Result<Connection, Refused> {
        let visit = Connecting::new(req, |visit| visit).await;
        self.connect_visit(visit, req, payload).await
    }

    /// The same with the session of another service.
    ///
    /// # Errors
    /// The same as those of [`check`](Self::check).
    pub async fn connect_to(
        &self,
        sessions: &Sessions,
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> Result<Connection, Refused> {
        let visit = Connecting::to(sessions.clone(), req, |visit| visit).await;
        self.connect_visit(visit, req, payload).await
    }

    async fn connect_visit(
        &self,
        visit: Result<Arc<Visit>>,
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> Result<Connection, Refused> {
        let refused = |error| Refused::new(error, req);
        let mut connection = Connection::later(visit.map_err(refused)?);
        let mut body = UnreadBody::take(payload);
        let admitted = self.admit(req, &mut body, &mut connection).await;
        *payload = body.payload;
        let (error, login_page, is_redirect) = match admitted {
            Ok(()) => return Ok(connection),
            Err(Refusal::NoVisit(error)) => {
                Visits::be_quiet(req);
                let mut response = wording(&error, None, req);
                tell(&connection.visit, req, response.headers_mut());
                return Err(Refused::with(error, response));
            }
            Err(Refusal::Visit(error, page)) => (error, page, false),
            Err(Refusal::Redirect(error, page)) => (error, Some(page), true),
        };
        let visit = connection.close();
        let (error, mut response) = match settle(&visit, failure(error.status_code())).await {
            Ok(()) => match login_page {
                Some(page) if is_redirect => (error, see_other(page)),
                page => {
                    let response = wording(&error, page.as_deref(), req);
                    (error, response)
                }
            },
            Err(failed) => {
                let response = wording(&failed, None, req);
                (failed, response)
            }
        };
        tell(&visit, req, response.headers_mut());
        Err(Refused::with(error, response))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = GateMiddleware<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GateMiddleware {
            gate: *self,
            service: Rc::new(service),
        }))
    }
}

/// The middleware that a [`Gate`] puts around a service.
pub struct GateMiddleware<S> {
    gate: Gate,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for GateMiddleware<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let (gate, service) = (self.gate, Rc::clone(&self.service));
        Box::pin(async move {
            let visits = Followed::of(&request);
            let loopback = is_plain_loopback(request.request());
            // No clone of the request may live when the service is called: actix panics in routing.
            match gate.check(&mut request).await {
                Ok(mut connection) => {
                    // Its lock lasts until the service has answered.
                    let lock = gate.locks().then_some(&mut connection);
                    let _lock = lock.map(Connection::take_lock);
                    drop(connection);
                    after(&visits, service.call(request).await, loopback).await
                }
                Err(refused) => {
                    let response = HttpResponse::from_error(refused);
                    // `ServiceRequest::into_response` would lose the error in it.
                    let (request, _) = request.into_parts();
                    Ok(ServiceResponse::new(
                        request,
                        response.map_into_right_body(),
                    ))
                }
            }
        })
    }
}

impl<S> fmt::Debug for GateMiddleware<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateMiddleware")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
