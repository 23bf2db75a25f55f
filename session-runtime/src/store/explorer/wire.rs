//! The wire between an actor and the store: each call waits until it is answered.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::act::Event;
use super::cell::{Cell, Session, Set, key, moment};
use super::manner::Manner;
use crate::clock::Timestamp;
use crate::record::Revision;
use crate::store::{Ending, Expected, StoreError, Swap, Which};

/// A step that an actor asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Clock,
    Load(u8),
    Swap {
        key: u8,
        expected: Expected,
        cell: Option<Cell>,
        now: u32,
    },
    Renew {
        old: u8,
        over: Revision,
        new: u8,
        session: Session,
        now: u32,
    },
    End {
        key: u8,
        users: Option<Set>,
        which: Which,
        now: u32,
    },
    Touch {
        key: u8,
        over: Revision,
        expires: u32,
        seen: u32,
        now: u32,
    },
    /// The entries on the lists of users, among these keys.
    List {
        users: Set,
        among: Set,
    },
    /// Puts a key on a list.
    Enlist {
        user: u8,
        key: u8,
    },
    /// The entries among these keys.
    Scan {
        among: Set,
    },
}

impl Call {
    pub(super) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Swap { .. }
                | Self::Renew { .. }
                | Self::End { .. }
                | Self::Touch { .. }
                | Self::Enlist { .. }
        )
    }

    /// True if a driver that sends it again must know whether it was done.
    pub(super) fn is_delicate(&self) -> bool {
        matches!(
            self,
            Self::Swap { .. } | Self::Renew { .. } | Self::End { .. }
        )
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reply {
    Time(u32),
    Found(Option<Cell>),
    Done,
    /// The session that has a tombstone now.
    Ended(Session),
    Renewed(u8),
    Nothing,
    Listed {
        names: Set,
        entries: Vec<(u8, Cell)>,
        whole: bool,
    },
    Taken,
    Full,
    /// An error that tells nothing.
    Lost,
}

impl Reply {
    /// The answer of a driver that sent `call` twice, and for which the second time came to `self`:
    /// its own work, which the ledger knows again, or a proof that it did nothing, or an error.
    pub(super) fn of_resent(self, call: &Call) -> Self {
        let is_own = |found| match (call, found) {
            (
                Call::Swap {
                    cell: Some(own), ..
                },
                found,
            ) => is_known_again(*own, found),
            (Call::Renew { new, .. }, Cell::Ended { successor, .. }) => successor == Some(*new),
            _ => false,
        };
        let is_other = |found| match (call, found) {
            (
                Call::Swap {
                    expected: Expected::At(over),
                    ..
                }
                | Call::Renew { over, .. },
                Cell::Live(found),
            ) => u64::from(found.number) == over.number + 1,
            _ => false,
        };
        match self {
            Self::Found(Some(found)) if is_own(found) || is_other(found) => self,
            Self::Found(_) | Self::Taken | Self::Nothing => Self::Lost,
            other => other,
        }
    }

    pub(super) fn swap(self) -> Swap {
        match self {
            Self::Done => Swap::Done,
            Self::Found(cell) => Swap::Found(cell.map(|cell| cell.entry(true))),
            other => panic!("{other:?} answers no swap"),
        }
    }

    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Ended(session) => Ending::Ended(session.head()),
            Self::Renewed(successor) => Ending::Renewed(key(successor)),
            Self::Nothing => Ending::Nothing,
            other => panic!("{other:?} answers no end"),
        }
    }
}

/// True if whoever wrote `own` knows it again: a revision, or a successor that nobody else makes.
fn is_known_again(own: Cell, found: Cell) -> bool {
    match (own, found) {
        (Cell::Live(own), Cell::Live(found)) => own.revision() == found.revision(),
        (Cell::Ended { successor, .. }, _) => successor.is_some() && own == found,
        _ => false,
    }
}

struct Slot {
    call: Call,
    reply: Option<Reply>,
    waker: Option<Waker>,
    is_over: bool,
}

#[derive(Default)]
struct Script {
    slots: Vec<Slot>,
    events: Vec<Event>,
    /// The second that the actor's clock showed when it was last read.
    clock: u32,
}

/// The calls of one actor, and what it tells the explorer.
pub(super) struct Wire {
    script: Mutex<Script>,
    pub(super) manner: Manner,
    /// The keys of the scenario.
    pub(super) keys: Set,
    /// The time, where it stands still.
    still: Option<u32>,
}

impl Wire {
    pub(super) fn new(manner: Manner, keys: Set, still: Option<u32>) -> Self {
        let script = Script {
            clock: still.unwrap_or_default(),
            ..Script::default()
        };
        Self {
            script: Mutex::new(script),
            manner,
            keys,
            still,
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Asks for a step, and waits for the explorer to let it happen.
    pub(super) async fn ask(&self, call: Call) -> Result<Reply, StoreError> {
        let place = {
            let mut script = self.script();
            script.slots.push(Slot {
                call,
                reply: None,
                waker: None,
                is_over: false,
            });
            script.slots.len() - 1
        };
        match (Wait { wire: self, place }).await {
            Reply::Taken => Err(StoreError::Taken),
            Reply::Full => Err(StoreError::Full),
            Reply::Lost => Err(StoreError::TimedOut),
            reply => Ok(reply),
        }
    }

    /// Reads the clock, which is a step where the time goes on.
    pub(super) async fn now(&self) -> Timestamp {
        if let Some(still) = self.still {
            return moment(still);
        }
        let Ok(Reply::Time(now)) = self.ask(Call::Clock).await else {
            panic!("a clock never fails");
        };
        self.script().clock = now;
        moment(now)
    }

    pub(super) fn tell(&self, event: Event) {
        self.script().events.push(event);
    }

    /// Answers a call.
    pub(super) fn answer(&self, place: u8, reply: Reply) {
        let mut script = self.script();
        script.events.clear();
        let slot = &mut script.slots[usize::from(place)];
        assert!(slot.reply.replace(reply).is_none(), "answered twice");
        let waker = slot.waker.take();
        drop(script);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The calls that wait for their answers.
    pub(super) fn calls(&self) -> Vec<(u8, Call)> {
        let script = self.script();
        (0..)
            .zip(&script.slots)
            .filter(|(_, slot)| slot.reply.is_none() && !slot.is_over)
            .map(|(place, slot)| (place, slot.call))
            .collect()
    }

    /// The events since the last answer.
    pub(super) fn events(&self) -> Vec<Event> {
        self.script().events.clone()
    }

    pub(super) fn clock(&self) -> u32 {
        self.script().clock
    }
}

struct Wait<'a> {
    wire: &'a Wire,
    place: usize,
}

impl Future for Wait<'_> {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let mut script = self.wire.script();
        let slot = &mut script.slots[self.place];
        match slot.reply.clone() {
            Some(reply) => Poll::Ready(reply),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A read that nobody waits for any more needs no answer; nobody gives a write up.
impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.wire.script().slots[self.place].is_over = true;
    }
}
