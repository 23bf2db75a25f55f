//! The promises of the ledger, which are checked after each step.

use super::act::{Act, ActorEvent, Seen};
use super::cell::{Cell, CompactSession, KEYS, Set, USERS, handle, has, members, moment};
use super::scene::Scene;
use super::wire::StoreCall;
use super::world::{World, keys_of, lives, sessions_of};
use crate::record::{RETIRED, TOMBSTONE};

/// The most actors that a scene may have.
pub(super) const ACTORS: usize = 4;
const SESSIONS: usize = 8;

/// The most seconds that a request may take. A slower request has no promise.
pub(super) const SLACK: u32 = 10;

type CheckResult = Result<(), String>;

/// A note of the state when an actor began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Begun {
    /// The keys that the actor has to end and that are still live.
    keys: Set,
    /// The sessions that the actor has to end or to show.
    sessions: Set,
    /// The sessions whose end had been acknowledged.
    over: Set,
    /// The keys whose cookies had been sent.
    known: Set,
    /// The keys that the user's sessions have had since then.
    theirs: Set,
}

/// A note of everything that was acknowledged so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Promises {
    /// The keys whose cookies were sent.
    pub(super) known: Set,
    /// The keys whose cookies were replaced.
    left: Set,
    /// The number of updates of each session, in four bits for each actor.
    updates: [u16; SESSIONS],
    removed: Set,
    /// The sessions of each user that were revoked.
    revoked: [Set; USERS],
    /// The second at which the tombstone of each key was made.
    ended: [Option<u32>; KEYS],
    begun: [Begun; ACTORS],
}

impl Promises {
    pub(super) fn new(scene: &Scene) -> Self {
        Self {
            known: scene.known(),
            left: 0,
            updates: [0; SESSIONS],
            removed: 0,
            revoked: [0; USERS],
            ended: [None; KEYS],
            begun: Default::default(),
        }
    }

    /// Notes the state when an actor begins.
    pub(super) fn begin(&mut self, scene: &Scene, actor: u8, world: &World, second: u32) {
        let mut begun = Begun::default();
        let act = scene.acts[usize::from(actor)];
        match act {
            Act::Revoke { .. } => {
                let is_meant = |(_, session): &(u8, CompactSession)| is_meant(act, session);
                begun.keys = keys_of(lives(world, second).filter(is_meant));
                begun.sessions = sessions_of(self.reached(world, second).filter(is_meant));
            }
            Act::Purge(key) => {
                begun.sessions = scene.session_of(key).map_or(0, |session| 1 << session);
                begun.keys = twins(scene, key, world, second);
            }
            Act::List(user) => {
                let is_theirs = |(_, session): &(u8, CompactSession)| session.user == user;
                begun.sessions = sessions_of(self.reached(world, second).filter(is_theirs));
                begun.over = self.removed | self.revoked[usize::from(user)];
                begun.known = self.known;
                begun.theirs = keys_of(lives(world, second).filter(is_theirs));
            }
            _ => {}
        }
        self.begun[usize::from(actor)] = begun;
    }

    /// Returns the live sessions to which the cookies that were sent lead, each with its key.
    fn reached(&self, world: &World, second: u32) -> impl Iterator<Item = (u8, CompactSession)> {
        members(self.known).filter_map(move |mut key| {
            for _ in 0..KEYS {
                match world.cells[usize::from(key)] {
                    Some(Cell::Ended {
                        successor: Some(successor),
                        ..
                    }) => key = successor,
                    _ => break,
                }
            }
            Some((key, world.live(key, second)?))
        })
    }

    /// Checks the changes that one call made.
    pub(super) fn step(
        &mut self,
        scene: &Scene,
        actor: u8,
        (call, made): (&StoreCall, u32),
        (before, after): (&World, &World),
    ) -> CheckResult {
        let act = scene.acts[usize::from(actor)];
        for key in members(scene.keys()) {
            let place = usize::from(key);
            let (old, new) = (before.cells[place], after.cells[place]);
            if old == new {
                continue;
            }
            if let Some(Cell::Ended { at, .. }) = new {
                self.ended[place] = Some(at);
            }
            let (was, is) = (old.and_then(Cell::session), new.and_then(Cell::session));
            if let (Some(was), Some(is)) = (was, is)
                && was.expires <= made
                && is.expires > made
            {
                return Err(format!("{call:?} brought an expired session back to life"));
            }
            if matches!(old, Some(Cell::Ended { .. })) && is.is_some() {
                return Err("a session was written over a tombstone".into());
            }
            match act {
                Act::Revoke { .. } if was.is_some_and(|was| !is_meant(act, &was)) => {
                    return Err("a session was ended that was not meant".into());
                }
                Act::Sweep(_) if old.is_some_and(|old| !old.entry(true).is_over(moment(made))) => {
                    return Err("a sweep deleted what was not over".into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Updates the notes of what the actors have to end or to show.
    pub(super) fn follow(&mut self, scene: &Scene, world: &World, second: u32) {
        let mut all_begun = self.begun;
        for (act, begun) in scene.acts.iter().zip(&mut all_begun) {
            match *act {
                // A session that another user has got in the meantime need not be ended.
                Act::Revoke { .. } if begun.keys != 0 => {
                    let is_meant = |(_, session): &(u8, CompactSession)| is_meant(*act, session);
                    begun.keys &= keys_of(lives(world, second).filter(is_meant));
                }
                Act::Purge(_) if begun.keys != 0 => begun.keys &= keys_of(lives(world, second)),
                Act::List(user) => {
                    let is_theirs = |(_, session): &(u8, CompactSession)| session.user == user;
                    let reached = self.reached(world, second);
                    begun.sessions &= sessions_of(reached.filter(is_theirs));
                    begun.theirs |= keys_of(lives(world, second).filter(is_theirs));
                }
                _ => {}
            }
        }
        self.begun = all_begun;
    }

    /// Notes an answer that an actor got, and checks it.
    pub(super) fn note(
        &mut self,
        scene: &Scene,
        actor: u8,
        event: ActorEvent,
        world: &World,
        (second, clock): (u32, u32),
    ) -> CheckResult {
        let begun = self.begun[usize::from(actor)];
        let act = scene.acts[usize::from(actor)];
        let is_ended = |begun: Begun| match begun.keys {
            0 => Ok(()),
            keys => Err(format!("the keys {keys:b} outlive an acknowledged end")),
        };
        match event {
            ActorEvent::Updated { session } => {
                self.updates[usize::from(session)] += 1 << (4 * actor);
            }
            ActorEvent::Sent { old, new } => {
                let of_old = old.and_then(|old| scene.session_of(old));
                if let Act::Login {
                    new: own, fresh, ..
                } = act
                    && new == fresh
                    && let Some(session) = world.live(own, second)
                    && of_old == Some(session.session)
                {
                    return Err("a login began another session beside its own renewal".into());
                }
                self.known |= 1 << new;
                self.left |= old.map_or(0, |old| 1 << old);
            }
            ActorEvent::Removed { .. } => {
                // Once its tombstone has been swept, a key leads to nothing, and the removal cannot follow it.
                let oldest = self.ended.iter().flatten().min();
                let span = seconds(TOMBSTONE) - SLACK;
                if oldest.is_none_or(|&at| second.saturating_sub(at) < span) {
                    self.removed |= begun.sessions;
                    is_ended(begun)?;
                }
            }
            ActorEvent::Revoked => {
                if let Act::Revoke { users, .. } = act {
                    for user in members(users) {
                        self.revoked[usize::from(user)] |= begun.sessions;
                    }
                }
                is_ended(begun)?;
            }
            ActorEvent::Opened { key, seen } => {
                // An actor that waited while the time moved on gets an answer for the time at which it asked.
                let is_now = clock == scene.clock(actor, scene_time(scene, second));
                if let (Seen::Nothing, Some(at), true) =
                    (seen, self.ended[usize::from(key)], is_now)
                    && second.abs_diff(at) + 2 * scene.spread() < seconds(RETIRED)
                {
                    return Err("a visitor with an id that was just retired got nothing".into());
                }
            }
            ActorEvent::Shown { sessions } => {
                let missing = begun.sessions & !sessions;
                if missing != 0 && !world.lost {
                    return Err(format!("the live sessions {missing:b} are not shown"));
                }
            }
            // During a renewal a key may be shown for a moment although nobody has its cookie.
            ActorEvent::Shows { session, key }
                if has(begun.over, session) && has(begun.known, key) =>
            {
                return Err("a session is shown that was over before".into());
            }
            ActorEvent::Shows { key, .. } if !has(begun.theirs, key) => {
                return Err("a session of somebody else is shown".into());
            }
            ActorEvent::Shows { .. } => {}
        }
        Ok(())
    }

    /// Checks the whole world after a step.
    pub(super) fn look(&self, world: &World, second: u32) -> CheckResult {
        let mut with_cookie: [Option<u8>; SESSIONS] = [None; SESSIONS];
        for (key, session) in lives(world, second) {
            let number = usize::from(session.session);
            let user = usize::from(session.user);
            if user != 0 && !has(world.lists[user], key) && !world.lost {
                return Err(format!("the live key {key} is on no list of its user"));
            }
            if !has(self.known, key) {
                continue;
            }
            if let Some(other) = with_cookie[number].replace(key) {
                return Err(format!(
                    "{other} and {key} are both live, with cookies sent"
                ));
            }
            if has(self.left, key) {
                return Err(format!("the old id {key} outlives its renewal"));
            }
            if has(self.removed, session.session) {
                return Err(format!("{key} is live after an acknowledged removal"));
            }
            if user != 0 && has(self.revoked[user], session.session) {
                return Err(format!("{key} is live after an acknowledged revocation"));
            }
            for actor in 0..ACTORS {
                let of_actor = |updates: u16| updates >> (4 * actor) & 15;
                let done = of_actor(session.data);
                if done < of_actor(self.updates[number]) {
                    return Err(format!("{key} lacks an acknowledged update"));
                }
                if done > 1 {
                    return Err(format!("{key} has an update twice"));
                }
            }
        }
        Ok(())
    }

    /// Checks the world when nothing more can happen.
    pub(super) fn end(
        &self,
        scene: &Scene,
        world: &World,
        second: u32,
        is_undisturbed: bool,
    ) -> CheckResult {
        let live = keys_of(lives(world, second));
        if is_undisturbed && live & !self.known != 0 {
            return Err("a session is left that nobody has the cookie of".into());
        }
        let takes_away = |act: &Act| act.ends() || matches!(act, Act::Sweep(_));
        if scene.count_of_times() == 1
            && !scene.acts.iter().any(takes_away)
            && !lives(world, second).any(|(_, session)| session.session == 0)
        {
            return Err("the session is lost though nobody ended it".into());
        }
        Ok(())
    }
}

fn seconds(span: std::time::Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap()
}

/// Returns the key of a session that is about to be removed, and the keys of the twins that renewals left behind.
fn twins(scene: &Scene, key: u8, world: &World, second: u32) -> Set {
    let Some(own) = world.live(key, second) else {
        return 0;
    };
    // If two actors end the session, the second does not wait for the first. A twin that was made for another
    // user is left to expire, and so is a twin that is no longer on a list.
    let ends = scene.acts.iter().filter(|act| act.ends()).count();
    let is_another = |act: &Act| act.user().is_some_and(|user| user != own.user);
    let is_lasting = scene.count_of_times() == 1 && !scene.loses_lists;
    if own.user == 0 || ends > 1 || !is_lasting || scene.acts.iter().any(is_another) {
        return 1 << key;
    }
    let is_twin = |(_, session): &(u8, CompactSession)| session.session == own.session;
    keys_of(lives(world, second).filter(is_twin))
}

/// True if the act is a revocation that includes this session.
fn is_meant(act: Act, session: &CompactSession) -> bool {
    match act {
        Act::Revoke { users, which } => {
            has(users, session.user) && which.which().includes(handle(session.session))
        }
        _ => false,
    }
}

/// Returns the time of the scene at this second.
fn scene_time(scene: &Scene, second: u32) -> u8 {
    (0..scene.count_of_times())
        .find(|&time| scene.second(time) == second)
        .unwrap()
}
