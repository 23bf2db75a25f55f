//! All sessions of a directory, one by one: for a move to another store.

use std::path::Path;

use super::dir::Names;
use super::layout::Content;
use super::name::{Entry, Name};
use super::session::peek;
use super::stop::{Doing, Stop};
use super::{Durability, FileStore};
use crate::record::{Key, Record};
use crate::store::StoreError;

/// The live sessions of a directory, in no order.
pub(crate) struct Export {
    pub(crate) store: FileStore,
    buckets: std::ops::RangeInclusive<u8>,
    names: Option<Names>,
}

impl Export {
    /// # Errors
    /// There is no such directory, or it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        // A store makes what is missing.
        std::fs::metadata(path)?;
        Ok(Self {
            store: FileStore::open(path, Durability::Process)?,
            buckets: 0..=u8::MAX,
            names: None,
        })
    }

    fn next_key(&mut self) -> Result<Option<Key>, StoreError> {
        const LISTING: &str = "listing a directory of the sessions";
        loop {
            for name in self.names.iter_mut().flatten() {
                if let Some(Entry::Session(key)) = Entry::parse(&name?) {
                    return Ok(Some(key));
                }
            }
            let Some(bucket) = self.buckets.next() else {
                return Ok(None);
            };
            let dir = self.store.0.dir();
            self.names = dir.list(Name::bucket(bucket).as_str()).doing(LISTING)?;
        }
    }

    /// The next one.
    ///
    /// # Errors
    /// A directory or a file cannot be read. The next call goes on behind it.
    pub(crate) fn next(&mut self) -> Result<Option<(Key, Record)>, StoreError> {
        while let Some(key) = self.next_key()? {
            let dir = self.store.0.dir();
            let record = peek(self.store.0.files(&dir), key, |content| match content {
                Content::Live(live) => Some(live.record()),
                _ => None,
            });
            match record {
                Ok(Some(record)) => return Ok(Some((key, record))),
                Ok(None) | Err(Stop::Missing) => {}
                Err(Stop::Busy) => return Err(StoreError::TimedOut),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}
