//! One who plays visitors, one after the other, and keeps what is worth nothing any more to try it again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::app;
use crate::model::Seen;
use crate::op::{Done, Op, Shown, TABS};
use crate::plan;
use crate::round;
use crate::tabs::{Tab, Tokens};
use crate::tally::{Tally, count};
use crate::visitor::Visitor;
use crate::world::World;

/// How many visitors each plays at a time.
pub(crate) const VISITORS: usize = 10;
/// How many dead tokens each remembers.
const DEAD: usize = 64;
/// After how long a session that is made to expire is looked at again.
const EXPIRED: Duration = Duration::from_secs(app::BRIEF.as_secs() + 2);

pub(crate) struct Player {
    tabs: Vec<Tab>,
    visitors: Vec<Visitor>,
    dead: Vec<(String, Instant)>,
    brief: VecDeque<(String, Instant)>,
    /// The time that a request takes of this player's share of the rate.
    pace: Duration,
    due: Instant,
    pub(crate) tally: Tally,
}

impl Player {
    pub(crate) fn new(pace: Duration) -> Self {
        Self {
            tabs: Vec::new(),
            visitors: Vec::new(),
            dead: Vec::new(),
            brief: VecDeque::new(),
            pace,
            due: Instant::now(),
            tally: Tally::default(),
        }
    }

    /// Plays until it is over, and hangs up.
    pub(crate) fn play(&mut self, world: &World) {
        self.tabs = (0..TABS).map(Tab::new).collect();
        self.due = Instant::now();
        while !world.over.load(Ordering::Relaxed) {
            let before = self.tally.total();
            self.round(world);
            match fastrand::u8(..10) {
                0 => self.begin_brief(world),
                1..4 => self.replay(world),
                _ => {}
            }
            self.look_at_expired(world);
            self.rest(self.tally.total() - before);
        }
        self.tabs.clear();
    }

    /// Keeps to the rate: a wait that was missed is not made up for by more than a second's hurry.
    fn rest(&mut self, requests: u64) {
        let now = Instant::now();
        let due = self.due + self.pace * u32::try_from(requests).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(now));
        self.due = due.max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
    }

    fn round(&mut self, world: &World) {
        let Some(mut visitor) = self.visitor(world) else {
            return;
        };
        if visitor.model.piles[0].there.is_empty() && fastrand::u8(..3) == 0 {
            let planted = visitor.plant(&mut self.tabs[0], world, plan::fresh());
            if !self.note(world, &planted) {
                self.tally.left += visitor.files();
                return;
            }
        }
        let plans = plan::round(&visitor);
        let mark = visitor.model.mark.clone();
        let outcome = round::run(visitor, &mut self.tabs, world, plans);
        self.tally.rounds += 1;
        let mut logged_out = false;
        for done in &outcome.done {
            self.count(done);
            self.tally.ended += u64::from(done.op.ends_id());
            logged_out |= done.op.ends_session() && done.succeeded();
        }
        if !outcome.faults.is_empty() {
            world.report(&mark, &outcome.faults, &outcome.done);
        }
        if let Some(token) = outcome.dead {
            self.remember(token, Instant::now());
        }
        match outcome.visitor {
            Some(visitor) => self.visitors.push(visitor),
            None if logged_out => {}
            // A renewal that was not answered may leave two sessions.
            None => self.tally.left += 4,
        }
    }

    /// One of the visitors, or a new one.
    fn visitor(&mut self, world: &World) -> Option<Visitor> {
        for visitor in self
            .visitors
            .extract_if(.., |visitor| visitor.may_be_expired())
        {
            self.tally.left += visitor.files();
        }
        if self.visitors.len() >= VISITORS {
            let place = fastrand::usize(..self.visitors.len());
            return Some(self.visitors.swap_remove(place));
        }
        let (done, visitor) = Visitor::begin(&mut self.tabs[0], world, plan::mark());
        self.note(world, &done);
        self.tally.left += u64::from(visitor.is_none());
        visitor
    }

    fn begin_brief(&mut self, world: &World) {
        let op = Op::Brief { mark: plan::mark() };
        let done = self.tabs[0].run(world, op, Tokens::NONE);
        self.note(world, &done);
        self.tally.left += 1;
        if let Some(token) = done.new_token() {
            self.brief.push_back((token.to_owned(), Instant::now()));
        }
    }

    fn look_at_expired(&mut self, world: &World) {
        while self
            .brief
            .front()
            .is_some_and(|(_, begun)| begun.elapsed() > EXPIRED)
        {
            if let Some((token, _)) = self.brief.pop_front() {
                self.expect_nothing(world, Op::Read(Shown::Token), &token, "expired");
            }
        }
    }

    /// Shows a dead token again: it sees nothing, changes nothing and is given nothing.
    fn replay(&mut self, world: &World) {
        let Some((token, died)) = fastrand::choice(&self.dead).cloned() else {
            return;
        };
        // A little later a change by a dead token begins another session, as it should.
        let op = match fastrand::bool() && died.elapsed() < bsession::store::RETIRED / 2 {
            true => Op::Count,
            false => Op::Read(Shown::Token),
        };
        self.expect_nothing(world, op, &token, "dead");
    }

    fn expect_nothing(&mut self, world: &World, op: Op, token: &str, what: &str) {
        let done = self.tabs[0].run(world, op, Tokens::only(token));
        if !self.note(world, &done) {
            return;
        }
        let Some(answer) = done.answer() else { return };
        let sees = done.op == Op::Read(Shown::Token)
            && !serde_json::from_str(&answer.body).is_ok_and(|seen: Seen| seen.is_empty());
        if sees || !answer.cookies.is_empty() {
            let fault = format!("the {what} token {token} is answered with {answer:?}");
            world.report("nobody", &[fault], &[done]);
        }
    }

    fn remember(&mut self, token: String, died: Instant) {
        if self.dead.len() < DEAD {
            self.dead.push((token, died));
        } else {
            self.dead[fastrand::usize(..DEAD)] = (token, died);
        }
    }

    /// Counts a request between the rounds; whether it was done.
    fn note(&mut self, world: &World, done: &Done) -> bool {
        self.count(done);
        if !done.succeeded() && !done.excused {
            let fault = format!("{} was not answered with 200", done.op.name());
            world.report("nobody", &[fault], std::slice::from_ref(done));
        }
        done.succeeded()
    }

    fn count(&mut self, done: &Done) {
        count(&mut self.tally.requests, done.op.name());
        let answer = match done.answer() {
            Some(answer) => answer.status.to_string(),
            None if done.op.is_silent() => "none, as expected".to_owned(),
            None => "none, killed".to_owned(),
        };
        count(&mut self.tally.answers, &answer);
        self.tally.updates += u64::from(done.op.counts().is_some() && done.succeeded());
        // The lock of a killed server.
        self.tally.left += u64::from(done.op.locks() && done.answered.is_none());
    }
}
