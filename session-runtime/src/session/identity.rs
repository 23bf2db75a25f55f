//! Whose session it is, for how long, and by which names it is known.

use std::time::{Duration, SystemTime};

use super::session::{Session, cut};
use crate::changes::Changes;
use crate::clock;
use crate::contents;
use crate::lifetime::{MAX_IDLE, MIN_IDLE};
use crate::record::Handle;

/// The longest note, in bytes: room for a usual user agent.
const LONGEST_NOTE: usize = 256;

impl Session {
    /// Gives the session a new id and keeps what it holds; the old id is dead at once.
    ///
    /// For whenever somebody's rights change. [`login`](Session::login) does it by itself.
    pub fn renew(&mut self) {
        self.changes.renew = true;
    }

    /// Ends the session: its record is removed, and its cookie.
    ///
    /// What is put in afterwards begins a new, anonymous session under a new id.
    pub fn purge(&mut self) {
        self.changes = Changes::purge();
    }

    /// The same as [`purge`](Session::purge).
    pub fn clear(&mut self) {
        self.purge();
    }

    /// Logs a user in: the session is theirs from here on, under a new id.
    ///
    /// The old id is dead at once, so that a cookie planted before is worth nothing. What an
    /// anonymous session holds is kept; nothing of one user reaches another.
    ///
    /// `user` is whatever tells one user from another. It is taken as it is, even an empty text.
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
                hint = "whoever has no name is a user all the same: check it before `session.login`",
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
            self.changes.emptied = true;
        }
        self.contents_mut().user = Some(user);
        self.changes.login = true;
    }

    /// Logs the user out: the same as [`purge`](Session::purge).
    pub fn logout(&mut self) {
        self.purge();
    }

    /// Who is logged in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.changes.after.user.as_deref()
    }

    /// When the user logged in; `None` too if it was in this very request.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.changes.after.authenticated.map(SystemTime::from)
    }

    /// A token for a form of a page that is for this visitor, to show that the page was ours.
    ///
    /// `#[session(csrf)]` takes it from the header `X-CSRF-Token`, which a script sends, else from the
    /// form's field `csrf_token`: `application/x-www-form-urlencoded`, within the first 64 KiB, so
    /// put it first. Nothing is read from a multipart form. It is needed only for requests with
    /// neither `Sec-Fetch-Site` nor `Origin`, that is, from old browsers and from other clients. A test
    /// may as well send `Sec-Fetch-Site: same-origin`.
    ///
    /// ```
    /// use actix_web::web::Html;
    /// use bsession::Session;
    ///
    /// fn form(session: &Session) -> Html {
    ///     let token = session.csrf_token(); // letters, digits, `-` and `_`: nothing to be escaped
    ///     Html::new(format!(
    ///         "<form method=post action=/transfer>
    ///            <input type=hidden name=csrf_token value={token}>
    ///            <input name=amount> <button>Send</button>
    ///          </form>"
    ///     ))
    /// }
    /// ```
    ///
    /// It is another text each time, and each stays good as long as the session's id does, under
    /// previous secrets too. It fits the session as it is and as this very response leaves it, so it
    /// does not matter whether it is made before or after a login. What other tabs hold does not fit
    /// any more once a login, a [`renew`](Session::renew) or the first change of an anonymous
    /// visitor has brought a new id.
    ///
    /// It needs no record: a visitor who has no session is sent a cookie that stands for none and
    /// ends with the browser. A session that belongs to no request, `Session::default()`, gives an
    /// empty text, which is never accepted; so it is if the operating system has no random bytes, with a
    /// line in the log.
    #[must_use]
    pub fn csrf_token(&self) -> String {
        let Some(backing) = &self.backing else {
            return String::new();
        };
        backing.csrf_token().unwrap_or_else(|error| {
            tracing::error!(target: "bsession", %error, "csrf_token_not_made");
            String::new()
        })
    }

    /// Notes what the application wants to see in a list of the user's sessions, such as the user
    /// agent: [`SessionInfo::note`](crate::SessionInfo::note).
    ///
    /// A note longer than 256 bytes is cut; an empty one is none. It is removed with what the session holds,
    /// at a purge or when another user logs in. It is listed while a user is logged in. At rest it is sealed
    /// under the secret alone: whoever has that can read it without the visitor's cookie.
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

    /// What [`set_note`](Session::set_note) noted.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.changes.after.note.as_deref()
    }

    /// Whether nothing is stored of this session yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.facts().handle.is_none()
    }

    /// Gives this session an idle expiry of its own, in days, in place of the service's: from
    /// 1 to 400; other values are brought into that range. With [`browser_session`](crate::Builder::browser_session), or a
    /// short expiry for all, `session.set_days(30)` is a "remember me".
    pub fn set_days(&mut self, days: u32) {
        self.set_idle(clock::days(days.max(1)));
    }

    /// Gives this session an idle expiry of its own in place of the service's: from a second to
    /// 400 days; other values are brought into that range.
    pub fn set_idle(&mut self, idle: Duration) {
        let idle = Some(idle.clamp(MIN_IDLE, MAX_IDLE));
        if self.changes.after.idle != idle {
            self.contents_mut().idle = idle;
        }
    }

    /// When the session was created; `None` for a new one.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.facts().created.map(SystemTime::from)
    }

    /// When the session ends unless it is visited again; `None` for a new one.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.facts().expires.map(SystemTime::from)
    }

    /// The session's public name, for lists and logs; `None` for a new one.
    ///
    /// It is not secret, opens nothing, and stays the same through every renewal.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.facts().handle
    }
}
