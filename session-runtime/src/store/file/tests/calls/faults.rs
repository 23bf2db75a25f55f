//! Every call failing with an error of the disk: once, or from then on.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::scenario::*;
use super::step::matters;
use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};

#[derive(Clone, Copy, Debug)]
struct DiskFault {
    /// The first call that fails, counted from 0.
    first: usize,
    count: usize,
    /// The number of bytes that are written all the same, if the call is a write of more.
    written: usize,
}

struct Failing {
    fault: DiskFault,
    calls: Cell<usize>,
    failed: Cell<usize>,
}

impl Watcher for Failing {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        if matches!(call, DirCall::List(dir) if !matters(dir)) {
            return Verdict::Go;
        }
        let number = self.calls.replace(self.calls.get() + 1);
        if number < self.fault.first || number - self.fault.first >= self.fault.count {
            return Verdict::Go;
        }
        self.failed.set(self.failed.get() + 1);
        let error = io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        match call {
            DirCall::Write(_, bytes, _) if self.fault.written < bytes.len() => {
                Verdict::Partly(self.fault.written, error)
            }
            _ => Verdict::Not(error),
        }
    }
}

/// Lets the call of every number fail in an operation, and answers how many did.
fn fail(op: &Op, durability: Durability, count: usize, written: usize) -> usize {
    let scenario = Scenario::of_one_session([vec![op.clone()]]).seeing(TWO);
    let mut failed = 0;
    for first in 0.. {
        let fault = DiskFault {
            first,
            count,
            written,
        };
        match fail_once(&scenario, op, durability, fault) {
            0 => break,
            here => failed += here,
        }
    }
    assert!(failed > 0);
    failed
}

fn fail_once(scenario: &Scenario, op: &Op, durability: Durability, fault: DiskFault) -> usize {
    let fixture = fixture(durability);
    scenario.begin(&fixture.store);
    let failing = Rc::new(Failing {
        fault,
        calls: Cell::new(0),
        failed: Cell::new(0),
    });
    let result = under(failing.clone(), || op.run(&fixture.store));
    let told = format!("{op:?} with {fault:?} came to {result:?}");
    let done = Finished {
        place: OpPlace {
            process: 0,
            number: 0,
        },
        began: 0,
        ended: 1,
        outcome: result.ok(),
    };
    let seen = scenario.seen(&fixture.store);
    let orders = scenario.orders(Some(0));
    let explains = |order: &Order| order.explains(std::slice::from_ref(&done), &seen);
    assert!(orders.iter().any(explains), "{told}, and then {seen:#?}");
    // What it had begun it takes back, if it can.
    let live = seen.iter().filter(|seen| seen.starts_with("live"));
    let creates_one = matches!(op.what, Action::Create(..));
    assert!(
        fault.count > 1 || live.count() <= 1 + usize::from(creates_one),
        "{told}, and then {seen:#?}"
    );
    assert_life_goes_on(&fixture, scenario);
    failing.failed.get()
}

#[test]
fn whatever_the_disk_refuses_leaves_the_old_or_the_new_session() {
    let user_2 = |record| with(record, |head| head.user = Some(user(2)));
    let mut failed = 0;
    for op in [
        Action::Load(ONE).into(),
        Action::Create(TWO, later(1, 20)).into(),
        commit(later(2, 10)),
        commit(large(2, 10)),
        commit(user_2(later(2, 10))),
        commit(user_2(large(2, 10))),
        touch(),
        renew(TWO, 20),
        Action::Remove(ONE).into(),
        Action::RemoveUser(user(1), Which::All).into(),
        Action::RemoveUser(user(1), Which::One(first().head.handle)).into(),
        Action::Lock(ONE).into(),
        Action::Sweep.into(),
        Op::at(Action::Sweep, NOW + 2 * HOUR),
    ] {
        for durability in [Durability::Process, Durability::Disk] {
            for written in [0, 512, 4096] {
                for count in [1, usize::MAX] {
                    failed += fail(&op, durability, count, written);
                }
            }
        }
    }
    println!("{failed} calls failed");
    assert!(failed > 1000, "{failed}");
}

/// The sweeper removes an empty list in the moment in which somebody makes it for his first session.
struct RemovedAgain(Cell<usize>);

impl Watcher for RemovedAgain {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        match call {
            DirCall::MakeDir(name)
                if *name == FileName::user(user(1)).as_str() && self.0.get() > 0 =>
            {
                self.0.set(self.0.get() - 1);
                Verdict::Not(io::ErrorKind::NotFound.into())
            }
            _ => Verdict::Go,
        }
    }
}

#[test]
fn a_list_that_is_removed_while_it_is_made_is_made_again() {
    let fixture = fixture(Durability::Process);
    let removed = Rc::new(RemovedAgain(Cell::new(3)));
    under(removed.clone(), || fixture.create(key(1), &of(1, b"")));
    assert_eq!(removed.0.get(), 0);
    assert_eq!(now(fixture.store.of_user(user(1), NOW)).len(), 1);
}
