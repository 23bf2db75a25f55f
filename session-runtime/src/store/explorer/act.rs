//! The acts of the actors, and the answers that they get in the end.

use super::cell::{Set, handle};
use crate::store::Which;

/// The act of an actor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Loads a session and adds one to its counter.
    Update(u8),
    /// Loads a session and moves its expiry.
    Touch(u8),
    /// Loads a session.
    Visit(u8),
    /// Gives a session a new key.
    Renew { from: u8, new: u8 },
    /// Logs a user in under a new key; if the session is gone, begins another one.
    Login {
        from: u8,
        new: u8,
        user: u8,
        fresh: u8,
    },
    /// Logs a user in, and if that fails once more under another key.
    LoginTwice {
        from: u8,
        new: u8,
        user: u8,
        then: u8,
    },
    /// Begins a session.
    Create { new: u8, fresh: u8, user: u8 },
    /// Writes a session anew for the key of its user under another secret.
    Move { from: u8, user: u8 },
    /// Logs out: removes a session by the key of its cookie.
    Purge(u8),
    /// Ends sessions of the users, the keys of one user under as many secrets.
    Revoke { users: Set, which: Meant },
    /// Lists the sessions of a user.
    List(u8),
    /// Sweeps all of the store so many times.
    Sweep(u8),
}

/// A choice of a user's sessions, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    All,
    AllBut(u8),
    One(u8),
}

impl Meant {
    pub(super) fn which(self) -> Which {
        match self {
            Self::All => Which::All,
            Self::AllBut(session) => Which::AllBut(handle(session)),
            Self::One(session) => Which::One(handle(session)),
        }
    }
}

impl Act {
    /// The key of the cookie that the actor needs before it can begin.
    pub(super) fn cookie(self) -> Option<u8> {
        match self {
            Self::Update(key) | Self::Touch(key) | Self::Visit(key) | Self::Purge(key) => Some(key),
            Self::Renew { from, .. }
            | Self::Login { from, .. }
            | Self::LoginTwice { from, .. }
            | Self::Move { from, .. } => Some(from),
            Self::Create { .. } | Self::Revoke { .. } | Self::List(_) | Self::Sweep(_) => None,
        }
    }

    /// The keys that the actor may write to.
    pub(super) fn keys(self) -> Set {
        let others = match self {
            Self::Renew { new, .. } => 1 << new,
            Self::Login { new, fresh, .. } | Self::Create { new, fresh, .. } => {
                1 << new | 1 << fresh
            }
            Self::LoginTwice { new, then, .. } => 1 << new | 1 << then,
            _ => 0,
        };
        others | self.cookie().map_or(0, |key| 1 << key)
    }

    /// The user whose the session becomes.
    pub(super) fn user(self) -> Option<u8> {
        match self {
            Self::Login { user, .. } | Self::LoginTwice { user, .. } | Self::Move { user, .. } => {
                Some(user)
            }
            _ => None,
        }
    }

    /// True if it ends sessions.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Purge(_) | Self::Revoke { .. })
    }
}

/// An answer to an actor, or to its visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The update of this session was acknowledged.
    Updated {
        session: u8,
    },
    /// The cookie of `new` was sent, in place of that of `old`.
    Sent {
        old: Option<u8>,
        new: u8,
    },
    Opened {
        key: u8,
        seen: Seen,
    },
    Removed {
        key: u8,
    },
    Revoked,
    /// This session was shown, under this key.
    Shows {
        session: u8,
        key: u8,
    },
    /// These were all.
    Shown {
        sessions: Set,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Live,
    Retired,
    Nothing,
}
