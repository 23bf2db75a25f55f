//! Operations of several processes at once, and what they may come to: what they would come to one
//! after the other, in some order, in the memory store.

use std::collections::BTreeSet;

use super::*;
use crate::store::memory::OpenMemory;

/// An operation, and the time it is told.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) what: Action,
    pub(super) now: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Load(Key),
    Create(Key, Record),
    Commit(Key, Revision, Record),
    Touch(Key, Revision, Timestamp),
    Renew(Key, Revision, Key, Record),
    Remove(Key),
    RemoveUser(UserKey, Which),
    /// Takes the session's lock, and looks whether anybody else can.
    Lock(Key),
    /// A whole pass.
    Sweep,
}

impl From<Action> for Op {
    fn from(what: Action) -> Self {
        Self { what, now: NOW }
    }
}

impl Op {
    pub(super) fn at(what: Action, now: Timestamp) -> Self {
        Self { what, now }
    }

    /// Does it, and returns the outcome in words that can be compared.
    pub(super) fn run(&self, store: &Asked) -> Result<String, StoreError> {
        let now = self.now;
        Ok(match self.what.clone() {
            Action::Load(key) => loaded(&at_once(store.load(key, now))?),
            Action::Create(key, record) => {
                format!("created: {}", at_once(store.create(key, record, now))?)
            }
            Action::Commit(key, over, record) => {
                committed(&at_once(store.commit(key, over, record, now))?)
            }
            Action::Touch(key, revision, expires) => {
                at_once(store.touch(key, revision, expires, now))?;
                "touched".to_owned()
            }
            Action::Renew(old, over, new, record) => {
                committed(&at_once(store.renew(old, over, new, record, now))?)
            }
            Action::Remove(key) => format!("removed: {}", at_once(store.remove(key, now))?),
            Action::RemoveUser(user, which) => {
                format!("removed: {}", at_once(store.remove_user(user, which, now))?)
            }
            Action::Lock(key) => {
                let Some(_lease) = at_once(store.lock(key))? else {
                    return Ok("busy".to_owned());
                };
                // A store of one process has no locks.
                let other = at_once(store.lock(key))?.filter(|_| !store.in_process());
                other.map_or("locked", |_| "met").to_owned()
            }
            Action::Sweep => {
                while !store.sweep(now, 1000)?.finished {}
                "swept".to_owned()
            }
        })
    }

    /// True if it may answer *done* and have done nothing: a touch and a sweeper pass over what is locked.
    fn may_be_left_out(&self) -> bool {
        matches!(self.what, Action::Touch(..) | Action::Sweep)
    }

    /// The outcomes that it may have if its process is killed, beside all of it and nothing.
    fn halves(&self) -> Vec<Self> {
        let half = |what| Self::at(what, self.now);
        match &self.what {
            // The new session is there before the old one is buried. Nobody was told its id.
            Action::Renew(_, _, new, record) => vec![half(Action::Create(*new, record.clone()))],
            // One session after the other.
            Action::RemoveUser(_, Which::All) => {
                [ONE, TWO].map(|key| half(Action::Remove(key))).into()
            }
            _ => vec![],
        }
    }
}

/// Locks are waited for before they are asked for, so nothing answers later.
#[track_caller]
fn at_once<T>(answer: Answer<'_, T>) -> Result<T, StoreError> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(_) => panic!("it waits for a lock that was free"),
    }
}

fn described(record: &Record) -> String {
    let Revision { number, tag } = record.head.revision;
    let body = record.body.as_bytes();
    format!(
        "live, revision {number} ({tag:x}), expires {}, seen {}, user {:?}, {} bytes of {:?}",
        record.head.expires.as_millis(),
        record.head.seen.as_millis(),
        record.head.user,
        body.len(),
        body.first()
    )
}

fn loaded(loaded: &Loaded) -> String {
    match loaded {
        Loaded::Live(record) => described(record),
        Loaded::Retired => "retired".to_owned(),
        Loaded::Nothing => "nothing".to_owned(),
    }
}

fn committed(commit: &Commit) -> String {
    match commit {
        Commit::Saved => "saved".to_owned(),
        Commit::Conflict(theirs) => format!("conflict with {}", described(theirs)),
        Commit::Gone => "gone".to_owned(),
    }
}

/// The operations before, those of each process, and the keys and users to look at afterwards.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) before: Vec<Op>,
    pub(super) processes: Vec<Vec<Op>>,
    pub(super) keys: Vec<Key>,
    pub(super) users: Vec<UserKey>,
}

impl Scenario {
    /// One session, of the user 1, as [`first`] has it.
    pub(super) fn of_one_session<const N: usize>(processes: [Vec<Op>; N]) -> Self {
        Self {
            before: vec![Action::Create(ONE, first()).into()],
            processes: processes.into(),
            keys: vec![ONE],
            users: vec![user(1), user(2)],
        }
    }

    /// And with what follows it after a renewal.
    pub(super) fn seeing(self, key: Key) -> Self {
        Self {
            keys: self.keys.into_iter().chain([key]).collect(),
            ..self
        }
    }

    pub(super) fn begin(&self, store: &Asked) {
        for op in &self.before {
            op.run(store).unwrap();
        }
    }

    /// Everything that anybody can see of the sessions.
    pub(super) fn seen(&self, store: &Asked) -> Vec<String> {
        let mut seen: Vec<_> = self
            .keys
            .iter()
            .map(|&key| loaded(&now(store.load(key, NOW))))
            .collect();
        for &user in &self.users {
            let keys = now(store.entries_of(user, NOW));
            let keys: BTreeSet<_> = keys.iter().map(Key::to_string).collect();
            seen.push(format!("{user}: {keys:?}"));
        }
        seen
    }

    /// The outcomes that the operations may have: in every order that keeps the order of each process, with and without
    /// those that may be left out. The operations of a process that is killed are among those.
    pub(super) fn orders(&self, killed: Option<usize>) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut at = vec![0; self.processes.len()];
        self.extend(killed, &mut at, &mut Vec::new(), &mut orders);
        orders
    }

    fn extend(
        &self,
        killed: Option<usize>,
        at: &mut Vec<usize>,
        steps: &mut Vec<(OpPlace, Extent)>,
        orders: &mut Vec<Order>,
    ) {
        let mut over = true;
        for process in 0..at.len() {
            let number = at[process];
            let Some(op) = self.processes[process].get(number) else {
                continue;
            };
            over = false;
            let killed_here = killed == Some(process);
            let mut ways = vec![Extent::Wholly];
            if killed_here || op.may_be_left_out() {
                ways.push(Extent::NotAtAll);
            }
            if killed_here {
                ways.extend((0..op.halves().len()).map(Extent::Half));
            }
            at[process] += 1;
            for how in ways {
                steps.push((OpPlace { process, number }, how));
                self.extend(killed, at, steps, orders);
                steps.pop();
            }
            at[process] -= 1;
        }
        if over {
            orders.push(self.in_order(steps));
        }
    }

    fn in_order(&self, steps: &[(OpPlace, Extent)]) -> Order {
        let store = Asked::new(Arc::new(OpenMemory::default()));
        self.begin(&store);
        let steps = steps
            .iter()
            .map(|&(place, how)| {
                let op = &self.processes[place.process][place.number];
                let outcome = match how {
                    Extent::Wholly => Came::To(op.run(&store).unwrap()),
                    Extent::NotAtAll if op.may_be_left_out() => Came::ToNothingUnnoticed,
                    Extent::NotAtAll => Came::ToNothing,
                    Extent::Half(which) => {
                        op.halves()[which].run(&store).unwrap();
                        Came::ToHalf
                    }
                };
                (place, outcome)
            })
            .collect();
        Order {
            steps,
            seen: self.seen(&store),
        }
    }
}

/// Which operation: the number of its process, and its own in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpPlace {
    pub(super) process: usize,
    pub(super) number: usize,
}

#[derive(Clone, Copy)]
enum Extent {
    Wholly,
    NotAtAll,
    Half(usize),
}

/// The outcomes of the operations, done one after the other.
#[derive(Debug)]
pub(super) struct Order {
    steps: Vec<(OpPlace, Came)>,
    seen: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Came {
    To(String),
    /// The caller is told that it was done.
    ToNothingUnnoticed,
    /// It can only have been killed.
    ToNothing,
    ToHalf,
}

/// An operation as it went: when it began and ended, and what it came to; nothing if its process
/// was killed in its middle.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) place: OpPlace,
    pub(super) began: usize,
    pub(super) ended: usize,
    pub(super) outcome: Option<String>,
}

impl Order {
    /// True if no operation was left out or done in part.
    pub(super) fn is_whole(&self) -> bool {
        let whole = |came: &Came| matches!(came, Came::To(_));
        self.steps.iter().all(|(_, came)| whole(came))
    }

    /// True if two orders cannot be told from each other.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let outcome = |place: OpPlace| {
            other
                .steps
                .iter()
                .find(|(there, _)| *there == place)
                .map(|(_, came)| came)
        };
        self.seen == other.seen
            && self
                .steps
                .iter()
                .all(|(place, came)| outcome(*place) == Some(came))
    }

    /// True if what happened looks as if it had happened in this order: *linearizable* (Herlihy and Wing, 1990). An
    /// operation that was over before another one began comes before that one.
    pub(super) fn explains(&self, happened: &[Finished], seen: &[String]) -> bool {
        let find = |place: OpPlace| happened.iter().find(|done| done.place == place);
        let fits = |(place, came): &(OpPlace, Came)| match (find(*place), came) {
            (Some(done), Came::To(expected)) => {
                done.outcome.as_ref().is_none_or(|found| found == expected)
            }
            (Some(_), Came::ToNothingUnnoticed) => true,
            (Some(done), Came::ToNothing | Came::ToHalf) => done.outcome.is_none(),
            // Its process was dead by then.
            (None, came) => matches!(came, Came::ToNothing | Came::ToNothingUnnoticed),
        };
        let in_order: Vec<_> = self
            .steps
            .iter()
            .filter_map(|&(place, _)| find(place))
            .collect();
        let in_time = in_order.iter().enumerate().all(|(index, done)| {
            in_order[index..]
                .iter()
                .all(|later| later.ended >= done.began)
        });
        self.seen == seen && in_time && self.steps.iter().all(fits)
    }
}

/// The key that sessions have at first, and those that renewals give them.
pub(super) const ONE: Key = Key([0x11; 16]);
pub(super) const TWO: Key = Key([0x22; 16]);
pub(super) const THREE: Key = Key([0x33; 16]);

/// The session at its first revision.
pub(super) fn first() -> Record {
    with(of(1, b"first"), |head| {
        head.revision = Revision { number: 1, tag: 1 }
    })
}

/// A revision of the session: `tag` tells it from all others and is in its body.
pub(super) fn later(number: u64, tag: u8) -> Record {
    with(of(1, &[tag; 20]), |head| {
        head.revision = Revision {
            number,
            tag: tag.into(),
        }
    })
}

/// One that needs a larger file.
pub(super) fn large(number: u64, tag: u8) -> Record {
    Record {
        body: Body::from_bytes([tag; 3000].as_slice()),
        ..later(number, tag)
    }
}

pub(super) fn commit(record: Record) -> Op {
    Action::Commit(ONE, first().head.revision, record).into()
}

/// One behind a commit of the same process.
pub(super) fn commit_over(number: u64, tag: u8, record: Record) -> Op {
    commit_to(ONE, number, tag, record)
}

pub(super) fn commit_to(key: Key, number: u64, tag: u8, record: Record) -> Op {
    Action::Commit(key, later(number, tag).head.revision, record).into()
}

pub(super) fn renew(to: Key, tag: u8) -> Op {
    Action::Renew(ONE, first().head.revision, to, later(2, tag)).into()
}

pub(super) fn touch() -> Op {
    let touch = Action::Touch(ONE, first().head.revision, NOW + 2 * HOUR);
    Op::at(touch, NOW + HOUR / 2)
}
