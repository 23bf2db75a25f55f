//! A look at a session while its visitor does nothing else: what is known from there on.

use std::time::Instant;

use crate::judge::Judge;
use crate::model::{Model, Seen};
use crate::op::{COUNTERS, Done, PILES, TABS, own_key};

pub(crate) struct Look {
    sent: Instant,
    answered: Instant,
    pub(crate) set_cookie: bool,
    pub(crate) seen: Seen,
}

impl Look {
    /// # Errors
    /// What is wrong with the answer.
    pub(crate) fn new(done: &Done, token: &str) -> Result<Self, String> {
        let Some((answered, answer)) = &done.answered else {
            return Err("no answer to a look from a living server".to_owned());
        };
        if answer.status != 200 || answer.cookies.iter().any(|cookie| cookie != token) {
            return Err(format!("a look at {token} is answered with {answer:?}"));
        }
        Ok(Self {
            sent: done.sent,
            answered: *answered,
            set_cookie: !answer.cookies.is_empty(),
            seen: serde_json::from_str(&answer.body).map_err(|error| error.to_string())?,
        })
    }

    /// Judges it, and gives what is known of the session from here on.
    pub(crate) fn judge(self, judge: &mut Judge<'_>) -> Model {
        judge.last_look(self.sent, self.answered, &self.seen);
        let renewed = judge.end().is_some();
        let mut model = judge.model.clone();
        model.user = self.seen.user.clone();
        let silent = || judge.done.iter().filter(|done| done.answered.is_none());
        for (which, counter) in model.counters.iter_mut().enumerate() {
            counter.count = self.seen.number(COUNTERS[which]).unwrap_or(0);
            let arrived = counter
                .count
                .saturating_sub(judge.least_count(which, self.sent));
            let counting = silent().filter(|done| done.op.counts() == Some(which));
            counter.doubtful.extend(counting.map(|done| done.sent));
            counter.doubtful.sort();
            // Whichever came through: as the youngest can come latest, they are kept.
            let arrived = usize::try_from(arrived).unwrap_or(usize::MAX);
            counter
                .doubtful
                .drain(..arrived.min(counter.doubtful.len()));
        }
        for (which, pile) in model.piles.iter_mut().enumerate() {
            pile.there = self.seen.pile(PILES[which]);
            pile.doubtful = judge.doubtful_leavings(which, &pile.there);
            pile.takers.extend(judge.silent_takers(which));
        }
        let locking = judge.done.iter().filter(|done| done.op.locks());
        model.locking.extend(locking.cloned());
        for tab in 0..TABS {
            let own = &mut model.own[tab];
            own.value = self.seen.number(&own_key(tab));
            own.doubtful.extend(judge.silent_sets(tab));
            own.doubtful.retain(|(_, value)| Some(*value) != own.value);
        }
        if renewed {
            // The old id is dead: what has not come through will not.
            let Model {
                counters,
                own,
                piles,
                locking,
                ..
            } = &mut model;
            counters
                .iter_mut()
                .for_each(|counter| counter.doubtful.clear());
            own.iter_mut().for_each(|own| own.doubtful.clear());
            for pile in piles {
                pile.doubtful.clear();
                pile.takers.clear();
            }
            locking.clear();
        }
        model
    }
}
