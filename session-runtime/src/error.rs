//! What can go wrong: while a request is served, and when a service is built.

use std::path::PathBuf;

use crate::store::StoreError;

/// `Result` with [`Error`] for its error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a session could not be read, changed or saved.
///
/// As a response it tells the client nothing but the status: 503 where trying again may help,
/// 500 where the application is at fault. The cause goes to the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session service.
    #[error(
        "there is no session service: call `bsession::init(secret, mode)` before the server starts, \
         or give the application one with `App::app_data(sessions.clone())`"
    )]
    NotInitialised,
    /// A value could not be turned into what a session keeps, or back.
    #[error("session key `{key}`: {source}")]
    Value {
        /// Under which key.
        key: String,
        /// What serde says.
        source: serde_json::Error,
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
    /// A value holds more values in each other than can be read back.
    #[error(
        "a session value is nested deeper than {} levels",
        crate::data::MAX_DEPTH
    )]
    TooDeep,
    /// Two parts of one request logged in two different users.
    #[error("two parts of one request log in as different users")]
    TwoLogins,
    /// The session belongs to no request, so there is nothing to claim from.
    #[error("`claim` needs a session that is connected to a request, not `Session::default()`")]
    NotConnected,
    /// The store failed.
    #[error("the session store failed: {0}")]
    Store(#[from] StoreError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[source] std::io::Error),
}

impl Error {
    pub(crate) fn random(cause: getrandom::Error) -> Self {
        Self::Random(std::io::Error::other(cause.to_string()))
    }

    /// Whether the request may succeed later, with nothing changed in the application.
    pub(crate) fn is_passing(&self) -> bool {
        !matches!(
            self,
            Self::NotInitialised | Self::Value { .. } | Self::NotConnected
        )
    }
}

/// Why a session service could not be built. Each message says what to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The secret is too short to be one, or is an example's.
    #[error(
        "the session secret {problem}: make one with `openssl rand -base64 48` and hand it in from the \
         environment, or use `Secret::load_or_create(\"session.secret\")`"
    )]
    Secret {
        /// What is wrong with it.
        problem: String,
    },
    /// The file of a secret could not be read or made.
    #[error("the session secret at `{path}`: {source}")]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
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
        "the session service is initialised already: call `bsession::init` once, before the server starts; \
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
