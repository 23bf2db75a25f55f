//! Over SQLite, which is what keeps sessions on disk.

use tokio_rusqlite::{Connection, rusqlite};
use tower_sessions_rusqlite_store::RusqliteStore;

use super::{on_axum, routes::router};
use crate::{Result, library::Route};

/// The database lies in the directory the server is started in.
pub(in crate::library) fn serve(route: Route) -> Result<()> {
    on_axum(async move {
        let connection = Connection::open("sessions.sqlite").await?;
        connection
            .call(|connection| {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                Ok::<_, rusqlite::Error>(())
            })
            .await?;
        let store = RusqliteStore::new(connection);
        store.migrate().await?;
        Ok(router(route, store))
    })
}
