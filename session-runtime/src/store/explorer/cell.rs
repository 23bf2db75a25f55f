//! Keys, users and entries in few bytes, so that a state of the search is small.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision, UserKey};
use crate::store::Entry;

/// The number of keys.
pub(super) const KEYS: usize = 6;
/// The number of users. The first one stands for nobody.
pub(super) const USERS: usize = 3;

/// A set of small numbers, as bits.
pub(super) type Set = u8;

pub(super) fn has(set: Set, number: u8) -> bool {
    set >> number & 1 == 1
}

/// Returns the numbers in a set.
pub(super) fn members(set: Set) -> impl DoubleEndedIterator<Item = u8> {
    (0..8).filter(move |&number| has(set, number))
}

pub(super) fn key(number: u8) -> Key {
    Key([number; 16])
}

pub(super) fn user_key(user: u8) -> UserKey {
    UserKey([user; 16])
}

/// Returns the keys of the users in a set.
pub(super) fn user_keys(users: Set) -> Vec<UserKey> {
    members(users).map(user_key).collect()
}

/// Returns the handle of the session with this number. It is never zeros, which no session has.
pub(super) fn handle(session: u8) -> Handle {
    Handle([session + 1; 12])
}

/// Converts a second of the scene to a timestamp.
pub(super) fn moment(second: u32) -> Timestamp {
    Timestamp::from_millis(0) + Duration::from_secs(second.into())
}

pub(super) fn second(moment: Timestamp) -> u32 {
    u32::try_from(moment.as_millis() / 1000).unwrap()
}

/// A record in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CompactSession {
    /// The number of the session, the same through all its renewals.
    pub(super) session: u8,
    /// The user, or 0 for nobody.
    pub(super) user: u8,
    pub(super) number: u8,
    pub(super) tag: u16,
    pub(super) expires: u32,
    pub(super) seen: u32,
    /// A counter of four bits for each actor.
    pub(super) data: u16,
}

impl CompactSession {
    pub(super) fn of(record: &Record) -> Self {
        let Record { head, body, .. } = record;
        let data = body.as_bytes().try_into();
        Self {
            session: head.handle.0[0] - 1,
            user: head.user.map_or(0, |user| user.0[0]),
            number: u8::try_from(head.revision.number).unwrap(),
            tag: u16::try_from(head.revision.tag).unwrap(),
            expires: second(head.expires),
            seen: second(head.seen),
            data: u16::from_le_bytes(data.expect("a record without its body is written")),
        }
    }

    pub(super) fn revision(&self) -> Revision {
        Revision {
            number: self.number.into(),
            tag: self.tag.into(),
        }
    }

    pub(super) fn head(&self) -> Head {
        Head {
            revision: self.revision(),
            expires: moment(self.expires),
            seen: moment(self.seen),
            created: moment(0),
            handle: handle(self.session),
            user: (self.user != 0).then(|| user_key(self.user)),
        }
    }
}

/// An entry in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cell {
    Live(CompactSession),
    Ended { at: u32, successor: Option<u8> },
}

impl Cell {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Live(record) => Self::Live(CompactSession::of(record)),
            Entry::Ended { at, successor } => Self::Ended {
                at: second(*at),
                successor: successor.map(|key| key.0[0]),
            },
        }
    }

    /// Returns the entry, with its body if `whole`.
    pub(super) fn entry(self, whole: bool) -> Entry {
        match self {
            Self::Live(session) => Entry::Live(Record {
                head: session.head(),
                summary: None,
                body: if whole {
                    Body::from_bytes(session.data.to_le_bytes())
                } else {
                    Body::absent()
                },
            }),
            Self::Ended { at, successor } => Entry::Ended {
                at: moment(at),
                successor: successor.map(key),
            },
        }
    }

    pub(super) fn session(self) -> Option<CompactSession> {
        match self {
            Self::Live(session) => Some(session),
            Self::Ended { .. } => None,
        }
    }
}
