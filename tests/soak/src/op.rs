//! What a tab may do, and what became of it.

use std::time::Instant;

use crate::client::Answer;

/// How many tabs a visitor has open; each has a key of its own.
pub(crate) const TABS: usize = 3;

/// The key that only this tab sets.
pub(crate) fn own_key(tab: usize) -> String {
    format!("tab{tab}")
}

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
    Claim,
    Fail,
    Panic,
    HangUp {
        whole: bool,
    },
    HangUpSlow {
        millis: u64,
        value: u64,
    },
    Login {
        user: String,
        mark: String,
    },
    Renew,
    Logout,
    LogoutByPrevious,
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
            Self::Claim => "claim",
            Self::Fail => "500 after changes",
            Self::Panic => "panic after changes",
            Self::HangUp { whole: true } => "update, hung up",
            Self::HangUp { whole: false } => "half a request",
            Self::HangUpSlow { .. } => "slow, hung up",
            Self::Login { .. } => "login",
            Self::Renew => "renew",
            Self::Logout => "logout",
            Self::LogoutByPrevious => "logout by a retired cookie",
        }
    }

    pub(crate) fn path(&self, tab: usize) -> String {
        match self {
            Self::Begin { mark } => format!("/begin/{mark}/{}", fastrand::bool()),
            Self::Brief { mark } => format!("/brief/{mark}"),
            Self::Plant(value) => format!("/plant/{value}"),
            Self::Read(_) => "/read".to_owned(),
            Self::Count | Self::HangUp { .. } => "/count".to_owned(),
            Self::Set(value) => format!("/set/{}/{value}", own_key(tab)),
            Self::Slow { millis, value } | Self::HangUpSlow { millis, value } => {
                format!("/slow/{millis}/{}/{value}", own_key(tab))
            }
            Self::Claim => "/claim".to_owned(),
            Self::Fail => "/fail".to_owned(),
            Self::Panic => "/panic".to_owned(),
            Self::Login { user, mark } => format!("/login/{user}/{mark}"),
            Self::Renew => "/renew".to_owned(),
            Self::Logout | Self::LogoutByPrevious => "/logout".to_owned(),
        }
    }

    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Read(_) => "GET",
            _ => "POST",
        }
    }

    /// Whether it adds one to the counter, if it comes through.
    pub(crate) fn counts(&self) -> bool {
        matches!(
            self,
            Self::Count
                | Self::Slow { .. }
                | Self::HangUp { whole: true }
                | Self::HangUpSlow { .. }
        )
    }

    /// What it sets the tab's own key to, if it comes through.
    pub(crate) fn sets(&self) -> Option<u64> {
        match self {
            Self::Set(value) | Self::Slow { value, .. } | Self::HangUpSlow { value, .. } => {
                Some(*value)
            }
            _ => None,
        }
    }

    /// Whether the session's id is dead afterwards.
    pub(crate) fn ends_id(&self) -> bool {
        self.ends_session() || matches!(self, Self::Login { .. } | Self::Renew)
    }

    pub(crate) fn ends_session(&self) -> bool {
        matches!(self, Self::Logout | Self::LogoutByPrevious)
    }

    /// Whether no answer is what is expected.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(
            self,
            Self::Panic | Self::HangUp { .. } | Self::HangUpSlow { .. }
        )
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

    /// Whether it was done, as far as the client was told.
    pub(crate) fn succeeded(&self) -> bool {
        self.answer().is_some_and(|answer| answer.status == 200)
    }
}
