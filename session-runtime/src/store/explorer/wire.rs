//! The wire between an actor and the store: each call waits until it is answered.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::act::ActorEvent;
use super::cell::{Cell, CompactSession, Set, key, moment};
use super::manner::Manner;
use crate::clock::Timestamp;
use crate::record::Revision;
use crate::store::{Ending, Expected, StoreError, Swap, Which};

/// A step that an actor asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreCall {
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
        session: CompactSession,
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

impl StoreCall {
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

    /// True if a driver that sends the call again must know whether the first one was done.
    pub(super) fn is_delicate(&self) -> bool {
        matches!(
            self,
            Self::Swap { .. } | Self::Renew { .. } | Self::End { .. }
        )
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum StoreReply {
    Time(u32),
    Found(Option<Cell>),
    Done,
    /// The session was replaced by a tombstone.
    Ended(CompactSession),
    Renewed(u8),
    Nothing,
    Listed {
        names: Set,
        entries: Vec<(u8, Cell)>,
        whole: bool,
    },
    Taken,
    Full,
    /// An error that does not tell whether the call was done.
    Lost,
}

impl StoreReply {
    /// Returns the answer of a driver that sent `call` twice, where the second call came to `self`.
    ///
    /// The answer is `self` if that shows the driver's own work, which the ledger recognises, or proves that the first
    /// call did nothing. Else it is an error.
    pub(super) fn of_resent(self, call: &StoreCall) -> Self {
        let is_own = |found| match (call, found) {
            (
                StoreCall::Swap {
                    cell: Some(own), ..
                },
                found,
            ) => is_recognised(*own, found),
            (StoreCall::Renew { new, .. }, Cell::Ended { successor, .. }) => {
                successor == Some(*new)
            }
            _ => false,
        };
        let is_other = |found| match (call, found) {
            (
                StoreCall::Swap {
                    expected: Expected::At(over),
                    ..
                }
                | StoreCall::Renew { over, .. },
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

/// True if the writer of `own` recognises it in `found`, by a revision or a successor that is unique.
fn is_recognised(own: Cell, found: Cell) -> bool {
    match (own, found) {
        (Cell::Live(own), Cell::Live(found)) => own.revision() == found.revision(),
        (Cell::Ended { successor, .. }, _) => successor.is_some() && own == found,
        _ => false,
    }
}

/// A call, and its reply once there is one.
struct PendingCall {
    call: StoreCall,
    reply: Option<StoreReply>,
    waker: Option<Waker>,
    /// True if nobody waits for the reply any more.
    is_over: bool,
}

/// The calls and the events so far.
#[derive(Default)]
struct WireState {
    calls: Vec<PendingCall>,
    events: Vec<ActorEvent>,
    /// The second that the actor last read from its clock.
    clock: u32,
}

/// The calls of one actor, and the events that it reports.
pub(super) struct Wire {
    state: Mutex<WireState>,
    pub(super) manner: Manner,
    /// The keys of the scene.
    pub(super) keys: Set,
    /// The second that the clock shows, if the scene has only one time.
    still: Option<u32>,
}

impl Wire {
    pub(super) fn new(manner: Manner, keys: Set, still: Option<u32>) -> Self {
        let state = WireState {
            clock: still.unwrap_or_default(),
            ..WireState::default()
        };
        Self {
            state: Mutex::new(state),
            manner,
            keys,
            still,
        }
    }

    fn state(&self) -> MutexGuard<'_, WireState> {
        self.state.lock().unwrap()
    }

    /// Asks for a step, and waits until the search has decided its fate.
    pub(super) async fn ask(&self, call: StoreCall) -> Result<StoreReply, StoreError> {
        let place = {
            let mut state = self.state();
            state.calls.push(PendingCall {
                call,
                reply: None,
                waker: None,
                is_over: false,
            });
            state.calls.len() - 1
        };
        match (Wait { wire: self, place }).await {
            StoreReply::Taken => Err(StoreError::Taken),
            StoreReply::Full => Err(StoreError::Other("full".into())),
            StoreReply::Lost => Err(StoreError::TimedOut),
            reply => Ok(reply),
        }
    }

    /// Reads the clock. This is a step if the scene has several times.
    pub(super) async fn now(&self) -> Timestamp {
        if let Some(still) = self.still {
            return moment(still);
        }
        let Ok(StoreReply::Time(now)) = self.ask(StoreCall::Clock).await else {
            panic!("a clock never fails");
        };
        self.state().clock = now;
        moment(now)
    }

    /// Reports an event.
    pub(super) fn tell(&self, event: ActorEvent) {
        self.state().events.push(event);
    }

    /// Answers a call.
    pub(super) fn answer(&self, place: u8, reply: StoreReply) {
        let mut state = self.state();
        state.events.clear();
        let call = &mut state.calls[usize::from(place)];
        assert!(call.reply.replace(reply).is_none(), "answered twice");
        let waker = call.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the calls that wait for their answers, each with its number.
    pub(super) fn calls(&self) -> Vec<(u8, StoreCall)> {
        let state = self.state();
        (0..)
            .zip(&state.calls)
            .filter(|(_, pending)| pending.reply.is_none() && !pending.is_over)
            .map(|(place, pending)| (place, pending.call))
            .collect()
    }

    /// Returns the events since the last answer.
    pub(super) fn events(&self) -> Vec<ActorEvent> {
        self.state().events.clone()
    }

    pub(super) fn clock(&self) -> u32 {
        self.state().clock
    }
}

/// The future that waits for the reply to a call.
struct Wait<'a> {
    wire: &'a Wire,
    place: usize,
}

impl Future for Wait<'_> {
    type Output = StoreReply;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StoreReply> {
        let mut state = self.wire.state();
        let pending = &mut state.calls[self.place];
        match pending.reply.clone() {
            Some(reply) => Poll::Ready(reply),
            None => {
                pending.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A read that is dropped needs no answer any more. Writes are never dropped.
impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.wire.state().calls[self.place].is_over = true;
    }
}
