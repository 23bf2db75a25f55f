//! A client for the tests of an application. It runs in the same process and has a cookie jar.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{
    ACCEPT, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SET_COOKIE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use actix_web::web::{Bytes, PayloadConfig};
use actix_web::{FromRequest, HttpResponse};
use serde::ser::Serialize;
use url::{Position, Url};

use super::reply::Reply;
use crate::jar::Jar;
use crate::service::Sessions;
use crate::session::Session;
use crate::visit::Visit;

/// The most redirects in a row, as in browsers (<https://fetch.spec.whatwg.org/#http-redirect-fetch>).
const MOST_REDIRECTS: usize = 20;
const SITE: &str = "http://localhost";
const OTHER_SITE: &str = "https://elsewhere.example";

/// A browser for the tests of an application. It keeps cookies and sends the headers that a browser sends.
///
/// It sends requests to a service that [`init_service`](actix_web::test::init_service) made, within the process.
/// Cookies expire according to `Max-Age` and `Expires`, by the clock of the sessions. They are sent below their `Path`
/// only. `Secure` cookies are kept and sent, as browsers do over https and on `localhost`.
///
/// ```
/// use actix_web::{App, Responder, get, post, test, web::Redirect};
/// use bsession::{Level, session, testing::{self, Client, days}};
///
/// #[post("/visit")]
/// #[session]
/// async fn visit() -> bsession::Result<impl Responder> {
///     session.update("visits", |n: u64| n + 1)?;
///     session.flash(Level::Success, "Welcome back.");
///     Ok(Redirect::to("/").see_other())
/// }
///
/// #[get("/")]
/// #[session]
/// async fn index() -> bsession::Result<impl Responder> {
///     let flashes = session.flashes().await?;
///     Ok(flashes.into_iter().map(|flash| flash.text).collect::<String>())
/// }
///
/// # #[actix_web::main]
/// # async fn main() {
/// let (sessions, clock) = testing::sessions();
/// let app = test::init_service(App::new().app_data(sessions.clone()).service(visit).service(index)).await;
/// let joe = Client::new(&app, &sessions);
///
/// joe.login("joe").await;                                       // without a login page
/// assert_eq!(joe.post("/visit", ()).await.location(), Some("/"));
/// assert_eq!(joe.get("/").await.text(), "Welcome back.");
/// assert_eq!(joe.follow().post("/visit", ()).await.text(), "Welcome back.");
/// assert_eq!(joe.session().await["visits"], 2);                 // reads the stored session
///
/// clock.advance(days(31));
/// assert_eq!(joe.session().await.user(), None);
/// # }
/// ```
///
/// Clones share the jar, like the tabs of one browser. Several requests may run at the same time:
/// `futures_util::join!(client.get("/a"), client.get("/b"))`. For another visitor, make another client.
pub struct Client<S> {
    app: Rc<S>,
    sessions: Sessions,
    jar: Rc<RefCell<Jar>>,
    follows: bool,
    cross_site: bool,
}

impl<S> Client<S> {
    /// Makes a client for a new visitor. `app` may be a reference, so that several clients can use it.
    ///
    /// `sessions` is the service that the application was given, by `App::app_data(sessions.clone())`.
    #[must_use]
    pub fn new(app: S, sessions: &Sessions) -> Self {
        Self {
            app: Rc::new(app),
            sessions: sessions.clone(),
            jar: Rc::default(),
            follows: false,
            cross_site: false,
        }
    }

    /// Returns the same client, which now follows redirects to pages of the application, twenty in a row at most.
    ///
    /// A 303 becomes a GET, and so does a POST after a 301 or a 302, as in a browser. A 307 or a 308 sends the body
    /// again.
    #[must_use]
    pub fn follow(&self) -> Self {
        Self {
            follows: true,
            ..self.clone()
        }
    }

    /// Returns the same client, which now acts as a page of another site with a form or a link to the application.
    ///
    /// Cookies are still sent, because `SameSite` does not prevent that for every site and every browser. The test
    /// therefore sees whether the application itself refuses the request.
    #[must_use]
    pub fn cross_site(&self) -> Self {
        Self {
            cross_site: true,
            ..self.clone()
        }
    }

    /// Begins a session in which the user is logged in, without a login page.
    ///
    /// It replaces the session that the client has.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn login(&self, user: impl ToString) {
        self.begin(|session| session.login(user)).await;
    }

    /// Begins a session with the data that `f` puts into it. A `login` in `f` logs a user in.
    ///
    /// # Panics
    /// If the store fails, or if the session is larger than it may be.
    pub async fn begin(&self, f: impl FnOnce(&mut Session)) {
        let cookie = self.sessions.cookie_for(f).await;
        let cookie = cookie.unwrap_or_else(|error| panic!("no session begins: {error}"));
        self.keep(&cookie.to_string(), "/");
    }

    /// Returns the client's session as it is stored, or an empty one if the client has no session.
    ///
    /// This does not count as a visit: the expiry does not move, and changes to the returned session are not saved.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn session(&self) -> Session {
        let cookies = self.jar.borrow().everything(self.sessions.0.storage.now());
        let presented = self
            .sessions
            .0
            .cookies
            .presented(std::iter::once(cookies.as_bytes()));
        let visit = Arc::new(Visit::new(self.sessions.clone(), presented));
        if let Err(error) = visit.load().await {
            panic!("the session does not load: {error}");
        }
        visit.open()
    }

    /// Returns the value of a cookie that the client has. [`Sessions::cookie_name`] is the name of the session cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let jar = self.jar.borrow();
        jar.get(name, self.sessions.0.storage.now())
            .map(str::to_owned)
    }

    /// Closes the browser and opens it again: cookies without `Max-Age` and `Expires` are gone.
    pub fn restart(&self) {
        self.jar.borrow_mut().end_browser();
    }

    fn keep(&self, header: &str, path: &str) {
        let now = self.sessions.0.storage.now();
        self.jar.borrow_mut().set(header, path, now);
    }

    /// Adds the headers that a browser sends. Headers of the test stay, and its cookies are joined with the jar's.
    fn complete(&self, sent: &SentRequest, headers: &mut HeaderMap) {
        let (site, origin) = if self.cross_site {
            ("cross-site", OTHER_SITE)
        } else {
            ("same-origin", SITE)
        };
        let sends_origin = ![Method::GET, Method::HEAD].contains(&sent.method);
        let said = [
            (HOST, "localhost"),
            (
                ACCEPT,
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ),
            (HeaderName::from_static("sec-fetch-site"), site),
            (HeaderName::from_static("sec-fetch-mode"), "navigate"),
            (HeaderName::from_static("sec-fetch-dest"), "document"),
        ];
        for (name, value) in said
            .into_iter()
            .chain(sends_origin.then_some((ORIGIN, origin)))
        {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let kept = self
            .jar
            .borrow()
            .header(sent.path(), self.sessions.0.storage.now());
        let own = headers.get(COOKIE).and_then(|own| own.to_str().ok());
        let cookies: Vec<_> = own.into_iter().chain(kept.as_deref()).collect();
        if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; "))
            && !cookies.is_empty()
        {
            headers.insert(COOKIE, cookies);
        }
    }
}

impl<S, B> Client<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    /// Requests a page.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(TestRequest::get().uri(path)).await
    }

    /// Sends a form: a struct, or pairs such as `[("name", "joe")]`. `()` is an empty form.
    pub async fn post(&self, path: &str, form: impl Serialize) -> Reply {
        self.send(TestRequest::post().uri(path).set_form(form))
            .await
    }

    /// Sends any request, with the headers that a browser would add. The request keeps its headers and cookies.
    ///
    /// # Panics
    /// If the client follows redirects, and more than twenty come in a row.
    pub async fn send(&self, request: TestRequest) -> Reply {
        let mut sent = SentRequest::of(request).await;
        for _ in 0..=MOST_REDIRECTS {
            let reply = self.ask(&sent).await;
            match self.follows.then(|| sent.next(&reply)).flatten() {
                Some(next) => sent = next,
                None => return reply,
            }
        }
        panic!(
            "more than {MOST_REDIRECTS} redirects, the last one to {}",
            sent.uri
        );
    }

    async fn ask(&self, sent: &SentRequest) -> Reply {
        let mut request = sent.request();
        self.complete(sent, request.headers_mut());
        let reply = match self.app.call(request).await {
            Ok(response) => Reply::read(response.into_parts().1).await,
            // The server does the same with an error that comes out of the outermost middleware.
            Err(error) => Reply::read(HttpResponse::from_error(error)).await,
        };
        for header in reply.headers().get_all(SET_COOKIE) {
            if let Ok(header) = header.to_str() {
                self.keep(header, sent.path());
            }
        }
        reply
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            app: Rc::clone(&self.app),
            sessions: self.sessions.clone(),
            jar: Rc::clone(&self.jar),
            follows: self.follows,
            cross_site: self.cross_site,
        }
    }
}

/// Leaves out the jar: anybody who has the cookie has the session.
impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("follows", &self.follows)
            .field("cross_site", &self.cross_site)
            .finish_non_exhaustive()
    }
}

/// The parts of a request, kept so that a redirect can send them again.
struct SentRequest {
    method: Method,
    /// The path and the query.
    uri: String,
    /// The headers that the test gave.
    headers: HeaderMap,
    body: Bytes,
    peer: Option<std::net::SocketAddr>,
}

impl SentRequest {
    async fn of(request: TestRequest) -> Self {
        let any_size = PayloadConfig::new(usize::MAX);
        let (request, mut payload) = request.app_data(any_size).to_http_parts();
        let body = Bytes::from_request(&request, &mut payload).await;
        Self {
            method: request.method().clone(),
            uri: request.uri().to_string(),
            headers: request.headers().clone(),
            body: body.unwrap_or_else(|error| panic!("the request has no body to send: {error}")),
            peer: request.peer_addr(),
        }
    }

    fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    fn request(&self) -> Request {
        let mut request = TestRequest::with_uri(&self.uri).method(self.method.clone());
        if !self.body.is_empty() {
            request = request.set_payload(self.body.clone());
        }
        if let Some(peer) = self.peer {
            request = request.peer_addr(peer);
        }
        let mut request = request.to_request();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Returns the request that a browser sends next, if the reply is a redirect within the site.
    fn next(&self, reply: &Reply) -> Option<Self> {
        let becomes_get = match reply.status() {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return None,
        };
        let here = Url::parse(SITE)
            .and_then(|site| site.join(&self.uri))
            .ok()?;
        let there = here.join(reply.location()?).ok()?;
        if there.origin() != here.origin() {
            return None;
        }
        let mut next = Self {
            method: self.method.clone(),
            uri: there[Position::BeforePath..Position::AfterQuery].to_owned(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            peer: self.peer,
        };
        if becomes_get {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
        }
        Some(next)
    }
}
