//! Every store keeps the contract, behind a store that only waits, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bsession::store::{
    Answer, Cursor, Ending, Entry, Expected, Head, Key, Lease, Listed, Record, Revision, Scanned,
    Store, Swap, Swept, UserKey, Which, Whose,
};
use bsession::testing::{Fault, FaultyStore, contract, store};
use bsession::{Durability, FileStore, Mode, RedisStore, Timestamp};
use bsession_redis_servers::{Cluster, Server};

use crate::support::redis_is_there;

fn run<S: Store>(make: impl FnMut() -> S) {
    actix_web::rt::System::new().block_on(contract(make));
}

/// A file store in a directory of its own for each check.
fn files(durability: Durability) -> impl FnMut() -> Arc<dyn Store> {
    let all = tempfile::tempdir().expect("a directory");
    let mut number = 0;
    move || {
        number += 1;
        let files = FileStore::at(all.path().join(number.to_string()));
        store(files.durability(durability))
    }
}

#[test]
fn memory() {
    run(|| store(Mode::Memory));
}

#[test]
fn file() {
    run(files(Durability::Process));
}

#[test]
fn file_that_outlives_a_power_cut() {
    run(files(Durability::Disk));
}

#[test]
fn a_store_that_waits() {
    run(|| FaultyStore::new(store(Mode::Memory), |_, _| Fault::Waits));
}

/// A Redis store under a prefix of its own for each check.
fn prefixes(url: String) -> impl FnMut() -> Arc<dyn Store> {
    let mut number = 0;
    move || {
        number += 1;
        store(RedisStore::at(&url).prefix(format!("{number}:")))
    }
}

#[test]
fn redis() {
    if redis_is_there() {
        let server = Server::start();
        run(prefixes(server.url()));
    }
}

#[test]
fn redis_cluster() {
    if redis_is_there() {
        let cluster = Cluster::start(3, 1);
        run(prefixes(cluster.url()));
    }
}

/// What a store may do wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    IgnoresRevisions,
    WritesOverTheExpired,
    RevivesTombstones,
    ForgetsTombstones,
    ForgetsSuccessors,
    SharesKeys,
    DeletesNothing,
    EndsNothing,
    EndsOfEverybody,
    SparesNobody,
    MixesHeads,
    SkipsHeads,
    HeadsWithoutTombstones,
    TouchesNothing,
    ForgetsVisits,
    RenewsBesideTheOldKey,
    LeavesTheNewKey,
    ListsNothing,
    ListsOneUserAlone,
    ListsEverybody,
    ScansHalf,
    NeverEndsAScan,
    SweepsAll,
    NeverEndsASweep,
    LocksNothing,
    KeepsItsLocks,
    LocksAllAsOne,
}

/// A store with a flaw. What the others make of the four operations is made of them here, too, unless
/// the flaw is in it.
struct Flawed(Arc<dyn Store>, Flaw);

impl Flawed {
    fn has(&self, flaw: Flaw) -> bool {
        self.1 == flaw
    }

    fn found(&self, key: Key) -> Option<Entry> {
        match self.0.load(key) {
            Answer::Now(Ok(found)) => found,
            _ => None,
        }
    }
}

impl Store for Flawed {
    fn in_process(&self) -> bool {
        self.0.in_process()
    }

    fn renews_at_once(&self) -> bool {
        true
    }

    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        match self.0.load(key) {
            Answer::Now(Ok(Some(Entry::Ended { .. }))) if self.has(Flaw::ForgetsTombstones) => {
                Answer::Now(Ok(None))
            }
            answer => answer,
        }
    }

    fn swap(
        &self,
        key: Key,
        mut expected: Expected,
        mut entry: Option<Entry>,
        mut now: Timestamp,
    ) -> Answer<'_, Swap> {
        let found = self.found(key);
        match (&found, expected) {
            (Some(Entry::Live(record)), Expected::At(_)) if self.has(Flaw::IgnoresRevisions) => {
                expected = Expected::At(record.head.revision);
            }
            (Some(_), Expected::At(_)) if self.has(Flaw::WritesOverTheExpired) => {
                now = Timestamp::default();
            }
            (Some(Entry::Ended { .. }), Expected::Nothing) if self.has(Flaw::RevivesTombstones) => {
                (expected, now) = (Expected::Over, Timestamp::MAX);
            }
            (Some(_), Expected::Nothing) if self.has(Flaw::SharesKeys) => {
                return Answer::Now(Ok(Swap::Done));
            }
            _ => {}
        }
        if entry.is_none() && self.has(Flaw::DeletesNothing) {
            return Answer::Now(Ok(Swap::Done));
        }
        if let Some(Entry::Ended { successor, .. }) = &mut entry
            && self.has(Flaw::ForgetsSuccessors)
        {
            *successor = None;
        }
        self.0.swap(key, expected, entry, now)
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let nothing = || Listed {
            entries: Vec::new(),
            whole: true,
        };
        match self.1 {
            Flaw::ListsNothing => Answer::Now(Ok(nothing())),
            Flaw::ListsOneUserAlone => self.0.list(&users[..1]),
            Flaw::ListsEverybody => match self.0.scan(Cursor::default(), usize::MAX) {
                Answer::Now(Ok(scanned)) => Answer::Now(Ok(Listed {
                    entries: scanned.entries,
                    whole: true,
                })),
                _ => Answer::Now(Ok(nothing())),
            },
            _ => self.0.list(users),
        }
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        match self.0.scan(cursor, budget) {
            Answer::Now(Ok(mut scanned)) if self.has(Flaw::NeverEndsAScan) => {
                scanned.entries.truncate(1);
                scanned.next = Some(Cursor::default());
                Answer::Now(Ok(scanned))
            }
            Answer::Now(Ok(mut scanned)) if self.has(Flaw::ScansHalf) => {
                scanned.entries.truncate(scanned.entries.len() / 2);
                Answer::Now(Ok(scanned))
            }
            answer => answer,
        }
    }

    fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        let Answer::Now(Ok(mut heads)) = self.0.heads(keys) else {
            return self.0.heads(keys);
        };
        match self.1 {
            Flaw::MixesHeads => heads.reverse(),
            Flaw::SkipsHeads => heads.retain(Option::is_some),
            Flaw::HeadsWithoutTombstones => heads
                .iter_mut()
                .for_each(|entry| *entry = entry.take_if(|entry| entry.head().is_some())),
            _ => {}
        }
        Answer::Now(Ok(heads))
    }

    fn touch(&self, key: Key, mut head: Head, now: Timestamp) -> Answer<'_, ()> {
        if self.has(Flaw::TouchesNothing) {
            return Answer::Now(Ok(()));
        }
        if self.has(Flaw::ForgetsVisits) {
            head.seen = Timestamp::default();
        }
        self.0.touch(key, head, now)
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        let created = Some(Entry::Live(record.clone()));
        match self.1 {
            Flaw::RenewsBesideTheOldKey => self.swap(new, Expected::Nothing, created, now),
            Flaw::LeavesTheNewKey => {
                drop(self.0.swap(new, Expected::Nothing, created, now));
                let successor = Some(new);
                let ended = Entry::Ended { at: now, successor };
                self.0.swap(old, Expected::At(over), Some(ended), now)
            }
            // Of swaps, so that their flaws are its own.
            Flaw::ForgetsSuccessors => {
                drop(self.0.swap(new, Expected::Nothing, created, now));
                let successor = Some(new);
                let ended = Entry::Ended { at: now, successor };
                self.swap(old, Expected::At(over), Some(ended), now)
            }
            _ => self.0.renew(old, over, new, record, now),
        }
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        let whose = match (self.1, whose) {
            (Flaw::EndsNothing, _) => {
                let head = self.found(key).and_then(|entry| entry.head().copied());
                return Answer::Now(Ok(head.map_or(Ending::Nothing, Ending::Ended)));
            }
            (Flaw::EndsOfEverybody, _) => None,
            (Flaw::SparesNobody, Some(Whose { users, .. })) => Some(Whose {
                users,
                which: Which::All,
            }),
            (_, whose) => whose,
        };
        self.0.end(key, whose, now)
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        Some(match (self.1, self.0.lock(key)?) {
            (Flaw::LocksNothing, _) => Answer::Now(Ok(None)),
            (Flaw::KeepsItsLocks, Answer::Now(Ok(Some(lease)))) => {
                std::mem::forget(lease);
                Answer::Now(Ok(Some(Lease::default())))
            }
            (Flaw::LocksAllAsOne, answer) => {
                drop(answer);
                self.0.lock(Key([0; 16]))?
            }
            (_, answer) => answer,
        })
    }

    fn sweep(&self, from: Cursor, now: Timestamp, budget: usize) -> Answer<'_, Swept> {
        let now = if self.has(Flaw::SweepsAll) {
            Timestamp::MAX
        } else {
            now
        };
        match self.0.sweep(from, now, budget) {
            Answer::Now(Ok(swept)) if self.has(Flaw::NeverEndsASweep) => {
                let next = Some(Cursor::default());
                Answer::Now(Ok(Swept { next, ..swept }))
            }
            answer => answer,
        }
    }
}

/// The suite can fail: it finds what a store does wrong.
#[test]
fn a_flaw_is_found() {
    use Flaw::*;
    for flaw in [
        IgnoresRevisions,
        WritesOverTheExpired,
        RevivesTombstones,
        ForgetsTombstones,
        ForgetsSuccessors,
        SharesKeys,
        DeletesNothing,
        EndsNothing,
        EndsOfEverybody,
        SparesNobody,
        MixesHeads,
        SkipsHeads,
        HeadsWithoutTombstones,
        TouchesNothing,
        ForgetsVisits,
        RenewsBesideTheOldKey,
        LeavesTheNewKey,
        ListsNothing,
        ListsOneUserAlone,
        ListsEverybody,
        ScansHalf,
        NeverEndsAScan,
        SweepsAll,
        NeverEndsASweep,
    ] {
        let checked = std::thread::spawn(move || run(move || Flawed(store(Mode::Memory), flaw)));
        assert!(checked.join().is_err(), "{flaw:?} passed");
    }
    // One that is shared between processes.
    for flaw in [LocksNothing, KeepsItsLocks, LocksAllAsOne] {
        let mut files = files(Durability::Process);
        let checked = std::thread::spawn(move || run(move || Arc::new(Flawed(files(), flaw))));
        assert!(checked.join().is_err(), "{flaw:?} passed");
    }
}

/// A bare map under a mutex, with the four operations that a store has to have and no others: all else is
/// made of these.
#[derive(Default)]
struct MapStore(Mutex<BTreeMap<Key, Entry>>);

impl MapStore {
    fn all(&self) -> Vec<(Key, Entry)> {
        let map = self.0.lock().expect("a whole map");
        map.iter()
            .map(|(key, entry)| (*key, entry.clone()))
            .collect()
    }
}

impl Store for MapStore {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        Answer::ready(|| Ok(self.0.lock().expect("a whole map").get(&key).cloned()))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::ready(|| {
            let mut map = self.0.lock().expect("a whole map");
            let found = map.get(&key);
            if !expected.is_met_by(found, now) {
                return Ok(Swap::Found(found.cloned()));
            }
            match entry {
                Some(entry) => map.insert(key, entry),
                None => map.remove(&key),
            };
            Ok(Swap::Done)
        })
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        let is_theirs = |entry: &Entry| {
            let user = entry.head().and_then(|head| head.user);
            user.is_some_and(|user| users.contains(&user))
        };
        let mut entries = self.all();
        entries.retain(|(_, entry)| is_theirs(entry));
        Answer::ready(|| {
            Ok(Listed {
                entries,
                whole: true,
            })
        })
    }

    fn scan(&self, _: Cursor, _: usize) -> Answer<'_, Scanned> {
        Answer::ready(|| {
            Ok(Scanned {
                entries: self.all(),
                next: None,
            })
        })
    }
}

#[test]
fn a_bare_map() {
    run(|| Arc::new(MapStore::default()));
}

#[test]
fn a_bare_map_that_waits() {
    run(|| {
        let map = Arc::new(MapStore::default());
        Arc::new(FaultyStore::new(map, |_, _| Fault::Waits))
    });
}

/// What fails is told, and what was lost on the way is done.
#[test]
fn faults_are_what_they_say() {
    let store = FaultyStore::new(store(Mode::Memory), |operation, number| {
        match (operation, number) {
            ("sweep", 0) => Fault::Fails,
            ("sweep", 1) => Fault::LosesReply,
            _ => Fault::None,
        }
    });
    actix_web::rt::System::new().block_on(async {
        let sweep = || store.sweep(Cursor::default(), Timestamp::default(), usize::MAX);
        assert!(sweep().await.is_err() && sweep().await.is_err());
        assert!(sweep().await.is_ok_and(|swept| swept.next.is_none()));
    });
    assert_eq!(store.operations(), 3);
}
