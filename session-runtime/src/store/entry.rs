//! The words of the contract: what is under a key, what a swap expects, and what is answered.

use crate::clock::Timestamp;
use crate::record::{Handle, Head, Key, RETIRED, Record, Revision, TOMBSTONE, UserKey};

/// The entry under a key: a session, or what it left behind.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A session, expired or not.
    Live(Record),
    /// A tombstone: the session was removed, or moved to another key.
    Ended {
        /// When that was.
        at: Timestamp,
        /// The key that the session moved to.
        successor: Option<Key>,
    },
}

impl Entry {
    /// The tombstone of a session that was removed.
    pub(crate) fn removed(at: Timestamp) -> Self {
        Self::Ended {
            at,
            successor: None,
        }
    }

    /// The head of a session, expired or not.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Live(record) => Some(&record.head),
            Self::Ended { .. } => None,
        }
    }

    /// True if the entry may be deleted: an expired session, or an old tombstone.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        match self {
            Self::Live(record) => !record.head.is_live(now),
            Self::Ended { at, .. } => is_tombstone_over(*at, now),
        }
    }
}

/// True if a session that ended at `at` still reads as *retired*.
///
/// Symmetric, so that neither a clock that was set back nor hosts whose clocks differ do harm.
pub(crate) fn is_retired(at: Timestamp, now: Timestamp) -> bool {
    at.apart(now) < RETIRED
}

/// True if the tombstone of a session that ended at `at` may be deleted. Symmetric, as above.
pub(crate) fn is_tombstone_over(at: Timestamp, now: Timestamp) -> bool {
    at.apart(now) >= TOMBSTONE
}

/// What a [`swap`](crate::Store::swap) expects under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No entry, expired ones and tombstones included.
    Nothing,
    /// A session at this revision that has not expired.
    At(Revision),
    /// An entry that [is over](Entry::is_over).
    Over,
}

impl Expected {
    /// True if `found`, the entry under the key, is what the swap expects at `now`.
    #[must_use]
    pub fn is_met_by(self, found: Option<&Entry>, now: Timestamp) -> bool {
        match (self, found) {
            (Self::Nothing, None) => true,
            (_, Some(Entry::Live(record))) => self.is_met_by_head(&record.head, now),
            (Self::Over, Some(entry)) => entry.is_over(now),
            _ => false,
        }
    }

    /// The same for a session, of which only the head was read.
    #[must_use]
    pub fn is_met_by_head(self, found: &Head, now: Timestamp) -> bool {
        match self {
            Self::Nothing => false,
            Self::At(revision) => found.revision == revision && found.is_live(now),
            Self::Over => !found.is_live(now),
        }
    }
}

/// The answer of a [`swap`](crate::Store::swap).
#[derive(Clone, Debug)]
#[must_use = "a swap may have found something else"]
pub enum Swap {
    /// The entry was put there.
    Done,
    /// Nothing was changed: this is the entry under the key.
    Found(Option<Entry>),
}

/// The answer of an [`end`](crate::Store::end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The session with this head has a tombstone now. It may have been an expired one.
    Ended(Head),
    /// The session moved to this key earlier; nothing was changed.
    Renewed(Key),
    /// No session is there, or another one than was meant.
    Nothing,
}

impl Ending {
    /// The head of the session that is to be ended, if `found` is one that is meant; else the answer of an
    /// end that changes nothing.
    pub(crate) fn of(found: Option<&Entry>, whose: Option<Whose<'_>>) -> Result<Head, Self> {
        match found {
            Some(Entry::Live(record)) if whose.is_none_or(|it| it.includes(&record.head)) => {
                Ok(record.head)
            }
            Some(Entry::Ended {
                successor: Some(successor),
                ..
            }) => Err(Self::Renewed(*successor)),
            _ => Err(Self::Nothing),
        }
    }
}

/// Whose session an [`end`](crate::Store::end) is for.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The keys of one user: one for each secret.
    pub users: &'a [UserKey],
    /// Which sessions of that user.
    pub which: Which,
}

impl Whose<'_> {
    /// True if the session with this head is meant.
    #[must_use]
    pub fn includes(&self, head: &Head) -> bool {
        head.user.is_some_and(|user| self.users.contains(&user)) && self.which.includes(head.handle)
    }
}

/// Which sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Every one.
    All,
    /// Every one but that with this handle.
    AllBut(Handle),
    /// The one with this handle.
    One(Handle),
}

impl Which {
    /// True if the session with this handle is among them.
    #[must_use]
    pub fn includes(self, handle: Handle) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(spared) => handle != spared,
            Self::One(meant) => handle == meant,
        }
    }
}

/// The answer of a [`list`](crate::Store::list).
#[derive(Clone, Debug)]
pub struct Listed {
    /// The entries on the list, each with its key, in no order. Bodies may be
    /// [absent](crate::Body::absent).
    pub entries: Vec<(Key, Entry)>,
    /// False if the store knows that the list may lack sessions, for example because somebody deleted it.
    pub whole: bool,
}

/// A place in a [`scan`](crate::Store::scan), in bytes that only the store reads. The default one is
/// the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// The answer of a [`scan`](crate::Store::scan).
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// Entries, each with its key. Bodies may be [absent](crate::Body::absent).
    pub entries: Vec<(Key, Entry)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// The answer of a [`sweep`](crate::Store::sweep).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many entries were deleted.
    pub deleted: usize,
    /// Where the next slice begins; `None` at the end of a round.
    pub next: Option<Cursor>,
}
