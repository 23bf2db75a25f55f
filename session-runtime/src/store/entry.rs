//! The types of the contract: the entry under a key, the entry that a swap expects, and the answers.

use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, RETIRED, Record, Revision, TOMBSTONE, UserKey};

/// The entry under a key: a session, or the tombstone that it left.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A session, expired or not.
    Live(Record),
    /// A tombstone: the session was removed, or moved to another key.
    Ended {
        /// The time of the removal or the move.
        at: Timestamp,
        /// The key that the session moved to.
        successor: Option<Key>,
    },
}

impl Entry {
    /// Makes the tombstone of a session that was removed.
    pub(crate) fn removed(at: Timestamp) -> Self {
        Self::Ended {
            at,
            successor: None,
        }
    }

    /// Returns the head of a session, expired or not; `None` for a tombstone.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Live(record) => Some(&record.head),
            Self::Ended { .. } => None,
        }
    }

    /// Leaves out the body, which may be large.
    pub(crate) fn without_body(self) -> Self {
        match self {
            Self::Live(record) => Self::Live(Record {
                body: Body::absent(),
                ..record
            }),
            ended @ Self::Ended { .. } => ended,
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
/// It is symmetric in time. So it does no harm if a clock was set back, or if the clocks of hosts differ.
pub(crate) fn is_retired(at: Timestamp, now: Timestamp) -> bool {
    at.apart(now) < RETIRED
}

/// True if the tombstone of a session that ended at `at` may be deleted. Symmetric in time, like [`is_retired`].
pub(crate) fn is_tombstone_over(at: Timestamp, now: Timestamp) -> bool {
    at.apart(now) >= TOMBSTONE
}

/// The entry that a [`swap`](crate::Store::swap) expects under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No entry at all: no expired session and no tombstone either.
    Nothing,
    /// A session at this revision that is not expired.
    At(Revision),
    /// An entry that [is over](Entry::is_over).
    Over,
}

impl Expected {
    /// True if `found`, the entry under the key, is the one that the swap expects at `now`.
    #[must_use]
    pub fn is_met_by(self, found: Option<&Entry>, now: Timestamp) -> bool {
        match (self, found) {
            (Self::Nothing, None) => true,
            (_, Some(Entry::Live(record))) => self.is_met_by_head(&record.head, now),
            (Self::Over, Some(entry)) => entry.is_over(now),
            _ => false,
        }
    }

    /// Does the same as [`is_met_by`](Self::is_met_by) for a session if only its head was read.
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
    /// The swap was done: the entry was written, or deleted.
    Done,
    /// Nothing was changed. This is the entry under the key.
    Found(Option<Entry>),
}

/// The answer of an [`end`](crate::Store::end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The session with this head has a tombstone now. It may have been expired.
    Ended(Head),
    /// The session had moved to this key before. Nothing was changed.
    Renewed(Key),
    /// No session is there, or it is not the one that was meant. Nothing was changed.
    Nothing,
}

impl Ending {
    /// Returns the head of the session to end, if `found` is a session that `whose` includes. The error is the answer
    /// of an end that changes nothing.
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

/// The sessions that an [`end`](crate::Store::end) may end: the user, and a selection of the user's sessions.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The keys of one user, one for each secret.
    pub users: &'a [UserKey],
    /// The selection among the sessions of that user.
    pub which: Which,
}

impl Whose<'_> {
    /// True if the session with this head is one of them.
    #[must_use]
    pub fn includes(&self, head: &Head) -> bool {
        head.user.is_some_and(|user| self.users.contains(&user)) && self.which.includes(head.handle)
    }
}

/// A selection of a user's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Every session.
    All,
    /// Every session except the one with this handle.
    AllBut(Handle),
    /// The session with this handle.
    One(Handle),
}

impl Which {
    /// True if the session with this handle is in the selection.
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
    /// The entries on the list, each with its key, in any order. Bodies may be
    /// [absent](crate::Body::absent).
    pub entries: Vec<(Key, Entry)>,
    /// True if the list is complete. False if the store knows that sessions may be missing, for example because
    /// somebody deleted the list.
    pub whole: bool,
}

/// A place in a [`scan`](crate::Store::scan), in bytes that only the store reads. The default is
/// the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// The answer of a [`scan`](crate::Store::scan).
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// Entries, each with its key. Bodies may be [absent](crate::Body::absent).
    pub entries: Vec<(Key, Entry)>,
    /// The place where the next call goes on; `None` at the end.
    pub next: Option<Cursor>,
}

/// The answer of a [`sweep`](crate::Store::sweep).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of entries that were deleted.
    pub deleted: usize,
    /// The place where the next slice begins; `None` at the end of a round.
    pub next: Option<Cursor>,
}
