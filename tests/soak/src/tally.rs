//! What was done and found, counted.

use std::collections::BTreeMap;

/// Counters with names, in the order of the names.
pub(crate) type Counts = BTreeMap<String, u64>;

pub(crate) fn count(counts: &mut Counts, name: &str) {
    match counts.get_mut(name) {
        Some(number) => *number += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

pub(crate) fn add(to: &mut Counts, counts: &Counts) {
    for (name, number) in counts {
        *to.entry(name.clone()).or_default() += number;
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: Counts,
    pub(crate) answers: Counts,
    /// Updates that were answered with 200.
    pub(crate) updates: u64,
    /// Rounds, of all tabs of a visitor at once.
    pub(crate) rounds: u64,
    /// Logins, renewals, logouts and revocations, each of which leaves a tombstone.
    pub(crate) ended: u64,
    /// Files left to their expiry: of each session its own, and its entry in the list of a
    /// user, and its lock.
    pub(crate) left: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        add(&mut self.requests, &other.requests);
        add(&mut self.answers, &other.answers);
        self.updates += other.updates;
        self.rounds += other.rounds;
        self.ended += other.ended;
        self.left += other.left;
    }

    pub(crate) fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}
