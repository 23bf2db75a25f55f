//! The store: four operations. Each is one transaction.

use std::path::Path;
use std::sync::Arc;

use bsession::Timestamp;
use bsession::store::{
    Answer, Body, Cursor, Entry, Expected, Head, Key, Listed, Record, Scanned, Store, StoreError,
    Summary, Swap, UserKey,
};
use redb::{Database, MultimapTableDefinition, ReadableDatabase, ReadableTable, TableDefinition};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Id = [u8; 16];
/// The head, the summary and the body of a session.
type Session<'r> = ([u8; Head::LEN], Option<&'r [u8]>, &'r [u8]);
/// A session; or, for a tombstone, `None`, the time when the session ended, and the key of its successor.
type Row<'r> = (Option<Session<'r>>, u64, Option<Id>);

const ENTRIES: TableDefinition<Id, Row<'static>> = TableDefinition::new("entries");
/// The keys of the sessions of each user.
const USERS: MultimapTableDefinition<Id, Id> = MultimapTableDefinition::new("users");

fn to_row(entry: &Entry) -> Row<'_> {
    match entry {
        Entry::Live(Record {
            head,
            summary,
            body,
        }) => {
            let summary = summary.as_ref().map(Summary::as_bytes);
            (Some((head.to_bytes(), summary, body.as_bytes())), 0, None)
        }
        Entry::Ended { at, successor } => (None, at.as_millis(), successor.map(|key| key.0)),
    }
}

fn from_row((session, at, successor): Row<'_>) -> Entry {
    match session {
        Some((head, summary, body)) => Entry::Live(Record {
            head: Head::from_bytes(&head),
            summary: summary.map(Summary::from_bytes),
            body: Body::from_bytes(body),
        }),
        None => Entry::Ended {
            at: Timestamp::from_millis(at),
            successor: successor.map(Key),
        },
    }
}

/// Keeps sessions in a file of redb. Only one process at a time can open it.
pub(crate) struct RedbStore(Arc<Database>);

impl RedbStore {
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let database = Database::create(path)?;
        // A read transaction cannot create tables, so they are created here.
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_multimap_table(USERS)?;
        transaction.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// Runs `work` on a thread that may block: redb blocks, and a worker of actix must not. The work comes to its
    /// end even if nobody waits for the answer any more.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Answer<'_, T> {
        let database = Arc::clone(&self.0);
        Answer::later(async move {
            let done = tokio::task::spawn_blocking(move || work(&database)).await;
            done.unwrap_or_else(|panicked| Err(panicked.into()))
                .map_err(StoreError::Other)
        })
    }
}

impl Store for RedbStore {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        self.run(move |database| {
            // The transaction has to outlive the row: without it, a writer may free the row's page.
            let transaction = database.begin_read()?;
            let entries = transaction.open_table(ENTRIES)?;
            let found = entries.get(key.0)?.map(|row| from_row(row.value()));
            Ok(found)
        })
    }

    /// redb runs one write transaction at a time, and a commit returns when the data is on the disk. An error before
    /// the commit drops the transaction, and nothing is changed.
    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        self.run(move |database| {
            let transaction = database.begin_write()?;
            {
                let mut entries = transaction.open_table(ENTRIES)?;
                let mut users = transaction.open_multimap_table(USERS)?;
                let found = entries.get(key.0)?.map(|row| from_row(row.value()));
                if !expected.is_met_by(found.as_ref(), now) {
                    return Ok(Swap::Found(found));
                }
                let user = |entry: Option<&Entry>| entry?.head()?.user;
                if let Some(user) = user(found.as_ref()) {
                    users.remove(user.0, key.0)?;
                }
                if let Some(user) = user(entry.as_ref()) {
                    users.insert(user.0, key.0)?;
                }
                match &entry {
                    Some(entry) => entries.insert(key.0, to_row(entry))?,
                    None => entries.remove(key.0)?,
                };
            }
            transaction.commit()?;
            Ok(Swap::Done)
        })
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let users = users.to_vec();
        self.run(move |database| {
            // One read transaction for both tables: it sees the database as it was when the transaction began.
            let transaction = database.begin_read()?;
            let entries = transaction.open_table(ENTRIES)?;
            let lists = transaction.open_multimap_table(USERS)?;
            let mut listed = Vec::new();
            for user in users {
                for key in lists.get(user.0)? {
                    let key = key?.value();
                    let row = entries.get(key)?;
                    listed.extend(row.map(|row| (Key(key), from_row(row.value()))));
                }
            }
            Ok(Listed {
                entries: listed,
                whole: true,
            })
        })
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        self.run(move |database| {
            let from: Id = cursor.0.try_into().unwrap_or_default();
            let transaction = database.begin_read()?;
            let entries = transaction.open_table(ENTRIES)?;
            let mut rows = entries.range(from..)?;
            let mut found = Vec::new();
            for row in rows.by_ref().take(budget) {
                let (key, row) = row?;
                found.push((Key(key.value()), from_row(row.value())));
            }
            let next = rows.next().transpose()?;
            Ok(Scanned {
                entries: found,
                next: next.map(|(key, _)| Cursor(key.value().to_vec())),
            })
        })
    }
}
