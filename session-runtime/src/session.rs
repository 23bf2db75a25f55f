//! The session: a dictionary, and whose it is.

use std::fmt;
use std::future::Future;
use std::ops::{Index, IndexMut};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;
use serde_json::Value;
use smallvec::smallvec;

use crate::changes::{Changes, Start, Step, Update};
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::data::Data;
use crate::error::{Error, Result};
use crate::record::Handle;

/// The longest idle expiry: what browsers keep a cookie for, and no more (RFC 6265bis §5.5).
pub(crate) const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// The shortest idle expiry: a cookie counts its `Max-Age` in seconds.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// The longest note, in bytes: room for a usual user agent.
const LONGEST_NOTE: usize = 256;

/// A visitor's session, for the length of one request: a dictionary of JSON values.
///
/// Reading never changes anything; what is changed is saved when the handler is over. Setting an
/// equal value, removing a missing key or a failed [`insert`](Session::insert) is no change.
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
    /// What the changes are told against.
    before: Arc<Contents>,
    /// What the session holds now; its own copy from the first change on.
    current: Arc<Contents>,
    updates: Vec<Update>,
    purged: bool,
    renewed: bool,
    logged_in: bool,
    /// A login took away what was another user's.
    emptied: bool,
    backing: Option<Arc<dyn Backing>>,
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
    pub(crate) created: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

/// What stands behind a connected session.
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
            before: Arc::clone(&contents),
            current: contents,
            updates: Vec::new(),
            purged: false,
            renewed: false,
            logged_in: false,
            emptied: false,
            backing,
        }
    }

    fn facts(&self) -> Facts {
        let backing = self.backing.as_ref().filter(|_| !self.purged);
        backing.map_or_else(Facts::default, |backing| backing.facts())
    }

    /// What this request changed.
    pub(crate) fn into_changes(mut self) -> Changes {
        let before = &self.before;
        if !Arc::ptr_eq(before, &self.current) {
            // Asking `session["key"]` mutably makes a Null; that alone is no change.
            let left_null =
                |key: &str, value: &Value| value.is_null() && !before.data.contains_key(key);
            if self
                .current
                .data
                .iter()
                .any(|(key, value)| left_null(key, value))
            {
                Arc::make_mut(&mut self.current)
                    .data
                    .retain(|key, value| !left_null(key, value));
            }
            if self.current == *before {
                self.current = Arc::clone(before);
            }
            // It may be kept for as long as the session lasts.
            if let Some(current) = Arc::get_mut(&mut self.current) {
                current.data.shrink_to_fit();
            }
            let current = &self.current;
            self.updates
                .retain(|update| current.data.get(&update.key) == Some(&update.result));
        }
        Changes {
            before: self.before,
            after: self.current,
            updates: self.updates,
            purge: self.purged,
            renew: self.renewed,
            login: self.logged_in,
            emptied: self.emptied,
        }
    }

    /// Whether nothing was done that a save would have to do.
    pub(crate) fn is_unchanged(&self) -> bool {
        let acts = self.purged || self.renewed || self.logged_in;
        !acts && Arc::ptr_eq(&self.before, &self.current)
    }

    /// Whether what it held when it was loaded is gone: purged, or another user's.
    pub(crate) fn was_emptied(&self) -> bool {
        self.purged || self.emptied
    }

    fn contents_mut(&mut self) -> &mut Contents {
        Arc::make_mut(&mut self.current)
    }

    /// From here on the key is set plainly: what `update` did to it before counts no more.
    fn forget_updates(&mut self, key: &str) {
        self.updates.retain(|update| &*update.key != key);
    }

    /// The value of `key` as a `T`; `None` if it is missing or Null.
    ///
    /// `T` may borrow from the session, as `&str` does.
    ///
    /// # Errors
    /// [`Error::Type`] if there is a value and it is no `T`.
    pub fn get<'s, T: Deserialize<'s>>(&'s self, key: &str) -> Result<Option<T>> {
        self.present(key)
            .map(|value| T::deserialize(value).map_err(|error| wrong_type::<T>(key, error)))
            .transpose()
    }

    fn present(&self, key: &str) -> Option<&Value> {
        self.current.data.get(key).filter(|value| !value.is_null())
    }

    /// Sets `key` to anything that can be serialised.
    ///
    /// Of two requests that set the same key, the one that saves last wins; where the new value
    /// follows from the old one, use [`update`](Session::update).
    ///
    /// # Errors
    /// [`Error::Json`] if it cannot be serialised; the session is as it was.
    pub fn insert(&mut self, key: impl AsRef<str>, value: impl Serialize) -> Result<()> {
        let key = key.as_ref();
        let value = serde_json::to_value(value).map_err(|error| no_json(key, error))?;
        self.forget_updates(key);
        if self.current.data.get(key) != Some(&value) {
            self.contents_mut().data.insert(key, value);
        }
        Ok(())
    }

    /// Replaces the value of `key` by what `f` makes of it, and gives that.
    ///
    /// A missing or Null value is `T::default()`. If another request saves the session meanwhile,
    /// `f` runs again on the latest value, so none of the updates is lost: the *stored* value is
    /// exact, the returned one is what this request saw. So `f` should do nothing but compute.
    ///
    /// If this request has set the key before, `f` starts from that, whatever others saved; if it
    /// sets the key afterwards, that is what is stored. A key that was set back to what was loaded
    /// counts as not set.
    ///
    /// What `f` needs it takes along, so move it in as a value of its own:
    ///
    /// ```
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)] struct Cart { items: Vec<String> }
    /// # struct Item { name: String }
    /// # fn add(item: Item, session: &mut bsession::Session) -> bsession::Result<()> {
    /// let name = item.name; // from an extractor: `item.into_inner().name`
    /// session.update("cart", move |mut cart: Cart| {
    ///     cart.items.push(name);
    ///     cart
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if there is a value that is no `T`, and [`Error::Json`] if the new one cannot
    /// be serialised; the session is as it was. A value that is no `T` only when `f` runs again stays, and is
    /// logged.
    pub fn update<T>(
        &mut self,
        key: impl AsRef<str>,
        f: impl FnOnce(T) -> T + Clone + Send + Sync + 'static,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let key = key.as_ref();
        let current = self.current.data.get(key);
        let new = updated(key, current, f.clone())?;
        let result = serde_json::to_value(&new).map_err(|error| no_json(key, error))?;
        let is_other = current != Some(&result);
        self.keep_update(key, f, result.clone());
        if is_other {
            self.contents_mut().data.insert(key, result);
        }
        Ok(new)
    }

    fn keep_update<T>(
        &mut self,
        key: &str,
        f: impl FnOnce(T) -> T + Clone + Send + Sync + 'static,
        result: Value,
    ) where
        T: Serialize + DeserializeOwned + Default,
    {
        let (key, current) = match self.current.data.get_key_value(key) {
            Some((key, value)) => (Arc::clone(key), Some(value)),
            None => (key.into(), None),
        };
        let name = Arc::clone(&key);
        let step: Step = Arc::new(move |value| {
            let new = updated(&name, value, f.clone())?;
            serde_json::to_value(new).map_err(|error| no_json(&name, error))
        });
        // One that came to something else than is there was set over since, and counts no more.
        self.updates
            .retain(|update| update.key != key || current == Some(&update.result));
        if let Some(update) = self.updates.iter_mut().find(|update| update.key == key) {
            update.steps.push(step);
            update.result = result;
            return;
        }
        let untouched = current == self.before.data.get(&key);
        let start = if untouched {
            Start::Latest
        } else {
            Start::Own(current.cloned())
        };
        self.updates.push(Update {
            key,
            start,
            steps: smallvec![step],
            result,
        });
    }

    /// Removes `key`, and gives the value it had.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.forget_updates(key);
        if !self.current.data.contains_key(key) {
            return None;
        }
        self.contents_mut().data.remove(key)
    }

    /// Removes `key`, and gives the value it had as a `T`; `None` if it is missing or Null.
    ///
    /// Two requests at once may both take it; see [`claim`](Session::claim).
    ///
    /// # Errors
    /// [`Error::Type`] if there is a value and it is no `T`; it stays.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let value = self.present(key).map(T::deserialize).transpose();
        let value = value.map_err(|error| wrong_type::<T>(key, error))?;
        self.remove(key);
        Ok(value)
    }

    /// Takes `key` for exactly one of the requests that race for it.
    ///
    /// The removal is committed before this returns and stands whatever becomes of the request;
    /// the other changes of the request are saved at its end, as ever. Use it for what must be
    /// used once: a one-time code, a message to show.
    ///
    /// A key that this request has set itself is only taken, as by [`take`](Session::take); what it
    /// made of one by [`update`](Session::update) is made of what is claimed, or of nothing if another
    /// request was faster.
    ///
    /// # Errors
    /// [`Error::Type`] if the value is no `T`; it stays, unless another request changed its type
    /// since this one loaded it. [`Error::Store`] if the store fails.
    pub async fn claim<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let (before, current) = (self.before.data.get(key), self.current.data.get(key));
        let replayed = |update: &&Update| update.is_of(key) && current == Some(&update.result);
        let update = self.updates.iter().find(replayed).cloned();
        let is_own = before.is_none() || update.is_none() && current != before;
        if self.get::<T>(key)?.is_none() {
            return Ok(None);
        }
        let Some(backing) = self.backing.clone().filter(|_| !is_own) else {
            return self.take(key);
        };
        let mut value = backing.claim(key).await?;
        self.remove(key);
        Arc::make_mut(&mut self.before).data.remove(key);
        if let Some(update) = update {
            value = Some(update.replay(value.as_ref())?);
        }
        let value = value.filter(|value| !value.is_null());
        value
            .map(|value| serde_json::from_value(value).map_err(|error| wrong_type::<T>(key, error)))
            .transpose()
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.current.data.contains_key(key)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.data.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.data.is_empty()
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.current.data.iter()
    }

    /// The dictionary, to be read.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.current.data
    }

    /// The dictionary, to be changed.
    #[must_use]
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.contents_mut().data
    }

    /// Gives the session a new id and keeps what it holds; the old id is dead at once.
    ///
    /// For whenever somebody's rights change. [`login`](Session::login) does it by itself.
    pub fn renew(&mut self) {
        self.renewed = true;
    }

    /// Ends the session: its record goes, and its cookie.
    ///
    /// What is put in afterwards begins a new, anonymous session under a new id.
    pub fn purge(&mut self) {
        *self = Self {
            purged: true,
            backing: self.backing.take(),
            ..Self::default()
        };
    }

    /// The same as [`purge`](Session::purge).
    pub fn clear(&mut self) {
        self.purge();
    }

    /// Logs a user in: the session is theirs from here on, under a new id.
    ///
    /// The old id is dead at once, so that a cookie planted before is worth nothing. What an
    /// anonymous session holds is kept; nothing of one user reaches another one.
    ///
    /// `user` is whatever tells one user from another, and is taken as it is, an empty text too.
    pub fn login(&mut self, user: impl ToString) {
        let user = user.to_string().into_boxed_str();
        if self
            .current
            .user
            .as_ref()
            .is_some_and(|other| *other != user)
        {
            self.before = contents::empty();
            self.current = contents::empty();
            self.updates.clear();
            self.emptied = true;
        }
        self.contents_mut().user = Some(user);
        self.logged_in = true;
    }

    /// Logs the user out: the same as [`purge`](Session::purge).
    pub fn logout(&mut self) {
        self.purge();
    }

    /// Who is logged in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.current.user.as_deref()
    }

    /// When the user logged in; `None` too if it was in this very request.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.current.authenticated.map(SystemTime::from)
    }

    /// A token for a form of a page that is for this visitor, to show that the page was ours.
    ///
    /// `#[session(csrf)]` takes it from the header `X-CSRF-Token`, which a script sends, else from the
    /// form's field `csrf_token`: `application/x-www-form-urlencoded`, within the first 64 KiB, so
    /// put it first. Nothing is read from a multipart form. It is asked for only where a request has
    /// neither `Sec-Fetch-Site` nor `Origin`: by old browsers, and by clients that are none. A test
    /// may as well send `Sec-Fetch-Site: same-origin`.
    ///
    /// ```
    /// use actix_web::web::Html;
    /// use bsession::Session;
    ///
    /// fn form(session: &Session) -> Html {
    ///     let token = session.csrf_token(); // letters, digits, `-` and `_`: nothing to be escaped
    ///     Html::new(format!(
    ///         "<form method=post action=/transfer>
    ///            <input type=hidden name=csrf_token value={token}>
    ///            <input name=amount> <button>Send</button>
    ///          </form>"
    ///     ))
    /// }
    /// ```
    ///
    /// It is another text each time, and each stays good as long as the session's id does, under
    /// previous secrets too. It fits the session as it is and as this very response leaves it, so it
    /// does not matter whether it is made before or after a login. What other tabs hold does not fit
    /// any more once a login, a [`renew`](Session::renew) or the first change of an anonymous
    /// visitor has brought a new id.
    ///
    /// It is made without a record: a visitor who has no session is sent a cookie of ours that
    /// stands for none and ends with the browser. A session that belongs to no request,
    /// `Session::default()`, gives an empty text, which is never taken; so does an operating system
    /// that has no random bytes, with a line in the log.
    #[must_use]
    pub fn csrf_token(&self) -> String {
        let Some(backing) = &self.backing else {
            return String::new();
        };
        backing.csrf_token().unwrap_or_else(|error| {
            tracing::error!(target: "bsession", %error, "csrf_token_not_made");
            String::new()
        })
    }

    /// Notes what the application wants to see in a list of the user's sessions, such as the user
    /// agent: [`SessionInfo::note`](crate::SessionInfo::note).
    ///
    /// Longer than 256 bytes, it is cut; an empty one is none. It goes with what the session holds,
    /// at a purge or when another user logs in. It is shown while a user is logged in, and is sealed
    /// at rest, but without the visitor's cookie: whoever has the secret can read it.
    ///
    /// ```
    /// # use actix_web::{HttpRequest, http::header};
    /// # fn login(session: &mut bsession::Session, req: &HttpRequest) {
    /// session.login("joe");
    /// let agent = req.headers().get(header::USER_AGENT);
    /// session.set_note(agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default());
    /// # }
    /// ```
    pub fn set_note(&mut self, text: impl AsRef<str>) {
        let text = shortened(text.as_ref());
        let note = (!text.is_empty()).then_some(text);
        if self.note() != note {
            self.contents_mut().note = note.map(Box::from);
        }
    }

    /// What [`set_note`](Session::set_note) noted.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.current.note.as_deref()
    }

    /// Whether nothing is stored of this session yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.facts().handle.is_none()
    }

    /// Gives this session an idle expiry of its own, in days, in place of the service's: between
    /// 1 and 400, nearer values taken for others. With [`browser_session`](crate::Builder::browser_session), or a
    /// short expiry for all, `session.set_days(30)` is a "remember me".
    pub fn set_days(&mut self, days: u32) {
        self.set_idle(Duration::from_secs(u64::from(days.max(1)) * 24 * 60 * 60));
    }

    /// Gives this session an idle expiry of its own in place of the service's: between a second
    /// and 400 days, nearer values taken for others.
    pub fn set_idle(&mut self, idle: Duration) {
        let idle = Some(idle.clamp(SHORTEST, LONGEST));
        if self.current.idle != idle {
            self.contents_mut().idle = idle;
        }
    }

    /// When the session was created; `None` for a new one.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.facts().created.map(SystemTime::from)
    }

    /// When the session ends unless it is visited again; `None` for a new one.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.facts().expires.map(SystemTime::from)
    }

    /// The session's public name, for lists and logs; `None` for a new one.
    ///
    /// It is not secret, opens nothing and stays the same through every renewal.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.facts().handle
    }
}

/// As much of a text as is noted.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_NOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn no_json(key: &str, source: serde_json::Error) -> Error {
    Error::Json {
        key: key.to_owned(),
        source,
    }
}

fn wrong_type<T>(key: &str, source: serde_json::Error) -> Error {
    Error::Type {
        key: key.to_owned(),
        wanted: std::any::type_name::<T>(),
        source,
    }
}

fn updated<T: DeserializeOwned + Default>(
    key: &str,
    value: Option<&Value>,
    f: impl FnOnce(T) -> T,
) -> Result<T> {
    let old = match value.filter(|value| !value.is_null()) {
        Some(value) => T::deserialize(value).map_err(|error| wrong_type::<T>(key, error))?,
        None => T::default(),
    };
    Ok(f(old))
}

/// The value of a key; a missing one reads as [`Value::Null`].
impl Index<&str> for Session {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.current.data[key]
    }
}

/// The value of a key, to be set. Left Null, a key that was not there is not stored.
///
/// `session["a"]["b"] = …` is a change, too.
///
/// # Panics
/// Setting `session["a"]["b"]` panics, as [`Value`] does, if `session["a"]` is neither an object nor
/// Null. Where the shape may have changed since it was stored, use [`get`](Session::get) and
/// [`insert`](Session::insert).
impl IndexMut<&str> for Session {
    fn index_mut(&mut self, key: &str) -> &mut Value {
        self.forget_updates(key);
        &mut self.contents_mut().data[key]
    }
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
