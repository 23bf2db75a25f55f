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

/// Two to five requests a tab; in one round of six one of them ends the id.
pub(crate) fn round(visitor: &Visitor) -> Vec<Vec<Op>> {
    let mut plans: Vec<Vec<Op>> = (0..TABS)
        .map(|_| (0..fastrand::usize(2..=5)).map(|_| common()).collect())
        .collect();
    if fastrand::u8(..6) == 0 {
        let plan = &mut plans[fastrand::usize(..TABS)];
        plan.insert(fastrand::usize(..=plan.len()), ending(visitor));
    }
    plans
}

fn common() -> Op {
    let millis = fastrand::u64(1..40);
    match fastrand::u8(..100) {
        0..28 => Op::Read(Shown::Token),
        28..32 => Op::Read(Shown::BehindGarbage),
        32..35 => Op::Read(Shown::Forged),
        35..57 => Op::Count,
        57..69 => Op::Set(fresh()),
        69..79 => Op::Slow {
            millis,
            value: fresh(),
        },
        79..88 => Op::Claim,
        88..92 => Op::Fail,
        92..94 => Op::Panic,
        94..96 => Op::HangUp { whole: true },
        96..97 => Op::HangUp { whole: false },
        _ => Op::HangUpSlow {
            millis,
            value: fresh(),
        },
    }
}

fn ending(visitor: &Visitor) -> Op {
    let new_user = || Op::Login {
        user: format!("user-{}", fresh()),
        mark: mark(),
    };
    match fastrand::u8(..7) {
        0 => Op::Logout,
        1 | 2 if visitor.previous.is_some() => Op::LogoutByPrevious,
        3 => Op::Renew,
        4 if visitor.model.user.is_some() => new_user(),
        _ => Op::Login {
            user: match &visitor.model.user {
                Some(user) => user.clone(),
                None => format!("user-{}", fresh()),
            },
            mark: visitor.model.mark.clone(),
        },
    }
}
