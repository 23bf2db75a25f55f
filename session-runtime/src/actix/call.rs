//! What `#[session]` puts into a handler.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, Responder};

use super::connect::Connecting;
use super::connection::Connection;
use super::respond::Saving;
use crate::error::Error;
use crate::session::Session;

/// One call of a `#[session]` handler: the request and its connection.
#[derive(Debug)]
pub struct Call {
    request: HttpRequest,
    connection: Connection,
}

impl Call {
    /// The session of the handler's body.
    pub fn session(&mut self) -> &mut Session {
        self.connection.session()
    }

    /// Said before the body of a `#[session(purge)]` handler: a logout whose body panics or is
    /// dropped is a logout all the same.
    pub fn purge(&mut self) {
        self.connection.purge_at_end();
    }

    /// Saves the session after the body.
    pub fn save<R: Responder>(mut self, response: R) -> Saving<R> {
        let response = response.respond_to(&self.request);
        let slot = self.connection.close();
        Saving::new(slot, self.request, response)
    }
}

impl FromRequest for Call {
    type Error = Error;
    type Future = Connecting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = req.clone();
        Connecting::new(req, |slot| Self {
            request,
            connection: Connection::open(slot),
        })
    }
}
