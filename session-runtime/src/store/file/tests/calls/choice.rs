//! The choices on the way through a run, and those among them that lead to another outcome: *dynamic partial-order
//! reduction* by *source sets* (Abdulla et al., 2014).

use std::collections::BTreeSet;

use super::step::CallStep;

/// The processes that can go on.
pub(super) fn able(steps: &[Option<CallStep>]) -> BTreeSet<usize> {
    (0..steps.len())
        .filter(|&process| steps[process].as_ref().is_some_and(CallStep::can_go_on))
        .collect()
}

/// A place in a run where there was something to choose from.
pub(super) struct Choice {
    pub(super) steps: Vec<Option<CallStep>>,
    able: BTreeSet<usize>,
    /// Processes whose choice leads to the same as an order that was run already.
    asleep: BTreeSet<usize>,
    /// Processes whose choice may lead to another outcome.
    wanted: BTreeSet<usize>,
    pub(super) chosen: usize,
}

impl Choice {
    /// `None` if whatever is chosen was tried already.
    pub(super) fn first(steps: &[Option<CallStep>], asleep: BTreeSet<usize>) -> Option<Self> {
        let able = able(steps);
        let chosen = *able.difference(&asleep).next()?;
        Some(Self {
            steps: steps.to_vec(),
            able,
            asleep,
            wanted: [chosen].into(),
            chosen,
        })
    }

    /// The same place with another choice, if there is one.
    pub(super) fn next(mut self) -> Option<Self> {
        self.asleep.insert(self.chosen);
        self.chosen = *self.wanted.difference(&self.asleep).next()?;
        Some(self)
    }

    pub(super) fn step(&self) -> &CallStep {
        self.steps[self.chosen].as_ref().unwrap()
    }

    /// The processes that are still asleep behind it.
    pub(super) fn asleep_after(&self) -> BTreeSet<usize> {
        let is_independent = |process: &usize| {
            let step = self.steps[*process].as_ref();
            step.is_some_and(|step| !step.has_to_do_with(self.step()))
        };
        let asleep = self.asleep.iter().copied();
        asleep.filter(is_independent).collect()
    }

    /// Wants one of `others`, no matter which.
    fn want_one_of(&mut self, others: &BTreeSet<usize>) {
        if self.wanted.is_disjoint(others) {
            self.wanted.extend(others.intersection(&self.able).next());
        }
    }
}

/// Marks in a path where another choice may come to something else: where a step stands before
/// another process's step that has to do with it, and nothing between the two puts them in this
/// order. `pending` are steps that were not made.
pub(super) fn want_races_the_other_way(path: &mut [Choice], pending: &[Option<CallStep>]) {
    let made: Vec<_> = path
        .iter()
        .map(|choice| (choice.chosen, choice.step().clone()))
        .collect();
    let pending = pending.iter().cloned().enumerate();
    let pending: Vec<_> = pending
        .filter_map(|(process, step)| Some((process, step?)))
        .collect();
    // Sets of steps by their places in the path, one bit each: here those that must stand before.
    let mut before: Vec<u128> = Vec::new();
    assert!(made.len() <= 128, "a run of too many steps");
    for (index, (process, step)) in made.iter().chain(&pending).enumerate() {
        let (known, races) = look_back(&made[..index.min(made.len())], &before, *process, step);
        for place in (0..made.len()).filter(|place| races >> place & 1 == 1) {
            // What can be done without the earlier step, and then the later one.
            let free = |at: &usize| before[*at] >> place & 1 == 0;
            let free: Vec<_> = (place + 1..before.len()).filter(free).collect();
            let all = free.iter().fold(0, |all, at| all | 1 << at);
            let begins = free.iter().filter(|&&at| before[at] & all == 0);
            let mut first: BTreeSet<_> = begins.map(|&at| made[at].0).collect();
            first.extend((known & all == 0).then_some(*process));
            path[place].want_one_of(&first);
        }
        if index < made.len() {
            before.push(known);
        }
    }
}

/// The steps of `earlier` that must stand before a step, and those that are in a race with it.
fn look_back(
    earlier: &[(usize, CallStep)],
    before: &[u128],
    process: usize,
    step: &CallStep,
) -> (u128, u128) {
    let (mut known, mut races) = (0, 0);
    let own = earlier.iter().rposition(|(other, _)| *other == process);
    let known_to_own = own.map_or(0, |place| before[place] | 1 << place);
    for (place, (other, there)) in earlier.iter().enumerate().rev() {
        let meets = *other == process || step.has_to_do_with(there);
        // A lock that is held is not there to be asked for, so what is between two who ask for the
        // same one is no reason for their order.
        let reasons = match step.lock.is_some() && there.lock.is_some() {
            true => known_to_own,
            false => known,
        };
        if meets && *other != process && reasons >> place & 1 == 0 {
            races |= 1 << place;
        }
        if meets {
            known |= before[place] | 1 << place;
        }
    }
    (known, races)
}
