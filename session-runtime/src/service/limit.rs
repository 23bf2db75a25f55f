//! The limit on the number of sessions of one user.

use std::pin::pin;
use std::time::Duration;

use super::deadline::Deadline;
use super::service::Service;
use super::standing::Live;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::record::Handle;
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
    /// Checks the limit for the login among these changes, if there is a login and a limit.
    ///
    /// # Errors
    /// The user has too many sessions, or the store fails.
    pub(super) async fn admit<'c>(
        &self,
        changes: &'c [Changes],
        own: Option<Handle>,
        now: Timestamp,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<Login<'c>>> {
        let login = changes.iter().rev().find(|changes| changes.login);
        let user = login.and_then(|login| login.after.user.as_deref());
        let (Some(limit), Some(user)) = (self.config.max_per_user, user) else {
            return Ok(None);
        };
        // Boxed: otherwise every save would reserve space for it.
        let logins = Box::pin(self.logins(user, deadline)).await?;
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

    /// Enforces the limit after a login is saved, because other logins may have been saved meanwhile.
    ///
    /// # Errors
    /// The user has too many sessions after all, or `RefuseNewest` cannot list them: then the login is taken back.
    /// Or the store fails.
    pub(super) async fn enforce_limit(
        &self,
        login: &Login<'_>,
        live: &Live,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        let Login { limit, user, .. } = *login;
        match limit.at {
            AtLimit::EndOldest => {
                let logins = self.logins(user, deadline).await?;
                let over = logins.len().saturating_sub(limit.max);
                // Every other request that looks now chooses the same sessions.
                for &(_, handle) in &logins[..over] {
                    self.end_now(user, Which::One(handle), None).await?;
                }
                Ok(())
            }
            AtLimit::RefuseNewest if login.is_new => {
                let refusal = match self.logins(user, deadline).await {
                    Ok(logins) if logins.len() <= limit.max => return Ok(()),
                    Ok(_) => Error::TooManySessions { max: limit.max },
                    Err(error) => error,
                };
                let removal = self.storage.ledger.remove(live.key, self.storage.now());
                if let Some(head) = deadline.wait(pin!(removal)).await? {
                    self.watches.end(head.handle);
                }
                Err(refusal)
            }
            AtLimit::RefuseNewest => Ok(()),
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
