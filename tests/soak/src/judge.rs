//! Whether a round's answers can be, by the model and by the order in which they came.
//!
//! A request that was answered before another one was sent comes before it; those that overlap may
//! come in either order. All tabs show one token throughout the round. If one of the requests ends its
//! id, it does so at some moment between its sending and its answer.

use std::time::Instant;

use crate::model::{Model, Own, Seen};
use crate::op::{Done, Op, Shown, TABS, own_key};

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
        self.claims();
    }

    fn status(&mut self, done: &Done) {
        let name = done.op.name();
        match done.answer().map(|answer| answer.status) {
            None if done.op.is_silent() || done.excused => {}
            None => self.fault(format!("no answer to {name} from a living server")),
            Some(500) if done.op == Op::Fail => {}
            Some(200) if !matches!(done.op, Op::Fail | Op::Panic) => {}
            Some(status) => self.fault(format!("{name} was answered with {status}")),
        }
    }

    /// A login or a renewal sets one cookie, another one; a logout takes it away.
    fn new_cookie(&mut self, done: &Done) {
        let Some(answer) = done.answer().filter(|answer| answer.status == 200) else {
            return;
        };
        let right = match &answer.cookies[..] {
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
        let is_gone = self.model.gift.is_some() && seen.number("gift").is_none();
        if is_gone && self.won().count() == 0 && !self.is_gift_doubtful() {
            self.fault("the gift is gone, and nobody has it");
        }
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
            ["mark", "count", "gift"].contains(&key) || (0..TABS).any(|tab| own_key(tab) == key)
        };
        if let Some(key) = seen.data.keys().find(|key| !known(key)) {
            self.fault(format!("nobody saved the key {key:?}"));
        }
        self.counted(view, seen.number("count").unwrap_or(0));
        for tab in 0..TABS {
            self.own(view, tab, seen.number(&own_key(tab)));
        }
        self.gift(view, sent, seen.number("gift"));
    }

    fn counted(&mut self, view: View, seen: u64) {
        let (least, most) = self.count_between(view);
        if !(least..=most).contains(&seen) {
            self.fault(format!(
                "{seen} counted, between {least} and {most} expected"
            ));
        }
    }

    fn count_between(&self, view: View) -> (u64, u64) {
        let counting = || self.done.iter().filter(|done| done.op.counts());
        let surely = counting().filter(|done| done.succeeded() && done.by(view.from));
        let perhaps = counting().filter(|done| done.sent <= view.to);
        let most = self.model.doubtful.len() + perhaps.count();
        (
            self.model.count + surely.count() as u64,
            self.model.count + most as u64,
        )
    }

    /// How many updates must have been counted by then.
    pub(crate) fn least_count(&self, sent: Instant) -> u64 {
        let view = View {
            from: sent,
            to: sent,
            renewed: false,
        };
        self.count_between(view).0
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

    fn gift(&mut self, view: View, sent: Instant, seen: Option<u64>) {
        let claims = || self.done.iter().filter(|done| done.op == Op::Claim);
        let Some(value) = seen else {
            if self.model.gift.is_some()
                && !self.model.gift_doubtful
                && !claims().any(|done| done.sent <= view.to)
            {
                self.fault("the gift is gone, though nobody claimed it");
            }
            return;
        };
        if self.model.gift != Some(value) {
            self.fault(format!("the gift is {value} and not {:?}", self.model.gift));
        }
        let tried = claims().any(|done| done.succeeded() && done.by(view.from));
        let won = self.won().any(|(done, _)| done.by(sent));
        if tried || won {
            self.fault(format!("the gift {value} is there, though it was claimed"));
        }
    }

    /// The claims that got a value.
    fn won(&self) -> impl Iterator<Item = (&'r Done, u64)> {
        let claims = self.done.iter().filter(|done| done.op == Op::Claim);
        claims.filter_map(|done| {
            let got: Option<u64> = serde_json::from_str(&done.answer()?.body).ok()?;
            Some((done, got?))
        })
    }

    /// Whether a claim may have taken the gift without saying so.
    pub(crate) fn is_gift_doubtful(&self) -> bool {
        let silent = |done: &Done| done.op == Op::Claim && done.answered.is_none();
        self.model.gift_doubtful || self.done.iter().any(silent)
    }

    fn claims(&mut self) {
        let won: Vec<_> = self.won().collect();
        for &(done, value) in &won {
            if self.model.gift != Some(value) || self.phase(done) == Phase::After {
                self.fault(format!("{value} was claimed, which was not to be had"));
            }
        }
        if won.len() > 1 {
            self.fault(format!("one gift was claimed {} times", won.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::client::Answer;

    const TOKEN: &str = "token";

    /// A request, sent and answered at these milliseconds of a round.
    fn done(round: Instant, op: Op, from: u64, to: u64, body: &str) -> Done {
        let at = |millis| round + Duration::from_millis(millis);
        let cookies = match op.ends_session() {
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
        }
    }

    fn holding(count: u64) -> String {
        json!({ "user": null, "data": { "mark": "joe", "count": count } }).to_string()
    }

    const NOTHING: &str = r#"{ "user": null, "data": {} }"#;

    fn faults(gift: Option<u64>, done: &[Done]) -> usize {
        let mut model = Model::new("joe".to_owned(), None);
        model.gift = gift;
        let mut judge = Judge::new(&model, TOKEN, done);
        judge.answers();
        judge.into_faults().len()
    }

    #[test]
    fn what_was_answered_counts_and_what_overlaps_may() {
        let round = Instant::now();
        let read = |from, count| {
            let update = done(round, Op::Count, 0, 10, "");
            let read = done(round, Op::Read(Shown::Token), from, 20, &holding(count));
            faults(None, &[update, read])
        };
        assert_eq!([read(11, 0), read(11, 1), read(11, 2)], [1, 0, 1]);
        assert_eq!([read(5, 0), read(5, 1), read(5, 2)], [0, 0, 1]);
    }

    #[test]
    fn after_a_logout_there_is_nothing_and_no_cookie() {
        let round = Instant::now();
        let after = |from, body: &str, cookie: &[&str]| {
            let logout = done(round, Op::Logout, 10, 20, "");
            let mut read = done(round, Op::Read(Shown::Token), from, 30, body);
            if let Some((_, answer)) = &mut read.answered {
                answer.cookies = cookie.iter().map(|&cookie| cookie.to_owned()).collect();
            }
            faults(None, &[logout, read])
        };
        assert_eq!(after(21, NOTHING, &[]), 0);
        assert_eq!(after(21, &holding(0), &[]), 1);
        assert_eq!(after(21, NOTHING, &[TOKEN]), 1);
        assert_eq!(after(15, NOTHING, &[]), 0, "it may be before or after");
        assert_eq!(after(15, &holding(0), &[TOKEN]), 0);
        assert_eq!(after(15, NOTHING, &["other"]), 1, "but never another one");
    }

    #[test]
    fn before_a_logout_the_session_is_there() {
        let round = Instant::now();
        let logout = done(round, Op::Logout, 10, 20, "");
        let read = done(round, Op::Read(Shown::Token), 0, 5, NOTHING);
        assert_ne!(faults(None, &[logout, read]), 0);
    }

    #[test]
    fn a_gift_is_for_one() {
        let round = Instant::now();
        let claims = |bodies: [&str; 2]| {
            let claims = bodies.map(|body| done(round, Op::Claim, 0, 10, body));
            faults(Some(7), &claims)
        };
        assert_eq!(claims(["7", "null"]), 0);
        assert_eq!(claims(["7", "7"]), 1);
        assert_eq!(claims(["8", "null"]), 1);
    }
}
