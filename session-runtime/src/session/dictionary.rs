//! The session as a dictionary.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;
use serde_json::Value;
use smallvec::smallvec;

use super::session::Session;
use crate::changes::{Start, Step, Update};
use crate::data::Data;
use crate::error::{Error, Result};
use crate::finite;

impl Session {
    /// The value of `key` as a `T`; `None` if there is none.
    ///
    /// `T` may borrow from the session, as `&str` does.
    ///
    /// ```
    /// # fn main() -> bsession::Result<()> {
    /// # let mut session = bsession::Session::default();
    /// session.insert("name", "joe")?;
    /// let name: Option<&str> = session.get("name")?; // borrowed from the session; an `Option<String>` is a copy
    /// assert_eq!(name, Some("joe"));
    /// assert_eq!(session.get::<u32>("visits")?, None);
    /// assert!(session.get::<u32>("name").is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if there is a value and it is not a `T`.
    pub fn get<'s, T: Deserialize<'s>>(&'s self, key: &str) -> Result<Option<T>> {
        self.data()
            .get(key)
            .map(|value| T::deserialize(value).map_err(|error| wrong_type::<T>(key, error)))
            .transpose()
    }

    /// Sets `key` to any value that can be serialised. `None` is serialised as Null, which removes the key.
    ///
    /// If two requests set the same key, the last write wins. If the new value depends on the old one, use
    /// [`update`](Session::update).
    ///
    /// ```
    /// # fn main() -> bsession::Result<()> {
    /// # let mut session = bsession::Session::default();
    /// #[derive(serde::Serialize)]
    /// struct Address { city: &'static str }
    ///
    /// session.insert("address", Address { city: "Berlin" })?;
    /// assert_eq!(session["address"]["city"], "Berlin");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Json`] if the value cannot be serialised, or if there is a NaN or an infinity in it.
    /// [`Error::TooLarge`] if the session would be larger than [`max_size`](crate::Builder::max_size) with it. The
    /// session is then unchanged.
    pub fn insert(&mut self, key: impl AsRef<str>, value: impl Serialize) -> Result<()> {
        let key = key.as_ref();
        let value = finite::to_value(value).map_err(|error| no_json(key, error))?;
        let is_other = self[key] != value;
        if is_other {
            self.check_size(key, &value)?;
        }
        self.forget_updates(key);
        if is_other {
            self.contents_mut().data.insert(key, value);
        }
        Ok(())
    }

    /// Replaces the value of `key` by the result of `f`, and returns the new value.
    ///
    /// A missing value is read as `T::default()`, and a result that is serialised as Null removes the key. If another
    /// request saves the session meanwhile, `f` runs again on the latest value, so no update is lost. The *stored* value
    /// is exact; the returned value is what this request saw. Because `f` may run again, it should only compute.
    ///
    /// If this request has set the key before, `f` starts from that value, whatever other requests have saved. If this
    /// request sets the key afterwards, that value is stored. A key that was set back to its loaded value counts as not
    /// set.
    ///
    /// Write the type of the closure's parameter, as in `|n: u64| n + 1`: it says as what the value is read. Without it
    /// the compiler cannot know the type, or takes `!` or `()` for it.
    ///
    /// `f` must own the values it needs, so move them in:
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
    /// [`Error::Type`] if there is a value that is not a `T`. For the new value, [`Error::Json`] and
    /// [`Error::TooLarge`] as for [`insert`](Session::insert). The session is then unchanged. If the value is no longer a
    /// `T` when `f` runs again, the value stays as it is, and the log says so.
    pub fn update<T>(
        &mut self,
        key: impl AsRef<str>,
        f: impl FnOnce(T) -> T + Clone + Send + Sync + 'static,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let key = key.as_ref();
        let current = self.changes.after.data.get(key);
        let new = updated(key, current, f.clone())?;
        let result = finite::to_value(&new).map_err(|error| no_json(key, error))?;
        let is_other = self[key] != result;
        if is_other {
            self.check_size(key, &result)?;
        }
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
        let (key, current) = match self.changes.after.data.get_key_value(key) {
            Some((key, value)) => (Arc::clone(key), Some(value)),
            None => (key.into(), None),
        };
        let name = Arc::clone(&key);
        let step: Step = Arc::new(move |value| {
            let new = updated(&name, value, f.clone())?;
            finite::to_value(new).map_err(|error| no_json(&name, error))
        });
        // An update whose result is not the current value no longer counts: the key was set after it.
        self.changes.updates.retain(|update| {
            update.key != key || *current.unwrap_or(&Value::Null) == update.result
        });
        if let Some(update) = self
            .changes
            .updates
            .iter_mut()
            .find(|update| update.key == key)
        {
            update.steps.push(step);
            update.result = result;
            return;
        }
        let untouched = current == self.changes.before.data.get(&key);
        let start = if untouched {
            Start::Latest
        } else {
            Start::Own(current.cloned())
        };
        self.changes.updates.push(Update {
            key,
            start,
            steps: smallvec![step],
            result,
        });
    }

    /// Removes `key`, and returns its old value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.forget_updates(key);
        if !self.changes.after.data.contains_key(key) {
            return None;
        }
        self.contents_mut().data.remove(key)
    }

    /// Removes `key`, and returns its old value as a `T`; `None` if there is none.
    ///
    /// Two requests at the same time may both take the value. To prevent that, see [`claim`](Session::claim).
    ///
    /// ```
    /// # fn main() -> bsession::Result<()> {
    /// # let mut session = bsession::Session::default();
    /// session.insert("next", "/orders")?;
    /// assert_eq!(session.take::<String>("next")?.as_deref(), Some("/orders"));
    /// assert_eq!(session.take::<String>("next")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if there is a value and it is not a `T`. The value stays.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let value = self.data().get(key).map(T::deserialize).transpose();
        let value = value.map_err(|error| wrong_type::<T>(key, error))?;
        self.remove(key);
        Ok(value)
    }

    /// Takes `key` for exactly one of the requests that race for it.
    ///
    /// The removal is committed before this returns. It is not undone if the request fails later. The other changes of
    /// the request are saved at its end, as always. Use this for values that must be used only once: a one-time code, a
    /// message to show.
    ///
    /// A key that this request has set itself is only taken, as by [`take`](Session::take). If this request has changed
    /// the key by [`update`](Session::update), the function is applied to the claimed value, or to a missing value if
    /// another request was faster.
    ///
    /// ```
    /// use actix_web::{HttpResponse, Responder, post, web::Form};
    /// use bsession::session;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Answer {
    ///     code: String,
    /// }
    ///
    /// #[post("/confirm")]
    /// #[session(csrf)]
    /// async fn confirm(answer: Form<Answer>) -> bsession::Result<impl Responder> {
    ///     let code: Option<String> = session.claim("code").await?; // removed, right or wrong: one guess per code
    ///     Ok(match code {
    ///         Some(code) if code == answer.code => HttpResponse::Ok(),
    ///         _ => HttpResponse::Forbidden(),
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Type`] if the value is not a `T`. The value stays, unless another request changed its type since this
    /// one loaded it. [`Error::Store`] if the store fails.
    pub async fn claim<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let (before, current) = (
            self.changes.before.data.get(key),
            self.changes.after.data.get(key),
        );
        let replayed = |update: &&Update| update.is_of(key) && self[key] == update.result;
        let update = self.changes.updates.iter().find(replayed).cloned();
        let is_own = before.is_none() || update.is_none() && current != before;
        if self.get::<T>(key)?.is_none() {
            return Ok(None);
        }
        let Some(backing) = self.backing.clone().filter(|_| !is_own) else {
            return self.take(key);
        };
        let mut value = backing.claim(key).await?;
        self.remove(key);
        Arc::make_mut(&mut self.changes.before).data.remove(key);
        if let Some(update) = update {
            value = Some(update.replay(value.as_ref())?);
        }
        let value = value.filter(|value| !value.is_null());
        value
            .map(|value| serde_json::from_value(value).map_err(|error| wrong_type::<T>(key, error)))
            .transpose()
    }

    /// True if there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.changes.after.data.contains_key(key)
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.after.data.len()
    }

    /// True if there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.after.data.is_empty()
    }

    /// Returns the keys and their values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.changes.after.data.iter()
    }

    /// The dictionary, for reading.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.changes.after.data
    }

    /// The dictionary, for changes.
    #[must_use]
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.contents_mut().data
    }
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
    let old = match value {
        Some(value) => T::deserialize(value).map_err(|error| wrong_type::<T>(key, error))?,
        None => T::default(),
    };
    Ok(f(old))
}

/// The value of a key; a missing one reads as [`Value::Null`].
impl Index<&str> for Session {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.changes.after.data[key]
    }
}

/// The value of a key, for setting it. Setting it to Null removes the key.
///
/// `session["a"]["b"] = …` is a change, too. Looking at a missing key is none, even if it is for changes, as in
/// `session["list"].as_array_mut()`.
///
/// A [`Value`] cannot hold NaN or an infinity: `session["a"] = f64::NAN.into()` is Null and removes the key.
/// [`insert`](Session::insert) returns an error instead.
///
/// # Panics
/// Setting `session["a"]["b"]` panics, as [`Value`] does, if `session["a"]` is neither an object nor missing. If the shape
/// of the value may have changed since it was stored, use [`get`](Session::get) and [`insert`](Session::insert).
impl IndexMut<&str> for Session {
    fn index_mut(&mut self, key: &str) -> &mut Value {
        self.forget_updates(key);
        &mut self.contents_mut().data[key]
    }
}
