//! Flash messages: messages for the next page that the visitor sees.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use crate::contents::{FLASHES, ROOM};
use crate::data;
use crate::error::Result;
use crate::session::{Session, cut};

/// The largest number of waiting messages. Without a limit, a visitor who never sees them would collect them forever.
const MOST: usize = 32;
/// The longest text, in bytes.
const LONGEST: usize = 1024;

/// The kind of a [`Flash`]. As text and in JSON it is in lower case, so that it can name the class of an element.
///
/// ```
/// # use bsession::Level;
/// assert_eq!(format!("alert-{}", Level::Success), "alert-success");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Something that is good to know.
    Info,
    /// The requested action is done.
    Success,
    /// Something needs attention.
    Warning,
    /// The requested action is not done.
    Error,
}

/// A message to be shown once; see [`Session::flash`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flash {
    /// The kind of the message.
    pub level: Level,
    /// The message as plain text. Escape it in HTML.
    pub text: String,
}

impl Session {
    /// Leaves a message for the next page that shows [`flashes`](Session::flashes), usually after a redirect.
    ///
    /// Messages from parallel requests all arrive. At most 32 messages and 64 KiB of JSON wait; beyond that, the oldest
    /// is dropped. A text longer than 1024 bytes is cut. The messages are stored under the reserved key `_flash`, and do
    /// not count towards [`max_size`](crate::Builder::max_size). They end with the session. A flash after a
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
        let text = text.into();
        let flash = json!({ "level": level.as_str(), "text": cut(&text, LONGEST) });
        // This cannot fail: any stored JSON can be read as a `Value`, and any `Value` can be serialised.
        let _ = self.update(FLASHES, move |waiting: Value| with(waiting, flash));
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
        let waiting = self.claim::<Value>(FLASHES).await?.unwrap_or_default();
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
    let mut size = data::entry_size(FLASHES, &Value::Array(Vec::new()));
    let fits = |flash: &&Value| {
        size += data::entry_size("", flash);
        size <= ROOM
    };
    // The last message always fits: a text of 1024 bytes takes six times as many at most.
    let fitting = waiting.iter().rev().take_while(fits).count();
    waiting.drain(..waiting.len() - fitting);
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

/// Serialises the fields `level` and `text`, for templates.
impl Serialize for Flash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut flash = serializer.serialize_struct("Flash", 2)?;
        flash.serialize_field("level", &self.level)?;
        flash.serialize_field("text", &self.text)?;
        flash.end()
    }
}
