//! Every order of the calls of two and three processes comes to what some order of the whole
//! operations comes to.

use super::scenario::*;
use super::scheduler::in_every_order;
use super::*;

/// Runs a scenario in every order of its calls and checks each; and that whatever the operations
/// may come to was seen. Answers how many orders there are.
fn explore(scenario: &Scenario) -> usize {
    let orders = scenario.orders(None);
    let mut explaining = vec![false; orders.len()];
    let explored = in_every_order(scenario, None, |fixture, done| {
        let seen = scenario.seen(&fixture.store);
        let mut is_explained = false;
        for (order, was_seen) in orders.iter().zip(&mut explaining) {
            if order.explains(done, &seen) {
                is_explained = true;
                *was_seen = true;
            }
        }
        assert!(is_explained, "no order explains {done:#?}\n{seen:#?}");
        assert_nothing_is_moving(fixture);
        assert!(!fixture.root().join(DAMAGED).exists());
    });
    for (order, _) in orders.iter().zip(&explaining).filter(|(_, seen)| !**seen) {
        let looks_like_one = || {
            let mut seen = orders.iter().zip(&explaining).filter(|(_, seen)| **seen);
            seen.any(|(other, _)| other.looks_like(order))
        };
        assert!(
            !order.is_whole() || looks_like_one(),
            "never seen: {order:#?}"
        );
    }
    assert!(explored.orders > 1);
    println!("{} orders {} runs", explored.orders, explored.runs);
    explored.orders
}

#[test]
fn two_commits() {
    explore(&Scenario::of_one_session([
        vec![commit(later(2, 10))],
        vec![commit(later(2, 20))],
    ]));
}

#[test]
fn three_commits() {
    explore(&Scenario::of_one_session([
        vec![commit(later(2, 10))],
        vec![commit(later(2, 20))],
        vec![commit(large(2, 30))],
    ]));
}

#[test]
fn commits_that_need_larger_files() {
    explore(&Scenario::of_one_session([
        vec![commit(large(2, 10))],
        vec![commit(large(2, 20))],
    ]));
    explore(&Scenario::of_one_session([
        vec![commit(large(2, 10)), commit_over(2, 10, later(3, 11))],
        vec![commit(later(2, 20))],
    ]));
}

#[test]
fn a_commit_and_a_removal() {
    explore(&Scenario::of_one_session([
        vec![commit(later(2, 10))],
        vec![Action::Remove(ONE).into()],
    ]));
    explore(&Scenario::of_one_session([
        vec![commit(large(2, 10))],
        vec![Action::Remove(ONE).into()],
    ]));
    explore(&Scenario::of_one_session([
        vec![commit(large(2, 10))],
        vec![Action::Remove(ONE).into()],
        vec![commit(later(2, 20))],
    ]));
}

#[test]
fn a_removal_and_a_load_behind_it() {
    explore(&Scenario::of_one_session([
        vec![Action::Remove(ONE).into(), Action::Load(ONE).into()],
        vec![commit(large(2, 10)), Action::Load(ONE).into()],
    ]));
}

#[test]
fn a_commit_and_a_renewal() {
    for record in [later(2, 10), large(2, 10)] {
        explore(
            &Scenario::of_one_session([vec![commit(record)], vec![renew(TWO, 20)]]).seeing(TWO),
        );
    }
}

#[test]
fn two_renewals() {
    explore(
        &Scenario::of_one_session([vec![renew(TWO, 20)], vec![renew(THREE, 30)]])
            .seeing(TWO)
            .seeing(THREE),
    );
}

#[test]
fn a_renewal_that_is_asked_for_twice() {
    explore(&Scenario::of_one_session([vec![renew(TWO, 20)], vec![renew(TWO, 20)]]).seeing(TWO));
}

#[test]
fn a_renewal_a_removal_and_loads() {
    explore(
        &Scenario::of_one_session([
            vec![renew(TWO, 20)],
            vec![Action::Remove(ONE).into()],
            vec![Action::Load(ONE).into(), Action::Load(TWO).into()],
        ])
        .seeing(TWO),
    );
}

#[test]
fn a_commit_to_the_renewed_session() {
    explore(
        &Scenario::of_one_session([
            vec![renew(TWO, 20), commit_to(TWO, 2, 20, large(3, 21))],
            vec![Action::Remove(ONE).into()],
        ])
        .seeing(TWO),
    );
}

#[test]
fn a_touch_beside_everything() {
    for other in [
        commit(later(2, 10)),
        commit(large(2, 10)),
        Action::Remove(ONE).into(),
        renew(TWO, 20),
        touch(),
    ] {
        explore(&Scenario::of_one_session([vec![touch()], vec![other]]).seeing(TWO));
    }
}

#[test]
fn a_load_beside_everything() {
    for other in [
        vec![commit(later(2, 10)), commit_over(2, 10, later(3, 11))],
        vec![commit(large(2, 10)), commit_over(2, 10, later(3, 11))],
        vec![Action::Remove(ONE).into()],
        vec![renew(TWO, 20)],
        vec![touch(), commit(later(2, 10))],
    ] {
        let loads = vec![Action::Load(ONE).into(), Action::Load(ONE).into()];
        explore(&Scenario::of_one_session([loads, other]));
    }
}

#[test]
fn two_creations_with_one_key() {
    let nothing = |processes: [Vec<Op>; 2]| Scenario {
        before: vec![],
        ..Scenario::of_one_session(processes)
    };
    let create = |tag| Action::Create(ONE, later(1, tag)).into();
    explore(&nothing([vec![create(10)], vec![create(20)]]));
    explore(&nothing([vec![create(10)], vec![Action::Load(ONE).into()]]));
}

#[test]
fn a_change_of_the_user() {
    let user = |record: Record, n| with(record, |head| head.user = Some(user(n)));
    for record in [later(2, 10), large(2, 10)] {
        explore(&Scenario::of_one_session([
            vec![commit(user(record.clone(), 2))],
            vec![Action::Remove(ONE).into()],
        ]));
        explore(&Scenario::of_one_session([
            vec![commit(user(record.clone(), 2))],
            vec![commit(later(2, 20))],
        ]));
    }
}

/// The sweeper's clock is ahead, or it comes as late as the session's last request.
#[test]
fn a_sweep_beside_everything() {
    let sweep = || vec![Op::at(Action::Sweep, NOW + 2 * HOUR)];
    let nobodys = |record: Record| {
        with(record, |head| {
            head.user = None;
            head.expires = NOW + 4 * HOUR;
        })
    };
    let scenario = |other| Scenario {
        before: vec![Action::Create(ONE, with(first(), |head| head.user = None)).into()],
        users: vec![],
        ..Scenario::of_one_session([sweep(), other]).seeing(TWO)
    };
    for other in [
        Action::Touch(ONE, first().head.revision, NOW + 4 * HOUR),
        Action::Commit(ONE, first().head.revision, nobodys(later(2, 10))),
        Action::Commit(ONE, first().head.revision, nobodys(large(2, 10))),
        Action::Remove(ONE),
        Action::Renew(ONE, first().head.revision, TWO, nobodys(later(2, 20))),
        Action::Create(TWO, nobodys(later(1, 20))),
    ] {
        explore(&scenario(vec![other.into()]));
    }
    explore(&scenario(sweep()));
}

#[test]
fn a_sweep_beside_a_change_of_the_user() {
    let record = with(later(2, 10), |head| head.user = Some(user(2)));
    explore(&Scenario::of_one_session([
        vec![Action::Sweep.into()],
        vec![commit(record)],
    ]));
}

#[test]
fn a_logout_everywhere_beside_everything() {
    for other in [
        commit(later(2, 10)),
        commit(with(later(2, 10), |head| head.user = Some(user(2)))),
        commit(with(large(2, 10), |head| head.user = None)),
        renew(TWO, 20),
        Action::Remove(ONE).into(),
        Action::RemoveUser(user(1), Which::All).into(),
        touch(),
        Action::Create(TWO, later(1, 20)).into(),
        Action::Sweep.into(),
    ] {
        let everywhere = vec![Action::RemoveUser(user(1), Which::All).into()];
        explore(&Scenario::of_one_session([everywhere, vec![other]]).seeing(TWO));
    }
}

#[test]
fn a_revocation_beside_everything() {
    let another = with(later(1, 20), |head| head.handle = Handle([8; 12]));
    for other in [
        commit(later(2, 10)),
        commit(with(later(2, 10), |head| head.user = Some(user(2)))),
        renew(TWO, 20),
        Action::Remove(ONE).into(),
        touch(),
        Action::Create(TWO, another).into(),
    ] {
        let handle = first().head.handle;
        for which in [Which::One(handle), Which::AllBut(handle)] {
            let revocation = vec![Action::RemoveUser(user(1), which).into()];
            explore(&Scenario::of_one_session([revocation, vec![other.clone()]]).seeing(TWO));
        }
    }
}

/// The number of *interval orders* of three operations is known: if nothing of what they do
/// matters to another, there is one order of their calls for each.
#[test]
fn no_order_is_left_out_and_none_run_twice() {
    let load = || vec![Action::Load(ONE).into()];
    let scenario = Scenario {
        before: vec![],
        ..Scenario::of_one_session([load(), load(), load()])
    };
    assert_eq!(explore(&scenario), 19);
}
