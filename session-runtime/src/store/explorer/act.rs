//! The acts of the actors, and the answers that they get in the end.

use super::cell::{Set, handle};
use crate::store::Which;

/// A revocation of all sessions of the first user.
pub(super) const ALL: Act = Act::Revoke {
    users: 0b010,
    which: Meant::All,
};

/// A revocation of all sessions of one user who has a key under each of two secrets.
pub(super) const BOTH: Act = Act::Revoke {
    users: 0b110,
    which: Meant::All,
};

pub(super) const fn all_but(session: u8) -> Act {
    Act::Revoke {
        users: 0b010,
        which: Meant::AllBut(session),
    }
}

pub(super) const fn only(session: u8) -> Act {
    Act::Revoke {
        users: 0b010,
        which: Meant::One(session),
    }
}

pub(super) const fn renew(from: u8, new: u8) -> Act {
    Act::Renew { from, new }
}

pub(super) const fn login(from: u8, new: u8, user: u8) -> Act {
    Act::Login {
        from,
        new,
        user,
        fresh: new + 1,
    }
}

pub(super) const fn move_to(user: u8) -> Act {
    Act::Move { from: 0, user }
}

/// The act of an actor. Keys, sessions and users are small numbers.
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
    /// Logs a user in under a new key. If the session is gone, begins another one.
    Login {
        from: u8,
        new: u8,
        user: u8,
        fresh: u8,
    },
    /// Logs a user in. If that fails, tries once more with another new key.
    LoginTwice {
        from: u8,
        new: u8,
        user: u8,
        then: u8,
    },
    /// Begins a session.
    Create { new: u8, fresh: u8, user: u8 },
    /// Writes a session again, for the key that its user has under another secret.
    Move { from: u8, user: u8 },
    /// Logs out: removes a session by the key of its cookie.
    Purge(u8),
    /// Ends sessions of a user, who has one key for each secret.
    Revoke { users: Set, which: Meant },
    /// Lists the sessions of a user.
    List(u8),
    /// Sweeps the whole store so many times.
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
    /// Returns the key of the cookie that the actor needs before it can begin.
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

    /// Returns the keys that the actor may write to.
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

    /// Returns the user who gets the session.
    pub(super) fn user(self) -> Option<u8> {
        match self {
            Self::Login { user, .. } | Self::LoginTwice { user, .. } | Self::Move { user, .. } => {
                Some(user)
            }
            _ => None,
        }
    }

    /// True if the act ends sessions.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Purge(_) | Self::Revoke { .. })
    }
}

/// An answer to an actor, or to its visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActorEvent {
    /// The update of this session was acknowledged.
    Updated {
        session: u8,
    },
    /// The cookie of `new` was sent, in place of the cookie of `old`.
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
    /// The list is complete: it has these sessions.
    Shown {
        sessions: Set,
    },
}

/// The result of loading a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Live,
    Retired,
    Nothing,
}
