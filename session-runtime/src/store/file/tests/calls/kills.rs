//! A process that is killed before each of its calls, or in the middle of a write: alone, and in
//! every order with another one that lives on.

use super::scenario::*;
use super::scheduler::{Explored, Kill, in_every_order};
use super::*;
use crate::record::TOMBSTONE;

/// Kills the first process of a scenario before each of its calls, and in each of its writes
/// behind so many bytes.
fn kill(scenario: &Scenario, torn: impl Fn(usize) -> usize) -> usize {
    let mut kills = 0;
    for call in 0.. {
        let killed = explore(scenario, call, None).killed;
        if killed == 0 {
            break;
        }
        kills += killed;
        kills += (0..)
            .map(|n| explore(scenario, call, Some(torn(n))).killed)
            .take_while(|killed| *killed > 0)
            .sum::<usize>();
    }
    println!("{kills} kills");
    assert!(kills > 0);
    kills
}

fn explore(scenario: &Scenario, call: usize, written: Option<usize>) -> Explored {
    let kill = Kill {
        process: 0,
        call,
        written,
    };
    let orders = scenario.orders(Some(kill.process));
    in_every_order(scenario, Some(kill), |fixture, done| {
        let seen = scenario.seen(&fixture.store);
        let explains = |order: &Order| order.explains(done, &seen);
        assert!(
            orders.iter().any(explains),
            "no order explains {done:#?}\n{seen:#?}"
        );
        assert_life_goes_on(fixture, scenario);
    })
}

/// Lengths at which a write over an old half can stop: any.
fn anywhere(n: usize) -> usize {
    n
}

fn alone(op: Op, torn: impl Fn(usize) -> usize) -> usize {
    kill(&Scenario::of_one_session([vec![op]]).seeing(TWO), torn)
}

#[test]
fn alone_in_a_commit() {
    assert!(alone(commit(later(2, 10)), anywhere) > 100);
    assert!(alone(commit(large(2, 10)), between_sectors) > 20);
    let others = with(later(2, 10), |head| head.user = Some(user(2)));
    assert!(alone(commit(others), anywhere) > 100);
}

#[test]
fn alone_in_a_touch() {
    assert!(alone(touch(), anywhere) > 20);
}

#[test]
fn alone_in_a_creation() {
    for record in [later(1, 20), large(1, 20)] {
        alone(Action::Create(TWO, record).into(), between_sectors);
    }
}

#[test]
fn alone_in_a_renewal() {
    alone(renew(TWO, 20), between_sectors);
}

#[test]
fn alone_in_a_removal() {
    alone(Action::Remove(ONE).into(), between_sectors);
}

#[test]
fn alone_in_a_logout_everywhere() {
    let two = Scenario {
        before: vec![
            Action::Create(ONE, first()).into(),
            Action::Create(TWO, later(1, 20)).into(),
        ],
        ..Scenario::of_one_session([vec![Action::RemoveUser(user(1), Which::All).into()]])
    };
    kill(&two.seeing(TWO), between_sectors);
}

#[test]
fn alone_in_a_sweep() {
    alone(Op::at(Action::Sweep, NOW + 2 * HOUR), between_sectors);
    let removed = Scenario {
        before: vec![
            Action::Create(ONE, first()).into(),
            Action::Remove(ONE).into(),
        ],
        ..Scenario::of_one_session([vec![Op::at(Action::Sweep, NOW + TOMBSTONE)]])
    };
    kill(&removed, between_sectors);
}

#[test]
fn beside_one_that_lives_on() {
    let mut kills = 0;
    for killed in [
        commit(large(2, 10)),
        renew(TWO, 20),
        Action::Remove(ONE).into(),
        Action::RemoveUser(user(1), Which::All).into(),
    ] {
        for lives in [
            commit(large(2, 30)),
            renew(THREE, 30),
            Action::Remove(ONE).into(),
            Action::Load(ONE).into(),
        ] {
            let scenario = Scenario::of_one_session([vec![killed.clone()], vec![lives]]);
            kills += kill(&scenario.seeing(TWO).seeing(THREE), between_sectors);
        }
    }
    assert!(kills > 500, "{kills}");
}
