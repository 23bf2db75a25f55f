//! The gate: the requirements that a request must meet before a handler, or a whole scope, runs.

use std::time::{Duration, SystemTime};

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse};

use super::asking::{Page, is_navigation, page};
use super::connect::Visits;
use super::connection::Connection;
use super::csrf;
use super::prefetch;
use super::unread_body::UnreadBody;
use super::wording::to_be_worded;
use crate::error::{Error, Result};
use crate::local_path::with_next;
use crate::visit::Visit;

/// The requirements that a request must meet: the same for one handler, for a scope, and by hand.
///
/// The arguments of [`#[session]`](https://docs.rs/bsession/latest/bsession/attr.session.html) make a gate for one handler.
/// As middleware, a gate protects everything that is registered below it, also files and the default service:
///
/// ```
/// use actix_web::{App, Responder, get, web};
/// use bsession::{Gate, session};
///
/// #[get("/reports")]
/// #[session(require)] // for `user`; the gate has asked already
/// async fn reports(user: &str) -> impl Responder {
///     format!("the reports of {user}")
/// }
///
/// let app = App::new().service(
///     web::scope("/admin")
///         .wrap(Gate::new().csrf().require().redirect("/login"))
///         .service(reports),
/// );
/// ```
///
/// In a middleware function ([`from_fn`](actix_web::middleware::from_fn)) it is [`check`](Self::check), in an extractor
/// [`connect`](Self::connect).
///
/// A gate is no route guard. `Scope::guard` needs an answer at once, and a gate waits for the store. Use `wrap`.
///
/// The gate comes first. A refused request runs no extractor below it, and its body is not read. There is one exception:
/// the CSRF token of a form is searched within its first 64 KiB, if the browser does not say where the form comes from.
///
/// As middleware a gate also saves after the request, as [`Hooks`](crate::Hooks) do: a visit below it extends the expiry, and
/// changes that connections leave are saved.
///
/// Gates add up. Each one checks its own requirements, the outermost first. No inner gate takes a requirement away.
///
/// The login page may stand inside the scope: the path that [`redirect`](Self::redirect) names, compared exactly, passes
/// `require`, `require_key` and `fresh` there. It does not pass `csrf`. Put all other public pages outside the scope.
///
/// A middleware that rewrites the path or the method goes outside the gate, so that the gate sees the same as the routes.
/// `actix_cors::Cors` goes outside, too. It answers the preflights of browsers, which carry no cookie and pass no gate that
/// has more than `csrf`. Outside, it also lets the page's script read a refusal. The last `wrap` is the outermost:
/// `web::scope("/api").wrap(gate).wrap(cors)`.
///
/// The session is that of the service in the application's data, else of the global one. To guard a scope with another
/// service, give it to the scope: `web::scope("/admin").app_data(admin.clone()).wrap(…)`.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    csrf: bool,
    lock: bool,
    require: bool,
    require_key: Option<&'static str>,
    fresh: Option<Duration>,
    redirect: Option<&'static str>,
    quiet: bool,
    purge: bool,
}

/// The refusal of a request.
pub(super) enum Refusal {
    /// The request does not count as a visit, so that it does not even extend the expiry: another site may have sent it, or
    /// the session could not be locked.
    NoVisit(Error),
    /// The visitor does not meet a requirement. The client is told of the login page, if there is one and it would help.
    Visit(Error, Option<String>),
    /// The same, and the client is sent to this login page.
    Redirect(Error, String),
}

impl Refusal {
    /// Returns the response. It has the error in it, where other middleware finds it, unless it is a redirect. Its words
    /// are still to come: see [`word`](super::wording::word).
    pub(super) fn into_response(self) -> HttpResponse {
        let (error, login_page) = match self {
            Self::Redirect(_, page) => return see_other(page),
            Self::Visit(error, page) => (error, page),
            Self::NoVisit(error) => (error, None),
        };
        let mut response = HttpResponse::from_error(error);
        to_be_worded(&mut response, login_page);
        response
    }
}

impl Gate {
    /// A gate without requirements.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            csrf: false,
            lock: false,
            require: false,
            require_key: None,
            fresh: None,
            redirect: None,
            quiet: false,
            purge: false,
        }
    }

    /// Refuses a request that another site's page may have sent, with 403. See
    /// [`Session::csrf_token`](crate::Session::csrf_token).
    #[must_use]
    pub const fn csrf(self) -> Self {
        Self { csrf: true, ..self }
    }

    /// Refuses visitors who are not logged in, with 401.
    #[must_use]
    pub const fn require(self) -> Self {
        Self {
            require: true,
            ..self
        }
    }

    /// Refuses visitors whose session does not have this key: with 401 if nobody is logged in, else with 403.
    ///
    /// # Panics
    /// The gate requires a key already. Two keys are two gates, one around the other.
    #[must_use]
    pub const fn require_key(self, key: &'static str) -> Self {
        assert!(
            self.require_key.is_none(),
            "a gate requires one key: wrap a second gate around it for another one"
        );
        Self {
            require_key: Some(key),
            ..self
        }
    }

    /// Refuses visitors whose last login is longer ago than this, with 401.
    #[must_use]
    pub const fn fresh(self, span: Duration) -> Self {
        Self {
            fresh: Some(span),
            ..self
        }
    }

    /// Redirects browsers to this path, with 303, in place of a 401. The page that was asked for goes along as `next`.
    ///
    /// It is a path as the application sees it. [`base_path`](crate::Builder::base_path) is put before it.
    ///
    /// Only a request for a page is redirected. It has `Sec-Fetch-Mode: navigate`; in older browsers it accepts `text/html`;
    /// or it comes from Turbo, which shows pages in place of the browser. Every other client gets the 401, which names the
    /// same path with the same `next`: in the header `Location`, in `HX-Redirect` for htmx, which then goes there, and in
    /// the member `location` of JSON.
    ///
    /// `next` is the page to come back to. For a request from within a page of this site it is that page: htmx names it in
    /// `HX-Current-URL`, a Turbo frame and any other script in `Referer`. Otherwise it is the path that was requested, unless
    /// the request changes something. A script on the login page itself gets a 401 without a path.
    ///
    /// # Panics
    /// It is no path of this site in printable ASCII. For a gate in a constant that is a compile error.
    #[must_use]
    pub const fn redirect(self, path: &'static str) -> Self {
        assert!(
            is_local(path),
            "`redirect` takes a path of this site, as in `/login`"
        );
        Self {
            redirect: Some(path),
            ..self
        }
    }

    /// Locks the session, as [`Connection::lock`] does: around a scope until its response is there, by hand as long as the
    /// connection lives.
    #[must_use]
    pub const fn lock(self) -> Self {
        Self { lock: true, ..self }
    }

    /// Makes the request no visit. Use it for a page that polls: an idle timeout then ends the session of a user who left the
    /// page open.
    ///
    /// The request does not extend the expiry, does not send the cookie again, and does not move the session to a new
    /// secret, even if something else in it connects too. Changes are saved with the old expiry. A login, a
    /// [`renew`](crate::Session::renew), a [`purge`](crate::Session::purge) and a change of
    /// [`set_days`](crate::Session::set_days) have their usual effect.
    #[must_use]
    pub const fn quiet(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// Ends the session, even if the handler fails. A word of the attribute alone.
    #[doc(hidden)]
    #[must_use]
    pub const fn purge(self) -> Self {
        Self {
            purge: true,
            ..self
        }
    }

    pub(super) const fn purges(&self) -> bool {
        self.purge
    }

    pub(super) const fn locks(&self) -> bool {
        self.lock
    }

    /// Checks all requirements, and takes the lock.
    pub(super) async fn admit(
        &self,
        req: &HttpRequest,
        body: &mut UnreadBody,
        connection: &mut Connection,
    ) -> Result<(), Refusal> {
        if self.quiet {
            Visits::be_quiet(req);
        }
        if self.purge {
            csrf::check_purge(req, &connection.visit).map_err(Refusal::NoVisit)?;
            prefetch::check(req).map_err(Refusal::NoVisit)?;
        }
        if self.csrf {
            let checked = csrf::check_csrf(req, &connection.visit, body);
            checked.await.map_err(Refusal::NoVisit)?;
        }
        if self.lock {
            connection.lock().await.map_err(Refusal::NoVisit)?;
        }
        self.check_visitor(req, &connection.visit)
    }

    /// The gate for a request to this path, if it stands around routes: the login page may be among them.
    pub(super) fn around(&self, path: &str) -> Self {
        if self.redirect.map(path_of) != Some(path) {
            return *self;
        }
        Self {
            require: false,
            require_key: None,
            fresh: None,
            ..*self
        }
    }

    /// Checks the requirements that are about the visitor.
    pub(super) fn check_visitor(&self, req: &HttpRequest, visit: &Visit) -> Result<(), Refusal> {
        if !self.require && self.require_key.is_none() && self.fresh.is_none() {
            return Ok(());
        }
        self.meets(visit).map_err(|error| {
            let base = &visit.sessions.0.config.base_path;
            match self.login_page(&error, req, base) {
                Some(page) if is_navigation(req) => Refusal::Redirect(error, page),
                page => Refusal::Visit(error, page),
            }
        })
    }

    fn meets(&self, visit: &Visit) -> Result<()> {
        let contents = visit.contents();
        let is_logged_in = contents.user.is_some();
        if (self.require || self.fresh.is_some()) && !is_logged_in {
            return Err(Error::LoginRequired);
        }
        let has = |key| contents.data.contains_key(key);
        if let Some(key) = self.require_key.filter(|key| !has(key)) {
            let key = key.to_owned();
            return Err(if is_logged_in {
                Error::Forbidden { key }
            } else {
                Error::KeyRequired { key }
            });
        }
        let Some(fresh) = self.fresh else {
            return Ok(());
        };
        let now = SystemTime::from(visit.sessions.0.storage.now());
        // A login time in the future comes from a clock that was set back. It must not stay fresh forever.
        let age = |at| {
            now.duration_since(at)
                .unwrap_or_else(|future| future.duration())
        };
        match contents.authenticated.map(SystemTime::from) {
            Some(at) if age(at) <= fresh => Ok(()),
            _ => Err(Error::LoginTooOld),
        }
    }

    /// The place where a refused visitor can log in, below `base`. `None` for a user who lacks a right: another
    /// login would not help.
    fn login_page(&self, error: &Error, req: &HttpRequest, base: &str) -> Option<String> {
        let path = self.redirect?;
        if matches!(error, Error::Forbidden { .. }) || is_at(path, req) {
            return None;
        }
        let path = format!("{base}{path}");
        match page(req, base) {
            // Redirecting would load the login page again and again.
            Some(Page::Around(page)) if path_of(page.as_str()) == path_of(&path) => None,
            Some(Page::Around(page) | Page::Asked(page)) => Some(with_next(&path, &page)),
            None => Some(path),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// True for a path that browsers resolve within the same site, and that can stand in a header.
const fn is_local(path: &str) -> bool {
    let bytes = path.as_bytes();
    if !matches!(bytes, [b'/', ..]) || matches!(bytes, [_, b'/', ..]) {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_graphic() || matches!(bytes[at], b'\\' | b'"' | b'<' | b'>') {
            return false;
        }
        at += 1;
    }
    true
}

/// Returns a target without its query and fragment.
fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

/// True if `path` is the page that is being requested: redirecting would loop forever. Only safe methods count, because
/// a form may be sent to the path of a page that is open to everybody.
fn is_at(path: &str, req: &HttpRequest) -> bool {
    let is_there = req.method().is_safe() && path_of(path) == req.path();
    if is_there {
        tracing::error!(
            target: "bsession",
            path,
            hint = "this page asks for the login that it is for: remove `require` and `fresh` from it",
            "redirect_to_itself"
        );
    }
    is_there
}

pub(super) fn see_other(location: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}
