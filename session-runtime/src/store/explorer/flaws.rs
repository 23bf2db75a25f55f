//! Stores with one defect each. The search must find the promise that the defect breaks.

use super::act::Act::{List, Purge, Sweep, Touch, Update, Visit};
use super::act::{ALL, BOTH, login, move_to, renew};
use super::manner::Flaw;
use super::scene::Scene;
use super::search::explore;
use super::stores::Steps;

#[test]
fn a_flaw_is_found() {
    let of = Scene::new;
    let flaws = [
        (
            "lacks an acknowledged update",
            of(1, &[Update(0), Update(0)]).flaw(Flaw::AnyRevision),
        ),
        (
            "brought an expired session back to life",
            of(1, &[Update(0)]).times(&[0, 41]).flaw(Flaw::Expired),
        ),
        (
            "written over a tombstone",
            of(0, &[login(0, 1, 1), ALL])
                .resends()
                .flaw(Flaw::OverTombstone),
        ),
        (
            "has an update twice",
            of(1, &[Update(0), Update(0)])
                .resends()
                .flaw(Flaw::UnprovenFound),
        ),
        (
            "live after an acknowledged removal",
            of(1, &[Purge(0), renew(0, 1)])
                .fills()
                .flaw(Flaw::FullForgets),
        ),
        // A list that is read key by key, and that loses a renewed key at once.
        (
            "live after an acknowledged revocation",
            of(1, &[ALL, renew(0, 1)]).walks(),
        ),
        (
            "outlive an acknowledged end",
            of(1, &[BOTH, move_to(2), move_to(1)]).flaw(Flaw::UserByUser),
        ),
        (
            "on no list of its user",
            of(0, &[Update(0), login(0, 1, 1)])
                .kept()
                .flaw(Flaw::UnlistsUndone),
        ),
        (
            "on no list of its user",
            of(1, &[renew(0, 1)]).apart().flaw(Flaw::ListedLast),
        ),
        (
            "an error that nothing caused",
            of(0, &[Update(0), login(0, 1, 1)]).flaw(Flaw::UndoLeavesTombstone),
        ),
        (
            "lost though nobody ended it",
            of(1, &[renew(0, 1)]).faults(1).flaw(Flaw::UndoAfterError),
        ),
        (
            "ended that was not meant",
            of(1, &[ALL, login(0, 1, 2)])
                .steps(Steps::Ends)
                .flaw(Flaw::AnybodysEnd),
        ),
        (
            "deleted what was not over",
            of(1, &[Touch(0), Sweep(1)])
                .times(&[0, 39, 41])
                .flaw(Flaw::BlindSweep),
        ),
        (
            "just retired got nothing",
            of(1, &[renew(0, 1), Visit(0), List(1)]).flaw(Flaw::ShortTombstones),
        ),
    ];
    for (expected, scene) in flaws {
        for (scene, outcome) in explore([scene]) {
            let Some((why, trace)) = outcome.broken else {
                panic!("nothing is found in {scene}");
            };
            assert!(
                why.contains(expected),
                "{scene}: {why}\n{}",
                trace.join("\n")
            );
        }
    }
}
