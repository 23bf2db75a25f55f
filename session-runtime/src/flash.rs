//! Flash messages: messages for the next page that the visitor sees.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::data;

/// The largest number of waiting messages. Without a limit, a visitor who never sees them would collect them forever.
const MOST: usize = 32;
/// The room for waiting messages, in bytes of JSON.
const ROOM: usize = 64 * 1024;
/// The longest text, in bytes.
pub(crate) const LONGEST: usize = 1024;

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

/// A message to be shown once; see [`Session::flash`](crate::Session::flash).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flash {
    /// The kind of the message.
    pub level: Level,
    /// The message as plain text. Escape it in HTML.
    pub text: String,
}

/// The messages of a session that wait to be shown, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting(Box<[Flash]>);

impl Waiting {
    /// Adds messages. Beyond the limits the oldest are dropped.
    pub(crate) fn add(&mut self, flashes: impl IntoIterator<Item = Flash>) {
        let mut waiting = std::mem::take(&mut self.0).into_vec();
        waiting.extend(flashes);
        let mut size = 2;
        let fits = |flash: &&Flash| {
            size += flash.size();
            size <= ROOM
        };
        // The last message always fits: a text of 1024 bytes takes six times as many at most.
        let fitting = waiting.iter().rev().take(MOST).take_while(fits).count();
        waiting.drain(..waiting.len() - fitting);
        self.0 = waiting.into();
    }

    /// The messages.
    pub(crate) fn as_slice(&self) -> &[Flash] {
        &self.0
    }

    /// True if no message waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the JSON of a list of messages; `None` if it is no list. A message of a level that this version does not
    /// know is left out.
    pub(crate) fn read(json: &str) -> Option<Self> {
        let waiting: Vec<Value> = serde_json::from_str(json).ok()?;
        Some(Self(waiting.iter().filter_map(Flash::read).collect()))
    }
}

impl From<Waiting> for Vec<Flash> {
    fn from(Waiting(waiting): Waiting) -> Self {
        waiting.into()
    }
}

impl Flash {
    /// The size as JSON, with a comma.
    fn size(&self) -> usize {
        let level = self.level.as_str().len();
        r#"{"level":"","text":},"#.len() + level + data::text_size(&self.text)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn flash(text: &str) -> Flash {
        let text = text.to_owned();
        Flash {
            level: Level::Info,
            text,
        }
    }

    #[test]
    fn a_size_is_that_of_the_json() {
        for text in ["", "plain", "\"quoted\"\n\u{1}", "é"] {
            let waiting = [flash(text), flash("other")];
            let json = serde_json::to_string(&waiting).unwrap();
            let sizes = waiting.iter().map(Flash::size).sum::<usize>();
            assert_eq!(
                sizes + 1,
                json.len(),
                "{json}: one comma less, two brackets more"
            );
        }
    }

    #[test]
    fn what_waits_is_read_as_it_was_written() {
        let mut waiting = Waiting::default();
        let text = String::from("\"text\"");
        waiting.add(Level::ALL.map(|level| Flash {
            level,
            text: text.clone(),
        }));
        let json = serde_json::to_string(waiting.as_slice()).unwrap();
        assert_eq!(Waiting::read(&json), Some(waiting));
        let others = r#"[{"level":"unheard of","text":"x"},{"level":"info"},7,{"level":"info","text":"good"}]"#;
        let read = Waiting::read(others).unwrap();
        assert_eq!(read.as_slice(), [flash("good")]);
        assert!(
            [r#"{"level":"info"}"#, "", "[", "7"]
                .iter()
                .all(|json| Waiting::read(json).is_none())
        );
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_large_ones() {
        let mut waiting = Waiting::default();
        waiting.add((0..40).map(|number| flash(&number.to_string())));
        let texts: Vec<_> = waiting
            .as_slice()
            .iter()
            .map(|flash| &*flash.text)
            .collect();
        assert_eq!((texts.len(), texts[0], texts[31]), (32, "8", "39"));
        waiting.add((0..40).map(|_| flash(&"\u{1}".repeat(LONGEST))));
        waiting.add([flash("last")]);
        let json = serde_json::to_string(waiting.as_slice()).unwrap();
        assert!(
            (ROOM - 6 * LONGEST - 100..=ROOM).contains(&json.len()),
            "{}",
            json.len()
        );
        assert_eq!(waiting.as_slice().last(), Some(&flash("last")));
    }
}
