//! The move of sessions from files to another store.

use std::fs::canonicalize;
use std::path::Path;
use std::pin::pin;

use super::sessions::Sessions;
use crate::error::Result;
use crate::store::file::FileStore;
use crate::store::{Cursor, Entry, Scanned, Store, StoreError};

/// The approximate number of sessions that are read at once.
const SLICE: usize = 1000;

impl Sessions {
    /// Moves the sessions that [`Mode::File`](crate::Mode::File) kept in a directory to this
    /// service's store. Returns the number of sessions moved. Nobody is logged out.
    ///
    /// The service needs the secret and the realm with which the sessions were made. (The default realm is the
    /// cookie's name without its prefix.) Call it before the server starts, after the servers that wrote the files
    /// have stopped. Sessions that are moved are removed from the directory. After an interruption, call it again.
    ///
    /// ```no_run
    /// # use bsession::{Mode, Secret, Sessions};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mode = Mode::Memory;
    /// let sessions = Sessions::builder(Secret::from_env("SESSION_SECRET")?).mode(mode).build()?;
    /// let moved = sessions.import_files("sessions").await?;
    /// println!("{moved} sessions moved");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The directory or the store fails; the directory is the service's own; or the mode is
    /// [`Mode::Memory`](crate::Mode::Memory). That mode keeps sessions unsealed, but sessions in files open only with
    /// the visitors' cookies.
    pub async fn import_files(&self, directory: impl AsRef<Path>) -> Result<usize> {
        let service = &*self.0;
        if service.storage.ledger.in_process() {
            let text = "sessions in files cannot be moved to `Mode::Memory`: give the builder another mode";
            return Err(StoreError::Other(text.into()).into());
        }
        let directory = directory.as_ref();
        let is_own = |own| Ok::<_, std::io::Error>(canonicalize(own)? == canonicalize(directory)?);
        if let Some(own) = &service.config.sessions_dir
            && is_own(own).map_err(StoreError::from)?
        {
            // The import removes from the directory what it has moved, and so would remove the sessions themselves.
            let text = "the sessions are in that directory already: leave out `import_files`";
            return Err(StoreError::Other(text.into()).into());
        }
        // Opening a store would create a missing directory. Here a missing one is an error.
        std::fs::metadata(directory).map_err(StoreError::from)?;
        let files = FileStore::at(directory).open();
        let files = files.map_err(|error| StoreError::Io(error.into()))?;
        let mut moved = 0;
        let mut place = Some(Cursor::default());
        while let Some(from) = place {
            let Scanned { entries, next } = service
                .storage
                .deadline()
                .wait(pin!(files.scan(from, SLICE)))
                .await?;
            for (key, _) in entries {
                let Some(Entry::Live(record)) = service
                    .storage
                    .deadline()
                    .wait(pin!(files.load(key)))
                    .await?
                else {
                    continue;
                };
                let now = service.storage.now();
                if record.head.is_live(now) {
                    let created = service.storage.ledger.create(key, record, now);
                    moved += usize::from(service.storage.deadline().wait(pin!(created)).await?);
                }
                let ended = files.end(key, None, now);
                service.storage.deadline().wait(pin!(ended)).await?;
            }
            place = next;
        }
        Ok(moved)
    }
}
