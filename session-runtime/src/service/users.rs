//! The sessions of a user, seen from outside of them.

use std::time::SystemTime;

use super::{Service, Sessions};
use crate::error::Result;
use crate::record::{Handle, Key};
use crate::session::Session;

/// What can be told of a session without its visitor's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public name, as [`Session::handle`](crate::Session::handle) gives it.
    pub handle: Handle,
    /// When it was created.
    pub created: SystemTime,
    /// When it ends unless it is visited again.
    pub expires: SystemTime,
}

impl Sessions {
    /// The sessions in which `user` is logged in, the oldest first.
    ///
    /// # Errors
    /// The store fails.
    pub async fn of_user(&self, user: &str) -> Result<Vec<SessionInfo>> {
        let service = &*self.0;
        let mut deadline = service.deadline();
        let mut sessions = Vec::new();
        for key in service.ring.user_keys(user) {
            for listing in deadline
                .wait(service.store.of_user(key, service.now()))
                .await?
            {
                let (created, expires) = (listing.created.into(), listing.expires.into());
                sessions.push(SessionInfo {
                    handle: listing.handle,
                    created,
                    expires,
                });
            }
        }
        sessions.sort_by_key(|session| (session.created, session.handle));
        Ok(sessions)
    }

    /// Ends the sessions of `user`, all or all but one; gives how many.
    ///
    /// To log out everywhere else, give the session of the request for `but`.
    ///
    /// # Errors
    /// The store fails; some of the sessions may have ended by then.
    pub async fn remove_user(&self, user: &str, but: Option<&Session>) -> Result<usize> {
        let service = &*self.0;
        let mut deadline = service.deadline();
        let mut removed = 0;
        for user_key in service.ring.user_keys(user) {
            let spared = match but.and_then(Session::handle) {
                Some(handle) => service.find(user_key, handle, &mut deadline).await?,
                None => None,
            };
            removed += deadline
                .wait(service.store.remove_user(user_key, spared, service.now()))
                .await?;
        }
        service.counters.removals.add(removed as u64);
        Ok(removed)
    }
}

impl Service {
    async fn find(
        &self,
        user: crate::record::UserKey,
        handle: Handle,
        deadline: &mut super::Deadline<'_>,
    ) -> Result<Option<Key>> {
        let listings = deadline.wait(self.store.of_user(user, self.now())).await?;
        Ok(listings
            .iter()
            .find(|listing| listing.handle == handle)
            .map(|listing| listing.key))
    }
}
