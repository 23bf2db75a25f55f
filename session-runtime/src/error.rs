//! What can go wrong: while a request is served, and when a service is built.

use std::fmt;
use std::path::PathBuf;

use crate::store::StoreError;

/// `Result` with [`Error`] for its error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a session could not be read, changed or saved.
///
/// As a response it tells the client nothing but the status: 503 if the session could not be
/// loaded or saved, 500 if the application used it wrongly, 401 if the visitor has to log in
/// first, 403 if another site may have sent the request, 409 if a login is one too many. The cause goes
/// to the log.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session service.
    #[error(
        "there is no session service: call `bsession::init(secret, mode)` before the server starts, \
         or give the application one with `App::app_data(sessions.clone())`, which is not put into `web::Data`"
    )]
    NotInitialised,
    /// A session key holds something other than was asked for. The message does not show what it holds;
    /// the [`source`](std::error::Error::source) does.
    #[error("session key `{key}` holds no `{wanted}`: get it as what was inserted, or remove it")]
    Type {
        /// Which key.
        key: String,
        /// The type that was asked for.
        wanted: &'static str,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON, which is what a session keeps.
    #[error(
        "the value for session key `{key}` cannot be written as JSON, where the keys of a map are text or numbers: \
         insert it in another shape"
    )]
    Json {
        /// For which key.
        key: String,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A [`View`](crate::View) is not read and written as a map of its fields.
    #[error(
        "`{view}` is no view of the session, which is a struct with named fields: it {problem}"
    )]
    View {
        /// The type.
        view: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    LoginRequired,
    /// The last login is longer ago than `fresh` allows.
    #[error("the last login is too long ago")]
    LoginTooOld,
    /// The session does not have a key that is required.
    #[error(
        "there is no session key `{key}`, and the handler says `require = \"{key}\"`: to require a login, \
         write `require` alone"
    )]
    KeyRequired {
        /// Which key.
        key: String,
    },
    /// The session would be larger than [`max_size`](crate::Builder::max_size).
    #[error(
        "the session would take {size} bytes as JSON and may take {max}: keep less in it, or raise `max_size`"
    )]
    TooLarge {
        /// Its size, in bytes of JSON.
        size: usize,
        /// The size allowed.
        max: usize,
    },
    /// A value is nested more deeply than can be read back.
    #[error(
        "a session value is nested deeper than {} levels: keep it flatter",
        crate::data::MAX_DEPTH
    )]
    TooDeep,
    /// Two parts of one request logged in two different users.
    #[error("two parts of one request log in as different users: log in once, in one of them")]
    TwoLogins,
    /// The request may have been sent by another site's page, and the handler takes none of those.
    #[error("another site may have sent the request: {rule}")]
    CrossSite {
        /// What told so, or did not tell otherwise.
        rule: &'static str,
    },
    /// The user who logs in has as many sessions as [`max_per_user`](crate::Builder::max_per_user)
    /// allows.
    ///
    /// The answer is *409 Conflict*: nothing is wrong with the request, but it does not go with what
    /// there is, and the user can do something about that (RFC 9110 §15.5.10). To answer with a page,
    /// count [`of_user`](crate::Sessions::of_user) before the login.
    #[error(
        "the user has as many sessions as `max_per_user` allows, which is {max}: one of them has to end first"
    )]
    TooManySessions {
        /// How many are allowed.
        max: usize,
    },
    /// The store failed.
    #[error("the session store failed: {0}")]
    Store(#[from] StoreError),
    /// Another request of the session has had its lock for all of
    /// [`lock_timeout`](crate::Builder::lock_timeout).
    #[error(
        "the session stayed locked for `lock_timeout`: another request of it was not over, or the requests before \
         this one were too slow; a handler that locks the session and calls its own server with the visitor's \
         cookie waits for itself"
    )]
    Locked,
    /// So many requests wait for the session's lock that another one is not let in: 64.
    #[error("64 requests wait for the lock of the session already")]
    LockQueueFull,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[source] std::io::Error),
}

/// Why a session service could not be built. Each message says what to write instead.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The secret is too short to be one, or can be guessed.
    #[error(
        "the session secret {problem}: make one with `openssl rand -base64 48` and hand it in from the \
         environment, or use `Secret::load_or_create(\"session.secret\")`"
    )]
    Secret {
        /// What is wrong with it.
        problem: String,
    },
    /// The file of a secret could not be read or made.
    #[error(
        "the session secret at `{path}`: {source}: create its directory and let this user write there, or name another path"
    )]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The environment has no secret.
    #[error(
        "the environment variable `{name}` {problem}: set it to what `openssl rand -base64 48` prints, or use \
         `Secret::load_or_create(\"session.secret\")`"
    )]
    SecretVariable {
        /// Of what name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A setting that cannot be, alone or beside another one.
    #[error("{0}")]
    Setting(String),
    /// The directory of the sessions cannot be used.
    #[error("the sessions directory `{path}`: {source}")]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The global service is there already.
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

/// The same as the message: `main` shows an error that it returns by `Debug`, and what to do stands
/// in the message.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The same as the message: `main` shows an error that it returns by `Debug`, and what to do stands
/// in the message.
impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// So that a `main` that returns `std::io::Result<()>`, as those of actix-web do, can use `?`.
impl From<InitError> for std::io::Error {
    fn from(error: InitError) -> Self {
        Self::other(error)
    }
}
