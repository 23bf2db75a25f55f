//! The watch: it tells a socket or a stream when the session is over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;

/// Tells when a session is over, beyond the request that made it: for a WebSocket, or a response that streams.
///
/// [`Session::watch`](crate::Session::watch) makes one. It owns all that it needs and can be moved to another task.
/// Clones watch the same session.
///
/// ```
/// use actix_web::{HttpRequest, HttpResponse, get, rt, web::Payload};
/// use bsession::session;
///
/// #[get("/socket")]
/// #[session(csrf, require)]
/// async fn socket(req: HttpRequest, body: Payload) -> actix_web::Result<HttpResponse> {
///     let (response, mut socket, _messages) = actix_ws::handle(&req, body)?;
///     let watch = session.watch();
///     rt::spawn(async move {
///         // … and whatever else the socket does, with `tokio::select!` …
///         watch.ended().await;
///         let _ = socket.close(None).await;
///     });
///     Ok(response)
/// }
/// ```
///
/// A watch is no visit: it does not extend the session. To extend it, the page sends a request now and then.
///
/// All watches of a service cost the store one question every two seconds. Watches of one session are asked for once, and
/// a watch that is dropped is forgotten.
#[derive(Clone)]
#[must_use = "a watch does nothing unless it is asked"]
pub struct Watch(Option<Arc<dyn Watched>>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The service's side of a watch. This is a trait so that the session does not depend on the service.
pub(crate) trait Watched: Send + Sync {
    fn is_live(&self) -> Answer<'_, Result<bool>>;

    fn ended(&self) -> Answer<'_, ()>;
}

impl Watch {
    /// Makes a watch; without anything to watch, it is over.
    pub(crate) fn new(watched: Option<Arc<dyn Watched>>) -> Self {
        Self(watched)
    }

    /// Asks the store if the session is still there, with the same user.
    ///
    /// Returns false as soon as [`ended`](Self::ended) would return. In the handler itself, before the response is saved, it asks
    /// for the session that the request found; false if there was no session.
    /// While the request saves its session, it waits for the end of that.
    ///
    /// # Errors
    /// The store fails. The session may still be there: ask again.
    pub async fn is_live(&self) -> Result<bool> {
        match &self.0 {
            Some(watched) => watched.is_live().await,
            None => Ok(false),
        }
    }

    /// Waits until the session is over.
    ///
    /// It is over when it was logged out or revoked, when it has expired, and when it went from one user to another. It
    /// goes on through renewals, and through a login of an anonymous visitor. A logout, a revocation or another login in
    /// this process is noticed at once, everything else within two seconds. A failure of the store ends nothing.
    ///
    /// It also returns when the server stops, by [`Sessions::close`](crate::Sessions::close).
    pub async fn ended(&self) {
        if let Some(watched) = &self.0 {
            watched.ended().await;
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch(..)")
    }
}
