//! Tests that start processes, beside tests that lock files: a process has all that is open here,
//! and with it the locks, from the moment it is made until it runs its own program. So none is
//! made while another test has a store.

use std::cell::{Cell, RefCell};
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static STARTING: RwLock<()> = RwLock::new(());

thread_local! {
    /// One guard for all that a thread has: a second one would wait for who waits for the first.
    static GUARD: RefCell<Option<RwLockReadGuard<'static, ()>>> = const { RefCell::new(None) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn guard() -> Option<RwLockReadGuard<'static, ()>> {
    Some(STARTING.read().unwrap_or_else(PoisonError::into_inner))
}

/// While a test has this, no other test starts a process.
#[derive(Debug)]
pub(crate) struct Quiet(());

impl Quiet {
    pub(crate) fn new() -> Self {
        if HELD.replace(HELD.get() + 1) == 0 {
            GUARD.set(guard());
        }
        Self(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if HELD.replace(HELD.get() - 1) == 1 {
            GUARD.set(None);
        }
    }
}

/// Starts a process when no other test has a store.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    GUARD.set(None);
    let child = {
        let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
        command.spawn()
    };
    if HELD.get() > 0 {
        GUARD.set(guard());
    }
    child
}

/// Runs a process to its end.
pub(super) fn run(command: &mut Command) -> io::Result<ExitStatus> {
    start(command)?.wait()
}
