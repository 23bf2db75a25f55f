//! Every order in which the calls of several processes can fall.
//!
//! Each process is a thread with its separate store on the directory. A thread announces each call
//! and waits; when all of them wait, one is chosen and let go on to its next call. A run is
//! repeated with other choices until there are none left. Two calls that have nothing to do with
//! each other are tried in one order only, so what is left out comes to the very same as what is
//! run.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::choice::{Choice, able, want_races_the_other_way};
use super::scenario::{Finished, OpPlace, Scenario};
use super::step::{CallStep, is_held, lock_of};
use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};

/// When a process is killed: before its call of this number, counted from 0; or with so many of its
/// bytes written, if that call is a write of more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) process: usize,
    pub(super) call: usize,
    pub(super) written: Option<usize>,
}

/// The result of an exploration of a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explored {
    /// Orders that were run, and that came to something that no other one does.
    pub(super) orders: usize,
    pub(super) runs: usize,
    /// The number of orders in which the process came as far as its kill.
    pub(super) killed: usize,
}

/// The largest number of runs. More take too long.
const MOST: usize = 10_000;

enum ThreadState {
    Runs,
    Waits(CallStep),
    Over,
}

/// The threads of one run.
struct Threads {
    threads: Mutex<Vec<ThreadState>>,
    all_wait: Condvar,
    goes_on: Vec<Condvar>,
    /// The number of steps so far.
    clock: AtomicUsize,
    done: Mutex<Vec<Finished>>,
}

impl Threads {
    fn of(processes: usize) -> Self {
        Self {
            threads: Mutex::new((0..processes).map(|_| ThreadState::Runs).collect()),
            all_wait: Condvar::new(),
            goes_on: (0..processes).map(|_| Condvar::new()).collect(),
            clock: AtomicUsize::new(0),
            done: Mutex::default(),
        }
    }

    /// Waits until it is the turn of `process`, and gives the time.
    fn announce(&self, process: usize, step: CallStep) -> usize {
        let mut threads = self.threads.lock().unwrap();
        threads[process] = ThreadState::Waits(step);
        self.all_wait.notify_one();
        while !matches!(threads[process], ThreadState::Runs) {
            threads = self.goes_on[process].wait(threads).unwrap();
        }
        self.clock.load(Ordering::SeqCst)
    }

    fn over(&self, process: usize) {
        self.threads.lock().unwrap()[process] = ThreadState::Over;
        self.all_wait.notify_one();
    }

    /// Waits until no thread runs, and gives the steps that they wait for.
    fn steps(&self) -> Vec<Option<CallStep>> {
        let mut threads = self.threads.lock().unwrap();
        while threads
            .iter()
            .any(|thread| matches!(thread, ThreadState::Runs))
        {
            threads = self.all_wait.wait(threads).unwrap();
        }
        threads
            .iter()
            .map(|thread| match thread {
                ThreadState::Waits(step) => Some(step.clone()),
                _ => None,
            })
            .collect()
    }

    fn let_go_on(&self, process: usize) {
        self.clock.fetch_add(1, Ordering::SeqCst);
        self.threads.lock().unwrap()[process] = ThreadState::Runs;
        self.goes_on[process].notify_one();
    }
}

/// The watcher of one thread's calls.
struct Announcer {
    run: Arc<Threads>,
    process: usize,
    kill: Option<Kill>,
    state: RefCell<CallState>,
}

#[derive(Default)]
struct CallState {
    calls: usize,
    is_dead: bool,
    /// The locks it asked for, and may hold.
    locks: Vec<Arc<File>>,
}

impl Announcer {
    /// Announces the beginning or the end of an operation. That is a step, too: of two orders that differ in whether
    /// one operation was over before another one began, both are run.
    fn boundary(&self, begins: bool) -> usize {
        let mut state = self.state.borrow_mut();
        state.locks.clear();
        let others = (0..self.run.goes_on.len()).filter(|&other| other != self.process);
        let (own, theirs) = match begins {
            true => ("begins", "ends"),
            false => ("ends", "begins"),
        };
        let step = CallStep {
            what: own.to_owned(),
            reads: others.map(|other| format!("{other} {theirs}")).collect(),
            writes: vec![format!("{} {own}", self.process)],
            lock: None,
            waits: false,
        };
        drop(state);
        self.run.announce(self.process, step)
    }

    fn is_dead(&self) -> bool {
        self.state.borrow().is_dead
    }
}

impl Watcher for Announcer {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        let killed = || Verdict::Not(std::io::Error::other("killed"));
        if self.is_dead() {
            return killed();
        }
        let Some(mut step) = CallStep::of(call) else {
            return Verdict::Go;
        };
        {
            let mut state = self.state.borrow_mut();
            // Behind any of its calls it may close the file, and so give the lock back.
            state.locks.retain(|lock| is_held(lock));
            if let Some(lock) = &step.lock {
                state.locks.push(Arc::clone(lock));
            }
            step.writes
                .extend(state.locks.iter().map(|lock| lock_of(lock)));
            let number = state.calls;
            state.calls += 1;
            match (self.kill.filter(|kill| kill.call == number), call) {
                (Some(Kill { written: None, .. }), _) => {
                    state.is_dead = true;
                    return killed();
                }
                (
                    Some(Kill {
                        written: Some(count),
                        ..
                    }),
                    DirCall::Write(_, bytes, _),
                ) if count < bytes.len() => {
                    state.is_dead = true;
                    drop(state);
                    self.run.announce(self.process, step);
                    return Verdict::Partly(count, std::io::Error::other("killed"));
                }
                _ => {}
            }
        }
        self.run.announce(self.process, step);
        Verdict::Go
    }
}

/// Runs a scenario in every order, and lets `check` see what each came to: the operations and the
/// files as they were left.
pub(super) fn in_every_order(
    scenario: &Scenario,
    kill: Option<Kill>,
    mut check: impl FnMut(&Fixture, &[Finished]),
) -> Explored {
    let fixture = fixture(Durability::Process);
    let mut explored = Explored::default();
    let mut path: Vec<Choice> = Vec::new();
    loop {
        clear(&fixture);
        scenario.begin(&fixture.store);
        explored.runs += 1;
        assert!(explored.runs < MOST, "too large a scenario");
        if let Some(done) = run_once(&fixture, scenario, kill, &mut path) {
            explored.orders += 1;
            explored.killed += usize::from(done.iter().any(|done| done.outcome.is_none()));
            let tell = TellIfPanicking(&path);
            check(&fixture, &done);
            drop(tell);
        }
        loop {
            match path.pop().map(Choice::next) {
                Some(Some(other)) => break path.push(other),
                Some(None) => {}
                None => return explored,
            }
        }
    }
}

/// One run, along the choices that are given and then the first ones there are; `None` if it came
/// to a place from where only orders go on that were run already.
fn run_once(
    fixture: &Fixture,
    scenario: &Scenario,
    kill: Option<Kill>,
    path: &mut Vec<Choice>,
) -> Option<Vec<Finished>> {
    let count = scenario.processes.len();
    let run = Arc::new(Threads::of(count));
    let mut is_new = true;
    std::thread::scope(|scope| {
        for process in 0..count {
            let over = Over(Arc::clone(&run), process);
            let kill = kill.filter(|kill| kill.process == process);
            scope.spawn(move || be_process(fixture, scenario, kill, &over));
        }
        for depth in 0.. {
            let steps = run.steps();
            if steps.iter().all(Option::is_none) {
                break;
            }
            // If no process can go on, one is let go on all the same. It panics, since its lock is held.
            let anybody = able(&steps).pop_first().unwrap_or_default();
            if let Some(choice) = path.get_mut(depth).filter(|_| is_new) {
                // As before, but for the numbers of files.
                choice.steps = steps;
            } else if is_new {
                let asleep = path.last().map(Choice::asleep_after).unwrap_or_default();
                match Choice::first(&steps, asleep) {
                    Some(choice) => path.push(choice),
                    None => {
                        is_new = false;
                        want_races_the_other_way(path, &steps);
                    }
                }
            }
            let chosen = path.get(depth).filter(|_| is_new);
            run.let_go_on(chosen.map_or(anybody, |choice| choice.chosen));
        }
    });
    if is_new {
        want_races_the_other_way(path, &[]);
    }
    let done = std::mem::take(&mut *run.done.lock().unwrap());
    is_new.then_some(done)
}

/// Says that a thread is over, also after a panic.
struct Over(Arc<Threads>, usize);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over(self.1);
    }
}

fn be_process(fixture: &Fixture, scenario: &Scenario, kill: Option<Kill>, over: &Over) {
    let Over(run, process) = over;
    let store = opened(&fixture.root(), Durability::Process).unwrap();
    let announcer = Rc::new(Announcer {
        run: Arc::clone(run),
        process: *process,
        kill,
        state: RefCell::default(),
    });
    for (number, op) in scenario.processes[*process].iter().enumerate() {
        let began = announcer.boundary(true);
        let result = under(announcer.clone(), || op.run(&store));
        let ended = announcer.boundary(false);
        let is_dead = announcer.is_dead();
        let done = Finished {
            place: OpPlace {
                process: *process,
                number,
            },
            began,
            ended,
            outcome: (!is_dead).then(|| result.unwrap()),
        };
        run.done.lock().unwrap().push(done);
        if is_dead {
            return;
        }
    }
}

/// Deletes all but the file for git, beside which a directory is as good as empty.
fn clear(fixture: &Fixture) {
    for entry in fs::read_dir(fixture.root()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// Tells the order in which it happened, if it is one that should not be.
struct TellIfPanicking<'p>(&'p [Choice]);

impl Drop for TellIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for choice in self.0 {
                eprintln!("{}: {}", choice.chosen, choice.step().what);
            }
        }
    }
}
