//! The sessions of a user: listed for a page of devices, and ended from there.

use std::pin::pin;
use std::time::SystemTime;

use super::deadline::Deadline;
use super::service::Service;
use super::sessions::Sessions;
use crate::error::Result;
use crate::record::{Handle, UserKey};
use crate::seal::SummaryContents;
use crate::session::Session;
use crate::store::{Listing, UserSessions, Which};

/// One session of a user, as a list shows it. Its contents stay sealed, because they open only with the visitor's
/// cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public name, the same as [`Session::handle`](crate::Session::handle).
    pub handle: Handle,
    /// The time of its creation.
    pub created: SystemTime,
    /// The time of the login; `None` if it cannot be read.
    pub authenticated: Option<SystemTime>,
    /// The time of the last visit, to the minute.
    pub seen: SystemTime,
    /// The time at which it ends if nobody visits it.
    pub expires: SystemTime,
    /// The text that the application gave to [`Session::set_note`](crate::Session::set_note).
    pub note: Option<String>,
}

impl SessionInfo {
    fn new(listing: &Listing, told: SummaryContents) -> Self {
        Self {
            handle: listing.head.handle,
            created: listing.head.created.into(),
            authenticated: told.authenticated.map(SystemTime::from),
            seen: listing.head.seen.into(),
            expires: listing.head.expires.into(),
            note: told.note.map(String::from),
        }
    }
}

impl Sessions {
    /// Returns the hash by which the log names a user: the field `user` of an event.
    ///
    /// It is keyed by the current secret. An event about a session that was not visited since the secret was changed has the
    /// hash under the previous secret.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// # let sessions = Sessions::builder(Secret::random()?).build()?;
    /// println!("look for user={}", sessions.user_key("joe"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn user_key(&self, user: &str) -> UserKey {
        self.0.codec.user_key(user)
    }

    /// Lists the sessions in which `user` is logged in, the oldest first.
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
        let listed = service.list(user, &mut service.storage.deadline()).await?;
        let info = |listing| {
            SessionInfo::new(
                listing,
                service.codec.open_summary(listing).unwrap_or_default(),
            )
        };
        let mut sessions: Vec<_> = listed.listings.iter().map(info).collect();
        sessions.sort_by_key(|session| (session.created, session.handle));
        Ok(sessions)
    }

    /// Ends one session of `user`, as a logout does. Returns true if there was such a session.
    ///
    /// The session is over at its next request, in every process. A request that is running cannot bring it back.
    ///
    /// The handle may come from a form: the handle of another user's session ends nothing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn revoke(&self, user: &str, handle: Handle) -> Result<bool> {
        Ok(self.0.end_of(user, Which::One(handle), None).await? > 0)
    }

    /// Ends all sessions of `user`, or all except one. Returns their number.
    ///
    /// The sessions are over at their next request, as with [`revoke`](Self::revoke).
    ///
    /// To log out everywhere else, pass the session of the request as `except`. It is spared even if this request
    /// creates it or logs it in, which is saved after the handler. To end it as well, also [`purge`](Session::purge)
    /// it: that removes its cookie.
    ///
    /// The work is done in slices. Each slice has [`store_timeout`](crate::Builder::store_timeout), and the work goes on
    /// if the caller is dropped. It ends the sessions that were live when it began. If the store knows that its list
    /// of the user's sessions is incomplete, it searches all sessions for as long as `store_timeout`; the next call
    /// continues the search.
    ///
    /// # Errors
    /// The store fails; or the list was incomplete, and the search did not reach the end. All sessions that could
    /// be ended have ended by then.
    pub async fn revoke_user(&self, user: &str, except: Option<&Session>) -> Result<usize> {
        let facts = except.map(Session::facts).unwrap_or_default();
        let which = facts.handle.map_or(Which::All, Which::AllBut);
        let is_theirs = |key: &UserKey| self.0.codec.user_keys(user).contains(key);
        let own = facts
            .handle
            .filter(|_| facts.user.as_ref().is_some_and(is_theirs));
        self.0.end_of(user, which, own).await
    }
}

impl Service {
    /// Lists the sessions of a user, each once.
    pub(super) async fn list(
        &self,
        user: &str,
        deadline: &mut Deadline<'_>,
    ) -> Result<UserSessions> {
        let users = self.codec.user_keys(user);
        let listed = deadline
            .wait(pin!(
                self.storage.ledger.sessions_of(&users, self.storage.now())
            ))
            .await?;
        if !listed.whole {
            self.incomplete(&users);
        }
        Ok(listed)
    }
}
