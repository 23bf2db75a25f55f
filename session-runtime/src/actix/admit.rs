//! What a handler asks for before its body runs.

use std::time::{Duration, SystemTime};

use actix_web::HttpResponse;

use super::call::Call;
use super::respond::{Saved, Saving};
use crate::error::{Error, Result};

/// The words of a `#[session(..)]` that are seen to before the body, each by a method of its name.
#[derive(Debug)]
pub struct Words {
    require: Option<Require>,
    fresh: Option<Duration>,
    purge: bool,
    renew: bool,
}

/// What a visitor must have.
#[derive(Debug)]
enum Require {
    User,
    Key(&'static str),
}

impl Words {
    /// None of them.
    pub const NONE: Self = Self {
        require: None,
        fresh: None,
        purge: false,
        renew: false,
    };

    /// Refuses who is not logged in.
    #[must_use]
    pub fn require(self) -> Self {
        Self {
            require: Some(Require::User),
            ..self
        }
    }

    /// Refuses whose session has no such key.
    #[must_use]
    pub fn require_key(self, key: &'static str) -> Self {
        Self {
            require: Some(Require::Key(key)),
            ..self
        }
    }

    /// Refuses who logged in more milliseconds ago.
    #[must_use]
    pub fn fresh(self, millis: u64) -> Self {
        Self {
            fresh: Some(Duration::from_millis(millis)),
            ..self
        }
    }

    /// Ends the session, whatever becomes of the handler.
    #[must_use]
    pub fn purge(self) -> Self {
        Self {
            purge: true,
            ..self
        }
    }

    /// Gives the session a new id.
    #[must_use]
    pub fn renew(self) -> Self {
        Self {
            renew: true,
            ..self
        }
    }
}

impl Call {
    /// Lets the body run, or gives the response of a request that is refused.
    pub async fn admit<R>(&mut self, words: Words) -> Option<Saved<R>> {
        let response = self.refusal(&words)?;
        let slot = self.connection.close();
        Some(Saving::new(slot, self.request.clone(), response).await)
    }

    fn refusal(&mut self, words: &Words) -> Option<HttpResponse> {
        if let Err(error) = self.check(words) {
            return Some(HttpResponse::from_error(error));
        }
        if words.renew {
            self.session().renew();
        }
        if words.purge {
            self.connection.purge_at_end();
        }
        None
    }

    fn check(&mut self, words: &Words) -> Result<()> {
        let now = SystemTime::from(self.connection.slot.sessions.0.now());
        let session = self.connection.session();
        if let Some(Require::Key(key)) = words.require
            && session[key].is_null()
        {
            return Err(Error::KeyRequired {
                key: key.to_owned(),
            });
        }
        let wants_user = matches!(words.require, Some(Require::User)) || words.fresh.is_some();
        if wants_user && session.user().is_none() {
            return Err(Error::LoginRequired);
        }
        let Some(fresh) = words.fresh else {
            return Ok(());
        };
        // A login from the future is of a clock that was set back.
        let age = |at| now.duration_since(at).unwrap_or_default();
        match session.authenticated_at() {
            Some(at) if age(at) <= fresh => Ok(()),
            _ => Err(Error::LoginTooOld),
        }
    }
}
