//! The connection, which gives one part of a request its session.

use std::sync::Arc;

use actix_web::{HttpRequest, Responder};

use super::saved::{Saved, Saving};
use crate::changes::Changes;
use crate::error::Result;
use crate::session::{Baseline, Session};
use crate::visit::{Held, Visit};

/// A request's access to its session, from `connect` to `respond`.
///
/// [`connect`](crate::connect) returns one, and it is also an extractor. Under [`Hooks`](crate::Hooks) it need not be
/// saved. Elsewhere, a connection that is dropped without a save loses its changes, and the log says so. A purge is
/// still done.
///
/// ```
/// use actix_web::{HttpRequest, Responder};
/// use bsession::Connection;
///
/// async fn index(req: HttpRequest, mut connection: Connection) -> impl Responder {
///     connection.session()["last"] = "index".into();
///     connection.respond(&req, "saved").await
/// }
/// ```
#[derive(Debug)]
pub struct Connection {
    /// The visit, and no `HttpRequest`: actix panics in routing while a clone of the request lives.
    pub(super) visit: Arc<Visit>,
    /// The session, from its first use until the connection is closed.
    session: Option<Session>,
    /// The session's lock, after `lock` has taken it.
    held: Option<Held>,
    /// True if the session is purged even when the handler fails.
    purges: bool,
}

impl Connection {
    pub(super) fn open(visit: Arc<Visit>) -> Self {
        let mut connection = Self::later(visit);
        connection.session();
        connection
    }

    /// Returns a connection that opens at its first use. It sees what other connections of the request changed until
    /// then.
    pub(super) fn later(visit: Arc<Visit>) -> Self {
        Self {
            visit,
            session: None,
            held: None,
            purges: false,
        }
    }

    /// Returns the session, to read and to change.
    pub fn session(&mut self) -> &mut Session {
        let Self { visit, session, .. } = self;
        session.get_or_insert_with(|| visit.open())
    }

    /// Takes the lock of this session, for code that reads and then writes without a race.
    ///
    /// Waits until no other request has the lock, and then continues with the session as it is stored at that moment.
    ///
    /// ```
    /// use actix_web::{HttpRequest, Responder};
    /// use bsession::Connection;
    ///
    /// async fn spend(req: HttpRequest, mut connection: Connection) -> bsession::Result<impl Responder> {
    ///     connection.lock().await?;
    ///     let session = connection.session();                    // with the changes of the request before
    ///     let credit: u64 = session.get("credit")?.unwrap_or(0);
    ///     if credit > 0 {
    ///         session.insert("credit", credit - 1)?;             // no other request has spent it meanwhile
    ///     }
    ///     Ok(connection.respond(&req, format!("{credit} left")).await)
    /// }
    /// # let _ = spend;
    /// ```
    ///
    /// Requests that lock the same session run one after another. Within one process they run in the order in which
    /// they asked. Requests of other sessions do not wait, and neither do requests that do not lock this session. In
    /// file mode the lock holds across processes, in Redis across hosts.
    ///
    /// The lock is released when the session is saved or purged, before the response's body is sent. Without a save it
    /// is released when the connection is dropped, for example by a panic or by a client that hangs up. If the
    /// connection leaves its changes to a later save, as under [`Hooks`](crate::Hooks), that save releases the lock.
    /// The end of the process also releases it. Other connections of the same request share the lock.
    ///
    /// Changes that this connection made before the lock are merged into the stored session, by the same rules as
    /// changes that conflict with another request. A visitor without a session locks nothing and does not wait.
    ///
    /// A request that locks the sessions of two services must lock them in the same order everywhere. Otherwise two
    /// such requests can wait for each other until they time out.
    ///
    /// A handler that holds the lock must not call its own server, with the visitor's cookie, for something that locks
    /// the session. It would wait for itself until it times out.
    ///
    /// # Errors
    /// - [`Error::Locked`] after [`lock_timeout`](crate::Builder::lock_timeout), 10 seconds by default.
    /// - [`Error::LockQueueFull`] at once, if 64 requests of this session are waiting already.
    /// - [`Error::Store`] if the store fails.
    ///
    /// After an error the connection is as it was before.
    ///
    /// [`Error::Locked`]: crate::Error::Locked
    /// [`Error::LockQueueFull`]: crate::Error::LockQueueFull
    /// [`Error::Store`]: crate::Error::Store
    pub async fn lock(&mut self) -> Result<()> {
        self.held = self.visit.lock().await?;
        if let Some(session) = self.session.take_if(|session| !session.is_unchanged()) {
            let (changes, baseline) = session.into_changes();
            self.visit.add(changes, baseline, self.held.clone());
        }
        // It opens again at its next use, with what other connections change until then.
        self.session = None;
        Ok(())
    }

    /// Saves the session, and returns the response with the headers of the session.
    ///
    /// The session is saved before the response leaves. If `response` is a 5xx, only a [`purge`](Session::purge) or a
    /// [`renew`](Session::renew) is saved. If the save fails, the response is a 503 and sets no cookie. If it fails
    /// with [`TooManySessions`](crate::Error::TooManySessions), the response is a 409.
    pub async fn respond<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        let response = response.respond_to(req).map_into_boxed_body();
        let visit = self.close();
        Saving::new(visit, req.clone(), response).await
    }

    /// Ends the session, no matter what was changed in it, and returns the response that removes the cookie.
    pub async fn purge<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        self.purge_at_end();
        self.respond(req, response).await
    }

    /// Takes the session's lock out of the connection, to hold it for longer.
    pub(super) fn take_lock(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Marks the session for a purge, which is done even if the request is dropped before it finishes.
    pub(super) fn purge_at_end(&mut self) {
        self.purges = true;
    }

    /// Hands the changes over to the visit.
    pub(super) fn close(&mut self) -> Arc<Visit> {
        self.hand_over();
        Arc::clone(&self.visit)
    }

    fn hand_over(&mut self) {
        let held = self.held.take();
        let session = self.session.take();
        let (changes, baseline) = if std::mem::take(&mut self.purges) {
            (Changes::purge(), Baseline::default())
        } else {
            match session.filter(|session| !session.is_unchanged()) {
                Some(session) => session.into_changes(),
                None => return self.visit.keep_lock(held),
            }
        };
        self.visit.add(changes, baseline, held);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(session) = self.session.take()
        {
            self.purges |= session.into_changes().0.purge;
        }
        self.hand_over();
    }
}
