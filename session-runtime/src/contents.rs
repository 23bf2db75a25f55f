//! The contents of a session, and their encoding before they are sealed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::data::{self, Data};
use crate::error::{Error, Result};
use crate::flash::{Flash, Waiting};

/// The contents of a session: the dictionary, the waiting flashes, the user, and the times from which its expiry is computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Contents {
    pub(crate) data: Data,
    /// The messages that wait to be shown.
    pub(crate) flashes: Waiting,
    pub(crate) user: Option<Box<str>>,
    /// The application's note for lists of sessions. It is never an empty text.
    pub(crate) note: Option<Box<str>>,
    pub(crate) created: Timestamp,
    /// The time of the login.
    pub(crate) authenticated: Option<Timestamp>,
    /// The idle timeout that was set for this session. It replaces the service's.
    pub(crate) idle: Option<Duration>,
    /// The end of its absolute lifetime.
    pub(crate) deadline: Option<Timestamp>,
    /// The time when its cookie was last sent. It decides when the cookie is sent again with a new `Max-Age`.
    pub(crate) cookie_sent: Timestamp,
}

/// The room for the user's name, in bytes.
const USER_ROOM: usize = 64 * 1024;

thread_local! {
    static EMPTY: Arc<Contents> = Arc::default();
}

/// Returns empty contents. Each thread has one shared value: a visitor without a session needs no allocation, and
/// threads do not contend for one reference counter.
pub(crate) fn empty() -> Arc<Contents> {
    EMPTY.with(Arc::clone)
}

/// An absent time or idle timeout is written as zero: nothing happened in 1970, and no idle timeout is zero.
const NEVER: u64 = 0;

impl Contents {
    /// Refuses contents of which more than `max` bytes count: see [`max_size`](crate::Builder::max_size).
    pub(crate) fn check_size(&self, max: usize) -> Result<()> {
        if self.whole_size() <= max {
            return Ok(());
        }
        match self.counted_size() {
            size if size > max => Err(Error::TooLarge { size, max }),
            _ => Ok(()),
        }
    }

    /// Refuses a value that makes the session too large, if it was set.
    pub(crate) fn check_entry(&self, key: &str, value: &Value, max: usize) -> Result<()> {
        if self.whole_size() + data::entry_bound(key, value) <= max {
            return Ok(());
        }
        if value.is_null() {
            return Ok(()); // it removes the key
        }
        let old = self.data.get(key);
        let old = old.map_or(0, |old| data::entry_size(key, old));
        let new = data::entry_size(key, value);
        // The first entry has no comma before it.
        let comma = usize::from(self.data.is_empty());
        let size = (self.counted_size() + new).saturating_sub(old + comma);
        // The session may be too large already, if `max_size` was lowered. A change that makes it no larger is accepted.
        if size > max && new > old {
            return Err(Error::TooLarge { size, max });
        }
        Ok(())
    }

    /// A bound for [`counted_size`](Self::counted_size) that needs no look at single entries.
    fn whole_size(&self) -> usize {
        self.data.size() + self.user.as_deref().map_or(0, str::len)
    }

    /// The size in bytes that counts: the dictionary as JSON, and what the user's name takes beyond its room.
    fn counted_size(&self) -> usize {
        let user = self.user.as_deref().map_or(0, str::len);
        self.data.size() + user.saturating_sub(USER_ROOM)
    }

    /// Writes five little-endian words, then the user's name, the note, the waiting flashes as JSON, and the dictionary
    /// as JSON.
    ///
    /// The name, the note and the flashes are each written as the length plus one, followed by the text. An absent one
    /// is written as a zero.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let moment = |at: Option<Timestamp>| at.map_or(NEVER, Timestamp::as_millis);
        let idle = self.idle.map_or(NEVER, |span| {
            u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
        });
        for word in [
            self.created.as_millis(),
            moment(self.authenticated),
            idle,
            moment(self.deadline),
            self.cookie_sent.as_millis(),
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        // Neither this nor the dictionary below can fail: all of it can be serialised, and a `Vec` takes all bytes.
        let written = |flashes: &[Flash]| serde_json::to_string(flashes).unwrap_or_default();
        let flashes = Some(self.flashes.as_slice()).filter(|flashes| !flashes.is_empty());
        let flashes = flashes.map(written);
        for text in [
            self.user.as_deref(),
            self.note.as_deref(),
            flashes.as_deref(),
        ] {
            let length = text.map_or(0, |text| text.len() + 1);
            bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        let _ = serde_json::to_writer(bytes, &self.data);
    }

    /// Reads the output of [`encode`](Self::encode); `None` if the bytes are anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.split_at_checked(40)?;
        let (words, _) = words.as_chunks::<8>();
        let word = |place: usize| u64::from_le_bytes(words[place]);
        let moment =
            |place: usize| (word(place) != NEVER).then(|| Timestamp::from_millis(word(place)));
        let (user, rest) = text(rest)?;
        let (note, rest) = text(rest)?;
        let (flashes, json) = text(rest)?;
        let mut data: Data = serde_json::from_slice(json).ok()?;
        data.was_read_from(json);
        Some(Self {
            data,
            flashes: flashes
                .map_or_else(|| Some(Waiting::default()), |json| Waiting::read(&json))?,
            user,
            note,
            created: Timestamp::from_millis(word(0)),
            authenticated: moment(1),
            idle: (word(2) != NEVER).then(|| Duration::from_millis(word(2))),
            deadline: moment(3),
            cookie_sent: Timestamp::from_millis(word(4)),
        })
    }
}

/// Reads a text that may be absent. Returns it and the rest of the bytes.
fn text(bytes: &[u8]) -> Option<(Option<Box<str>>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let Some(length) = length.checked_sub(1) else {
        return Some((None, rest));
    };
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Some(std::str::from_utf8(text).ok()?.into()), rest))
}
