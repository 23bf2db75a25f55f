//! The connection: one part of a request with the session in its hands.

use std::sync::Arc;

use actix_web::{HttpRequest, Responder};

use super::respond::{Saved, Saving};
use crate::changes::Changes;
use crate::session::Session;
use crate::slot::{Opened, Slot};

/// A request's hold on its session, from `connect` to `save`.
///
/// [`connect`](crate::connect) makes one, and it is an extractor. Under
/// [`Hooks`](crate::Hooks) nobody needs to save it; elsewhere, dropped without a save, its changes
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
    pub(super) slot: Arc<Slot>,
    /// There until it is closed.
    session: Option<Session>,
    opened: Opened,
    /// Whether the session goes, whatever becomes of the handler.
    purges: bool,
}

impl Connection {
    pub(super) fn open(slot: Arc<Slot>) -> Self {
        let (session, opened) = slot.open();
        Self {
            slot,
            session: Some(session),
            opened,
            purges: false,
        }
    }

    /// The session, to read and to change.
    pub fn session(&mut self) -> &mut Session {
        self.session.get_or_insert_default()
    }

    /// Saves the session, and gives the response with what it has to tell the browser.
    ///
    /// It is saved before the response leaves. If `response` comes out as a 5xx only a
    /// [`purge`](Session::purge) and a [`renew`](Session::renew) are done; if the save fails, the
    /// response is a 503 and sets no cookie.
    pub async fn save<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        let response = response.respond_to(req).map_into_boxed_body();
        let slot = self.close();
        Saving::new(slot, req.clone(), response).await
    }

    /// Ends the session, whatever was done to it, and gives the response that tells the browser.
    pub async fn purge<R: Responder>(mut self, req: &HttpRequest, response: R) -> Saved<R> {
        self.purge_at_end();
        self.save(req, response).await
    }

    /// Promises a purge from now on: it is done even if the request does not come to its end.
    pub(super) fn purge_at_end(&mut self) {
        self.purges = true;
    }

    /// Hands the changes over.
    pub(super) fn close(&mut self) -> Arc<Slot> {
        self.hand_over();
        Arc::clone(&self.slot)
    }

    fn hand_over(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let changes = if self.purges {
            Changes::purge()
        } else if session.is_unchanged() {
            return;
        } else {
            session.into_changes()
        };
        self.slot.add(changes, self.opened);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(session) = self.session.take_if(|_| !self.purges)
        {
            self.purges = session.into_changes().purge;
            self.session = self.purges.then(Session::default);
        }
        self.hand_over();
    }
}
