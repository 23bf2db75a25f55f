//! Requests that take turns, in every order of their calls.

use std::collections::BTreeSet;

use super::scenario::*;
use super::scheduler::{Kill, in_every_order};
use super::*;
use crate::store::file::file_name::LOCKS;

/// Runs the processes in every order of their calls; gives what the operations came to and in how
/// many orders one was killed.
fn explore<const N: usize>(processes: [Op; N], kill: Option<Kill>) -> (BTreeSet<String>, usize) {
    let scenario = Scenario::of_one_session(processes.map(|op| vec![op]));
    let mut seen = BTreeSet::new();
    let explored = in_every_order(&scenario, kill, |fixture, done| {
        seen.extend(done.iter().filter_map(|done| done.outcome.clone()));
        // Nobody is in the way of the next one, and nothing stays.
        drop(now(fixture.store.lock(ONE)).expect("nobody has it"));
        fixture.sweep(NOW);
        let mut left = fixture.files();
        left.retain(|name| name.starts_with(LOCKS));
        assert_eq!(left, [""; 0], "{done:#?}");
    });
    println!("{} orders {} runs", explored.orders, explored.runs);
    (seen, explored.killed)
}

#[test]
fn no_two_have_the_lock_at_once() {
    let (seen, _) = explore([ONE, ONE].map(|key| Action::Lock(key).into()), None);
    assert_eq!(Vec::from_iter(&seen), ["busy", "locked"]);
}

#[test]
fn the_sweeper_takes_the_lock_from_nobody() {
    let (seen, _) = explore([Action::Lock(ONE).into(), Action::Sweep.into()], None);
    assert_eq!(Vec::from_iter(&seen), ["busy", "locked", "swept"]);
}

#[test]
fn whoever_is_killed_leaves_the_lock_to_the_next() {
    let mut kills = 0;
    for call in 0.. {
        let kill = Kill {
            process: 0,
            call,
            written: None,
        };
        let (seen, killed) = explore([ONE, ONE].map(|key| Action::Lock(key).into()), Some(kill));
        assert!(!seen.contains("met"), "{seen:?}");
        if killed == 0 {
            break;
        }
        kills += killed;
    }
    println!("{kills} kills");
    assert!(kills > 50, "{kills}");
}
