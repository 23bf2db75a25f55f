//! The move of sessions from files to another store.

use std::fs::canonicalize;
use std::path::Path;
use std::pin::pin;

use super::sessions::Sessions;
use crate::error::Result;
use crate::store::file::{Durability, OpenFiles};
use crate::store::{Cursor, Entry, Scanned, Store, StoreError};

/// About how many sessions are read at once.
const SLICE: usize = 1000;

impl Sessions {
    /// Moves the sessions that [`Mode::File`](crate::Mode::File) kept in a directory to this
    /// service's store; returns how many. Nobody is logged out by it.
    ///
    /// The service needs the secret and the realm (the cookie's name, if none was given) with which they
    /// were made. Call it before the server starts, once the servers that wrote the files have
    /// stopped. What is moved is removed from the directory; if it was interrupted, call it again.
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
    /// The directory or the store fails; it is this service's own directory; or the mode is [`Mode::Memory`](crate::Mode::Memory), which keeps
    /// sessions open, while those in files open only with the visitors' cookies.
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
            // All that is moved from there is gone from there.
            let text = "the sessions are in that directory already: leave out `import_files`";
            return Err(StoreError::Other(text.into()).into());
        }
        // A store makes what is missing.
        std::fs::metadata(directory).map_err(StoreError::from)?;
        let files = OpenFiles::open(directory, Durability::Process).map_err(StoreError::from)?;
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
