//! What the tabs of a visitor do in a round: dice.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::op::{Op, Shown, TABS};
use crate::visitor::Visitor;

/// A number that was never used before.
pub(crate) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A name that was never used before.
pub(crate) fn mark() -> String {
    format!("visitor-{}", fresh())
}

/// At most so many flashes wait in a session.
const FLASHES: usize = 32;
/// The most requests of a tab in a round.
const MOST: usize = 5;

/// Two to five requests a tab; in one round of six one of them ends the id.
pub(crate) fn round(visitor: &Visitor) -> Vec<Vec<Op>> {
    let flashes = &visitor.model.piles[1];
    let room = flashes.there.len() + flashes.doubtful.len() + TABS * MOST <= FLASHES;
    let mut plans: Vec<Vec<Op>> = (0..TABS)
        .map(|_| {
            (0..fastrand::usize(2..=MOST))
                .map(|_| common(room))
                .collect()
        })
        .collect();
    if fastrand::u8(..6) == 0 {
        let plan = &mut plans[fastrand::usize(..TABS)];
        plan.insert(fastrand::usize(..=plan.len()), ending(visitor));
    }
    plans
}

/// `room` says whether there is room for a flash whatever the other tabs do.
fn common(room: bool) -> Op {
    match fastrand::u8(..100) {
        0..24 => Op::Read(Shown::Token),
        24..27 => Op::Read(Shown::BehindGarbage),
        27..29 => Op::Read(Shown::Forged),
        29..37 => Op::Set(fresh()),
        37..44 => Op::Claim,
        44..49 => Op::Flashes,
        49..52 => Op::Fail,
        52..54 => Op::Panic,
        54..55 => Op::Half,
        55..61 => Op::HangUp(Box::new(change(room))),
        _ => change(room),
    }
}

/// What may be hung up, too.
fn change(room: bool) -> Op {
    match fastrand::u8(..10) {
        0..2 => Op::Slow {
            millis: fastrand::u64(1..40),
            value: fresh(),
        },
        2..4 => Op::Locked,
        4..6 if room => Op::Flash(fresh()),
        _ => Op::Count,
    }
}

fn ending(visitor: &Visitor) -> Op {
    let new_user = || format!("user-{}", fresh());
    let user = visitor.model.user.clone();
    match (fastrand::u8(..8), user) {
        (0, _) => Op::Logout,
        (1 | 2, _) if visitor.previous.is_some() => Op::LogoutByPrevious,
        (3, _) => Op::Renew,
        (4, Some(_)) => Op::Login {
            user: new_user(),
            mark: mark(),
        },
        (5 | 6, Some(user)) => Op::Revoke {
            user,
            each: fastrand::bool(),
        },
        (_, user) => Op::Login {
            user: user.unwrap_or_else(new_user),
            mark: visitor.model.mark.clone(),
        },
    }
}
