//! The plays: an actor after some answers. The same answers always lead to the same play, so each play is
//! computed once, by running the actor from the start.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::act::ActorEvent;
use super::actor::Actor;
use super::scene::Scene;
use super::stores::store;
use super::wire::{StoreCall, StoreReply, Wire};
use crate::store::{Ledger, StoreError};

/// An actor after some answers.
pub(super) struct Play {
    pub(super) actor: u8,
    /// The answers so far, each with the number of its call.
    pub(super) answers: Vec<(u8, StoreReply)>,
    /// The calls that wait for an answer.
    pub(super) calls: Vec<(u8, StoreCall)>,
    /// The events that the actor reported after the last answer.
    pub(super) events: Vec<ActorEvent>,
    /// The second that the actor last read from its clock.
    pub(super) clock: u32,
    pub(super) end: Option<Result<(), StoreError>>,
    next: HashMap<(u8, StoreReply), u32>,
}

/// All plays of a scene that have been reached.
pub(super) struct Plays<'s> {
    scene: &'s Scene,
    plays: Vec<Play>,
}

impl<'s> Plays<'s> {
    /// Computes the first play of each actor, which has the number of the actor.
    pub(super) fn new(scene: &'s Scene) -> Self {
        let mut plays = Vec::new();
        for actor in 0..scene.acts.len() {
            plays.push(perform(scene, u8::try_from(actor).unwrap(), Vec::new()));
        }
        Self { scene, plays }
    }

    pub(super) fn get(&self, play: u32) -> &Play {
        &self.plays[play as usize]
    }

    /// Answers one of the calls of a play, and returns the number of the play that follows.
    pub(super) fn answer(&mut self, play: u32, call: u8, reply: StoreReply) -> u32 {
        let last = self.get(play);
        if let Some(&next) = last.next.get(&(call, reply.clone())) {
            return next;
        }
        let mut answers = last.answers.clone();
        answers.push((call, reply.clone()));
        let next = perform(self.scene, last.actor, answers);
        let number = u32::try_from(self.plays.len()).unwrap();
        self.plays.push(next);
        self.plays[play as usize].next.insert((call, reply), number);
        number
    }
}

/// Runs an actor with a new ledger, and gives it these answers.
fn perform(scene: &Scene, actor: u8, answers: Vec<(u8, StoreReply)>) -> Play {
    let place = usize::from(actor);
    let wire = Arc::new(Wire::new(scene.manner, scene.keys(), scene.still(actor)));
    let hands = Actor {
        ledger: Ledger::new(store(scene.steps, &wire)),
        wire: Arc::clone(&wire),
        me: actor,
        idle: scene.idle,
    };
    let mut run: Pin<Box<dyn Future<Output = _>>> = Box::pin(hands.act(scene.acts[place]));
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = run.as_mut().poll(&mut context);
    for (call, reply) in &answers {
        assert!(poll.is_pending(), "an actor that is done is answered");
        wire.answer(*call, reply.clone());
        poll = run.as_mut().poll(&mut context);
    }
    let end = match poll {
        Poll::Ready(end) => Some(end),
        Poll::Pending => None,
    };
    let calls = wire.calls();
    assert_eq!(calls.is_empty(), end.is_some(), "an actor waits in vain");
    Play {
        actor,
        answers,
        calls,
        events: wire.events(),
        clock: wire.clock(),
        end,
        next: HashMap::new(),
    }
}
