//! One session among many: what is done to it takes the calls that it takes alone, and the sweeper
//! takes as many as its budget allows.

use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};

const MANY: u32 = 20_000;
const BUDGET: usize = 1000;

/// The number of calls, and of those among them that list a directory, which takes longer the larger it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CallCount {
    calls: usize,
    lists: usize,
}

impl Watcher for Cell<CallCount> {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        let CallCount { calls, lists } = self.get();
        self.set(CallCount {
            calls: calls + 1,
            lists: lists + usize::from(matches!(call, DirCall::List(_))),
        });
        Verdict::Go
    }
}

fn count(work: impl FnOnce()) -> CallCount {
    let counting = Rc::new(Cell::new(CallCount::default()));
    under(counting.clone(), work);
    counting.get()
}

/// Spread over all directories, as hashes are.
fn spread(n: u32) -> Key {
    let [high, middle, low, lowest] = n.to_be_bytes();
    Key(std::array::from_fn(|i| [lowest, low, middle, high][i % 4]))
}

/// The number of calls that each operation takes. The session is new, and its user has others.
fn counts(fixture: &Fixture, n: u8) -> [CallCount; 7] {
    let store = &fixture.store;
    let place = |step: u8| Key(std::array::from_fn(|i| [0, n, 0xFF, step][i % 4]));
    let first = of(1, b"first");
    let second = after(&first, b"second");
    let third = after(&second, b"third");
    let saved = |commit| assert!(matches!(now(commit), Commit::Saved));
    [
        count(|| fixture.create(place(0), &first)),
        count(|| assert!(matches!(now(store.load(place(0), NOW)), Loaded::Live(_)))),
        count(|| assert!(matches!(now(store.load(place(9), NOW)), Loaded::Nothing))),
        count(|| saved(store.commit(place(0), first.head.revision, second.clone(), NOW))),
        count(|| now(store.touch(place(0), second.head.revision, NOW + 2 * HOUR, NOW))),
        count(|| saved(store.renew(place(0), second.head.revision, place(1), third, NOW))),
        count(|| assert!(now(store.remove(place(0), NOW)))),
    ]
}

#[test]
fn a_session_among_many_costs_what_it_costs_alone_and_is_swept_in_slices() {
    let fixture = fixture(Durability::Process);
    fixture.create(spread(0), &of(1, b""));
    let alone = counts(&fixture, 1);
    for n in 1..MANY {
        // A hundred users. One has half of all sessions.
        let who = if n % 2 == 0 { 1 } else { (n % 100) as u8 };
        fixture.create(spread(n), &of(who, b""));
    }
    assert_eq!(counts(&fixture, 2), alone);
    assert!(alone.iter().all(|count| count.lists == 0), "{alone:?}");

    let (mut slices, mut most) = (0, 0);
    let mut is_finished = false;
    while !is_finished {
        let sweep = || is_finished = fixture.store.sweep(NOW, BUDGET).unwrap().finished;
        most = most.max(count(sweep).calls);
        slices += 1;
    }
    // A file and an entry of its user for each; three calls to look at one, and one to see that it is listed.
    assert!(slices >= 2 * MANY as usize / BUDGET, "{slices} slices");
    assert!(most <= 4 * BUDGET + 64, "{most} calls in a slice");
    // Of two that were renewed the old entry stays for a while.
    assert_eq!(fixture.files().len(), 2 * MANY as usize + 6);
}
