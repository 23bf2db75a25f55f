//! Whether a round's answers can be, by the model and by the order in which they came.
//!
//! A request that was answered before another one was sent comes before it; those that overlap may
//! come in either order. All tabs show one token throughout the round. If one of the requests ends its
//! id, it does so at some moment between its sending and its answer.

use std::time::Instant;

use crate::model::{Counter, Model, Own, Pile, Seen};
use crate::op::{COUNTERS, Done, Op, PILES, Shown, TABS, own_key};

/// How a request lies to the one that ends the id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Meanwhile,
    After,
}

/// The session as it was at some moment between two others.
#[derive(Clone, Copy)]
struct View {
    from: Instant,
    to: Instant,
    /// Whether it is by the new token that a login or a renewal gave.
    renewed: bool,
}

pub(crate) struct Judge<'r> {
    pub(crate) model: &'r Model,
    pub(crate) token: &'r str,
    pub(crate) done: &'r [Done],
    faults: Vec<String>,
}

impl<'r> Judge<'r> {
    pub(crate) fn new(model: &'r Model, token: &'r str, done: &'r [Done]) -> Self {
        Self {
            model,
            token,
            done,
            faults: Vec::new(),
        }
    }

    pub(crate) fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// The request that ends the id, if there is one in this round.
    pub(crate) fn end(&self) -> Option<&'r Done> {
        self.done.iter().find(|done| done.op.ends_id())
    }

    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    fn phase(&self, done: &Done) -> Phase {
        match self.end() {
            None => Phase::Before,
            Some(end) if done.by(end.sent) => Phase::Before,
            Some(end) if end.by(done.sent) => Phase::After,
            Some(_) => Phase::Meanwhile,
        }
    }

    /// Looks at every answer of the round.
    pub(crate) fn answers(&mut self) {
        for done in self.done {
            self.status(done);
            if done.op.ends_id() {
                self.new_cookie(done);
            } else {
                self.old_cookie(done);
            }
            if let (Op::Read(shown), Some(answer)) = (&done.op, done.answer()) {
                match serde_json::from_str::<Seen>(&answer.body) {
                    Ok(seen) => self.read(done, *shown, &seen),
                    Err(error) => self.fault(format!("no session in {:?}: {error}", answer.body)),
                }
            }
        }
        self.takings();
    }

    fn status(&mut self, done: &Done) {
        let name = done.op.name();
        match done.answer().map(|answer| answer.status) {
            None if done.op.is_silent() || done.excused => {}
            None => self.fault(format!("no answer to {name} from a living server")),
            Some(500) if done.op == Op::Fail => {}
            Some(200) if !matches!(done.op, Op::Fail | Op::Panic) => {}
            Some(503) if self.may_be_locked_for_good(done) => {}
            Some(status) => self.fault(format!("{name} was answered with {status}")),
        }
    }

    /// Whether all that it waited for may be the lock of a killed server.
    fn may_be_locked_for_good(&self, done: &Done) -> bool {
        let Some((refused, _)) = done.answered.as_ref().filter(|_| done.op.locks()) else {
            return false;
        };
        let mut locking = self.model.locking.iter().chain(self.done);
        locking.any(|other| {
            let answered = other.answered.as_ref().map(|(at, _)| *at);
            other.op.locks() && other.life.may_leave_a_lock(answered, *refused)
        })
    }

    /// A login or a renewal sets one cookie, another one; a logout takes it away; who revokes has none.
    fn new_cookie(&mut self, done: &Done) {
        let Some(answer) = done.answer().filter(|answer| answer.status == 200) else {
            return;
        };
        let right = match &answer.cookies[..] {
            cookies if !done.op.sets_cookie() => cookies.is_empty(),
            [cookie] if done.op.ends_session() => cookie.is_empty(),
            [cookie] => !cookie.is_empty() && cookie != self.token,
            _ => false,
        };
        if !right {
            let (name, cookies) = (done.op.name(), &answer.cookies);
            self.fault(format!("{name} sets {cookies:?} after {:?}", self.token));
        }
    }

    /// Every other request may send the same cookie again, as long as it lives.
    fn old_cookie(&mut self, done: &Done) {
        let Some(answer) = done.answer() else { return };
        let may_be_sent = self.phase(done) != Phase::After && done.op != Op::Read(Shown::Forged);
        let right = match &answer.cookies[..] {
            [] => true,
            [cookie] => may_be_sent && cookie == self.token,
            _ => false,
        };
        if !right {
            let (name, cookies) = (done.op.name(), &answer.cookies);
            self.fault(format!("{name} sets {cookies:?}, which it must not"));
        }
    }

    fn read(&mut self, done: &Done, shown: Shown, seen: &Seen) {
        let Some((to, _)) = done.answered else { return };
        let must_be_empty = shown == Shown::Forged || self.phase(done) == Phase::After;
        if must_be_empty {
            if !seen.is_empty() {
                self.fault(format!(
                    "{} sees {seen:?} without a session",
                    done.op.name()
                ));
            }
        } else if !(seen.is_empty() && self.phase(done) == Phase::Meanwhile) {
            let view = View {
                from: done.sent,
                to,
                renewed: false,
            };
            self.holds(view, done.sent, seen);
        }
    }

    /// The look after the round, when nothing is under way but what was hung up.
    pub(crate) fn last_look(&mut self, sent: Instant, answered: Instant, seen: &Seen) {
        let view = match self
            .end()
            .and_then(|end| Some((end, end.answered.as_ref()?)))
        {
            // What was saved when the id ended is all that the new one has.
            Some((end, (at, _))) => View {
                from: end.sent,
                to: *at,
                renewed: true,
            },
            None => View {
                from: sent,
                to: answered,
                renewed: false,
            },
        };
        self.holds(view, sent, seen);
    }

    /// Whether a session that lives holds what it must and nothing else.
    ///
    /// `sent` is when the request was sent that saw it.
    fn holds(&mut self, view: View, sent: Instant, seen: &Seen) {
        let expected = match self.end().map(|end| &end.op) {
            Some(Op::Login { user, .. }) if view.renewed => Some(user.clone()),
            _ => self.model.user.clone(),
        };
        if seen.user != expected {
            self.fault(format!("the user is {:?} and not {expected:?}", seen.user));
        }
        if seen.data.get("mark").and_then(|mark| mark.as_str()) != Some(&self.model.mark) {
            self.fault(format!("not {}'s session: {seen:?}", self.model.mark));
        }
        let known = |key: &str| {
            key == "mark"
                || COUNTERS.contains(&key)
                || PILES.contains(&key)
                || (0..TABS).any(|tab| own_key(tab) == key)
        };
        if let Some(key) = seen.data.keys().find(|key| !known(key)) {
            self.fault(format!("nobody saved the key {key:?}"));
        }
        for (which, key) in COUNTERS.iter().enumerate() {
            self.counted(view, which, seen.number(key).unwrap_or(0));
        }
        for tab in 0..TABS {
            self.own(view, tab, seen.number(&own_key(tab)));
        }
        for (which, key) in PILES.iter().enumerate() {
            self.piled(view, sent, which, &seen.pile(key));
        }
    }

    fn counted(&mut self, view: View, which: usize, seen: u64) {
        let (least, most) = self.count_between(which, view);
        if !(least..=most).contains(&seen) {
            let key = COUNTERS[which];
            self.fault(format!(
                "{key} is {seen}, between {least} and {most} expected"
            ));
        }
    }

    fn count_between(&self, which: usize, view: View) -> (u64, u64) {
        let Counter { count, doubtful } = &self.model.counters[which];
        let counting = || {
            let done = self.done.iter();
            done.filter(|done| done.op.counts() == Some(which))
        };
        let surely = counting().filter(|done| done.succeeded() && done.by(view.from));
        let perhaps = counting().filter(|done| done.sent <= view.to);
        let most = doubtful.len() + perhaps.count();
        (count + surely.count() as u64, count + most as u64)
    }

    /// How much must have been counted by then.
    pub(crate) fn least_count(&self, which: usize, sent: Instant) -> u64 {
        let view = View {
            from: sent,
            to: sent,
            renewed: false,
        };
        self.count_between(which, view).0
    }

    fn own(&mut self, view: View, tab: usize, seen: Option<u64>) {
        let Own { value, doubtful } = &self.model.own[tab];
        let mut may_be = vec![*value];
        may_be.extend(doubtful.iter().map(|(_, value)| Some(*value)));
        for done in self.done.iter().filter(|done| done.tab == tab) {
            let Some(value) = done.op.sets().filter(|_| done.sent <= view.to) else {
                continue;
            };
            if done.succeeded() && done.by(view.from) {
                // Those without an answer may still come.
                let silent = self.silent_sets(tab).filter(|(sent, _)| *sent <= done.sent);
                may_be = silent.map(|(_, value)| Some(value)).collect();
                may_be.extend(doubtful.iter().map(|(_, value)| Some(*value)));
            }
            may_be.push(Some(value));
        }
        if !may_be.contains(&seen) {
            self.fault(format!(
                "{} is {seen:?}, one of {may_be:?} expected",
                own_key(tab)
            ));
        }
    }

    /// What requests of a tab that were not answered set its key to.
    pub(crate) fn silent_sets(&self, tab: usize) -> impl Iterator<Item = (Instant, u64)> + 'r {
        self.done
            .iter()
            .filter(move |done| done.tab == tab && done.answered.is_none())
            .filter_map(|done| Some((done.sent, done.op.sets()?)))
    }

    /// Whether a pile has what was left and nobody has taken, and nothing else.
    fn piled(&mut self, view: View, sent: Instant, which: usize, seen: &[u64]) {
        let key = PILES[which];
        for value in seen {
            if !self.may_be_left(which, *value, view.to) {
                self.fault(format!("nobody left {value} in {key}"));
            }
            // Whoever took all that was there, and not this one, came after somebody who has it.
            let is_taken = self.takers(which).any(|taker| {
                let missed = self.is_left(which, *value, taker.sent) && taker.by(view.from);
                taker.succeeded() && (missed || taker.by(sent) && taker.taken().contains(value))
            });
            if is_taken {
                self.fault(format!("{value} is in {key}, though it was taken"));
            }
        }
        let Pile { there, takers, .. } = &self.model.piles[which];
        let left = self.left(which).map(|(_, value)| value);
        for value in there.iter().copied().chain(left) {
            let may_be_taken = !takers.is_empty()
                || self.takers(which).any(|taker| {
                    let took = taker.answered.is_none() || taker.taken().contains(&value);
                    took && taker.sent <= view.to
                });
            if self.is_left(which, value, view.from) && !seen.contains(&value) && !may_be_taken {
                self.fault(format!("{value} is gone from {key}, and nobody has it"));
            }
        }
    }

    fn takers(&self, which: usize) -> impl Iterator<Item = &'r Done> + use<'r> {
        let done = self.done.iter();
        done.filter(move |done| done.op.takes() == Some(which))
    }

    fn left(&self, which: usize) -> impl Iterator<Item = (&'r Done, u64)> + use<'r> {
        self.done.iter().filter_map(move |done| {
            let (pile, value) = done.op.leaves()?;
            (pile == which).then_some((done, value))
        })
    }

    /// Whether it was there at this moment, unless it was taken.
    fn is_left(&self, which: usize, value: u64, by: Instant) -> bool {
        let left = |(done, other): (&Done, u64)| other == value && done.succeeded() && done.by(by);
        self.model.piles[which].there.contains(&value) || self.left(which).any(left)
    }

    fn may_be_left(&self, which: usize, value: u64, by: Instant) -> bool {
        let Pile {
            there, doubtful, ..
        } = &self.model.piles[which];
        there.contains(&value)
            || doubtful.iter().any(|(_, other)| *other == value)
            || self
                .left(which)
                .any(|(done, other)| other == value && done.sent <= by)
    }

    /// What was taken is for one, and was to be had.
    fn takings(&mut self) {
        for which in 0..PILES.len() {
            let mut taken = Vec::new();
            for taker in self.takers(which) {
                let Some((at, _)) = taker.answered else {
                    continue;
                };
                for value in taker.taken() {
                    if self.phase(taker) == Phase::After || !self.may_be_left(which, value, at) {
                        self.fault(format!("{value} was taken, which was not to be had"));
                    }
                    if taken.contains(&value) {
                        self.fault(format!("{value} was taken more than once"));
                    }
                    taken.push(value);
                }
            }
        }
    }

    /// What requests without an answer left that has neither been seen nor taken.
    pub(crate) fn doubtful_leavings(&self, which: usize, there: &[u64]) -> Vec<(Instant, u64)> {
        let silent = self.left(which).filter(|(done, _)| done.answered.is_none());
        let silent = silent.map(|(done, value)| (done.sent, value));
        let before = self.model.piles[which].doubtful.iter().copied();
        let is_gone = |value| {
            self.takers(which)
                .any(|taker| taker.taken().contains(&value))
        };
        let came = |value| there.contains(&value) || is_gone(value);
        before
            .chain(silent)
            .filter(|(_, value)| !came(*value))
            .collect()
    }

    /// When requests without an answer were sent that may have taken what is there.
    pub(crate) fn silent_takers(&self, which: usize) -> impl Iterator<Item = Instant> {
        let silent = self.takers(which).filter(|taker| taker.answered.is_none());
        silent.map(|taker| taker.sent)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::client::Answer;
    use crate::fleet::Life;

    const TOKEN: &str = "token";
    const LEASE: Duration = Duration::from_secs(30);

    const READ: Op = Op::Read(Shown::Token);

    fn life(lease: Duration) -> Life {
        Life::new(0, ([127, 0, 0, 1], 80).into(), lease)
    }

    /// A request, sent and answered at these milliseconds of a round.
    fn done(round: Instant, op: Op, from: u64, to: u64, body: &str) -> Done {
        let at = |millis| round + Duration::from_millis(millis);
        let cookies = match op.ends_session() && op.sets_cookie() {
            true => vec![String::new()],
            false => Vec::new(),
        };
        let answer = Answer {
            status: 200,
            cookies,
            body: body.to_owned(),
        };
        Done {
            tab: 0,
            op,
            sent: at(from),
            answered: Some((at(to), answer)),
            excused: false,
            life: life(LEASE),
        }
    }

    fn holding(key: &str, count: impl Serialize) -> String {
        json!({ "user": null, "data": { "mark": "joe", key: count } }).to_string()
    }

    const NOTHING: &str = r#"{ "user": null, "data": {} }"#;

    fn faults(gift: Option<u64>, done: &[Done]) -> usize {
        let mut model = Model::new("joe".to_owned(), None);
        model.piles[0].there.extend(gift);
        let mut judge = Judge::new(&model, TOKEN, done);
        judge.answers();
        judge.into_faults().len()
    }

    #[test]
    fn what_was_answered_counts_and_what_overlaps_may() {
        let round = Instant::now();
        for (op, key) in [(Op::Count, "count"), (Op::Locked, "locked")] {
            let read = |from, count| {
                let update = done(round, op.clone(), 0, 10, "");
                let read = done(round, READ, from, 20, &holding(key, count));
                faults(None, &[update, read])
            };
            assert_eq!([read(11, 0), read(11, 1), read(11, 2)], [1, 0, 1], "{key}");
            assert_eq!([read(5, 0), read(5, 1), read(5, 2)], [0, 0, 1], "{key}");
        }
    }

    /// A request that found the session locked, until this second, when the server that had locked it was
    /// killed in the first one.
    fn locked_until(second: u64, by: Done) -> usize {
        let killed = by.sent + Duration::from_secs(1);
        let by = Done {
            life: by.life.clone().killed_at(killed),
            ..by
        };
        let from = 1000 * (second - 10);
        let mut refused = done(by.sent, Op::Locked, from, 1000 * second, "");
        if let Some((_, answer)) = &mut refused.answered {
            answer.status = 503;
        }
        faults(None, &[by, refused])
    }

    #[test]
    fn a_lock_outlives_a_killed_server_for_a_lease_and_no_longer() {
        let round = Instant::now();
        let silent = || {
            let lock = done(round, Op::Locked, 0, 10, "");
            Done {
                answered: None,
                excused: true,
                ..lock
            }
        };
        assert_eq!(locked_until(31, silent()), 0);
        assert_eq!(locked_until(32, silent()), 1);
        let in_files = || Done {
            life: life(Duration::ZERO),
            ..silent()
        };
        assert_eq!(locked_until(11, in_files()), 1, "the kernel gives it back");
        let answered = |at| done(round, Op::Locked, 0, at, "");
        assert_eq!(locked_until(31, answered(999)), 0, "not given back yet");
        assert_eq!(
            locked_until(31, done(round, Op::Count, 0, 999, "")),
            1,
            "of no lock"
        );
    }

    #[test]
    fn a_lock_of_a_server_that_lives_is_given_back() {
        let round = Instant::now();
        let lock = Op::Locked;
        let gone = done(round, Op::HangUp(Box::new(lock.clone())), 0, 10, "");
        let mut refused = done(round, lock, 0, 10_000, "");
        if let Some((_, answer)) = &mut refused.answered {
            answer.status = 503;
        }
        assert_eq!(faults(None, &[gone, refused]), 1);
    }

    #[test]
    fn after_a_logout_there_is_nothing_and_no_cookie() {
        let round = Instant::now();
        for end in [Op::Logout, revocation()] {
            after_the_end(round, &end);
        }
    }

    fn revocation() -> Op {
        Op::Revoke {
            user: "joe".to_owned(),
            each: true,
        }
    }

    fn after_the_end(round: Instant, end: &Op) {
        let after = |from, body: &str, cookie: &[&str]| {
            let logout = done(round, end.clone(), 10, 20, "");
            let mut read = done(round, READ, from, 30, body);
            if let Some((_, answer)) = &mut read.answered {
                answer.cookies = cookie.iter().map(|&cookie| cookie.to_owned()).collect();
            }
            faults(None, &[logout, read])
        };
        assert_eq!(after(21, NOTHING, &[]), 0);
        assert_eq!(after(21, &holding("count", 0), &[]), 1);
        assert_eq!(after(21, NOTHING, &[TOKEN]), 1);
        assert_eq!(after(15, NOTHING, &[]), 0, "it may be before or after");
        assert_eq!(after(15, &holding("count", 0), &[TOKEN]), 0);
        assert_eq!(after(15, NOTHING, &["other"]), 1, "but never another one");
    }

    #[test]
    fn before_a_logout_the_session_is_there() {
        let round = Instant::now();
        let logout = done(round, Op::Logout, 10, 20, "");
        let read = done(round, READ, 0, 5, NOTHING);
        assert_ne!(faults(None, &[logout, read]), 0);
    }

    #[test]
    fn whoever_revokes_has_no_cookie_to_take_away() {
        let mut revocation = done(Instant::now(), revocation(), 0, 10, "");
        if let Some((_, answer)) = &mut revocation.answered {
            answer.cookies.push(String::new());
        }
        assert_eq!(faults(None, &[revocation]), 1);
    }

    #[test]
    fn a_gift_is_for_one() {
        let round = Instant::now();
        let claims = |bodies: [&str; 2]| {
            let claims = bodies.map(|body| done(round, Op::Claim, 0, 10, body));
            faults(Some(7), &claims)
        };
        assert_eq!(claims(["[7]", "[]"]), 0);
        assert_eq!(claims(["[7]", "[7]"]), 1);
        assert_eq!(claims(["[8]", "[]"]), 1);
    }

    /// A look at flashes with these texts, after two that were left at once, and what was taken meanwhile.
    fn look(taken: &[(u64, u64, &str)], there: &[&str]) -> usize {
        let round = Instant::now();
        let mut all = vec![
            done(round, Op::Flash(1), 0, 10, ""),
            done(round, Op::Flash(2), 5, 15, ""),
        ];
        let takers = taken.iter();
        all.extend(takers.map(|&(from, to, body)| done(round, Op::Flashes, from, to, body)));
        let flashes: Vec<_> = there.iter().map(|text| json!({ "text": text })).collect();
        all.push(done(round, READ, 50, 60, &holding("flashes", flashes)));
        faults(None, &all)
    }

    #[test]
    fn flashes_that_nobody_took_are_there() {
        assert_eq!(look(&[], &["1", "2"]), 0);
        assert_eq!(look(&[], &["1"]), 1);
        assert_eq!(look(&[], &["1", "2", "3"]), 1, "nobody left it");
        assert_eq!(look(&[(30, 40, "[1,2]")], &[]), 0);
        assert_eq!(look(&[(30, 40, "[1]")], &[]), 1, "nobody has the other one");
        assert_eq!(
            look(&[(55, 70, "[1,2]")], &["1", "2"]),
            0,
            "before or after"
        );
        assert_eq!(look(&[(55, 70, "[1,2]")], &[]), 0);
        assert_eq!(look(&[(61, 70, "[1,2]")], &[]), 2, "it came later");
    }

    #[test]
    fn a_flash_is_shown_once() {
        assert_eq!(look(&[(0, 20, "[1]"), (0, 20, "[2]")], &[]), 0);
        assert_eq!(look(&[(0, 20, "[1,2]"), (0, 20, "[2]")], &[]), 1);
        assert_eq!(look(&[(30, 40, "[1,2]")], &["1"]), 1, "it was taken");
        assert_eq!(look(&[(0, 20, "[1,2]")], &["1"]), 1, "the same");
        assert_eq!(
            look(&[(30, 40, "[]")], &["1", "2"]),
            2,
            "all are taken at once"
        );
        assert_eq!(
            look(&[(12, 40, "[1]")], &["2"]),
            0,
            "it may have come later"
        );
        assert_eq!(look(&[(0, 20, "[1,2,3]")], &[]), 1, "nobody left it");
    }

    #[test]
    fn a_request_without_an_answer_may_take_flashes_or_leave_some() {
        let round = Instant::now();
        let read = |silent: Op, there: &str| {
            let mut silent = done(round, silent, 0, 10, "");
            (silent.answered, silent.excused) = (None, true);
            let flashes = json!([{ "text": there }]);
            let left = done(round, Op::Flash(1), 0, 10, "");
            let read = done(round, READ, 20, 30, &holding("flashes", flashes));
            faults(None, &[silent, left, read])
        };
        assert_eq!([read(Op::Flashes, "1"), read(Op::Flashes, "")], [0, 0]);
        assert_eq!([read(Op::Flash(2), "1"), read(Op::Flash(2), "2")], [0, 1]);
    }
}
