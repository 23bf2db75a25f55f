//! The end of a service, for a graceful stop.

use std::time::Duration;

use super::sessions::Sessions;
use crate::background;

impl Sessions {
    /// Ends all watches, and waits for saves and purges whose clients are gone. Returns false if some were still under way
    /// after `patience`.
    ///
    /// Call it at the end of `main`, when the server has stopped. The service goes on working: a request that is still
    /// running saves its session. Only watches are over from now on.
    ///
    /// A server that stops waits for its open connections, 30 seconds unless
    /// [`shutdown_timeout`](actix_web::HttpServer::shutdown_timeout) says otherwise. If sockets or streams wait for a
    /// [`Watch`](crate::Watch), call `close` before you stop the server, so that they do not delay it:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use actix_web::{App, HttpServer, rt};
    /// # use bsession::{Mode, Secret, Sessions};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = Sessions::builder(Secret::from_env("SESSION_SECRET")?).mode(Mode::File).build()?;
    /// let data = sessions.clone();
    /// let server = HttpServer::new(move || App::new().app_data(data.clone()))
    ///     .bind(("127.0.0.1", 8080))?
    ///     .disable_signals()
    ///     .run();
    /// let handle = server.handle();
    /// rt::spawn(async move {
    ///     let _ = rt::signal::ctrl_c().await;
    ///     sessions.close(Duration::from_secs(5)).await;
    ///     handle.stop(true).await;
    /// });
    /// server.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It waits for the saves of all services of this process.
    pub async fn close(&self, patience: Duration) -> bool {
        self.0.watches.close();
        let all = tokio::time::timeout(patience, background::all_finished()).await;
        if all.is_err() {
            tracing::warn!(
                target: "bsession",
                hint = "the store is slow or out of reach: some changes of the last requests may be lost",
                "closed_too_early"
            );
        }
        all.is_ok()
    }
}
