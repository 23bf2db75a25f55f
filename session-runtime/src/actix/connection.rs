//! The connection: one part of a request with the session in its hands.

use std::sync::Arc;

use actix_web::{HttpRequest, Responder};

use super::saved::{Saved, Saving};
use crate::changes::Changes;
use crate::error::Result;
use crate::session::Session;
use crate::visit::{Baseline, Held, Visit};

/// A request's hold on its session, from `connect` to `save`.
///
/// [`connect`](crate::connect) makes one; it is also an extractor. Under
/// [`Hooks`](crate::Hooks) it need not be saved. Elsewhere, if it is dropped without a save, its changes
/// are lost and the log says so, but a purge is done all the same.
///
/// ```
/// use actix_web::{HttpRequest, Responder};
/// use bsession::Connection;
///
/// async fn index(req: HttpRequest, mut connection: Connection) -> impl Responder {
///     connection.session()["last"] = "index".into();
///     connection.save(&req, "saved").await
/// }
/// ```
#[derive(Debug)]
pub struct Connection {
    /// It keeps no `HttpRequest`: actix panics in routing while a clone of one lives.
    pub(super) visit: Arc<Visit>,
    /// There from its first use until it is closed.
    session: Option<Session>,
    baseline: Baseline,
    /// The session's lock, once it was asked for.
    held: Option<Held>,
    /// Whether the session goes, whatever becomes of the handler.
    purges: bool,
}

impl Connection {
    pub(super) fn open(visit: Arc<Visit>) -> Self {
        let mut connection = Self::later(visit);
        connection.session();
        connection
    }

    /// One that opens at its first use: what others of the request do until then, it sees.
    pub(super) fn later(visit: Arc<Visit>) -> Self {
        Self {
            visit,
            session: None,
            baseline: Baseline::default(),
            held: None,
            purges: false,
        }
    }

    /// The session, to read and to change.
    pub fn session(&mut self) -> &mut Session {
        let Self {
            visit,
            session,
            baseline,
            ..
        } = self;
        session.get_or_insert_with(|| {
            let (session, now) = visit.open();
            *baseline = now;
            session
        })
    }

    /// Waits until no other request has the lock of this session, and continues with the session as it
    /// is then: for plain reading and writing that must not race.
    ///
    /// ```
    /// use actix_web::{HttpRequest, Responder};
    /// use bsession::Connection;
    ///
    /// async fn spend(req: HttpRequest, mut connection: Connection) -> bsession::Result<impl Responder> {
    ///     connection.lock().await?;
    ///     let session = connection.session();                    // as the request before left it
    ///     let credit: u64 = session.get("credit")?.unwrap_or(0);
    ///     if credit > 0 {
    ///         session.insert("credit", credit - 1)?;             // nobody else has spent it meanwhile
    ///     }
    ///     Ok(connection.save(&req, format!("{credit} left")).await)
    /// }
    /// # let _ = spend;
    /// ```
    ///
    /// Requests that lock a session run one after another, those of one process in the order in
    /// which they asked. Nobody else waits: neither requests of other sessions, nor those of this one
    /// that do not lock it. In file mode the lock holds across processes, in Redis across hosts.
    ///
    /// The lock is released when the session is saved or purged, before the response's body is sent;
    /// without that, when the connection is dropped, as by a panic or a client that hangs up. If the connection
    /// leaves its changes to a later save, as under [`Hooks`](crate::Hooks), that save releases it. The end of
    /// the process releases it, too. Other connections of the same request share it.
    ///
    /// What was changed on this connection before is applied to the session as it is found, like changes
    /// that meet another request's. A visitor without a session locks nothing and waits for nobody.
    ///
    /// A request that locks the sessions of two services has to do so in the same order everywhere, or two
    /// such requests wait for each other until they time out.
    ///
    /// A handler that holds the lock, and calls its own server with the visitor's cookie for something
    /// that locks the session, waits for itself until it times out.
    ///
    /// # Errors
    /// [`Error::Locked`] after [`lock_timeout`](crate::Builder::lock_timeout), 10 seconds by
    /// default; [`Error::LockQueueFull`] at once if 64 requests of this session are waiting already;
    /// [`Error::Store`] if the store fails. The connection is as it was before.
    ///
    /// [`Error::Locked`]: crate::Error::Locked
    /// [`Error::LockQueueFull`]: crate::Error::LockQueueFull
    /// [`Error::Store`]: crate::Error::Store
    pub async fn lock(&mut self) -> Result<()> {
        self.held = self.visit.lock().await?;
        if let Some(session) = self.session.take_if(|session| !session.is_unchanged()) {
            let changes = session.into_changes();
            self.visit.add(changes, self.baseline, self.held.clone());
        }
        self.session = None;
        self.session();
        Ok(())
    }

    /// Saves the session, and returns the response with the headers that belong to it.
    ///
    /// The session is saved before the response leaves. If `response` turns out to be a 5xx, only a
    /// [`purge`](Session::purge) and a [`renew`](Session::renew) are done; if the save fails, the
    /// response is a 503 and sets no cookie.
    pub async fn save<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        let response = response.respond_to(req).map_into_boxed_body();
        let visit = self.close();
        Saving::new(visit, req.clone(), response).await
    }

    /// Ends the session, whatever was done to it, and returns the response that removes the cookie.
    pub async fn purge<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        self.purge_at_end();
        self.save(req, response).await
    }

    /// Promises a purge from now on: it is done even if the request does not come to its end.
    pub(super) fn purge_at_end(&mut self) {
        self.purges = true;
    }

    /// Hands the changes over.
    pub(super) fn close(&mut self) -> Arc<Visit> {
        self.hand_over();
        Arc::clone(&self.visit)
    }

    fn hand_over(&mut self) {
        let held = self.held.take();
        let session = self.session.take();
        let changes = if std::mem::take(&mut self.purges) {
            Changes::purge()
        } else {
            match session.filter(|session| !session.is_unchanged()) {
                Some(session) => session.into_changes(),
                None => return,
            }
        };
        self.visit.add(changes, self.baseline, held);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(session) = self.session.take()
        {
            self.purges |= session.into_changes().purge;
        }
        self.hand_over();
    }
}
