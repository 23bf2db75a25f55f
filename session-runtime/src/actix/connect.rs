//! Connects a request to the visit of its session.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::dev::{Extensions, Payload};
use actix_web::http::header::COOKIE;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::connection::Connection;
use super::refused::Refused;
use super::withheld::withheld;
use crate::error::{Error, Result};
use crate::few::Few;
use crate::service::Sessions;
use crate::visit::Visit;

/// Connects to the session of a request by hand, as `#[session]` does before a handler's body.
///
/// A guard, a middleware and a handler may all connect within one request. They share one load. Each one begins with
/// the changes of those before it, and the next save commits the changes of all of them.
///
/// ```
/// use actix_web::{HttpRequest, Responder};
///
/// async fn index(req: HttpRequest) -> bsession::Result<impl Responder> {
///     let mut connection = bsession::connect(&req).await?;
///     let visits = connection.session().update("visits", |n: u64| n + 1)?;
///     Ok(connection.respond(&req, format!("visit {visits}")).await)
/// }
/// ```
///
/// # Errors
/// [`Error::NotInitialised`] if there is no session service, and [`Error::Store`] if the store fails. A failing store
/// never looks as if the visitor had no session.
pub async fn connect(req: &HttpRequest) -> Result<Connection> {
    Connecting::new(req, |visit| visit.map(Connection::open)).await
}

/// The visits of one request, one for each service. They are kept in the request's extensions.
#[derive(Default)]
pub(super) struct Visits {
    all: Few<Arc<Visit>>,
    hooks: Option<Followed>,
    /// True if the request is no visit, in any service.
    is_quiet: bool,
}

/// The same visits, for the hooks around a request.
///
/// The hooks reach them without the request: an inner error comes back without it, and actix panics if a middleware
/// keeps a clone of it. This list is apart from [`Visits::all`], so that a request without hooks does not allocate it.
#[derive(Clone)]
pub(super) struct Followed(Rc<RefCell<Few<Arc<Visit>>>>);

impl Followed {
    /// Returns the visits of a request. They include those that a middleware outside the hooks has opened, because
    /// the middleware and handlers inside continue with the same visits.
    pub(super) fn of(req: &impl HttpMessage) -> Self {
        let mut extensions = req.extensions_mut();
        let Visits { all, hooks, .. } = extensions.get_or_insert_with(Visits::default);
        all.iter().for_each(|visit| visit.will_be_answered());
        let follow = || Self(Rc::new(RefCell::new(all.clone())));
        hooks.get_or_insert_with(follow).clone()
    }

    /// Returns all visits so far.
    pub(super) fn all(&self) -> Few<Arc<Visit>> {
        self.0.borrow().clone()
    }
}

impl Visits {
    /// Makes the request no visit, also of services that it connects to later.
    pub(super) fn be_quiet(req: &HttpRequest) {
        let mut extensions = req.extensions_mut();
        let visits = extensions.get_or_insert_with(Self::default);
        visits.is_quiet = true;
        visits.all.iter().for_each(|visit| visit.is_no_visit());
    }

    /// The visit of the service that the request connected to last.
    pub(super) fn last(extensions: &Extensions) -> Option<&Arc<Visit>> {
        extensions.get::<Self>()?.all.last()
    }

    fn visit(&mut self, sessions: Sessions, req: &HttpRequest) -> Arc<Visit> {
        let mut visits = self.all.iter();
        if let Some(visit) = visits.find(|visit| Arc::ptr_eq(&visit.sessions.0, &sessions.0)) {
            return Arc::clone(visit);
        }
        // Reads the bytes of the headers: `HttpRequest::cookies` fails at the first cookie that it cannot parse.
        let headers = req
            .headers()
            .get_all(COOKIE)
            .map(|header| header.as_bytes());
        let mut presented = sessions.0.cookies.presented(headers);
        presented.withheld = withheld(req, &sessions, presented.any);
        let visit = Arc::new(Visit::new(sessions, presented));
        if self.is_quiet {
            visit.is_no_visit();
        }
        self.all.push(Arc::clone(&visit));
        if let Some(Followed(visits)) = &self.hooks {
            visit.will_be_answered();
            visits.borrow_mut().push(Arc::clone(&visit));
        }
        visit
    }
}

/// Returns the service of a request: the innermost one in its application data, else the global one.
fn sessions(req: &HttpRequest) -> Result<Sessions> {
    req.app_data::<Sessions>()
        .cloned()
        .or_else(Sessions::global)
        .ok_or(Error::NotInitialised)
}

impl FromRequest for Sessions {
    type Error = Refused;
    type Future = std::future::Ready<Result<Self, Refused>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(sessions(req).map_err(|error| Refused::new(error, req)))
    }
}

impl FromRequest for Connection {
    type Error = Refused;
    type Future = Connecting<Result<Self, Refused>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        Connecting::extract(req, |visit| Ok(Self::open(visit)))
    }
}

/// A future of a connection, or of another value that is made from its visit or from the error. It is ready at once,
/// unless the store has to be awaited.
#[must_use = "futures do nothing unless polled"]
pub struct Connecting<T>(ConnectState<T>);

enum ConnectState<T> {
    Now(Option<T>),
    Later(Pin<Box<dyn Future<Output = T>>>),
}

impl<T> Connecting<T> {
    pub(super) fn new(
        req: &HttpRequest,
        open: impl FnOnce(Result<Arc<Visit>>) -> T + 'static,
    ) -> Self {
        match sessions(req) {
            Ok(sessions) => Self::to(sessions, req, open),
            Err(error) => Self(ConnectState::Now(Some(open(Err(error))))),
        }
    }

    /// Connects to this service, even if the application has another one.
    pub(super) fn to(
        sessions: Sessions,
        req: &HttpRequest,
        open: impl FnOnce(Result<Arc<Visit>>) -> T + 'static,
    ) -> Self {
        let visit = {
            let mut extensions = req.extensions_mut();
            let visits = extensions.get_or_insert_with(Visits::default);
            visits.visit(sessions, req)
        };
        Self(match visit.load_now() {
            Some(loaded) => ConnectState::Now(Some(open(loaded.map(|()| visit)))),
            None => ConnectState::Later(Box::pin(async move {
                let loaded = visit.load().await;
                open(loaded.map(|()| visit))
            })),
        })
    }
}

impl<T> Connecting<Result<T, Refused>> {
    /// Connects for an extractor, whose error is a finished response.
    pub(super) fn extract(
        req: &HttpRequest,
        open: impl FnOnce(Arc<Visit>) -> Result<T> + 'static,
    ) -> Self {
        let request = req.clone();
        Self::new(req, move |visit| {
            let opened = visit.and_then(open);
            opened.map_err(|error| Refused::new(error, &request))
        })
    }
}

impl<T: Unpin> Future for Connecting<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.get_mut().0 {
            ConnectState::Now(result) => result.take().map_or(Poll::Pending, Poll::Ready),
            ConnectState::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Connecting<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connecting(..)")
    }
}
