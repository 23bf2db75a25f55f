//! A store with one file, which is asked everything that can be asked about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::file_name::FileName;
use super::super::layout::Tombstone;
use super::super::settings::FileStore;
use super::says::{Says, assert_same};
use crate::clock::Timestamp;
use crate::record::{
    Body, Handle, Head, Key, RETIRED, Record, Revision, Summary, TOMBSTONE, UserKey,
};
use crate::store::asked::Asked;
use crate::store::{Answer, Commit, Loaded, StoreError, Which};

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(2_000_000_000);
const KEY: Key = Key([0xAB; 16]);
const NEW_KEY: Key = Key([0xCD; 16]);

/// A store in which the bytes are the file of one session.
pub(super) struct FuzzedStore<'b> {
    root: PathBuf,
    store: Asked,
    bytes: &'b [u8],
    says: Says,
    #[cfg(test)]
    _quiet: super::super::tests::forks::Quiet,
}

impl Drop for FuzzedStore<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl<'b> FuzzedStore<'b> {
    pub(super) fn new(dir: &Path, bytes: &'b [u8], says: Says) -> Self {
        let root = dir.join("sessions");
        let store = FileStore::at(&root).open().unwrap();
        let store = Asked::new(Arc::new(store));
        fs::create_dir(root.join(FileName::bucket_of(KEY).as_str())).unwrap();
        Self {
            root,
            store,
            bytes,
            says,
            #[cfg(test)]
            _quiet: super::super::tests::forks::Quiet::new(),
        }
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// The live record, if it has not expired.
    fn live(&self) -> Option<&Record> {
        match &self.says {
            Says::Live(record) => Some(record).filter(|record| record.head.expires > NOW),
            _ => None,
        }
    }

    /// The same if it is of a format that may be written over.
    fn known(&self) -> Option<&Record> {
        self.live().filter(|_| self.bytes[7] == 1)
    }

    fn leads_to_itself(&self) -> bool {
        let to_itself = Some(KEY);
        matches!(&self.says, Says::Tombstone(Tombstone { successor, .. }) if *successor == to_itself)
    }

    /// Puts the file where it belongs.
    fn begin(&self) {
        fs::write(self.path(FileName::session(KEY)), self.bytes).unwrap();
    }

    /// An operation that changes no record leaves the file alone; one that is torn is set aside.
    fn assert_untouched(&self) {
        let name = match self.says {
            Says::Torn => FileName::damaged(KEY),
            _ => FileName::session(KEY),
        };
        assert_eq!(fs::read(self.path(name)).unwrap(), self.bytes);
    }

    fn assert_stored(&self, key: Key, expected: &Record) {
        match now(self.store.load(key, NOW)) {
            Loaded::Live(found) => assert_same(&found, expected),
            other => panic!("what was saved reads as {other:?}"),
        }
    }

    pub(super) fn ask_everything(&self, noise: &[u8], sweeps: bool) {
        self.load();
        self.create();
        self.commit(noise);
        self.touch();
        self.renew(noise);
        self.remove();
        self.users();
        if sweeps {
            self.sweep();
        }
    }

    fn load(&self) {
        self.begin();
        match (now(self.store.load(KEY, NOW)), &self.says) {
            (Loaded::Live(found), Says::Live(expected)) if expected.head.expires > NOW => {
                assert_same(&found, expected);
            }
            (Loaded::Retired, Says::Tombstone(Tombstone { at, .. })) => {
                assert!(NOW.apart(*at) < RETIRED);
            }
            (Loaded::Nothing, Says::Tombstone(Tombstone { at, .. })) => {
                assert!(NOW.apart(*at) >= RETIRED);
            }
            (Loaded::Nothing, Says::Live(record)) => assert!(record.head.expires <= NOW),
            (Loaded::Nothing, Says::Empty | Says::Torn) => {}
            (other, _) => panic!("it is loaded as {other:?}"),
        }
        self.assert_untouched();
    }

    fn create(&self) {
        self.begin();
        assert!(!now(self.store.create(KEY, fresh(b""), NOW)));
        self.assert_untouched();
    }

    fn commit(&self, body: &[u8]) {
        self.begin();
        let over = self.live().unwrap_or(&fresh(b"")).head.revision;
        let next = with(fresh(body), |head| head.revision = over.next());
        let committed = self.store.commit(KEY, over, next.clone(), NOW);
        match (self.known(), result(committed)) {
            (Some(_), Ok(Commit::Saved)) => {
                self.assert_stored(KEY, &next);
                let listed = now(self.store.of_user(next.head.user.unwrap(), NOW));
                assert!(listed.iter().map(|listing| listing.key).eq([KEY]));
            }
            (None, Ok(Commit::Gone)) => self.assert_untouched(),
            (None, Ok(Commit::Conflict(_))) => {
                assert!(self.live().is_some());
                self.assert_untouched();
            }
            (_, other) => panic!("a commit ends as {other:?}"),
        }
    }

    fn touch(&self) {
        self.begin();
        let revision = self.live().unwrap_or(&fresh(b"")).head.revision;
        now(self.store.touch(KEY, revision, LATER, NOW));
        match self.known() {
            Some(record) => self.assert_stored(
                KEY,
                &with(record.clone(), |head| {
                    head.expires = LATER;
                    head.seen = NOW;
                }),
            ),
            None => self.assert_untouched(),
        }
    }

    fn renew(&self, body: &[u8]) {
        self.begin();
        let over = self.live().unwrap_or(&fresh(b"")).head.revision;
        let next = fresh(body);
        let renewed = self.store.renew(KEY, over, NEW_KEY, next.clone(), NOW);
        match (self.known(), now(renewed)) {
            (Some(_), Commit::Saved) => {
                self.assert_stored(NEW_KEY, &next);
                assert!(matches!(now(self.store.load(KEY, NOW)), Loaded::Retired));
                assert!(now(self.store.remove(KEY, NOW)), "a removal follows");
                let _ = fs::remove_file(self.path(FileName::session(NEW_KEY)));
            }
            // A tombstone may name this very successor, which is not there.
            (None, Commit::Saved) => {
                let successor = Some(NEW_KEY);
                assert!(matches!(&self.says, Says::Tombstone(it) if it.successor == successor));
                self.assert_untouched();
            }
            (None, Commit::Gone | Commit::Conflict(_)) => {
                match &self.says {
                    // An expired one gets a tombstone, so that it cannot come back beside the next.
                    Says::Live(record) if record.head.expires <= NOW => {
                        assert!(matches!(now(self.store.load(KEY, NOW)), Loaded::Retired));
                    }
                    _ => self.assert_untouched(),
                }
                assert!(!self.path(FileName::session(NEW_KEY)).exists());
            }
            (_, other) => panic!("a renewal ends as {other:?}"),
        }
    }

    fn remove(&self) {
        self.begin();
        if self.leads_to_itself() {
            let endless = result(self.store.remove(KEY, NOW));
            assert!(matches!(endless, Err(StoreError::Endless(_))));
            return self.assert_untouched();
        }
        let removed = now(self.store.remove(KEY, NOW));
        assert_eq!(removed, self.live().is_some());
        match self.says {
            // An expired one, too: a clock that is set back must not bring it back.
            Says::Live(_) => {
                assert!(matches!(now(self.store.load(KEY, NOW)), Loaded::Retired));
                assert!(!now(self.store.remove(KEY, NOW)), "it is removed once");
            }
            _ => self.assert_untouched(),
        }
    }

    /// An entry on a user's list counts only if the record names the same user.
    fn users(&self) {
        let whose = match &self.says {
            Says::Live(record) => record.head.user,
            _ => None,
        };
        let user = whose.unwrap_or(UserKey([6; 16]));
        let entry = self.path(FileName::user_session(user, KEY));
        fs::create_dir_all(entry.parent().unwrap()).unwrap();
        let is_theirs = whose.is_some() && self.live().is_some();
        for removes in [false, true] {
            self.begin();
            fs::write(&entry, b"").unwrap();
            let count = if removes {
                result(self.store.remove_user(user, Which::All, NOW))
            } else {
                result(self.store.of_user(user, NOW)).map(|listed| listed.len())
            };
            // A list shows where it leads, and a removal knows that this is on the list.
            if self.leads_to_itself() && !removes {
                assert!(matches!(count, Err(StoreError::Endless(_))));
                continue;
            }
            let count = count.expect("the disk works");
            assert_eq!(count, usize::from(is_theirs));
        }
    }

    fn sweep(&self) {
        self.begin();
        while !self.store.sweep(LATER, 64).unwrap().finished {}
        let is_over = match &self.says {
            Says::Live(record) => record.head.expires <= LATER,
            Says::Tombstone(tombstone) => LATER.apart(tombstone.at) >= TOMBSTONE,
            Says::Empty | Says::Torn => false,
        };
        if is_over {
            assert!(!self.path(FileName::session(KEY)).exists());
        } else {
            self.assert_untouched();
        }
    }
}

/// A record with another head.
fn with(mut record: Record, change: impl FnOnce(&mut Head)) -> Record {
    change(&mut record.head);
    record
}

fn fresh(body: &[u8]) -> Record {
    Record {
        head: Head {
            revision: Revision::first(),
            expires: LATER,
            seen: NOW,
            created: NOW,
            handle: Handle([7; 12]),
            user: Some(UserKey([9; 16])),
        },
        summary: Some(Summary::from_bytes(*b"summary")),
        body: Body::from_bytes(body),
    }
}

/// Nobody holds a lock here, so nothing waits.
#[track_caller]
fn result<T>(answer: Answer<'_, T>) -> Result<T, StoreError> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(_) => panic!("it waits"),
    }
}

#[track_caller]
fn now<T>(answer: Answer<'_, T>) -> T {
    result(answer).expect("the disk works")
}
