//! The search through all that may happen in a scene, depth first.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};

use super::act::Act;
use super::check::{ACTORS, Promises, SLACK};
use super::manner::Flaw;
use super::play::Plays;
use super::scene::Scene;
use super::trace::{How, Step};
use super::wire::{Call, Reply};
use super::world::{Message, World};
use crate::store::StoreError;

/// A search that has come so far without an end is a mistake in the scene.
const MOST_STATES: usize = 2_000_000;

/// All that decides what can happen from here on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    world: World,
    /// The place where each actor stands.
    plays: [u32; ACTORS],
    /// The actors that have begun.
    begun: u8,
    /// The calls that were done and are sent again.
    resent: Vec<(u8, u8)>,
    time: u8,
    faults: u8,
    promises: Promises,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) states: usize,
    pub(super) ends: usize,
    /// A broken promise, and how it came to that.
    pub(super) broken: Option<(String, Vec<String>)>,
}

struct Run<'s> {
    scene: &'s Scene,
    plays: Plays<'s>,
    seen: HashSet<u64, foldhash::fast::FixedState>,
    hasher: foldhash::fast::FixedState,
    trace: Vec<Step>,
    ends: usize,
    broken: Option<(String, Vec<Step>)>,
}

/// Searches through a scene, to the end or to the first broken promise.
pub(super) fn explore(scene: &Scene) -> Outcome {
    assert!(scene.acts.len() <= ACTORS);
    let mut run = Run {
        scene,
        plays: Plays::new(scene),
        seen: HashSet::default(),
        hasher: foldhash::fast::FixedState::default(),
        trace: Vec::new(),
        ends: 0,
        broken: None,
    };
    let mut plays = [0; ACTORS];
    (0..).zip(&mut plays).for_each(|(at, play)| *play = at);
    run.visit(&State {
        world: scene.world(),
        plays,
        begun: 0,
        resent: Vec::new(),
        time: 0,
        faults: 0,
        promises: Promises::new(scene),
    });
    let broken = run.broken.take().map(|(why, trace)| {
        let steps = trace.iter().map(|step| step.tell(scene, &run.plays));
        (why, steps.collect())
    });
    Outcome {
        states: run.seen.len(),
        ends: run.ends,
        broken,
    }
}

impl Run<'_> {
    /// Goes on from a state in every way that there is.
    fn visit(&mut self, state: &State) {
        if self.is_beaten() || !self.seen.insert(self.hasher.hash_one(state)) {
            return;
        }
        assert!(self.seen.len() < MOST_STATES, "{}", self.scene);
        let mut is_end = true;
        for actor in 0..self.scene.acts.len() {
            let cookie = self.scene.acts[actor].cookie();
            let actor = u8::try_from(actor).unwrap();
            let has_begun = state.begun >> actor & 1 == 1;
            if !has_begun && cookie.is_some_and(|key| state.promises.known >> key & 1 == 0) {
                continue;
            }
            for place in 0.. {
                let play = self.plays.get(state.plays[usize::from(actor)]);
                let Some(&(number, call)) = play.calls.get(place) else {
                    break;
                };
                is_end = false;
                for how in self.ways(state, (actor, number), &call) {
                    self.call(state, actor, (number, &call), how);
                }
            }
        }
        for place in 0..state.world.flight.len() {
            is_end = false;
            self.arrive(state, place);
        }
        if self.goes_on(state) {
            let time = state.time + 1;
            let next = State {
                time,
                ..state.clone()
            };
            self.go(Step::Time(time), next, Ok(()));
        }
        if self.scene.loses_lists && !state.world.lost {
            let mut next = state.clone();
            next.world.lost = true;
            next.world.lists = Default::default();
            self.go(Step::ListsLost, next, Ok(()));
        }
        if self.scene.fills && !state.world.full {
            let mut next = state.clone();
            next.world.full = true;
            self.go(Step::Full, next, Ok(()));
        }
        if is_end {
            self.ends += 1;
            let is_undisturbed = state.faults == 0 && !state.world.full;
            let second = self.scene.second(state.time);
            let promises = &state.promises;
            if let Err(why) = promises.end(self.scene, &state.world, second, is_undisturbed) {
                self.fail(why);
            }
        }
    }

    /// True if the time may go on. It does not jump during a sweep, which would then take new
    /// tombstones for old ones.
    fn goes_on(&self, state: &State) -> bool {
        if state.time + 1 >= self.scene.count_of_times() {
            return false;
        }
        let [now, next] = [state.time, state.time + 1].map(|time| self.scene.second(time));
        let sweeps = self.scene.acts.iter().zip(state.plays);
        let mut sweeps = sweeps.filter(|(act, _)| matches!(act, Act::Sweep(_)));
        let is_between = |play: u32| {
            let calls = &self.plays.get(play).calls;
            calls.iter().all(|(_, call)| matches!(call, Call::Clock))
        };
        now.abs_diff(next) <= SLACK || sweeps.all(|(_, play)| is_between(play))
    }

    /// The ways in which a call may happen.
    fn ways(&self, state: &State, at: (u8, u8), call: &Call) -> Vec<How> {
        let mut ways = vec![How::Done];
        let may_fail = state.faults < self.scene.faults && !matches!(call, Call::Clock);
        if may_fail && !state.resent.contains(&at) {
            ways.push(How::Fails);
            if call.is_write() {
                ways.extend([How::ReplyLost, How::DoneLater]);
            }
            if self.scene.resends && call.is_delicate() {
                ways.push(How::SentAgain);
            }
        }
        ways
    }

    fn call(&mut self, state: &State, actor: u8, (number, call): (u8, &Call), how: How) {
        let place = usize::from(actor);
        let play = state.plays[place];
        let second = self.scene.second(state.time);
        let mut next = state.clone();
        if next.begun >> actor & 1 == 0 {
            next.begun |= 1 << actor;
            next.promises.begin(self.scene, actor, &state.world, second);
        }
        next.faults += u8::from(how != How::Done);
        let made = self.plays.get(play).clock;
        let mut reply = match (call, how) {
            (Call::Clock, _) => Reply::Time(self.scene.clock(actor, state.time)),
            (_, How::Fails) => Reply::Lost,
            (_, How::DoneLater) => {
                let call = number;
                next.world.send(Message::Call { actor, play, call });
                Reply::Lost
            }
            _ => next.world.apply(call, &self.scene.manner),
        };
        let worlds = (&state.world, &next.world);
        let mut checked = next.promises.step(self.scene, actor, (call, made), worlds);
        next.promises.follow(self.scene, &next.world, second);
        if how == How::SentAgain {
            next.resent.push((actor, number));
            next.resent.sort_unstable();
            let (call, next_play) = (number, play);
            let step = Step::Call {
                play,
                call,
                how,
                next: next_play,
            };
            return self.go(step, next, checked);
        }
        if how == How::ReplyLost {
            reply = Reply::Lost;
        }
        if let Some(at) = next.resent.iter().position(|&it| it == (actor, number)) {
            next.resent.remove(at);
            if !self.scene.manner.is_flawed(Flaw::UnprovenFound) {
                reply = reply.of_resent(call);
            }
        }
        let after = self.plays.answer(play, number, reply);
        next.plays[place] = after;
        let reached = self.plays.get(after);
        for event in reached.events.clone() {
            let times = (second, reached.clock);
            let noted = next
                .promises
                .note(self.scene, actor, event, &next.world, times);
            checked = checked.and(noted);
        }
        if let Some(Err(error)) = &reached.end {
            // A revocation may have ended the new key of a renewal meanwhile.
            let is_excused =
                matches!(error, StoreError::Taken) && self.scene.acts.iter().any(|act| act.ends());
            if next.faults == 0 && !next.world.full && !is_excused {
                checked = checked.and(Err(format!("an error that nothing caused: {error}")));
            }
        }
        let step = Step::Call {
            play,
            call: number,
            how,
            next: after,
        };
        self.go(step, next, checked);
    }

    /// Lets a message arrive.
    fn arrive(&mut self, state: &State, place: usize) {
        let mut next = state.clone();
        let message = next.world.flight.remove(place);
        let mut checked = Ok(());
        match message {
            Message::Unlist { user, key } => {
                next.world.lists[usize::from(user)] &= !(1 << key);
            }
            Message::Call { actor, play, call } => {
                let play = self.plays.get(play);
                let (_, call) = play.calls.iter().find(|it| it.0 == call).unwrap();
                next.world.apply(call, &self.scene.manner);
                let worlds = (&state.world, &next.world);
                checked = next
                    .promises
                    .step(self.scene, actor, (call, play.clock), worlds);
            }
        }
        self.go(Step::Arrives(message), next, checked);
    }

    /// Goes to the next state, if it keeps the promises.
    fn go(&mut self, step: Step, mut next: State, checked: Result<(), String>) {
        self.trace.push(step);
        let second = self.scene.second(next.time);
        next.promises.follow(self.scene, &next.world, second);
        let looked = next.promises.look(&next.world, second);
        match checked.and(looked) {
            Ok(()) => self.visit(&next),
            Err(why) => self.fail(why),
        }
        self.trace.pop();
    }

    fn fail(&mut self, why: String) {
        if !self.is_beaten() {
            self.broken = Some((why, self.trace.clone()));
        }
    }

    /// True if a shorter way to a broken promise is known.
    fn is_beaten(&self) -> bool {
        let known = self.broken.as_ref();
        known.is_some_and(|(_, trace)| trace.len() <= self.trace.len())
    }
}
