//! A scene: the actors, their store, and the faults that may happen.

use std::fmt;

use super::act::Act;
use super::cell::{Cell, CompactSession, KEYS, Set};
use super::manner::{Flaw, Manner, Unlists};
use super::stores::Steps;
use super::world::World;

/// The second at which every scene begins. It is large enough for clocks to be set back.
const BEGIN: u32 = 10_000;

/// The actors and the store of one search.
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
    /// The times of the scene, in seconds after its beginning.
    times: Vec<u32>,
    /// The number of seconds by which the clock of each actor is fast.
    offsets: Vec<i32>,
    /// The number of seconds that a session lives after a visit.
    pub(super) idle: u32,
    /// The sessions at the beginning, each with its key.
    sessions: Vec<(u8, CompactSession)>,
}

impl Scene {
    /// Makes a scene with one session of this user under key 0. Its store has the four required operations, and
    /// updates its lists in the same step.
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
        let first = CompactSession {
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

    /// Gives the store a flaw. A flaw of the renewal also needs `Steps::Flawed`, which this sets.
    pub(super) fn flaw(mut self, flaw: Flaw) -> Self {
        self.manner.flaw = Some(flaw);
        if matches!(flaw, Flaw::UndoLeavesTombstone | Flaw::UndoAfterError) {
            self.steps = Steps::Flawed;
        }
        self
    }

    /// Writes lists in separate steps, before the record.
    pub(super) fn apart(mut self) -> Self {
        self.manner.apart = true;
        self
    }

    pub(super) fn unlists(mut self, unlists: Unlists) -> Self {
        self.manner.unlists = unlists;
        self
    }

    /// Writes lists in separate steps, reads them key by key, and keeps each key on its list until its tombstone is
    /// deleted.
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

    /// Sets the number of seconds that a session lives after a visit.
    pub(super) fn idle(mut self, idle: u32) -> Self {
        for (_, session) in &mut self.sessions {
            session.expires = BEGIN + idle;
        }
        Self { idle, ..self }
    }

    /// Returns all keys that may be used.
    pub(super) fn keys(&self) -> Set {
        let of_acts = self.acts.iter().fold(0, |keys, act| keys | act.keys());
        self.known() | of_acts
    }

    /// Returns the keys whose cookies were sent before the beginning.
    pub(super) fn known(&self) -> Set {
        let sessions = self.sessions.iter();
        sessions.fold(0, |known, (key, _)| known | 1 << key)
    }

    /// Returns the session whose cookie had this key at the beginning.
    pub(super) fn session_of(&self, key: u8) -> Option<u8> {
        let of_key = self.sessions.iter().find(|(other, _)| *other == key);
        of_key.map(|(_, session)| session.session)
    }

    pub(super) fn count_of_times(&self) -> u8 {
        u8::try_from(self.times.len()).unwrap()
    }

    /// Converts a time of the scene to a second.
    pub(super) fn second(&self, time: u8) -> u32 {
        BEGIN + self.times[usize::from(time)]
    }

    /// Returns the second that the clock of an actor shows.
    pub(super) fn clock(&self, actor: u8, time: u8) -> u32 {
        self.second(time)
            .saturating_add_signed(self.offsets[usize::from(actor)])
    }

    /// Returns the second that the clock of an actor shows, if the scene has only one time.
    pub(super) fn still(&self, actor: u8) -> Option<u32> {
        (self.times.len() == 1).then(|| self.clock(actor, 0))
    }

    /// Returns the largest difference between two clocks, in seconds.
    pub(super) fn spread(&self) -> u32 {
        let [least, most] = self.offsets.iter().fold([0, 0], |[least, most], &offset| {
            [offset.min(least), offset.max(most)]
        });
        most.abs_diff(least)
    }

    /// Returns the world at the beginning.
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
