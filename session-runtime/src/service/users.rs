//! The sessions of a user, seen from outside of them.

use std::time::SystemTime;

use super::{Service, Sessions};
use crate::error::Result;
use crate::record::{Handle, Inner, Key, UserKey};
use crate::seal::{self, Told};
use crate::session::Session;
use crate::store::Listing;

/// What can be told of a session without its visitor's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public name, as [`Session::handle`](crate::Session::handle) gives it.
    pub handle: Handle,
    /// When it was created.
    pub created: SystemTime,
    /// When the user logged in; `None` if that cannot be read, as in what an earlier version wrote.
    pub authenticated: Option<SystemTime>,
    /// When it was last visited, to the minute.
    pub seen: SystemTime,
    /// When it ends unless it is visited again.
    pub expires: SystemTime,
    /// What the application noted with [`Session::set_note`](crate::Session::set_note).
    pub note: Option<String>,
}

impl SessionInfo {
    fn new(listing: &Listing, told: Told) -> Self {
        Self {
            handle: listing.handle,
            created: listing.created.into(),
            authenticated: told.authenticated.map(SystemTime::from),
            seen: listing.seen.into(),
            expires: listing.expires.into(),
            note: told.note.map(String::from),
        }
    }
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
                let told = service.told(key, &listing).unwrap_or_default();
                sessions.push(SessionInfo::new(&listing, told));
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
    /// What the summary of a session tells; nothing if it does not open.
    fn told(&self, user: UserKey, listing: &Listing) -> Option<Told> {
        match &listing.summary.as_ref()?.0 {
            Inner::Plain(contents) => Some(Told::from(&**contents)),
            Inner::Sealed(bytes) => seal::open_summary(&self.ring, listing.handle, user, bytes),
        }
    }

    async fn find(
        &self,
        user: UserKey,
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
