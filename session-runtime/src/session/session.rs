//! The session of a request, and the trait that connects it with the visit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::watch::{Watch, Watched};
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::Result;
use crate::flash::Waiting;
use crate::record::{Handle, UserKey};

/// A visitor's session, for the length of one request: a dictionary of JSON values.
///
/// Reading never changes anything. Changes are saved after the handler. Setting an equal value, removing a missing
/// key, and a failed [`insert`](Session::insert) are not changes.
///
/// **Null is no value.** A missing key reads as Null, and setting a key to Null removes it, whichever way it is set: by
/// index, by [`insert`](Session::insert) or [`update`](Session::update) with `None`, through
/// [`data_mut`](Session::data_mut), or by a [`View`](crate::View). So a key is in the dictionary if, and only if,
/// [`get`](Session::get) finds a value and `require = "key"` lets the visitor in. A Null inside a value, as in
/// `[1, null]`, is part of that value.
///
/// ```
/// # use bsession::Session;
/// # fn main() -> bsession::Result<()> {
/// # let mut session = Session::default();
/// session["user"] = "joe".into();                         // as a dictionary
/// session.insert("visits", 41)?;                          // any `Serialize`
/// let visits = session.update("visits", |n: u64| n + 1)?; // exact, however many requests race
/// assert_eq!(visits, 42);
/// assert_eq!(session.get::<String>("user")?.as_deref(), Some("joe"));
/// assert!(session["missing"].is_null());
/// match session["user"].as_str() {
///     Some("joe") => println!("hello again"),
///     _ => println!("who are you?"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// A handler gets its session through [`#[session]`](https://docs.rs/bsession/latest/bsession/attr.session.html) or
/// from its [`Connection`](crate::Connection). `Session` is not an extractor: a handler without the attribute, and a
/// middleware function (`from_fn`), take a `Connection`, and [`Connection::session`](crate::Connection::session) is
/// the session. `Session::default()` is an empty session
/// that belongs to no request. Use it to test functions that take `&mut Session`.
pub struct Session {
    /// The contents at the start, the contents now, and what happened between.
    pub(super) changes: Changes,
    pub(super) backing: Option<Arc<dyn Backing>>,
    baseline: Baseline,
    /// True if a [`save`](Self::save) has saved the end of the loaded contents, or has found it.
    has_emptied: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self::connected(contents::empty(), None, Baseline::default())
    }
}

/// The facts that a session knows about its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) handle: Option<Handle>,
    /// The user's key, under which the store lists the session.
    pub(crate) user: Option<UserKey>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

/// The purges and logins by other connections that had happened when a session was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) purges: u32,
    pub(crate) logins: u32,
}

/// The visit behind a connected session. This is a trait so that the visit depends on the session, and the session
/// does not depend on the visit.
pub(crate) trait Backing: Send + Sync {
    fn facts(&self) -> Facts;

    /// The size that a session may have, in bytes.
    fn max_size(&self) -> usize;

    /// A CSRF token for the visitor.
    fn csrf_token(&self) -> Result<String>;

    /// Takes over the changes of a session, for the next save.
    fn take(&self, changes: Changes, baseline: Baseline);

    /// Returns the contents with all changes of this request that were taken over, to go on from.
    fn present(&self) -> (Arc<Contents>, Baseline);

    /// Saves all changes that were taken over. This goes on if the future is dropped.
    fn save(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    /// Watches the session as the response leaves it.
    fn watch(self: Arc<Self>) -> Arc<dyn Watched>;

    /// Removes `key` from the stored session, and returns its value to this caller alone.
    fn claim<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>>;

    /// Removes the waiting flashes from the stored session, and returns them to this caller alone.
    fn claim_flashes(&self) -> Pin<Box<dyn Future<Output = Result<Waiting>> + Send + '_>>;
}

impl Session {
    pub(crate) fn connected(
        contents: Arc<Contents>,
        backing: Option<Arc<dyn Backing>>,
        baseline: Baseline,
    ) -> Self {
        Self {
            changes: Changes::between(Arc::clone(&contents), contents),
            backing,
            baseline,
            has_emptied: false,
        }
    }

    /// Saves now what this request has changed so far, in the middle of a long handler.
    ///
    /// When this returns, the changes are stored and other requests see them. The session then also has the changes that
    /// other requests have saved meanwhile. If it was ended elsewhere, it is empty.
    ///
    /// The changes stay saved even if the response is a 5xx or the handler panics. The cookie goes with the response.
    /// A lock stays until the end of the request. A [view](crate::View) is written after the body, so its changes are
    /// not among those that are saved here. Make a [CSRF token](Self::csrf_token) after the last `save` that gives the
    /// session a new id.
    ///
    /// ```
    /// use actix_web::{Responder, post};
    /// use bsession::session;
    /// # async fn render() {}
    ///
    /// #[post("/report")]
    /// #[session(csrf)]
    /// async fn report() -> bsession::Result<impl Responder> {
    ///     session["report"] = "being made".into();
    ///     session.save().await?;               // a page that polls sees it from here on
    ///     render().await;                      // takes a minute
    ///     session["report"] = "ready".into();  // saved at the end, as always
    ///     Ok("done")
    /// }
    /// ```
    ///
    /// For a session that belongs to no request, `Session::default()`, this does nothing.
    ///
    /// # Errors
    /// The same as those of a save at the end of the request: the store fails, the session is too large, its user has too
    /// many sessions. The changes stay, and the end of the request saves them. You may also change the session and try
    /// again.
    pub async fn save(&mut self) -> Result<()> {
        let Some(backing) = self.backing.clone() else {
            return Ok(());
        };
        self.has_emptied |= self.was_emptied();
        let handle = self.facts().handle;
        let nothing = Changes::between(contents::empty(), contents::empty());
        let changes = std::mem::replace(&mut self.changes, nothing).tidied();
        backing.take(changes, self.baseline);
        // Before the wait: a caller that stops waiting goes on with a session that has its changes.
        self.go_on(&*backing);
        let saved = Arc::clone(&backing).save().await;
        self.go_on(&*backing);
        // It was ended elsewhere.
        self.has_emptied |= handle.is_some() && self.facts().handle != handle;
        saved
    }

    fn go_on(&mut self, backing: &dyn Backing) {
        let (contents, baseline) = backing.present();
        self.changes = Changes::between(Arc::clone(&contents), contents);
        self.baseline = baseline;
    }

    /// Watches the session beyond this request: for a WebSocket, or a response that streams.
    ///
    /// It watches the session as this response leaves it. It follows a login in the same handler, before or after this
    /// call, and every later renewal. See [`Watch`].
    ///
    /// If there is no session when the response leaves, the watch is over at once. So is the watch of a session that belongs
    /// to no request.
    pub fn watch(&self) -> Watch {
        Watch::new(self.backing.clone().map(Backing::watch))
    }

    pub(crate) fn facts(&self) -> Facts {
        let backing = self.backing.as_ref().filter(|_| !self.changes.purge);
        backing.map_or_else(Facts::default, |backing| backing.facts())
    }

    /// Returns the changes that were made through this session, and what others had done before it was opened.
    pub(crate) fn into_changes(self) -> (Changes, Baseline) {
        (self.changes.tidied(), self.baseline)
    }

    /// True if there is nothing to save.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// True if the loaded contents are gone: the session was purged, or another user logged in.
    pub(crate) fn was_emptied(&self) -> bool {
        self.changes.empties() || self.has_emptied
    }

    pub(super) fn contents_mut(&mut self) -> &mut Contents {
        Arc::make_mut(&mut self.changes.after)
    }

    /// Refuses a value that makes the session too large. The size is known, unless a value was lent for changes before.
    pub(super) fn check_size(&mut self, key: &str, value: &Value) -> Result<()> {
        let Some(backing) = &self.backing else {
            return Ok(());
        };
        if !self.changes.after.data.is_measured()
            && let Some(contents) = Arc::get_mut(&mut self.changes.after)
        {
            contents.data.measure();
        }
        let contents = &self.changes.after;
        contents.check_entry(key, value, backing.max_size())
    }

    /// Forgets the updates of a key, because it now gets a fixed value. A later replay would overwrite that value.
    pub(super) fn forget_updates(&mut self, key: &str) {
        self.changes.updates.retain(|update| &*update.key != key);
    }
}

/// The beginning of a text: at most `longest` bytes, cut between two characters.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Shows the handle and the keys. Values and the user must not appear in a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.facts().handle)
            .field("keys", self.data())
            .finish()
    }
}
