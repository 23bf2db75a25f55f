//! Flashes: messages for the next page that the visitor sees.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use crate::error::Result;
use crate::session::{Session, cut};

/// The reserved key.
const KEY: &str = "_flash";
/// How many wait at most, so that a visitor whom no page shows them does not collect them for ever.
const MOST: usize = 32;
/// The longest text, in bytes: as many as wait at most still leave a session room.
const LONGEST: usize = 1024;

/// How a [`Flash`] is meant. As text, in JSON too, it is in lower case: for the class of an element.
///
/// ```
/// # use bsession::Level;
/// assert_eq!(format!("alert-{}", Level::Success), "alert-success");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Good to know.
    Info,
    /// What was asked for is done.
    Success,
    /// Something needs a look.
    Warning,
    /// What was asked for is not done.
    Error,
}

/// A message to be shown once; see [`Session::flash`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flash {
    /// How it is meant.
    pub level: Level,
    /// What it says: plain text, to be escaped where it goes into HTML.
    pub text: String,
}

impl Session {
    /// Leaves a message for the next page that shows [`flashes`](Session::flashes), mostly behind a
    /// redirect.
    ///
    /// Those of parallel requests all arrive. At most 32 wait; beyond that the oldest is dropped. A text longer
    /// than 1024 bytes is cut. They are kept under the reserved key
    /// `_flash`, count towards [`max_size`](crate::Builder::max_size), and end with the
    /// session: after a [`purge`](Session::purge) a flash begins a new, anonymous session that carries it.
    ///
    /// ```
    /// use actix_web::{HttpResponse, Responder, get, post, web::Redirect};
    /// use bsession::{Level, session};
    ///
    /// #[post("/logout")]
    /// #[session]                 // not `purge`, which takes what the body writes, too
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
    ///         page += &format!("{}: {}\n", flash.level, flash.text); // in HTML: escaped
    ///     }
    ///     Ok(page)
    /// }
    /// ```
    pub fn flash(&mut self, level: Level, text: impl Into<String>) {
        let text = text.into();
        let flash = json!({ "level": level.as_str(), "text": cut(&text, LONGEST) });
        // Any JSON is a `Value`, and any `Value` is JSON: it does not fail.
        let _ = self.update(KEY, move |waiting: Value| with(waiting, flash));
    }

    /// Takes the messages that wait, the oldest first, those of this very request last.
    ///
    /// If several requests ask at once, one gets them. That stands whatever becomes of the request, as with
    /// [`claim`](Session::claim), so ask where they are shown. If none wait, nothing is written.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) if the store fails.
    pub async fn flashes(&mut self) -> Result<Vec<Flash>> {
        let waiting = self.claim::<Value>(KEY).await?.unwrap_or_default();
        let waiting = waiting.as_array().map_or(&[][..], Vec::as_slice);
        Ok(waiting.iter().filter_map(Flash::read).collect())
    }
}

fn with(waiting: Value, flash: Value) -> Value {
    let mut waiting = match waiting {
        Value::Array(waiting) => waiting,
        _ => Vec::new(),
    };
    waiting.push(flash);
    waiting.drain(..waiting.len().saturating_sub(MOST));
    waiting.into()
}

impl Flash {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            level: Level::read(value["level"].as_str()?)?,
            text: value["text"].as_str()?.to_owned(),
        })
    }
}

impl Level {
    const ALL: [Self; 4] = [Self::Info, Self::Success, Self::Warning, Self::Error];

    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// For templates: `level` and `text`.
impl Serialize for Flash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut flash = serializer.serialize_struct("Flash", 2)?;
        flash.serialize_field("level", &self.level)?;
        flash.serialize_field("text", &self.text)?;
        flash.end()
    }
}
