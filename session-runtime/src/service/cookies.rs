//! The cookies of the service: the tokens in requests, and the cookie that a response sets or removes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::cookie::{Cookie, SameSite};

use super::standing::Live;
use super::withheld::Withheld;
use crate::clock::Timestamp;
use crate::cookie::{self, Settings};
use crate::csrf;
use crate::error::Result;
use crate::few::Few;
use crate::id::Id;
use crate::lifetime::Lifetime;
use crate::secret::{Carries, KeyRing};
use crate::stats::Counters;
use crate::token::{self, Token};

/// Reads and makes the session's cookie and the CSRF tokens, which belong to the same ids.
pub(crate) struct Cookies {
    pub(super) settings: Settings,
    pub(super) ring: Arc<KeyRing>,
    pub(super) lifetime: Lifetime,
    pub(super) counters: Arc<Counters>,
}

/// The cookies with our name in a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented {
    /// The valid tokens, each of them once.
    pub(crate) tokens: Few<Token>,
    /// True if there was any cookie with our name, valid or not.
    pub(crate) any: bool,
    /// The reason why the browser withholds the cookie that the visitor may have.
    pub(crate) withheld: Option<Withheld>,
}

impl Presented {
    /// The tokens that may have a session.
    pub(super) fn of_sessions(&self) -> impl Iterator<Item = &Token> {
        let tokens = self.tokens.iter();
        tokens.filter(|token| token.carries == Carries::Session)
    }
}

/// The change of the browser's cookie that a response has to send.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CookieChange {
    Set {
        token: String,
        max_age: Option<Duration>,
    },
    Remove,
}

/// Hides the token, which is enough to take over the session.
impl fmt::Debug for CookieChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set { .. } => "Set { .. }",
            Self::Remove => "Remove",
        })
    }
}

impl Cookies {
    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The path below which browsers send the cookie.
    pub(crate) fn path(&self) -> &str {
        &self.settings.path
    }

    /// The requests from other sites that carry the cookie.
    pub(crate) fn same_site(&self) -> SameSite {
        self.settings.same_site
    }

    /// Reads the tokens among the cookies of a request.
    pub(crate) fn presented<'h>(&self, headers: impl Iterator<Item = &'h [u8]>) -> Presented {
        let mut presented = Presented::default();
        for value in cookie::values(headers, self.settings.name.as_bytes()) {
            presented.any = true;
            match token::decode(&self.ring, value) {
                Some(token) => match presented
                    .tokens
                    .iter_mut()
                    .find(|other| other.id == token.id)
                {
                    // The same id under two secrets: its cookie has already moved to the current one.
                    Some(other) => other.previous &= token.previous,
                    None => presented.tokens.push(token),
                },
                None => {
                    self.counters.bad_cookies.count();
                    // `fault` is called inside the macro, so that it runs only if somebody reads this event.
                    tracing::debug!(target: "bsession", why = token::fault(&self.ring, value), "bad_cookie");
                }
            }
        }
        presented
    }

    /// The `Set-Cookie` for a change.
    pub(crate) fn cookie(&self, change: CookieChange, is_plain_loopback: bool) -> Cookie<'static> {
        let secure = self.settings.is_secure(is_plain_loopback);
        match change {
            CookieChange::Set { token, max_age } => self.settings.cookie(token, max_age, secure),
            CookieChange::Remove => self.settings.removal(secure),
        }
    }

    /// The same as the value of the header.
    pub(crate) fn header(&self, change: CookieChange, is_plain_loopback: bool) -> String {
        let cookie = self.cookie(change, is_plain_loopback);
        self.settings.header(&cookie)
    }

    /// True if a cookie for a connection of this kind is `Secure`.
    pub(crate) fn is_secure(&self, is_plain_loopback: bool) -> bool {
        self.settings.is_secure(is_plain_loopback)
    }

    /// The cookie of a session, as it is sent now.
    pub(super) fn of_session(&self, live: &Live, now: Timestamp) -> CookieChange {
        CookieChange::Set {
            token: token::encode(&self.ring, &live.id, Carries::Session),
            max_age: self.lifetime.max_age(&live.contents, now),
        }
    }

    /// The cookie of an id under which nothing is stored. It ends with the browser.
    pub(crate) fn without_session(&self, id: &Id) -> CookieChange {
        CookieChange::Set {
            token: token::encode(&self.ring, id, Carries::CsrfAlone),
            max_age: None,
        }
    }

    /// A CSRF token for the visitor who shows either id.
    pub(crate) fn csrf_token(&self, now: &Id, next: &Id) -> Result<String> {
        csrf::encode(&self.ring, now, next)
    }

    /// True if this is a CSRF token for the visitor who shows `id`.
    pub(crate) fn fits_csrf(&self, token: &[u8], id: &Id) -> bool {
        csrf::fits(&self.ring, token, id)
    }
}
