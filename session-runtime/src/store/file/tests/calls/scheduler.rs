//! Every order in which the calls of several processes can fall.
//!
//! Each process is a thread with a store of its own on the directory. A thread announces each call
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
use super::scenario::{Done, Place, Scenario};
use super::step::{Step, is_held, lock_of};
use super::*;
use crate::store::file::dir::watched::{Call, Verdict, Watcher, under};

/// When a process is killed: before its call of this number, counted from 0; or with so many of its
/// bytes written, if that call is a write of more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) process: usize,
    pub(super) call: usize,
    pub(super) written: Option<usize>,
}

/// What was found out about a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explored {
    /// Orders that were run, and that came to something that no other one does.
    pub(super) orders: usize,
    pub(super) runs: usize,
    /// In how many of them the process that was to be killed came so far.
    pub(super) killed: usize,
}

/// Of more runs nobody waits for the end.
const MOST: usize = 10_000;

enum Thread {
    Runs,
    Waits(Step),
    Over,
}

/// The threads of one run.
struct Run {
    threads: Mutex<Vec<Thread>>,
    all_wait: Condvar,
    goes_on: Vec<Condvar>,
    /// How many steps there were.
    clock: AtomicUsize,
    done: Mutex<Vec<Done>>,
}

impl Run {
    fn of(processes: usize) -> Self {
        Self {
            threads: Mutex::new((0..processes).map(|_| Thread::Runs).collect()),
            all_wait: Condvar::new(),
            goes_on: (0..processes).map(|_| Condvar::new()).collect(),
            clock: AtomicUsize::new(0),
            done: Mutex::default(),
        }
    }

    /// Waits until it is the turn of `process`, and gives the time.
    fn announce(&self, process: usize, step: Step) -> usize {
        let mut threads = self.threads.lock().unwrap();
        threads[process] = Thread::Waits(step);
        self.all_wait.notify_one();
        while !matches!(threads[process], Thread::Runs) {
            threads = self.goes_on[process].wait(threads).unwrap();
        }
        self.clock.load(Ordering::SeqCst)
    }

    fn over(&self, process: usize) {
        self.threads.lock().unwrap()[process] = Thread::Over;
        self.all_wait.notify_one();
    }

    /// Waits until no thread runs, and gives the steps that they wait for.
    fn steps(&self) -> Vec<Option<Step>> {
        let mut threads = self.threads.lock().unwrap();
        while threads.iter().any(|thread| matches!(thread, Thread::Runs)) {
            threads = self.all_wait.wait(threads).unwrap();
        }
        threads
            .iter()
            .map(|thread| match thread {
                Thread::Waits(step) => Some(step.clone()),
                _ => None,
            })
            .collect()
    }

    fn let_go_on(&self, process: usize) {
        self.clock.fetch_add(1, Ordering::SeqCst);
        self.threads.lock().unwrap()[process] = Thread::Runs;
        self.goes_on[process].notify_one();
    }
}

/// What watches the calls of one thread.
struct Announcer {
    run: Arc<Run>,
    process: usize,
    kill: Option<Kill>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    calls: usize,
    is_dead: bool,
    /// The locks it asked for, and may hold.
    locks: Vec<Arc<File>>,
}

impl Announcer {
    /// That an operation begins or ends is a step too: of two orders that differ in whether one
    /// operation was over before another one began, both are run.
    fn boundary(&self, begins: bool) -> usize {
        let mut state = self.state.borrow_mut();
        state.locks.clear();
        let others = (0..self.run.goes_on.len()).filter(|&other| other != self.process);
        let (own, theirs) = match begins {
            true => ("begins", "ends"),
            false => ("ends", "begins"),
        };
        let step = Step {
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
    fn before(&self, call: &Call<'_>) -> Verdict {
        let killed = || Verdict::Not(std::io::Error::other("killed"));
        if self.is_dead() {
            return killed();
        }
        let Some(mut step) = Step::of(call) else {
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
                    Call::Write(_, bytes, _),
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
    mut check: impl FnMut(&Fixture, &[Done]),
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
) -> Option<Vec<Done>> {
    let count = scenario.processes.len();
    let run = Arc::new(Run::of(count));
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
            // Without anybody who can go on, whoever does will panic, for his lock is held.
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

/// Says that a thread is over, be it by a panic.
struct Over(Arc<Run>, usize);

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
        let done = Done {
            place: Place {
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

fn clear(fixture: &Fixture) {
    for entry in fs::read_dir(fixture.root()).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
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
