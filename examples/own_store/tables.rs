//! The two tables: what is under each key, and which keys are a user's.

use bsession::store::{Body, Key, Listing, Record, Revision, Summary, TOMBSTONE, UserKey};
use bsession::{Handle, Timestamp};
use redb::{
    MultimapTable, MultimapTableDefinition, ReadOnlyMultimapTable, ReadOnlyTable, ReadTransaction,
    ReadableMultimapTable, ReadableTable, Table, TableDefinition, WriteTransaction,
};

/// Takes every error of redb, and becomes [`StoreError::Other`](bsession::store::StoreError::Other).
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

type Id = [u8; 16];
/// Expires, seen, created.
type Times = (u64, u64, u64);
/// Revision (number and tag), times, handle, user, summary, body.
type Session<'r> = (
    (u64, u64),
    Times,
    [u8; 12],
    Option<Id>,
    Option<&'r [u8]>,
    &'r [u8],
);
/// A session; or none, and then since when and what has followed it.
type Row<'r> = (Option<Session<'r>>, u64, Option<Id>);

const ENTRIES: TableDefinition<Id, Row<'static>> = TableDefinition::new("entries");
const USERS: MultimapTableDefinition<Id, Id> = MultimapTableDefinition::new("users");

pub(crate) enum Entry {
    Session(Record),
    Tombstone(Timestamp, Option<Key>),
}

impl Entry {
    fn from_row((session, since, successor): Row<'_>) -> Self {
        let Some(((number, tag), times, handle, user, summary, body)) = session else {
            return Self::Tombstone(Timestamp::from_millis(since), successor.map(Key));
        };
        let (expires, seen, created) = times;
        Self::Session(Record {
            revision: Revision { number, tag },
            expires: Timestamp::from_millis(expires),
            seen: Timestamp::from_millis(seen),
            created: Timestamp::from_millis(created),
            handle: Handle(handle),
            user: user.map(UserKey),
            summary: summary.map(Summary::from_bytes),
            body: Body::from_bytes(body),
        })
    }

    fn row(&self) -> Row<'_> {
        let record = match self {
            Self::Session(record) => record,
            Self::Tombstone(since, successor) => {
                return (None, since.as_millis(), successor.map(|key| key.0));
            }
        };
        let session = (
            (record.revision.number, record.revision.tag),
            (
                record.expires.as_millis(),
                record.seen.as_millis(),
                record.created.as_millis(),
            ),
            record.handle.0,
            record.user.map(|user| user.0),
            record.summary.as_ref().map(Summary::as_bytes),
            record.body.as_bytes(),
        );
        (Some(session), 0, None)
    }

    fn user(&self) -> Option<UserKey> {
        match self {
            Self::Session(record) => record.user,
            Self::Tombstone(..) => None,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        match self {
            Self::Session(record) => record.expires <= now,
            Self::Tombstone(since, _) => now.since(*since) >= TOMBSTONE,
        }
    }
}

pub(crate) struct Tables<E, U> {
    entries: E,
    users: U,
}

pub(crate) type Reading = Tables<ReadOnlyTable<Id, Row<'static>>, ReadOnlyMultimapTable<Id, Id>>;
pub(crate) type Writing<'t> = Tables<Table<'t, Id, Row<'static>>, MultimapTable<'t, Id, Id>>;

impl Reading {
    pub(crate) fn open(transaction: &ReadTransaction) -> Result<Self> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            users: transaction.open_multimap_table(USERS)?,
        })
    }
}

impl<E: ReadableTable<Id, Row<'static>>, U: ReadableMultimapTable<Id, Id>> Tables<E, U> {
    pub(crate) fn find(&self, key: Key) -> Result<Option<Entry>> {
        let row = self.entries.get(key.0)?;
        Ok(row.map(|row| Entry::from_row(row.value())))
    }

    pub(crate) fn live(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        Ok(match self.find(key)? {
            Some(Entry::Session(record)) if record.expires > now => Some(record),
            _ => None,
        })
    }

    pub(crate) fn list(&self, user: UserKey, now: Timestamp) -> Result<Vec<Listing>> {
        let mut listed = Vec::new();
        for key in self.users.get(user.0)? {
            let key = Key(key?.value());
            if let Some(record) = self.live(key, now)? {
                listed.push(Listing::of(key, &record));
            }
        }
        Ok(listed)
    }
}

impl<'t> Writing<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            users: transaction.open_multimap_table(USERS)?,
        })
    }

    /// Puts an entry under a key, or none, in place of what was there; the users' lists follow.
    pub(crate) fn set(&mut self, key: Key, entry: Option<Entry>) -> Result<()> {
        if let Some(user) = self.find(key)?.and_then(|old| old.user()) {
            self.users.remove(user.0, key.0)?;
        }
        if let Some(user) = entry.as_ref().and_then(Entry::user) {
            self.users.insert(user.0, key.0)?;
        }
        match entry {
            Some(entry) => self.entries.insert(key.0, entry.row())?,
            None => self.entries.remove(key.0)?,
        };
        Ok(())
    }

    /// Looks at `budget` entries and deletes those that are over: answers how many, and where to
    /// go on, unless that was the end.
    pub(crate) fn sweep(
        &mut self,
        from: Key,
        budget: usize,
        now: Timestamp,
    ) -> Result<(usize, Option<Key>)> {
        let mut over = Vec::new();
        let mut entries = self.entries.range(from.0..)?;
        for entry in entries.by_ref().take(budget) {
            let (key, row) = entry?;
            if Entry::from_row(row.value()).is_over(now) {
                over.push(Key(key.value()));
            }
        }
        let next = entries.next().transpose()?.map(|(key, _)| Key(key.value()));
        drop(entries);
        for key in &over {
            self.set(*key, None)?;
        }
        Ok((over.len(), next))
    }
}
