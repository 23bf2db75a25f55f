//! Requests of one session that take turns in several processes.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::{directory, servers};
use crate::support::{Kind, PATIENCE, Setup};

/// The lock files that there are, and whether each is held.
fn locks(sessions: &Path) -> Vec<bool> {
    let Ok(entries) = fs::read_dir(sessions.join("locks")) else {
        return vec![];
    };
    let files = entries.filter_map(|entry| File::open(entry.ok()?.path()).ok());
    files.map(|file| file.try_lock_shared().is_err()).collect()
}

/// A slow disk deletes behind the answer.
fn await_locks(setup: &Setup, expected: &[bool]) {
    let end = Instant::now() + PATIENCE;
    while locks(&directory(setup)) != expected {
        assert!(Instant::now() < end, "{:?}", locks(&directory(setup)));
        std::thread::yield_now();
    }
}

#[test]
fn four_processes_add_two_hundred_the_plain_way() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 4);
    let visitor = servers[0].visitor();
    visitor.post("/set/name/joe");
    let tabs: Vec<_> = servers
        .iter()
        .cycle()
        .take(2 * servers.len())
        .map(|server| {
            visitor.at(server.address).meanwhile(|tab| {
                (0..24).for_each(|_| assert_eq!(tab.post("/plain-add").status, 200));
                tab.post("/plain-add")
            })
        })
        .collect();
    for tab in tabs {
        assert_eq!(tab.join().expect("no failure").status, 200);
    }
    for server in &servers {
        let seen = visitor.at(server.address).session();
        assert_eq!(seen["data"], json!({"n": 200, "name": "joe"}));
        let stats = visitor.at(server.address).get("/stats").json();
        assert_eq!(stats["conflicts"], 0, "they met nobody");
    }
    await_locks(&setup, &[]);
}

#[test]
fn a_process_that_is_killed_lets_the_next_one_in() {
    let setup = Setup::new(Kind::File);
    let mut servers = servers(&setup, 2);
    let (second, first) = (servers.pop().expect("two"), servers.pop().expect("two"));
    let visitor = first.visitor();
    visitor.post("/set/name/joe");
    let there = visitor.at(second.address);
    // Nobody opens the gate in that process.
    let lost = std::thread::spawn(move || visitor.try_post("/locked/first").is_err());
    await_locks(&setup, &[true]);
    let behind = there.meanwhile(|tab| tab.post("/plain-add"));
    assert_eq!(there.post("/add/n").status, 200, "without the lock");
    drop(first);
    assert!(lost.join().expect("no failure"));
    assert_eq!(behind.join().expect("an answer").status, 200);
    assert_eq!(there.session()["data"], json!({"n": 2, "name": "joe"}));
    await_locks(&setup, &[]);
}
