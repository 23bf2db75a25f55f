//! The session's user, lifetime and names.

use std::time::{Duration, SystemTime};

use super::session::{Session, cut};
use crate::changes::Changes;
use crate::clock;
use crate::contents;
use crate::lifetime::{MAX_IDLE, MIN_IDLE};
use crate::one_line::OneLine;
use crate::record::Handle;

/// The longest note, in bytes. A usual user agent fits.
const LONGEST_NOTE: usize = 256;

impl Session {
    /// Gives the session a new id and keeps its contents. The old id is invalid as soon as this is saved.
    ///
    /// Call this whenever a user's rights change. [`login`](Session::login) does it by itself.
    pub fn renew(&mut self) {
        self.changes.renew = true;
    }

    /// Ends the session: removes its record and its cookie.
    ///
    /// Values that are set afterwards begin a new, anonymous session under a new id.
    pub fn purge(&mut self) {
        self.changes = Changes::purge();
    }

    /// The same as [`purge`](Session::purge).
    pub fn clear(&mut self) {
        self.purge();
    }

    /// Logs a user in: from here on, the session belongs to this user and has a new id.
    ///
    /// The old id is invalid as soon as this is saved. That prevents session fixation: a cookie that was planted before
    /// the login is worthless. The contents of an anonymous session are kept. No data of one user reaches another.
    ///
    /// `user` is any text that identifies the user. It is used unchanged, even if it is empty.
    ///
    /// ```
    /// # let mut session = bsession::Session::default();
    /// session["cart"] = vec!["a book"].into();
    /// session.login("joe");
    /// assert_eq!(session.user(), Some("joe"));
    /// assert_eq!(session["cart"][0], "a book"); // the anonymous visitor's cart is joe's
    ///
    /// session.login("sue");
    /// assert!(session["cart"].is_null());       // joe's is not sue's
    /// ```
    pub fn login(&mut self, user: impl ToString) {
        let user = user.to_string().into_boxed_str();
        if user.is_empty() {
            tracing::warn!(
                target: "bsession",
                hint = "an empty name is also a user: check it before `session.login`",
                "login_without_name"
            );
        }
        if self
            .changes
            .after
            .user
            .as_ref()
            .is_some_and(|other| *other != user)
        {
            self.changes.before = contents::empty();
            self.changes.after = contents::empty();
            self.changes.updates.clear();
            self.changes.flashed = 0;
            self.changes.emptied = true;
        }
        self.contents_mut().user = Some(user);
        self.changes.login = true;
    }

    /// Logs the user out: the same as [`purge`](Session::purge).
    pub fn logout(&mut self) {
        self.purge();
    }

    /// The user who is logged in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.changes.after.user.as_deref()
    }

    /// The time of the user's login; `None` if no user is logged in.
    ///
    /// A login through this `Session` does not count yet: the result is then `None`, or the time of an earlier login of
    /// the same user.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.changes.after.authenticated.map(SystemTime::from)
    }

    /// Returns a CSRF token for a form on a page for this visitor. The token proves that the page was ours.
    ///
    /// `#[session(csrf)]` reads the token from the header `X-CSRF-Token`, which a script sends, or else from the form's
    /// field `csrf_token`. The form must be `application/x-www-form-urlencoded`, and the field must be within its first
    /// 64 KiB, so put it first. A multipart form is not read.
    ///
    /// The token is needed only for requests with neither `Sec-Fetch-Site` nor `Origin`, that is, from old browsers and
    /// from other clients. `Origin: null` counts as no `Origin`. A test may send `Sec-Fetch-Site: same-origin` instead
    /// of a token.
    ///
    /// ```
    /// use actix_web::web::Html;
    /// use bsession::Session;
    ///
    /// fn form(session: &Session) -> Html {
    ///     let token = session.csrf_token(); // letters, digits, `-` and `_`: needs no escaping
    ///     Html::new(format!(
    ///         "<form method=post action=/transfer>
    ///            <input type=hidden name=csrf_token value={token}>
    ///            <input name=amount> <button>Send</button>
    ///          </form>"
    ///     ))
    /// }
    /// ```
    ///
    /// Each call returns a different text. Each token is valid as long as the session's id is, under previous secrets
    /// too. A token fits the session as it is and as this response leaves it, so you may make it before or after a
    /// login. The tokens in other tabs no longer fit after a new id. A login, a [`renew`](Session::renew) or the first
    /// change of an anonymous visitor brings a new id.
    ///
    /// The token needs no record. A visitor who has no session gets a cookie that belongs to no session and ends with
    /// the browser.
    ///
    /// A session that belongs to no request, `Session::default()`, returns an empty text, which is never accepted. If
    /// the operating system gives no random bytes, the text is empty too, and the log says so.
    #[must_use]
    pub fn csrf_token(&self) -> String {
        let Some(backing) = &self.backing else {
            return String::new();
        };
        backing.csrf_token().unwrap_or_else(|error| {
            tracing::error!(target: "bsession", error = %OneLine(&error), "csrf_token_not_made");
            String::new()
        })
    }

    /// Stores a note for lists of the user's sessions, such as the user agent. It is shown as
    /// [`SessionInfo::note`](crate::SessionInfo::note).
    ///
    /// A note longer than 256 bytes is cut. An empty text removes the note. The note is also removed together with the
    /// session's contents, by a purge or when another user logs in. It is listed while a user is logged in. A note alone
    /// begins no session.
    ///
    /// At rest, the note is sealed under the secret alone: anyone who has the secret can read the note without the
    /// visitor's cookie.
    ///
    /// ```
    /// # use actix_web::{HttpRequest, http::header};
    /// # fn login(session: &mut bsession::Session, req: &HttpRequest) {
    /// session.login("joe");
    /// let agent = req.headers().get(header::USER_AGENT);
    /// session.set_note(agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default());
    /// # }
    /// ```
    pub fn set_note(&mut self, text: impl AsRef<str>) {
        let text = cut(text.as_ref(), LONGEST_NOTE);
        let note = (!text.is_empty()).then_some(text);
        if self.note() != note {
            self.contents_mut().note = note.map(Box::from);
        }
    }

    /// The note that [`set_note`](Session::set_note) stored.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.changes.after.note.as_deref()
    }

    /// True if nothing of this session is stored yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.facts().handle.is_none()
    }

    /// Sets the idle timeout of this session, in days. It replaces the service's.
    ///
    /// The range is 1 to 400; other values are brought into it. With
    /// [`browser_session`](crate::Builder::browser_session), or with a short idle timeout for all sessions,
    /// `session.set_days(30)` is a "remember me". `None` gives the session back to the service's own timeout. Without
    /// anything else in it, no session begins.
    pub fn set_days(&mut self, days: impl Into<Option<u32>>) {
        self.set_idle(days.into().map(|days| clock::days(days.max(1))));
    }

    /// Sets the idle timeout of this session. It replaces the service's.
    ///
    /// The range is one second to 400 days; other values are brought into it. `None` gives the session back to the
    /// service's own timeout. Without anything else in it, no session begins.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut session = bsession::Session::default();
    /// session.set_idle(Duration::from_secs(15 * 60));
    /// session.set_idle(None);
    /// session.set_days(30);
    /// session.set_days(None);
    /// ```
    pub fn set_idle(&mut self, idle: impl Into<Option<Duration>>) {
        let idle = idle.into().map(|idle| idle.clamp(MIN_IDLE, MAX_IDLE));
        if self.changes.after.idle != idle {
            self.contents_mut().idle = idle;
        }
    }

    /// The time when the session was created; `None` for a new one.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.facts().created.map(SystemTime::from)
    }

    /// The time when the session ends unless it is visited again; `None` for a new one.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.facts().expires.map(SystemTime::from)
    }

    /// The session's public name, for lists and logs; `None` for a new one.
    ///
    /// It is not secret and gives no access. It stays the same through every renewal.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.facts().handle
    }
}
