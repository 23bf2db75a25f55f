//! The code that `#[session]` calls in a handler.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};

use super::connect::{Connecting, Visits};
use super::connection::Connection;
use super::gate::{Gate, Refusal};
use super::refused::Refused;
use super::saved::{Saved, Saving};
use super::unread_body::UnreadBody;
use crate::error::Error;
use crate::service::Sessions;
use crate::session::Session;
use crate::view::{View, Viewed};
use crate::visit::Visit;

/// One call of a `#[session]` handler: the request and its connection.
#[derive(Debug)]
pub struct Call {
    pub(super) request: HttpRequest,
    pub(super) body: UnreadBody,
    pub(super) connection: Connection,
    pub(super) gate: &'static Gate,
    /// The error of a view that could not be read or written. Its response replaces that of the body. If the view
    /// could not be read, the body still runs, on the default, because it needs a value.
    failed: Option<Box<Error>>,
}

impl Call {
    fn new(request: HttpRequest, body: UnreadBody, visit: Arc<Visit>) -> Self {
        visit.will_be_answered();
        Self {
            request,
            body,
            gate: const { &Gate::new() },
            connection: Connection::later(visit),
            failed: None,
        }
    }

    /// Returns the response of a request that the gate refuses, or `None` if the handler may run.
    pub async fn admit<R>(&mut self, gate: &'static Gate) -> Option<Saved<R>> {
        let admitted = gate.admit(&self.request, &mut self.body, &mut self.connection);
        match admitted.await {
            Ok(()) => {}
            Err(Refusal::NoVisit(error)) => {
                Visits::be_quiet(&self.request);
                let visit = &self.connection.visit;
                return Some(Saved::refused(visit, &self.request, error));
            }
            Err(refusal) => {
                let visit = self.connection.close();
                let response = refusal.into_response();
                return Some(Saving::new(visit, self.request.clone(), response).await);
            }
        }
        self.gate = gate;
        if gate.purges() {
            self.connection.purge_at_end();
        }
        None
    }

    /// Returns the session for the handler's body.
    pub fn session(&mut self) -> &mut Session {
        self.connection.session()
    }

    /// Returns the user who is logged in. Only for a handler that requires a login.
    pub fn user(&mut self) -> String {
        self.visitor().unwrap_or_default()
    }

    /// Returns the user who is logged in, if there is one.
    pub fn visitor(&mut self) -> Option<String> {
        self.session().user().map(str::to_owned)
    }

    /// Reads a view of the session for the body.
    pub fn view<T: View>(&mut self) -> Viewed<T> {
        Viewed::load(self.session()).unwrap_or_else(|error| {
            self.failed = Some(Box::new(error));
            Viewed::unloaded()
        })
    }

    /// Writes a view back to the session after the body.
    pub fn write<T>(&mut self, view: Viewed<T>) {
        if let Err(error) = view.write(self.session()) {
            self.failed = Some(Box::new(error));
        }
    }

    /// Saves the session after the body.
    pub fn save<R: Responder>(mut self, response: R) -> Saving<R> {
        let response = match self.failed.take() {
            None => response.respond_to(&self.request).map_into_boxed_body(),
            Some(error) => HttpResponse::from_error(*error),
        };
        let visit = self.connection.close();
        Saving::new(visit, self.request, response)
    }
}

impl FromRequest for Call {
    type Error = Refused;
    type Future = Connecting<Result<Self, Refused>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, body) = (req.clone(), UnreadBody::take(payload));
        Connecting::new(req, |visit| match visit {
            Ok(visit) => Ok(Self::new(request, body, visit)),
            Err(error) => Err(Refused::new(error, &request)),
        })
    }
}

/// A request that is not connected yet. The handler names the service to connect to.
#[derive(Debug)]
pub struct Request {
    pub(super) request: HttpRequest,
    pub(super) body: UnreadBody,
}

impl Request {
    /// Connects to the session of the request in this service.
    ///
    /// # Errors
    /// The finished response, if the store fails.
    pub async fn connect<R>(self, sessions: &Sessions) -> Result<Call, Saved<R>> {
        let Self { request, body } = self;
        let connecting = Connecting::to(sessions.clone(), &request, |visit| visit);
        match connecting.await {
            Ok(visit) => Ok(Call::new(request, body, visit)),
            Err(error) => Err(Saved::failed(error, &request)),
        }
    }
}

impl FromRequest for Request {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, body) = (req.clone(), UnreadBody::take(payload));
        ready(Ok(Self { request, body }))
    }
}
