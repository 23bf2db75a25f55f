//! The gate: the requirements that a request must meet before the body of its handler runs.

use std::time::{Duration, SystemTime};

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse};

use super::call::Call;
use super::csrf::{self, Csrf};
use super::saved::{Saved, Saving};
use crate::error::{Error, Result};
use crate::local_path::{LocalPath, with_next};

/// The requirements of a handler, checked before its body runs. Each method stands for one argument of the attribute.
#[derive(Debug)]
pub struct Gate {
    csrf: Option<Csrf>,
    lock: bool,
    require: Option<Require>,
    fresh: Option<Duration>,
    redirect: Option<&'static str>,
    purge: bool,
    renew: bool,
}

/// The requirement of `require` or `require = "key"`.
#[derive(Debug)]
enum Require {
    User,
    Key(&'static str),
}

impl Gate {
    /// A gate without requirements.
    pub const NONE: Self = Self {
        csrf: None,
        lock: false,
        require: None,
        fresh: None,
        redirect: None,
        purge: false,
        renew: false,
    };

    /// Refuses a request that another site's page may have sent.
    #[must_use]
    pub fn csrf(self, csrf: Csrf) -> Self {
        Self {
            csrf: Some(csrf),
            ..self
        }
    }

    /// Takes the session's lock, after waiting until no other request has it.
    #[must_use]
    pub fn lock(self) -> Self {
        Self { lock: true, ..self }
    }

    /// Refuses visitors who are not logged in.
    #[must_use]
    pub fn require(self) -> Self {
        Self {
            require: Some(Require::User),
            ..self
        }
    }

    /// Refuses visitors whose session does not have this key.
    #[must_use]
    pub fn require_key(self, key: &'static str) -> Self {
        Self {
            require: Some(Require::Key(key)),
            ..self
        }
    }

    /// Refuses visitors whose last login is more than this many milliseconds ago.
    #[must_use]
    pub fn fresh(self, millis: u64) -> Self {
        Self {
            fresh: Some(Duration::from_millis(millis)),
            ..self
        }
    }

    /// Redirects a refused browser to this path.
    #[must_use]
    pub fn redirect(self, path: &'static str) -> Self {
        Self {
            redirect: Some(path),
            ..self
        }
    }

    /// Ends the session, even if the handler fails.
    #[must_use]
    pub fn purge(self) -> Self {
        Self {
            purge: true,
            ..self
        }
    }

    /// Gives the session a new id.
    #[must_use]
    pub fn renew(self) -> Self {
        Self {
            renew: true,
            ..self
        }
    }
}

impl Call {
    /// Returns the response of a request that is refused, or `None` if the body may run.
    pub async fn admit<R>(&mut self, mut gate: Gate) -> Option<Saved<R>> {
        // A request of another site does not count as a visit, so it is not saved: it must not even extend the expiry.
        if let Err(error) = self.check_origin(&mut gate).await {
            return Some(Saved::failed(error));
        }
        if gate.lock
            && let Err(error) = self.connection.lock().await
        {
            return Some(Saved::failed(error));
        }
        let response = self.refusal(&gate)?;
        let visit = self.connection.close();
        Some(Saving::new(visit, self.request.clone(), response).await)
    }

    async fn check_origin(&self, gate: &mut Gate) -> Result<()> {
        let (request, visit) = (&self.request, &self.connection.visit);
        if gate.purge {
            csrf::check_purge(request, visit)?;
        }
        match gate.csrf.take() {
            Some(csrf) => csrf::check_csrf(request, visit, csrf).await,
            None => Ok(()),
        }
    }

    fn refusal(&mut self, gate: &Gate) -> Option<HttpResponse> {
        if let Err(error) = self.check(gate) {
            return Some(match gate.redirect {
                Some(path) if is_navigation(&self.request) && !is_at(path, &self.request) => {
                    see_other(path, &self.request)
                }
                _ => HttpResponse::from_error(error),
            });
        }
        if gate.renew {
            self.session().renew();
        }
        if gate.purge {
            self.connection.purge_at_end();
        }
        None
    }

    fn check(&mut self, gate: &Gate) -> Result<()> {
        let now = SystemTime::from(self.connection.visit.sessions.0.storage.now());
        let session = self.connection.session();
        if let Some(Require::Key(key)) = gate.require
            && session[key].is_null()
        {
            return Err(Error::KeyRequired {
                key: key.to_owned(),
            });
        }
        let wants_user = matches!(gate.require, Some(Require::User)) || gate.fresh.is_some();
        if wants_user && session.user().is_none() {
            return Err(Error::LoginRequired);
        }
        let Some(fresh) = gate.fresh else {
            return Ok(());
        };
        // A login time in the future comes from a clock that was set back. It must not stay fresh forever.
        let age = |at| {
            now.duration_since(at)
                .unwrap_or_else(|future| future.duration())
        };
        match session.authenticated_at() {
            Some(at) if age(at) <= fresh => Ok(()),
            _ => Err(Error::LoginTooOld),
        }
    }
}

/// True if a browser will show the response as a page. Only then is a redirect to a login page useful: a script can do
/// nothing with it.
fn is_navigation(req: &HttpRequest) -> bool {
    let header = |name: &str| Some(req.headers().get(name)?.to_str().unwrap_or_default());
    match header("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => header("accept").is_some_and(|accept| accept.contains("text/html")),
    }
}

/// True if `path` is the page that is being requested: redirecting would loop forever. Only safe methods count, because
/// a form may be sent to the path of a page that is open to everybody.
fn is_at(path: &str, req: &HttpRequest) -> bool {
    let is_there = req.method().is_safe() && path.split(['?', '#']).next() == Some(req.path());
    if is_there {
        tracing::error!(
            target: "bsession",
            path,
            hint = "this page asks for the login that it is for: let it do without `require` and `fresh`",
            "redirect_to_itself"
        );
    }
    is_there
}

/// Redirects to another page. If the method is safe, the requested page goes along as `next`.
fn see_other(path: &str, req: &HttpRequest) -> HttpResponse {
    let page = req
        .uri()
        .path_and_query()
        .filter(|_| req.method().is_safe());
    let next = page.and_then(|page| LocalPath::try_from(page.as_str()).ok());
    let location = next.map_or_else(|| path.to_owned(), |next| with_next(path, &next));
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}
