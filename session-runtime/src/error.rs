//! The errors that occur while a request is served, and while a service is built.

use std::fmt;
use std::path::PathBuf;

use crate::one_line::OneLine;
use crate::store::StoreError;

/// `Result` with [`Error`] as its error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a session could not be read, changed or saved.
///
/// As a response it is a status and one sentence, the same for every client, and the cause goes to the log. The status is
/// 503 if the session could not be loaded or saved, 500 if the application used it wrongly, 401 if the visitor has to log in
/// first, 403 if another site may have sent the request or a user lacks a right, and 409 if the user has too many sessions for another login.
///
/// The sentence is plain text, or the `detail` of a problem in JSON ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) for
/// clients whose `Accept` names JSON. [`Refusals`](crate::Refusals) answer otherwise.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session service.
    #[error(
        "there is no session service: call `bsession::init(secret, mode)` before the server starts, \
         or give the application one with `App::app_data(sessions.clone())`, which is not put into `web::Data`"
    )]
    NotInitialised,
    /// The value of a session key is not of the type that was asked for. The message does not show the value; the
    /// [`source`](std::error::Error::source) does.
    #[error(
        "session key `{}` holds no `{wanted}`: get it as what was inserted, or remove it",
        OneLine(.key)
    )]
    Type {
        /// The key.
        key: String,
        /// The type that was asked for.
        wanted: &'static str,
        /// The error that serde returned.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON, the format in which a session is stored.
    #[error(
        "the value for session key `{}` cannot be written as JSON, which has no NaN, no infinity and no integer beyond 64 \
         bits, and where the keys of a map are text or numbers: insert it in another shape",
        OneLine(.key)
    )]
    Json {
        /// The key of the value.
        key: String,
        /// The error that serde returned.
        source: serde_json::Error,
    },
    /// A [`View`](crate::View) is not read and written by the names of its fields.
    #[error(
        "`{view}` is no view of the session, which is a struct with named fields: it {problem}"
    )]
    View {
        /// The type of the view.
        view: &'static str,
        /// The problem with it.
        problem: String,
    },
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    LoginRequired,
    /// The last login is longer ago than `fresh` allows.
    #[error("the last login is too long ago")]
    LoginTooOld,
    /// The session does not have a key that the handler requires.
    #[error(
        "there is no session key `{0}`, and the handler says `require = \"{0}\"`: to require a login, \
         write `require` alone",
        OneLine(.key)
    )]
    KeyRequired {
        /// The key.
        key: String,
    },
    /// A user is logged in, and the session does not have a key that is required: a right that this user lacks.
    #[error(
        "there is no session key `{0}`, which `require = \"{0}\"` asks for, and a login would not help: a user is \
         logged in",
        OneLine(.key)
    )]
    Forbidden {
        /// The key.
        key: String,
    },
    /// The session would be larger than [`max_size`](crate::Builder::max_size).
    ///
    /// [`insert`](crate::Session::insert) and [`update`](crate::Session::update) return it. A value that is set by index
    /// and is too large, or two requests whose values fit only alone, fail at the save: the response is then a 500, and
    /// what was stored before stays.
    #[error(
        "the session would take {size} bytes as JSON and may take {max}: keep less in it, or raise `max_size`"
    )]
    TooLarge {
        /// Its size, in bytes of JSON.
        size: usize,
        /// The allowed size, in bytes of JSON.
        max: usize,
    },
    /// A value is nested too deeply to be read back.
    #[error(
        "a session value is nested deeper than {} levels: keep it flatter",
        crate::data::MAX_DEPTH
    )]
    TooDeep,
    /// Two parts of one request logged in two different users.
    #[error("two parts of one request log in as different users: log in once, in one of them")]
    TwoLogins,
    /// Another site's page may have sent the request, and the handler does not accept such requests.
    #[error("another site may have sent the request: {rule}")]
    CrossSite {
        /// The rule that refused the request: the header that names another source, or `token` if the request needed a
        /// CSRF token and did not carry one that fits.
        rule: &'static str,
    },
    /// A browser asks ahead for the page of a `#[session(purge)]` handler: a prefetch or a prerender. Nothing is done.
    ///
    /// The response is *503 Service Unavailable* with `no-store`. The browser drops it, and asks again when the visitor
    /// opens the page.
    #[error(
        "the request is a prefetch, and would end the session before the visitor opens the page"
    )]
    Prefetch,
    /// The user who logs in has as many sessions as [`max_per_user`](crate::Builder::max_per_user)
    /// allows.
    ///
    /// The response is *409 Conflict*: the request itself is correct, but it conflicts with the sessions that exist,
    /// and the user can resolve that (RFC 9110 §15.5.10). To answer with a page, count
    /// [`of_user`](crate::Sessions::of_user) before the login.
    #[error(
        "the user has as many sessions as `max_per_user` allows, which is {max}: one of them has to end first"
    )]
    TooManySessions {
        /// The number of sessions that are allowed.
        max: usize,
    },
    /// The store failed.
    #[error("the session store failed: {0}")]
    Store(#[from] StoreError),
    /// The request waited for the session's lock for all of [`lock_timeout`](crate::Builder::lock_timeout), because
    /// other requests of the session had it.
    #[error(
        "the session stayed locked for `lock_timeout`: another request of it was not over, or the requests before \
         this one were too slow; a handler that locks the session and calls its own server with the visitor's \
         cookie waits for itself"
    )]
    Locked,
    /// Too many requests wait for the session's lock already: 64.
    #[error("64 requests wait for the lock of the session already")]
    LockQueueFull,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[source] std::io::Error),
}

/// The reason why a session service could not be built. Each message says what to write instead.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The secret is too short, or can be guessed.
    #[error(
        "the session secret {problem}: make one with `openssl rand -base64 48` and hand it in from the \
         environment, or use `Secret::load_or_create(\"session.secret\")`"
    )]
    Secret {
        /// The problem with it.
        problem: String,
    },
    /// The file of a secret could not be read or created.
    #[error(
        "the session secret at `{path}`: {source}: create its directory and let this user write there, or name another path"
    )]
    SecretFile {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The environment variable of the secret is not set, or is not UTF-8.
    #[error(
        "the environment variable `{name}` {problem}: set it to what `openssl rand -base64 48` prints, or use \
         `Secret::load_or_create(\"session.secret\")`"
    )]
    SecretVariable {
        /// The name of the variable.
        name: String,
        /// The problem with it.
        problem: &'static str,
    },
    /// A setting is not possible, alone or together with another one.
    #[error("{0}")]
    Setting(String),
    /// The directory of the sessions cannot be used.
    #[error("the sessions directory `{path}`: {source}")]
    Directory {
        /// The path of the directory.
        path: PathBuf,
        /// The problem with it.
        source: std::io::Error,
    },
    /// The global service is initialised already.
    #[error(
        "the session service is initialised already: call `bsession::init` once, outside the closure that `HttpServer::new` is given; \
         for a second service use `Sessions::builder(secret)…build()`"
    )]
    Twice,
    /// The thread that removes expired sessions could not be started.
    #[error("the thread that removes expired sessions could not be started: {0}")]
    Sweeper(#[source] std::io::Error),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[source] std::io::Error),
}

/// Writes the message: `main` prints the error that it returns with `Debug`, and the message says what to do.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes the message: `main` prints the error that it returns with `Debug`, and the message says what to do.
impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Lets a `main` that returns `std::io::Result<()>`, as in actix-web applications, use `?`.
impl From<InitError> for std::io::Error {
    fn from(error: InitError) -> Self {
        Self::other(error)
    }
}
