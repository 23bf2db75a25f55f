//! The search through everything that can happen in a scene, depth first.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};

use tokio::runtime;

use super::act::Act;
use super::check::{ACTORS, Promises, SLACK};
use super::manner::Flaw;
use super::play::Plays;
use super::scene::Scene;
use super::trace::{CallFate, SearchStep};
use super::wire::{StoreCall, StoreReply};
use super::world::{Message, World};
use crate::store::StoreError;

/// The most states of a search. A scene with more is a mistake.
const MOST_STATES: usize = 2_000_000;

/// A state of the search: everything that decides what can still happen.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SearchState {
    world: World,
    /// The play that each actor has reached.
    plays: [u32; ACTORS],
    /// The set of the actors that have begun.
    begun: u8,
    /// The calls that were done and will be sent again, each as an actor and a number.
    resent: Vec<(u8, u8)>,
    time: u8,
    faults: u8,
    promises: Promises,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct SearchResult {
    pub(super) states: usize,
    pub(super) ends: usize,
    /// A broken promise, and the steps that led to it.
    pub(super) broken: Option<(String, Vec<String>)>,
}

/// A search under way.
struct Search<'s> {
    scene: &'s Scene,
    plays: Plays<'s>,
    seen: HashSet<u64, foldhash::fast::FixedState>,
    hasher: foldhash::fast::FixedState,
    trace: Vec<SearchStep>,
    ends: usize,
    broken: Option<(String, Vec<SearchStep>)>,
}

/// Explores scenes one after another, and prints the number of states of each.
pub(super) fn explore(scenes: impl IntoIterator<Item = Scene>) -> Vec<(Scene, SearchResult)> {
    // The answer of a store needs a runtime to be entered, though nothing uses it here.
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let _within = runtime.enter();
    let result_of = |scene: Scene| {
        let start = std::time::Instant::now();
        let result = explore_scene(&scene);
        println!("{} in {:?}: {scene}", result.states, start.elapsed());
        (scene, result)
    };
    scenes.into_iter().map(result_of).collect()
}

/// Searches through a scene. If a promise is broken, looks for the shortest way to that.
fn explore_scene(scene: &Scene) -> SearchResult {
    assert!(scene.acts.len() <= ACTORS);
    let mut search = Search {
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
    search.visit(&SearchState {
        world: scene.world(),
        plays,
        begun: 0,
        resent: Vec::new(),
        time: 0,
        faults: 0,
        promises: Promises::new(scene),
    });
    let broken = search.broken.take().map(|(why, trace)| {
        let steps = trace.iter().map(|step| step.tell(scene, &search.plays));
        (why, steps.collect())
    });
    SearchResult {
        states: search.seen.len(),
        ends: search.ends,
        broken,
    }
}

impl Search<'_> {
    /// Goes on from a state, in every possible way.
    fn visit(&mut self, state: &SearchState) {
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
                for fate in self.fates(state, (actor, number), &call) {
                    self.call(state, actor, (number, &call), fate);
                }
            }
        }
        for place in 0..state.world.flight.len() {
            is_end = false;
            self.arrive(state, place);
        }
        if self.goes_on(state) {
            let time = state.time + 1;
            let next = SearchState {
                time,
                ..state.clone()
            };
            self.go(SearchStep::Time(time), next, Ok(()));
        }
        if self.scene.loses_lists && !state.world.lost {
            let mut next = state.clone();
            next.world.lost = true;
            next.world.lists = Default::default();
            self.go(SearchStep::ListsLost, next, Ok(()));
        }
        if self.scene.fills && !state.world.full {
            let mut next = state.clone();
            next.world.full = true;
            self.go(SearchStep::Full, next, Ok(()));
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

    /// True if the time may move on. It does not jump during a sweep, because the sweep would then take new tombstones
    /// for old ones.
    fn goes_on(&self, state: &SearchState) -> bool {
        if state.time + 1 >= self.scene.count_of_times() {
            return false;
        }
        let [now, next] = [state.time, state.time + 1].map(|time| self.scene.second(time));
        let sweeps = self.scene.acts.iter().zip(state.plays);
        let mut sweeps = sweeps.filter(|(act, _)| matches!(act, Act::Sweep(_)));
        let is_between = |play: u32| {
            let calls = &self.plays.get(play).calls;
            calls
                .iter()
                .all(|(_, call)| matches!(call, StoreCall::Clock))
        };
        now.abs_diff(next) <= SLACK || sweeps.all(|(_, play)| is_between(play))
    }

    /// Returns the possible fates of a call.
    fn fates(&self, state: &SearchState, at: (u8, u8), call: &StoreCall) -> Vec<CallFate> {
        let mut fates = vec![CallFate::Done];
        let may_fail = state.faults < self.scene.faults && !matches!(call, StoreCall::Clock);
        if may_fail && !state.resent.contains(&at) {
            fates.push(CallFate::Fails);
            if call.is_write() {
                fates.extend([CallFate::ReplyLost, CallFate::DoneLater]);
            }
            if self.scene.resends && call.is_delicate() {
                fates.push(CallFate::SentAgain);
            }
        }
        fates
    }

    /// Lets a call meet its fate.
    fn call(
        &mut self,
        state: &SearchState,
        actor: u8,
        (number, call): (u8, &StoreCall),
        fate: CallFate,
    ) {
        let place = usize::from(actor);
        let play = state.plays[place];
        let second = self.scene.second(state.time);
        let mut next = state.clone();
        if next.begun >> actor & 1 == 0 {
            next.begun |= 1 << actor;
            next.promises.begin(self.scene, actor, &state.world, second);
        }
        next.faults += u8::from(fate != CallFate::Done);
        let made = self.plays.get(play).clock;
        let mut reply = match (call, fate) {
            (StoreCall::Clock, _) => StoreReply::Time(self.scene.clock(actor, state.time)),
            (_, CallFate::Fails) => StoreReply::Lost,
            (_, CallFate::DoneLater) => {
                let call = number;
                next.world.send(Message::Call { actor, play, call });
                StoreReply::Lost
            }
            _ => next.world.apply(call, &self.scene.manner),
        };
        let worlds = (&state.world, &next.world);
        let mut checked = next.promises.step(self.scene, actor, (call, made), worlds);
        next.promises.follow(self.scene, &next.world, second);
        if fate == CallFate::SentAgain {
            next.resent.push((actor, number));
            next.resent.sort_unstable();
            let (call, next_play) = (number, play);
            let step = SearchStep::Call {
                play,
                call,
                fate,
                next: next_play,
            };
            return self.go(step, next, checked);
        }
        if fate == CallFate::ReplyLost {
            reply = StoreReply::Lost;
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
            // A revocation may have ended the new key of the renewal in the meantime.
            let is_excused =
                matches!(error, StoreError::Taken) && self.scene.acts.iter().any(|act| act.ends());
            if next.faults == 0 && !next.world.full && !is_excused {
                checked = checked.and(Err(format!("an error that nothing caused: {error}")));
            }
        }
        let step = SearchStep::Call {
            play,
            call: number,
            fate,
            next: after,
        };
        self.go(step, next, checked);
    }

    /// Lets a message arrive at the store.
    fn arrive(&mut self, state: &SearchState, place: usize) {
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
        self.go(SearchStep::Arrives(message), next, checked);
    }

    /// Goes on to the next state, if it keeps the promises.
    fn go(&mut self, step: SearchStep, mut next: SearchState, checked: Result<(), String>) {
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

    /// True if a way to a broken promise is known that is not longer than this one.
    fn is_beaten(&self) -> bool {
        let known = self.broken.as_ref();
        known.is_some_and(|(_, trace)| trace.len() <= self.trace.len())
    }
}
