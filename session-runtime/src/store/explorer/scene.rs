//! A scene: who acts at once, over which store, and what may go wrong.

use std::fmt;

use super::act::Act;
use super::cell::{Cell, KEYS, Session, Set};
use super::manner::{Flaw, Manner, Unlists};
use super::stores::Steps;
use super::world::World;

/// The second at which every scene begins.
const BEGIN: u32 = 10_000;

/// The actors and the store of a run.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) acts: Vec<Act>,
    pub(super) steps: Steps,
    pub(super) manner: Manner,
    /// The number of calls that may fail.
    pub(super) faults: u8,
    /// True if the driver may send a call twice.
    pub(super) resends: bool,
    /// True if the store may become full.
    pub(super) fills: bool,
    /// True if the lists may be lost.
    pub(super) loses_lists: bool,
    times: Vec<u32>,
    /// The seconds by which the clock of each actor is fast.
    offsets: Vec<i32>,
    pub(super) idle: u32,
    /// The sessions at the beginning, each under its key.
    sessions: Vec<(u8, Session)>,
}

impl Scene {
    /// A scene with one session of this user under key 0, over a store with the four required
    /// operations and lists that follow at once.
    pub(super) fn new(user: u8, acts: &[Act]) -> Self {
        let scene = Self {
            acts: acts.to_vec(),
            steps: Steps::Few,
            manner: Manner {
                apart: false,
                walks: false,
                names_first: false,
                unlists: Unlists::AtOnce,
                flaw: None,
            },
            faults: 0,
            resends: false,
            fills: false,
            loses_lists: false,
            times: vec![0],
            offsets: vec![0; acts.len()],
            idle: 40,
            sessions: Vec::new(),
        };
        scene.with_session(0, 0, user)
    }

    pub(super) fn with_session(mut self, key: u8, session: u8, user: u8) -> Self {
        let first = Session {
            session,
            user,
            number: 1,
            tag: 1 + u16::from(session),
            expires: BEGIN + self.idle,
            seen: BEGIN,
            data: 0,
        };
        self.sessions.push((key, first));
        self
    }

    pub(super) fn faults(self, faults: u8) -> Self {
        Self { faults, ..self }
    }

    pub(super) fn resends(self) -> Self {
        let (resends, faults) = (true, 1);
        Self {
            resends,
            faults,
            ..self
        }
    }

    pub(super) fn steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// A flawed store; with `Steps::Flawed`, its renewal.
    pub(super) fn flaw(mut self, flaw: Flaw) -> Self {
        self.manner.flaw = Some(flaw);
        if matches!(flaw, Flaw::UndoLeavesTombstone | Flaw::UndoAfterError) {
            self.steps = Steps::Flawed;
        }
        self
    }

    /// Lists that are written in steps of their own, before the record.
    pub(super) fn apart(mut self) -> Self {
        self.manner.apart = true;
        self
    }

    pub(super) fn unlists(mut self, unlists: Unlists) -> Self {
        self.manner.unlists = unlists;
        self
    }

    /// Lists that are written in steps of their own, are read key by key and keep each key until its
    /// tombstone goes.
    pub(super) fn kept(mut self) -> Self {
        self.manner.walks = true;
        self.apart().unlists(Unlists::WithTombstone)
    }

    pub(super) fn walks(mut self) -> Self {
        self.manner.walks = true;
        self
    }

    pub(super) fn names_first(mut self) -> Self {
        self.manner.names_first = true;
        self
    }

    pub(super) fn fills(self) -> Self {
        let fills = true;
        Self { fills, ..self }
    }

    pub(super) fn loses_lists(self) -> Self {
        let loses_lists = true;
        Self {
            loses_lists,
            ..self
        }
    }

    pub(super) fn times(self, times: &[u32]) -> Self {
        let times = times.to_vec();
        Self { times, ..self }
    }

    pub(super) fn offsets(self, offsets: &[i32]) -> Self {
        let offsets = offsets.to_vec();
        Self { offsets, ..self }
    }

    /// Sessions that live so long after each visit.
    pub(super) fn idle(mut self, idle: u32) -> Self {
        for (_, session) in &mut self.sessions {
            session.expires = BEGIN + idle;
        }
        Self { idle, ..self }
    }

    /// The keys that anybody may use.
    pub(super) fn keys(&self) -> Set {
        let of_acts = self.acts.iter().fold(0, |keys, act| keys | act.keys());
        self.known() | of_acts
    }

    /// The keys whose cookies were sent before.
    pub(super) fn known(&self) -> Set {
        let sessions = self.sessions.iter();
        sessions.fold(0, |known, (key, _)| known | 1 << key)
    }

    /// The session whose cookie had this key at the beginning.
    pub(super) fn session_of(&self, key: u8) -> Option<u8> {
        let of_key = self.sessions.iter().find(|(other, _)| *other == key);
        of_key.map(|(_, session)| session.session)
    }

    pub(super) fn count_of_times(&self) -> u8 {
        u8::try_from(self.times.len()).unwrap()
    }

    /// The second that it is at this time of the scene.
    pub(super) fn second(&self, time: u8) -> u32 {
        BEGIN + self.times[usize::from(time)]
    }

    /// The second that the clock of an actor shows.
    pub(super) fn clock(&self, actor: u8, time: u8) -> u32 {
        self.second(time)
            .saturating_add_signed(self.offsets[usize::from(actor)])
    }

    /// The time, if it stands still.
    pub(super) fn still(&self, actor: u8) -> Option<u32> {
        (self.times.len() == 1).then(|| self.clock(actor, 0))
    }

    /// The seconds that two clocks are apart at most.
    pub(super) fn spread(&self) -> u32 {
        let [least, most] = self.offsets.iter().fold([0, 0], |[least, most], &offset| {
            [offset.min(least), offset.max(most)]
        });
        most.abs_diff(least)
    }

    pub(super) fn world(&self) -> World {
        let mut world = World {
            cells: [None; KEYS],
            lists: Default::default(),
            flight: Vec::new(),
            lost: false,
            full: false,
        };
        for &(key, session) in &self.sessions {
            world.cells[usize::from(key)] = Some(Cell::Live(session));
            if session.user != 0 {
                world.lists[usize::from(session.user)] |= 1 << key;
            }
        }
        world
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}, {:?}", self.acts, self.steps, self.manner)
    }
}
