//! The file store call by call: every order in which the calls of several processes can fall, a
//! process killed before every one of its calls, every call failing, and a power cut after each.
//!
//! `scenario` says what is done and what it may come to, `scheduler` runs the orders,
//! which `step` and `choice` find. `many` counts the calls.

mod choice;
mod faults;
mod kills;
mod leases;
mod many;
mod orders;
mod power;
mod scenario;
mod scheduler;
mod step;

use std::time::SystemTime;

use self::scenario::Scenario;
use super::*;
use crate::record::TOMBSTONE;
use crate::store::file::file_name::{DAMAGED, HEALING};
use crate::store::file::sweep::ABANDONED;

/// A store in a new directory, in memory if possible: there are thousands of runs.
fn fixture(durability: Durability) -> Fixture {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    Fixture::at(dir.unwrap(), durability)
}

/// No file is left between two names, and nothing locked.
fn assert_nothing_is_moving(fixture: &Fixture) {
    for name in fixture.files() {
        assert!(!name.contains('.') || name == HEALING, "{name}");
        let file = fs::File::open(fixture.root().join(&name)).unwrap();
        assert!(file.try_lock().is_ok(), "{name} is locked");
    }
}

/// Checks that a process which knows nothing of the one that was killed can go on.
fn assert_life_goes_on(fixture: &Fixture, scenario: &Scenario) {
    let store = &fixture.store;
    for &key in &scenario.keys {
        if let Loaded::Live(record) = now(store.load(key, NOW)) {
            fixture.commit(key, &record, b"life goes on");
        }
    }
    // What was not done is done now.
    for op in &scenario.processes[0] {
        op.run(store).unwrap();
    }
    for name in fixture.files() {
        let file = fs::File::open(fixture.root().join(name)).unwrap();
        file.set_modified(SystemTime::now() - ABANDONED).unwrap();
    }
    fixture.sweep(NOW);
    assert_nothing_is_moving(fixture);
    assert_listed_are_live(fixture, scenario);
    fixture.sweep(NOW + 24 * HOUR + TOMBSTONE);
    // A new file in which there is half of a record.
    let mut left = fixture.files();
    left.retain(|name| !name.starts_with(DAMAGED) && name != HEALING);
    assert_eq!(left, [""; 0]);
}

fn assert_listed_are_live(fixture: &Fixture, scenario: &Scenario) {
    let files = fixture.files();
    // The entry of a session that was renewed stays as long as its tombstone.
    let is_renewed = |name: &&str| {
        let key = name.rsplit('/').next().and_then(|key| key.parse().ok());
        matches!(now(fixture.store.load(key.unwrap(), NOW)), Loaded::Retired)
    };
    let listed = files.iter().map(String::as_str);
    let listed = listed.filter(|name| name.starts_with("users/") && !is_renewed(name));
    let live: usize = scenario
        .users
        .iter()
        .map(|&user| now(fixture.store.entries_of(user, NOW)).len())
        .sum();
    assert_eq!(listed.count(), live, "{files:?}");
}

/// Lengths at which a write that is not over an old half can stop. Linux looks for a signal between pages, and a disk
/// writes whole sectors. So the 48 bytes of a head are written, or they are not.
fn between_sectors(n: usize) -> usize {
    (n + 1) * 512
}
