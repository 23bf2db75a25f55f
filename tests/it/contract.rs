//! Every store keeps the contract, behind a store that only waits, too.

use std::sync::Arc;

use bsession::store::{
    Answer, Commit, Key, Lease, Listing, Loaded, Record, Revision, Store, StoreError, Swept,
    UserKey, Which,
};
use bsession::testing::{Fault, FaultyStore, contract, file_store, memory_store, redis_store};
use bsession::{Durability, Timestamp};
use bsession_redis_servers::{Cluster, Server};

use crate::support::redis_is_there;

fn run(make: impl FnMut() -> Arc<dyn Store>) {
    actix_web::rt::System::new().block_on(contract(make));
}

/// A file store in a directory of its own for each check.
fn files(durability: Durability) -> impl FnMut() -> Arc<dyn Store> {
    let all = tempfile::tempdir().expect("a directory");
    let mut number = 0;
    move || {
        number += 1;
        file_store(all.path().join(number.to_string()), durability).expect("a store")
    }
}

#[test]
fn memory() {
    run(memory_store);
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
    run(|| Arc::new(FaultyStore::new(memory_store(), |_, _| Fault::Waits)));
}

/// A Redis store under a prefix of its own for each check.
fn prefixes(url: String) -> impl FnMut() -> Arc<dyn Store> {
    let mut number = 0;
    move || {
        number += 1;
        redis_store(&url, &format!("{number}:")).expect("an address")
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
#[derive(Clone, Copy, Debug)]
enum Flaw {
    IgnoresRevisions,
    NeverExpires,
    ForgetsThatItRetired,
    RemovesNothing,
    TouchesNothing,
    ListsNothing,
    RemovesOfNobody,
    SparesNobody,
    ForgetsVisits,
    SharesKeys,
    SweepsAll,
    NeverEndsASweep,
    LocksNothing,
    KeepsItsLocks,
    LocksAllAsOne,
}

struct Flawed(Arc<dyn Store>, Flaw);

impl Store for Flawed {
    fn in_process(&self) -> bool {
        self.0.in_process()
    }

    fn load(&self, key: Key, now: Timestamp) -> Answer<'_, Loaded> {
        let now = if matches!(self.1, Flaw::NeverExpires) {
            Timestamp::default()
        } else {
            now
        };
        match self.0.load(key, now) {
            Answer::Now(Ok(Loaded::Retired)) if matches!(self.1, Flaw::ForgetsThatItRetired) => {
                Answer::Now(Ok(Loaded::Nothing))
            }
            answer => answer,
        }
    }

    fn create(&self, key: Key, record: Record, now: Timestamp) -> Answer<'_, bool> {
        match self.0.create(key, record, now) {
            Answer::Now(Ok(false)) if matches!(self.1, Flaw::SharesKeys) => Answer::Now(Ok(true)),
            answer => answer,
        }
    }

    fn commit(
        &self,
        key: Key,
        over: Revision,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        let latest = match self.0.load(key, now) {
            Answer::Now(Ok(Loaded::Live(latest))) if matches!(self.1, Flaw::IgnoresRevisions) => {
                latest.revision
            }
            _ => over,
        };
        self.0.commit(key, latest, record, now)
    }

    fn touch(
        &self,
        key: Key,
        revision: Revision,
        expires: Timestamp,
        now: Timestamp,
    ) -> Answer<'_, ()> {
        if matches!(self.1, Flaw::TouchesNothing) {
            return Answer::Now(Ok(()));
        }
        if matches!(self.1, Flaw::ForgetsVisits) {
            return self.0.touch(key, revision, expires, Timestamp::default());
        }
        self.0.touch(key, revision, expires, now)
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Commit> {
        self.0.renew(old, over, new, record, now)
    }

    fn remove(&self, key: Key, now: Timestamp) -> Answer<'_, bool> {
        if matches!(self.1, Flaw::RemovesNothing) {
            return Answer::Now(Ok(true));
        }
        self.0.remove(key, now)
    }

    fn of_user(&self, user: UserKey, now: Timestamp) -> Answer<'_, Vec<Listing>> {
        if matches!(self.1, Flaw::ListsNothing) {
            return Answer::Now(Ok(Vec::new()));
        }
        self.0.of_user(user, now)
    }

    fn remove_user(&self, user: UserKey, which: Which, now: Timestamp) -> Answer<'_, usize> {
        if matches!(self.1, Flaw::RemovesOfNobody) {
            return Answer::Now(Ok(3));
        }
        let spares = matches!(which, Which::AllBut(_)) && matches!(self.1, Flaw::SparesNobody);
        let which = if spares { Which::All } else { which };
        self.0.remove_user(user, which, now)
    }

    fn lock(&self, key: Key) -> Answer<'_, Option<Lease>> {
        match (self.1, self.0.lock(key)) {
            (Flaw::LocksNothing, _) => Answer::Now(Ok(None)),
            (Flaw::KeepsItsLocks, Answer::Now(Ok(Some(lease)))) => {
                std::mem::forget(lease);
                Answer::Now(Ok(Some(Lease::default())))
            }
            (Flaw::LocksAllAsOne, _) => self.0.lock(Key([0; 16])),
            (_, answer) => answer,
        }
    }

    fn sweep(&self, now: Timestamp, budget: usize) -> Result<Swept, StoreError> {
        let now = if matches!(self.1, Flaw::SweepsAll) {
            Timestamp::MAX
        } else {
            now
        };
        let swept = self.0.sweep(now, budget)?;
        let finished = swept.finished && !matches!(self.1, Flaw::NeverEndsASweep);
        Ok(Swept { finished, ..swept })
    }
}

/// The suite can fail: it finds what a store does wrong.
#[test]
fn a_flaw_is_found() {
    use Flaw::*;
    for flaw in [
        IgnoresRevisions,
        NeverExpires,
        ForgetsThatItRetired,
        RemovesNothing,
        TouchesNothing,
        ListsNothing,
        RemovesOfNobody,
        SparesNobody,
        ForgetsVisits,
        SharesKeys,
        SweepsAll,
        NeverEndsASweep,
    ] {
        let checked =
            std::thread::spawn(move || run(move || Arc::new(Flawed(memory_store(), flaw))));
        assert!(checked.join().is_err(), "{flaw:?} passed");
    }
    // One that is shared between processes.
    for flaw in [LocksNothing, KeepsItsLocks, LocksAllAsOne] {
        let mut files = files(Durability::Process);
        let checked = std::thread::spawn(move || run(move || Arc::new(Flawed(files(), flaw))));
        assert!(checked.join().is_err(), "{flaw:?} passed");
    }
}

/// What fails is told, and what was lost on the way is done.
#[test]
fn faults_are_what_they_say() {
    let store = FaultyStore::new(memory_store(), |operation, number| {
        match (operation, number) {
            ("sweep", 0) => Fault::Fails,
            ("sweep", 1) => Fault::LosesReply,
            _ => Fault::None,
        }
    });
    let sweep = || store.sweep(Timestamp::default(), usize::MAX);
    assert!(sweep().is_err() && sweep().is_err());
    assert!(sweep().is_ok_and(|swept| swept.finished));
    assert_eq!(store.operations(), 3);
}
