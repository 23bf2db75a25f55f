//! The session's flash messages.

use std::sync::Arc;

use super::session::{Session, cut};
use crate::error::Result;
use crate::flash::{Flash, LONGEST, Level, Waiting};

impl Session {
    /// Leaves a message for the next page that shows [`flashes`](Session::flashes), usually after a redirect.
    ///
    /// Messages from parallel requests all arrive. At most 32 messages and 64 KiB of JSON wait; beyond that, the oldest
    /// is dropped. A text longer than 1024 bytes is cut. The messages are kept apart from the dictionary: they are no
    /// key, and do not count towards [`max_size`](crate::Builder::max_size). They end with the session. A flash after a
    /// [`purge`](Session::purge) begins a new, anonymous session that carries it.
    ///
    /// ```
    /// use actix_web::{HttpResponse, Responder, get, post, web::Redirect};
    /// use bsession::{Level, session};
    ///
    /// #[post("/logout")]
    /// #[session]                 // not `session(purge)`, which would remove this message, too
    /// async fn logout() -> impl Responder {
    ///     session.purge();
    ///     session.flash(Level::Success, "You are logged out.");
    ///     Redirect::to("/").see_other()
    /// }
    ///
    /// #[get("/")]
    /// #[session]
    /// async fn index() -> bsession::Result<impl Responder> {
    ///     let mut page = String::new();
    ///     for flash in session.flashes().await? {
    ///         page += &format!("{}: {}\n", flash.level, flash.text); // escape it in HTML
    ///     }
    ///     Ok(page)
    /// }
    /// ```
    pub fn flash(&mut self, level: Level, text: impl Into<String>) {
        let waiting = &mut self.contents_mut().flashes;
        let text = cut(&text.into(), LONGEST).to_owned();
        waiting.add([Flash { level, text }]);
        let most = waiting.as_slice().len();
        self.changes.flashed = most.min(self.changes.flashed + 1);
    }

    /// Takes the waiting messages: the oldest first, the messages of this request last.
    ///
    /// If several requests ask at once, one of them gets the messages. As with [`claim`](Session::claim), they are not
    /// put back if that request fails later, so call this where the messages are shown. If no message waits, nothing is
    /// written.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) if the store fails.
    pub async fn flashes(&mut self) -> Result<Vec<Flash>> {
        let mut shown = Waiting::default();
        if !self.changes.before.flashes.is_empty()
            && let Some(backing) = self.backing.clone()
        {
            shown = backing.claim_flashes().await?;
            Arc::make_mut(&mut self.changes.before).flashes = Waiting::default();
        }
        shown.add(self.changes.take_flashes());
        if !self.changes.after.flashes.is_empty() {
            self.contents_mut().flashes = Waiting::default();
        }
        Ok(shown.into())
    }

    /// The messages that wait, without taking them: for tests, and for pages that only say that there are some.
    ///
    /// ```
    /// # use bsession::Level;
    /// # let mut session = bsession::Session::default();
    /// session.flash(Level::Info, "Saved.");
    /// assert_eq!(session.waiting_flashes()[0].text, "Saved.");
    /// assert!(session.is_empty()); // messages are no keys
    /// ```
    #[must_use]
    pub fn waiting_flashes(&self) -> &[Flash] {
        self.changes.after.flashes.as_slice()
    }
}
