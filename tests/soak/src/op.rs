//! What a tab may do, and what became of it.

use std::time::Instant;

use crate::client::Answer;
use crate::fleet::Life;

/// How many tabs a visitor has open; each has a key of its own.
pub(crate) const TABS: usize = 3;

/// The key that only this tab sets.
pub(crate) fn own_key(tab: usize) -> String {
    format!("tab{tab}")
}

/// The keys that are counted up: with `update`, and plainly under the lock.
pub(crate) const COUNTERS: [&str; 2] = ["count", "locked"];

/// The keys of what is for one only: a value, and the flashes, which a reading request shows as if they were one.
pub(crate) const PILES: [&str; 2] = ["gift", "flashes"];

/// What a reading request shows for a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The visitor's token.
    Token,
    /// The same, behind two cookies that are none of ours.
    BehindGarbage,
    /// The same with one character changed.
    Forged,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// What is done between the rounds.
    Begin {
        mark: String,
    },
    Brief {
        mark: String,
    },
    Plant(u64),
    Read(Shown),
    Count,
    Set(u64),
    Slow {
        millis: u64,
        value: u64,
    },
    Locked,
    Claim,
    Flash(u64),
    Flashes,
    Fail,
    Panic,
    HangUp(Box<Op>),
    /// Half an update.
    Half,
    Login {
        user: String,
        mark: String,
    },
    Renew,
    Logout,
    LogoutByPrevious,
    /// From outside: each session of the user by its handle, or all at once.
    Revoke {
        user: String,
        each: bool,
    },
}

impl Op {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "first visit",
            Self::Brief { .. } => "first visit, to expire",
            Self::Plant(_) => "plant",
            Self::Read(Shown::Token) => "read",
            Self::Read(Shown::BehindGarbage) => "read behind garbage",
            Self::Read(Shown::Forged) => "read, forged",
            Self::Count => "update",
            Self::Set(_) => "set",
            Self::Slow { .. } => "slow update and set",
            Self::Locked => "locked",
            Self::Claim => "claim",
            Self::Flash(_) => "flash",
            Self::Flashes => "flashes",
            Self::Fail => "500 after changes",
            Self::Panic => "panic after changes",
            Self::HangUp(op) if op.locks() => "locked, hung up",
            Self::HangUp(_) => "hung up",
            Self::Half => "half a request",
            Self::Login { .. } => "login",
            Self::Renew => "renew",
            Self::Logout => "logout",
            Self::LogoutByPrevious => "logout by a retired cookie",
            Self::Revoke { each: true, .. } => "revocation by handle",
            Self::Revoke { each: false, .. } => "revocation of a user",
        }
    }

    pub(crate) fn path(&self, tab: usize) -> String {
        match self {
            Self::Begin { mark } => format!("/begin/{mark}/{}", fastrand::bool()),
            Self::Brief { mark } => format!("/brief/{mark}"),
            Self::Plant(value) => format!("/plant/{value}"),
            Self::Read(_) => "/read".to_owned(),
            Self::Count | Self::Half => "/count".to_owned(),
            Self::Set(value) => format!("/set/{}/{value}", own_key(tab)),
            Self::Slow { millis, value } => format!("/slow/{millis}/{}/{value}", own_key(tab)),
            Self::Locked => "/locked".to_owned(),
            Self::HangUp(op) => op.path(tab),
            Self::Claim => "/claim".to_owned(),
            Self::Flash(value) => format!("/flash/{value}"),
            Self::Flashes => "/flashes".to_owned(),
            Self::Fail => "/fail".to_owned(),
            Self::Panic => "/panic".to_owned(),
            Self::Login { user, mark } => format!("/login/{user}/{mark}"),
            Self::Renew => "/renew".to_owned(),
            Self::Logout | Self::LogoutByPrevious => "/logout".to_owned(),
            Self::Revoke { user, each } => format!("/revoke/{user}/{each}"),
        }
    }

    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Read(_) => "GET",
            _ => "POST",
        }
    }

    /// To which of the counters it adds one, if it comes through.
    pub(crate) fn counts(&self) -> Option<usize> {
        match self {
            Self::Count | Self::Slow { .. } => Some(0),
            Self::Locked => Some(1),
            Self::HangUp(op) => op.counts(),
            _ => None,
        }
    }

    pub(crate) fn locks(&self) -> bool {
        match self {
            Self::HangUp(op) => op.locks(),
            op => matches!(op, Self::Locked),
        }
    }

    /// On which of the piles it leaves what, if it comes through.
    pub(crate) fn leaves(&self) -> Option<(usize, u64)> {
        match self {
            Self::Flash(value) => Some((1, *value)),
            Self::HangUp(op) => op.leaves(),
            _ => None,
        }
    }

    /// Which of the piles it takes.
    pub(crate) fn takes(&self) -> Option<usize> {
        match self {
            Self::Claim => Some(0),
            Self::Flashes => Some(1),
            _ => None,
        }
    }

    /// What it sets the tab's own key to, if it comes through.
    pub(crate) fn sets(&self) -> Option<u64> {
        match self {
            Self::Set(value) | Self::Slow { value, .. } => Some(*value),
            Self::HangUp(op) => op.sets(),
            _ => None,
        }
    }

    /// Whether the session's id is dead afterwards.
    pub(crate) fn ends_id(&self) -> bool {
        self.ends_session() || matches!(self, Self::Login { .. } | Self::Renew)
    }

    pub(crate) fn ends_session(&self) -> bool {
        matches!(
            self,
            Self::Logout | Self::LogoutByPrevious | Self::Revoke { .. }
        )
    }

    /// Whether it is of the session that it ends.
    pub(crate) fn sets_cookie(&self) -> bool {
        self.ends_id() && !matches!(self, Self::Revoke { .. })
    }

    /// Whether no answer is what is expected.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Panic | Self::HangUp(_) | Self::Half)
    }
}

/// One request that was sent, and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) tab: usize,
    pub(crate) op: Op,
    pub(crate) sent: Instant,
    /// When the whole answer was there, if one came.
    pub(crate) answered: Option<(Instant, Answer)>,
    /// Whether the server was killed, so that no answer is no surprise.
    pub(crate) excused: bool,
    pub(crate) life: Life,
}

impl Done {
    /// Whether the answer was there at that moment.
    pub(crate) fn by(&self, moment: Instant) -> bool {
        matches!(self.answered, Some((at, _)) if at <= moment)
    }

    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.answered.as_ref().map(|(_, answer)| answer)
    }

    /// The token that the answer gives.
    pub(crate) fn new_token(&self) -> Option<&str> {
        match &self.answer()?.cookies[..] {
            [token] if !token.is_empty() => Some(token),
            _ => None,
        }
    }

    /// What it took, as far as the client was told.
    pub(crate) fn taken(&self) -> Vec<u64> {
        let answer = self.answer().filter(|_| self.op.takes().is_some());
        answer
            .and_then(|answer| serde_json::from_str(&answer.body).ok())
            .unwrap_or_default()
    }

    /// Whether it was done, as far as the client was told.
    pub(crate) fn succeeded(&self) -> bool {
        self.answer().is_some_and(|answer| answer.status == 200)
    }
}
