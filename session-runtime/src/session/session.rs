//! The session of a request, and what stands behind it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::Result;
use crate::record::{Handle, UserKey};

/// A visitor's session, for the length of one request: a dictionary of JSON values.
///
/// Reading never changes anything; what is changed is saved after the handler. Setting an
/// equal value, removing a missing key, and a failed [`insert`](Session::insert) are no changes.
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
/// # Ok(())
/// # }
/// ```
///
/// A handler has one through [`#[session]`](https://docs.rs/bsession/latest/bsession/attr.session.html)
/// or from its [`Connection`](crate::Connection); it is no extractor. `Session::default()` is an
/// empty one that belongs to no request, for the tests of functions that take `&mut Session`.
pub struct Session {
    /// What it held when the request came to it, and what it holds now.
    pub(super) changes: Changes,
    pub(super) backing: Option<Arc<dyn Backing>>,
}

impl Default for Session {
    fn default() -> Self {
        Self::connected(contents::empty(), None)
    }
}

/// What a session tells of its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) handle: Option<Handle>,
    /// Under which key of a user the store lists it.
    pub(crate) user: Option<UserKey>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

/// What stands behind a connected session: the visit, which knows the session, and not the other way round.
pub(crate) trait Backing: Send + Sync {
    fn facts(&self) -> Facts;

    /// A CSRF token for the visitor.
    fn csrf_token(&self) -> Result<String>;

    /// Removes `key` from the stored session, and gives its value to this caller alone.
    fn claim<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>>;
}

impl Session {
    pub(crate) fn connected(contents: Arc<Contents>, backing: Option<Arc<dyn Backing>>) -> Self {
        Self {
            changes: Changes::between(Arc::clone(&contents), contents),
            backing,
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        let backing = self.backing.as_ref().filter(|_| !self.changes.purge);
        backing.map_or_else(Facts::default, |backing| backing.facts())
    }

    /// What this request changed.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes.tidied()
    }

    /// Whether nothing was done that a save would have to do.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether what it held when it was loaded is gone: purged, or another user's.
    pub(crate) fn was_emptied(&self) -> bool {
        self.changes.purge || self.changes.emptied
    }

    pub(super) fn contents_mut(&mut self) -> &mut Contents {
        Arc::make_mut(&mut self.changes.after)
    }

    /// From here on the key is set plainly: what `update` did to it before counts no more.
    pub(super) fn forget_updates(&mut self, key: &str) {
        self.changes.updates.retain(|update| &*update.key != key);
    }
}

/// The beginning of a text, at most so many bytes of it.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The keys only: values are nobody's business in a log, and neither is the user.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.facts().handle)
            .field("keys", self.data())
            .finish()
    }
}
