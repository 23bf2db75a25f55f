//! The sessions of a user, seen from outside of them.

use std::collections::HashSet;
use std::time::SystemTime;

use super::{Deadline, Service, Sessions};
use crate::error::Result;
use crate::record::{Handle, Inner, UserKey};
use crate::seal::{self, Told};
use crate::session::Session;
use crate::store::{Listing, Which};

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
    /// A page of devices, with a button to log each of them out:
    ///
    /// ```
    /// # use std::fmt::Write;
    /// # use actix_web::{HttpResponse, Responder, get, post, web::{Form, Html, Redirect}};
    /// # use bsession::{Handle, Sessions, session};
    /// # fn escaped(text: &str) -> String { text.replace('&', "&amp;").replace('<', "&lt;") }
    /// #[get("/devices")]
    /// #[session]
    /// async fn devices(sessions: Sessions) -> bsession::Result<impl Responder> {
    ///     let Some(user) = session.user() else { return Ok(Html::new("log in first")) };
    ///     let mut page = String::new();
    ///     for device in sessions.of_user(user).await? {
    ///         let name = escaped(device.note.as_deref().unwrap_or("a browser"));
    ///         let minutes = device.seen.elapsed().unwrap_or_default().as_secs() / 60;
    ///         let handle = device.handle;
    ///         let _ = match session.handle() == Some(handle) {
    ///             true => write!(page, "<p>{name}: this one"),
    ///             false => write!(
    ///                 page,
    ///                 "<form method=post action=/revoke>{name}, {minutes} minutes ago \
    ///                  <button name=handle value={handle}>log out</button></form>"
    ///             ),
    ///         };
    ///     }
    ///     Ok(Html::new(page))
    /// }
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Device {
    ///     handle: Handle,
    /// }
    ///
    /// #[post("/revoke")]
    /// #[session(csrf)]
    /// async fn revoke(form: Form<Device>, sessions: Sessions) -> bsession::Result<impl Responder> {
    ///     if let Some(user) = session.user() {
    ///         sessions.revoke(user, form.handle).await?; // of this user alone
    ///     }
    ///     Ok(Redirect::to("/devices").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub async fn of_user(&self, user: &str) -> Result<Vec<SessionInfo>> {
        let service = &*self.0;
        let listed = service.list(user, &mut service.deadline()).await?;
        let mut sessions: Vec<_> = listed
            .iter()
            .map(|(key, listing)| {
                let told = service.told(*key, listing).unwrap_or_default();
                SessionInfo::new(listing, told)
            })
            .collect();
        sessions.sort_by_key(|session| (session.created, session.handle));
        Ok(sessions)
    }

    /// Ends one session of `user`, as a logout would: it is over at its very next request, whatever is in
    /// flight, in every process. Returns whether there was such a session.
    ///
    /// The handle may come from a form: that of another user's session ends nothing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn revoke(&self, user: &str, handle: Handle) -> Result<bool> {
        let service = &*self.0;
        let mut deadline = service.deadline();
        let ended = service
            .end_of(user, Which::One(handle), &mut deadline)
            .await?;
        Ok(ended > 0)
    }

    /// Ends the sessions of `user`, all or all but one; returns how many. As with
    /// [`revoke`](Self::revoke), they are over at their very next request.
    ///
    /// To log out everywhere else, give the session of the request for `except`. It is spared even if
    /// this very request makes it or logs it in, since it is saved after the handler. To end it as
    /// well, also [`purge`](Session::purge) it, which removes its cookie.
    ///
    /// # Errors
    /// The store fails; some of the sessions may have ended by then.
    pub async fn revoke_user(&self, user: &str, except: Option<&Session>) -> Result<usize> {
        let service = &*self.0;
        let which = except
            .and_then(Session::handle)
            .map_or(Which::All, Which::AllBut);
        service.end_of(user, which, &mut service.deadline()).await
    }
}

impl Service {
    /// The keys under which a user's sessions are. Those of previous secrets first, since that is
    /// where sessions come from that move while they are looked for.
    fn user_keys(&self, user: &str) -> Vec<UserKey> {
        let mut keys: Vec<_> = self.ring.user_keys(user).collect();
        keys.reverse();
        keys
    }

    /// The sessions of a user, each once.
    pub(super) async fn list(
        &self,
        user: &str,
        deadline: &mut Deadline<'_>,
    ) -> Result<Vec<(UserKey, Listing)>> {
        let mut listed = Vec::new();
        for key in self.user_keys(user) {
            let found = deadline.wait(self.store.of_user(key, self.now())).await?;
            listed.extend(found.into_iter().map(|listing| (key, listing)));
        }
        // One that was renewed or moved meanwhile may be there twice; the last one is the later.
        listed.reverse();
        let mut seen = HashSet::new();
        listed.retain(|(_, listing)| seen.insert(listing.handle));
        Ok(listed)
    }

    /// Ends sessions of a user, and answers how many.
    pub(super) async fn end_of(
        &self,
        user: &str,
        which: Which,
        deadline: &mut Deadline<'_>,
    ) -> Result<usize> {
        let mut ended = 0;
        for key in self.user_keys(user) {
            let answer = self.store.remove_user(key, which, self.now());
            let here = deadline.wait(answer).await?;
            self.counters.removals.add(here as u64);
            ended += here;
        }
        if ended > 0 {
            tracing::debug!(target: "bsession", ended, "revoked");
        }
        Ok(ended)
    }

    /// What the summary of a session tells; nothing if it does not open.
    pub(super) fn told(&self, user: UserKey, listing: &Listing) -> Option<Told> {
        match &listing.summary.as_ref()?.0 {
            Inner::Plain(contents) => Some(Told::from(&**contents)),
            Inner::Sealed(bytes) => seal::open_summary(&self.ring, listing.handle, user, bytes),
        }
    }
}
