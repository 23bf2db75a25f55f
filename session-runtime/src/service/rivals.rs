//! The rivals: several live sessions that one request shows under one cookie name.
//!
//! A browser keeps several cookies of one name if they differ in domain or path, and does not say which is which. It
//! shows all of them until the sessions of all but one have ended.

use std::pin::pin;

use super::cookies::Presented;
use super::service::Service;
use super::standing::Standing;
use crate::error::Result;
use crate::record::Head;

impl Service {
    /// Ends the sessions that a request shows, if no user is logged in to any of them. The visitor can then begin
    /// another session.
    ///
    /// Returns false if one of them has a user, or has been changed since this request began. The cookie of a new session
    /// could then overwrite a better one.
    pub(super) async fn end_anonymous_rivals(&self, presented: &Presented) -> Result<bool> {
        let storage = &self.storage;
        let mut deadline = storage.deadline();
        let mut rivals = Vec::new();
        for standing in self.load_each(presented).await? {
            match standing {
                Standing::Live(live) if live.contents.user.is_none() => rivals.push(live),
                Standing::NoSession => {}
                _ => return Ok(false),
            }
        }
        for live in rivals {
            let end = storage
                .ledger
                .end_unchanged(live.key, live.head.revision, storage.now());
            if !deadline.wait(pin!(end)).await? {
                return Ok(false);
            }
            self.purged(&live.head);
        }
        Ok(true)
    }

    /// Warns, once a minute, that a request shows several live sessions.
    pub(super) fn warn_of_rivals(&self, [one, other]: [&Head; 2]) {
        if !self.rival_warnings.lets_through(self.storage.now()) {
            return;
        }
        tracing::warn!(
            target: "bsession",
            cookie = self.cookies.name(),
            handle = %one.handle,
            user = one.user.map(tracing::field::display),
            other_handle = %other.handle,
            other_user = other.user.map(tracing::field::display),
            hint = "a browser has several cookies of this name, as after a change of `domain` or `path`, and two of them \
                    have live sessions: its visitor has no session until the next write or login; give the service \
                    another `cookie_name`",
            "two_live_sessions"
        );
    }
}
