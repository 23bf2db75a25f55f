//! The session service as applications use it.

use std::fmt;
use std::sync::Arc;

use cookie::Cookie;
use once_cell::sync::OnceCell;

use super::cookies::CookieChange;
use super::save::Outcome;
use super::service::Service;
use crate::error::{InitError, Result};
use crate::session::Session;
use crate::stats::Stats;

static GLOBAL: OnceCell<Sessions> = OnceCell::new();

/// A session service: the secret, the store and the settings. Clones are the same service.
///
/// It goes into the application's data: `App::new().app_data(sessions.clone())`. No middleware is needed, so it cannot
/// be given to `wrap`.
///
/// Most applications have one, made by [`init`](crate::init). As an extractor it gives the service that the
/// handler's session comes from: the innermost one that `app_data` gave to the application or a scope, or else the
/// global one. A handler that names another service with `sessions = …` asks that service for its users.
#[derive(Clone)]
pub struct Sessions(pub(crate) Arc<Service>);

impl Sessions {
    /// The global service, if [`init`](crate::init) was called.
    #[must_use]
    pub fn global() -> Option<Self> {
        GLOBAL.get().cloned()
    }

    /// Builds the global service, unless there is one already. A second `init` opens no directory and starts no
    /// thread.
    pub(crate) fn set_global(
        build: impl FnOnce() -> Result<Self, InitError>,
    ) -> Result<(), InitError> {
        let mut first = false;
        GLOBAL.get_or_try_init(|| {
            first = true;
            build()
        })?;
        if first { Ok(()) } else { Err(InitError::Twice) }
    }

    /// The name of the cookie, which is fixed when the service is built.
    ///
    /// See [`Builder::cookie_name`](crate::Builder::cookie_name) for the default.
    ///
    /// ```
    /// # use bsession::{Secret, Sessions, Secure};
    /// # fn main() -> Result<(), bsession::InitError> {
    /// let sessions = Sessions::builder(Secret::random()?).secure(Secure::Never).build()?;
    /// assert_eq!(sessions.cookie_name(), "bsession");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.0.cookies.name()
    }

    /// Counts what the service has done in this process since it was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.storage.counters.read()
    }

    /// Makes a session and returns its cookie, for tests of applications that start with a logged-in user.
    ///
    /// ```
    /// # use bsession::{Mode, Secret, Sessions};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = Sessions::builder(Secret::random()?).mode(Mode::Memory).build()?;
    /// let cookie = sessions.cookie_for(|session| session.login("joe")).await?;
    /// let request = actix_web::test::TestRequest::get().uri("/").cookie(cookie);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store fails, the session is too large, or its user has too many sessions.
    pub async fn cookie_for(&self, f: impl FnOnce(&mut Session)) -> Result<Cookie<'static>> {
        let mut session = Session::default();
        f(&mut session);
        let mut outcome = Outcome::default();
        let changes = [session.into_changes().0];
        self.0.create(&mut outcome, &changes).await?;
        let change = outcome.cookie.unwrap_or(CookieChange::Remove);
        Ok(self.0.cookies.cookie(change, false))
    }

    /// Removes everything that has expired. Returns the number of records and tombstones removed.
    ///
    /// A thread of the service does this all the time, in slices. Those that the thread removes meanwhile are not
    /// counted. This method is for tests. It blocks.
    ///
    /// # Errors
    /// The store fails.
    pub fn sweep(&self) -> Result<usize> {
        self.0.sweep_all()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("cookie", &self.cookie_name())
            .finish_non_exhaustive()
    }
}
