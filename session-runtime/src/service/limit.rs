//! The limit on the number of sessions of one user.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::codec::Rewrite;
use super::deadline::Deadline;
use super::service::Service;
use super::standing::Live;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::{Error, Result};
use crate::one_line::OneLine;
use crate::record::{Handle, Head, UserKey};
use crate::store::Which;

/// The largest difference between the clocks of several hosts at which the order of logins is kept.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The handling of a login when its user already has as many sessions as
/// [`max_per_user`](crate::Builder::max_per_user) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtLimit {
    /// The login is saved. The sessions with the oldest logins end, until the limit holds again.
    EndOldest,
    /// The login is refused with [`Error::TooManySessions`], and the session stays as it was.
    RefuseNewest,
}

/// A limit, and the handling of a login that exceeds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) max: usize,
    pub(crate) at: AtLimit,
}

/// A login that may be saved.
pub(super) struct Login<'c> {
    limit: Limit,
    user: &'c str,
    /// The time of the login. If the clocks are not too far apart, it is later than every earlier login. So the
    /// second of two logins is the newer one, even in the same millisecond or on two hosts.
    pub(super) at: Timestamp,
    /// True if it adds a session to the user's sessions.
    is_new: bool,
}

impl Service {
    /// Checks the limit for the login among these changes, if there is a login and a limit. `own` is the session that is
    /// logged in; the login ends the sessions in `ending`.
    ///
    /// # Errors
    /// The user has too many sessions, or the store fails.
    pub(super) async fn admit<'c>(
        &self,
        changes: &'c [Changes],
        own: Option<Handle>,
        ending: &[Handle],
        now: Timestamp,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Login<'c>>> {
        let login = changes.iter().rev().find(|changes| changes.login);
        let user = login.and_then(|login| login.after.user.as_deref());
        let (Some(limit), Some(user)) = (self.config.max_per_user, user) else {
            return Ok(None);
        };
        // Boxed: otherwise every save would reserve space for it.
        let mut logins = Box::pin(self.logins(user, deadline)).await?;
        logins.retain(|(_, handle)| !ending.contains(handle));
        let is_new = !logins.iter().any(|&(_, handle)| Some(handle) == own);
        if limit.at == AtLimit::RefuseNewest && is_new && logins.len() >= limit.max {
            return Err(Error::TooManySessions { max: limit.max });
        }
        let newest = logins.last().map(|&(login, _)| login);
        let behind = newest.filter(|&newest| newest >= now && newest.since(now) < MAX_CLOCK_SKEW);
        let at = behind.map_or(now, |newest| newest + Duration::from_millis(1));
        Ok(Some(Login {
            limit,
            user,
            at,
            is_new,
        }))
    }

    /// Enforces the limit after a login is saved, because other logins may have been saved meanwhile. Returns the reason
    /// why the login must be taken back, if there is one.
    pub(super) async fn enforce_limit(
        &self,
        login: &Login<'_>,
        deadline: &mut Deadline<'_>,
    ) -> Option<Error> {
        let limit = login.limit;
        if limit.at == AtLimit::RefuseNewest && !login.is_new {
            return None;
        }
        let logins = self.logins(login.user, deadline).await;
        match (limit.at, logins) {
            (AtLimit::RefuseNewest, Ok(logins)) => {
                (logins.len() > limit.max).then_some(Error::TooManySessions { max: limit.max })
            }
            (AtLimit::RefuseNewest, Err(error)) => Some(error),
            (AtLimit::EndOldest, Ok(logins)) => {
                if let Err(error) = self.end_oldest(login, &logins).await {
                    limit_not_enforced(Some(self.codec.user_key(login.user)), &error);
                }
                None
            }
            (AtLimit::EndOldest, Err(error)) => {
                limit_not_enforced(Some(self.codec.user_key(login.user)), &error);
                None
            }
        }
    }

    async fn end_oldest(&self, login: &Login<'_>, logins: &[(Timestamp, Handle)]) -> Result<()> {
        let over = logins.len().saturating_sub(login.limit.max);
        // Every other request that looks now chooses the same sessions.
        for &(_, handle) in &logins[..over] {
            self.end_now(login.user, Which::One(handle), None).await?;
        }
        Ok(())
    }

    /// Ends a session that a refused login has begun. False if the store fails: then the login stays.
    pub(super) async fn take_back_new(&self, live: &Live, deadline: &mut Deadline<'_>) -> bool {
        let removal = self
            .storage
            .ledger
            .remove(live.key, &[], self.storage.now());
        match deadline.wait(pin!(removal)).await {
            Ok(head) => {
                if let Some(head) = head {
                    self.watches.end(head.handle);
                    let Head { handle, user, .. } = head;
                    tracing::debug!(target: "bsession", %handle, user = user.map(tracing::field::display), "login_taken_back");
                }
                true
            }
            Err(error) => {
                limit_not_enforced(live.head.user, &error.into());
                false
            }
        }
    }

    /// Gives a session the contents back that it had before a refused login. It keeps its new id. False if the store
    /// fails: then the login stays.
    pub(super) async fn take_back(
        &self,
        live: &mut Live,
        before: &Arc<Contents>,
        deadline: &mut Deadline<'_>,
    ) -> bool {
        let rewrite = Rewrite {
            renewal: None,
            now: self.storage.now(),
            quiet: false,
        };
        let user = live.contents.user.clone();
        let written = self.write(live, rewrite, deadline, |live| {
            // Another request, which can only have this id from a stolen cookie, may have changed the user.
            let is_login = live.contents.user == user;
            Ok(is_login.then(|| Arc::clone(before)))
        });
        match written.await {
            Ok(_) => true,
            Err(error) => {
                limit_not_enforced(live.head.user, &error);
                false
            }
        }
    }

    /// The sessions of a user by login, the oldest first. Every request sees them in the same order.
    async fn logins(
        &self,
        user: &str,
        deadline: &mut Deadline<'_>,
    ) -> Result<Vec<(Timestamp, Handle)>> {
        let listed = self.list(user, deadline).await?;
        let now = self.storage.now();
        let mut logins: Vec<_> = listed
            .listings
            .iter()
            .map(|listing| {
                let told = self.codec.open_summary(listing);
                let login = told.and_then(|told| told.authenticated);
                (login.unwrap_or(listing.head.created), listing.head.handle)
            })
            .collect();
        // A login in the future was made before a clock was set back. It counts as the oldest: as the newest one, it
        // would end every later login.
        logins.sort_unstable_by_key(|&(login, handle)| {
            let is_past = login.since(now) <= MAX_CLOCK_SKEW;
            (is_past, login, handle)
        });
        Ok(logins)
    }
}

/// The login is saved, so it is answered as one. The next login enforces the limit.
fn limit_not_enforced(user: Option<UserKey>, error: &Error) {
    tracing::warn!(
        target: "bsession",
        user = user.map(tracing::field::display),
        error = %OneLine(&error),
        hint = "a user may have more sessions than `max_per_user` until the next login",
        "limit_not_enforced"
    );
}
