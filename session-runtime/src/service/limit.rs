//! How many sessions a user may have.

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

/// How far the clocks of several hosts may be apart for the order of logins to be kept.
const APART: Duration = Duration::from_secs(60);

/// What becomes of a login when its user has as many sessions as
/// [`max_per_user`](crate::Builder::max_per_user) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtLimit {
    /// It is saved, and the sessions whose logins are the oldest end, as many as are too many.
    EndOldest,
    /// It is refused with [`Error::TooManySessions`], and the session stays as it was.
    RefuseNewest,
}

/// A limit, and what happens at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) max: usize,
    pub(crate) at: AtLimit,
}

/// A login that may be saved.
pub(super) struct Login<'c> {
    limit: Limit,
    user: &'c str,
    /// When it is: later than every login before it, as long as clocks are not too far apart, so
    /// that of two in one millisecond, or on two hosts, the second is the newer one.
    pub(super) at: Timestamp,
    /// Whether it adds a session to those that the user has.
    is_new: bool,
}

impl Service {
    /// Looks at the login among these changes, if there is one and logins are limited.
    ///
    /// # Errors
    /// There is no place for it, or the store fails.
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
        // Boxed, or every save would have room for it.
        let logins = Box::pin(self.logins(user, deadline)).await?;
        let is_new = !logins.iter().any(|&(_, handle)| Some(handle) == own);
        if limit.at == AtLimit::RefuseNewest && is_new && logins.len() >= limit.max {
            return Err(Error::TooManySessions { max: limit.max });
        }
        let newest = logins.last().map(|&(login, _)| login);
        let behind = newest.filter(|&newest| newest >= now && newest.since(now) < APART);
        let at = behind.map_or(now, |newest| newest + Duration::from_millis(1));
        Ok(Some(Login {
            limit,
            user,
            at,
            is_new,
        }))
    }

    /// Sees to it that the limit holds, now that a login is saved, and others may be, too.
    ///
    /// # Errors
    /// There was no place for it after all, or it cannot be seen whether there was, and it is
    /// taken back; or the store fails.
    pub(super) async fn settle(
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
                // Whoever else looks now finds the same ones.
                for &(_, handle) in &logins[..over] {
                    self.end_of(user, Which::One(handle), None).await?;
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
                deadline.wait(pin!(removal)).await?;
                Err(refusal)
            }
            AtLimit::RefuseNewest => Ok(()),
        }
    }

    /// A user's sessions by their logins, the oldest first: in one order for whoever asks.
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
        // One from the future is of a clock that was set back: as the newest it would end all that come.
        logins.sort_unstable_by_key(|&(login, handle)| {
            let is_past = login.since(now) <= APART;
            (is_past, login, handle)
        });
        Ok(logins)
    }
}
