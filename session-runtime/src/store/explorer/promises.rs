//! Scenes over stores that keep the contract. The ledger must keep every promise in them.

use super::act::Act::{self, Create, List, LoginTwice, Purge, Sweep, Touch, Update, Visit};
use super::act::{ALL, BOTH, all_but, login, move_to, only, renew};
use super::manner::Unlists;
use super::scene::Scene;
use super::search::explore;
use super::stores::Steps;

/// Explores scenes, and expects that every promise is kept and that at least so many states are reached. Fewer states
/// would mean that something no longer happens.
fn all_is_kept(least: usize, scenes: Vec<Scene>) {
    let mut states = 0;
    for (scene, outcome) in explore(scenes) {
        if let Some((why, trace)) = outcome.broken {
            panic!("{scene}: {why}\n{}", trace.join("\n"));
        }
        assert!(outcome.ends > 0, "nobody comes to an end in {scene}");
        states += outcome.states;
    }
    println!("{states} states in all");
    assert!(states >= least, "{states} states, too few");
}

/// Returns the same scene over one store of each kind.
fn over_each(user: u8, acts: &[Act], more: impl Fn(Scene) -> Scene) -> Vec<Scene> {
    let of = || more(Scene::new(user, acts));
    vec![
        of(),
        of().kept(),
        of().steps(Steps::Ends).kept(),
        of().steps(Steps::All),
    ]
}

#[test]
fn an_acknowledged_update_is_there_once() {
    let fails = |scene: Scene| scene.faults(1);
    let fails_twice = |scene: Scene| scene.faults(2);
    let resends = |scene: Scene| scene.resends();
    let scenes = [
        over_each(0, &[Update(0), login(0, 1, 1), Update(0)], fails),
        over_each(1, &[Update(0), Update(0), Update(0)], resends),
        over_each(1, &[renew(0, 1), Update(0), Update(1)], resends),
        over_each(1, &[Update(0), renew(0, 1), Update(0)], fails_twice),
        over_each(1, &[Update(0), renew(0, 1), Update(1), Purge(0)], |scene| {
            scene
        }),
        over_each(1, &[Update(0), renew(0, 1), Touch(0)], fails),
        over_each(1, &[Update(0), move_to(2), Update(0)], fails),
    ];
    all_is_kept(50_000, scenes.concat());
}

#[test]
fn nothing_outlives_a_logout() {
    let fails = |scene: Scene| scene.faults(1);
    let fails_twice = |scene: Scene| scene.faults(2);
    let resends = |scene: Scene| scene.resends();
    let scenes = [
        over_each(1, &[Purge(0), renew(0, 1), Update(0)], fails),
        over_each(1, &[Purge(0), renew(0, 1), Update(0)], resends),
        over_each(1, &[Purge(0), renew(0, 1), renew(1, 3)], fails),
        over_each(0, &[Update(0), login(0, 1, 1), Purge(0)], fails_twice),
        over_each(1, &[login(0, 1, 2), Purge(0)], fails_twice),
        // A renewal that stops half way leaves a twin, and the logout ends that, too.
        over_each(1, &[renew(0, 1), Purge(0)], fails_twice),
        over_each(1, &[Purge(0), renew(0, 1), Update(0)], Scene::fills),
        vec![
            Scene::new(1, &[Purge(0), renew(0, 1), renew(0, 3)]).faults(1),
            Scene::new(1, &[renew(0, 1), Purge(0), Update(0)])
                .steps(Steps::Ends)
                .faults(2),
            Scene::new(1, &[Purge(0), ALL, renew(0, 1)]).faults(1),
        ],
    ];
    all_is_kept(80_000, scenes.concat());
}

#[test]
fn nothing_outlives_a_revocation() {
    let fails = |scene: Scene| scene.faults(1);
    let fails_twice = |scene: Scene| scene.faults(2);
    let resends = |scene: Scene| scene.resends();
    let beside = |scene: Scene| scene.with_session(4, 1, 1);
    let scenes = [
        over_each(1, &[ALL, renew(0, 1), Update(0)], fails),
        over_each(1, &[ALL, renew(0, 1)], fails_twice),
        over_each(1, &[ALL, renew(0, 1)], resends),
        over_each(1, &[only(0), renew(0, 1), Update(0)], fails),
        over_each(1, &[all_but(1), renew(0, 1), renew(4, 5)], beside),
        over_each(1, &[ALL, renew(0, 1), renew(1, 2)], |scene| scene),
        over_each(1, &[BOTH, move_to(2), move_to(1)], fails),
        vec![
            Scene::new(1, &[ALL, renew(0, 1), renew(1, 2)])
                .steps(Steps::Ends)
                .kept()
                .faults(1),
            Scene::new(1, &[ALL, renew(0, 1), renew(1, 2)])
                .steps(Steps::All)
                .faults(2),
            Scene::new(1, &[ALL, renew(0, 1), Update(0), Update(1)])
                .steps(Steps::Ends)
                .kept()
                .faults(1),
            Scene::new(1, &[ALL, renew(0, 1), Update(0)]).faults(2),
            Scene::new(1, &[all_but(1), renew(0, 1), renew(4, 5)])
                .with_session(4, 1, 1)
                .steps(Steps::Ends)
                .faults(1),
            // Lists that are written in a separate step, read in one step, and lose dead keys at any later time.
            Scene::new(1, &[ALL, renew(0, 1), Update(0)])
                .apart()
                .faults(1),
            Scene::new(1, &[ALL, renew(0, 1), Purge(0)])
                .apart()
                .unlists(Unlists::Late)
                .faults(1),
        ],
    ];
    all_is_kept(350_000, scenes.concat());
}

#[test]
fn a_login_leaves_one_live_id() {
    let fails = |scene: Scene| scene.faults(1);
    let fails_twice = |scene: Scene| scene.faults(2);
    let resends = |scene: Scene| scene.resends();
    let twice = LoginTwice {
        from: 0,
        new: 1,
        user: 1,
        then: 2,
    };
    let create = Create {
        new: 1,
        fresh: 2,
        user: 1,
    };
    let scenes = [
        over_each(0, &[Update(0), login(0, 1, 1)], |scene| scene),
        over_each(0, &[login(0, 1, 1), ALL, Update(0)], resends),
        over_each(0, &[login(0, 1, 1), ALL, Update(0)], fails_twice),
        over_each(1, &[login(0, 1, 2), ALL, Update(0)], fails_twice),
        over_each(1, &[login(0, 1, 2), login(0, 3, 1), Update(0)], fails),
        over_each(0, &[login(0, 1, 1), Update(0)], fails_twice),
        over_each(0, &[login(0, 1, 1), login(0, 3, 2), ALL], fails),
        over_each(0, &[twice, Update(0)], fails_twice),
        over_each(0, &[create, ALL, List(1)], fails),
    ];
    all_is_kept(60_000, scenes.concat());
}

#[test]
fn a_live_session_is_shown() {
    let beside = |scene: Scene| scene.with_session(4, 1, 1);
    let fails = |scene: Scene| scene.faults(1);
    let scenes = [
        over_each(1, &[List(1), renew(0, 1), renew(4, 5)], beside),
        over_each(1, &[List(1), renew(0, 1), Purge(0)], fails),
        over_each(0, &[List(1), login(0, 1, 1), ALL], fails),
        over_each(1, &[List(1), login(0, 1, 2), Update(0)], fails),
        over_each(1, &[List(1), Update(0)], |scene| scene.times(&[0, 39, 41])),
        over_each(1, &[List(1), renew(0, 1), renew(1, 2)], |scene| {
            scene.names_first()
        }),
    ];
    all_is_kept(20_000, scenes.concat());
}

#[test]
fn a_lost_list_is_made_up_for_by_a_search() {
    let beside = |scene: Scene| scene.with_session(4, 1, 1).loses_lists();
    let scenes = vec![
        Scene::new(1, &[ALL, renew(0, 1)]).loses_lists().faults(1),
        Scene::new(1, &[ALL, renew(0, 1), Update(0)])
            .steps(Steps::Ends)
            .loses_lists(),
        beside(Scene::new(1, &[all_but(1), renew(0, 1), renew(4, 5)]).steps(Steps::All)),
    ];
    all_is_kept(5_000, scenes);
}

#[test]
fn a_search_that_reads_key_by_key_misses_nobody() {
    let scenes = vec![Scene::new(1, &[ALL, renew(0, 1)]).kept().loses_lists()];
    all_is_kept(1_000, scenes);
}

#[test]
fn no_clock_brings_anything_back() {
    let expires = |scene: Scene| scene.times(&[0, 41]);
    let soon = |scene: Scene| scene.times(&[0, 39, 41]);
    let scenes = [
        over_each(1, &[Update(0), renew(0, 1)], expires),
        over_each(1, &[Touch(0), Update(0)], soon),
        over_each(1, &[Touch(0), Update(0), Sweep(1)], soon),
        // Hosts whose clocks disagree.
        over_each(1, &[renew(0, 1), Visit(0)], |scene| scene.offsets(&[2, 0])),
        over_each(1, &[renew(0, 1), Visit(0)], |scene| scene.offsets(&[0, 2])),
        over_each(1, &[Purge(0), renew(0, 1), Update(0)], |scene| {
            scene.offsets(&[3, -3, 0]).faults(1)
        }),
        over_each(1, &[renew(0, 1), Visit(0), Sweep(1)], |scene| {
            scene.idle(5000).offsets(&[2, 0, 0]).times(&[0, 30, 55])
        }),
        // Tombstones that are swept, and messages that arrive after that.
        over_each(1, &[renew(0, 1), Purge(0), Sweep(1)], |scene| {
            scene.idle(5000).times(&[0, 300, 610])
        }),
        over_each(1, &[renew(0, 1), Sweep(2)], |scene| {
            scene.idle(5000).times(&[0, 300, 610, 1250]).faults(1)
        }),
        // A clock that is set back.
        over_each(1, &[Purge(0), Update(0)], |scene| scene.times(&[41, 0])),
        vec![
            Scene::new(1, &[Touch(0), Update(0), Sweep(1)])
                .times(&[0, 39, 41])
                .faults(1),
            Scene::new(1, &[renew(0, 1), Purge(0), Sweep(1)])
                .steps(Steps::Ends)
                .idle(5000)
                .times(&[0, 300, 610])
                .faults(1),
        ],
    ];
    all_is_kept(140_000, scenes.concat());
}

#[test]
fn a_login_over_an_expired_session_leaves_it_dead() {
    let late = |scene: Scene| scene.times(&[0, 39, 41]);
    let scenes = over_each(0, &[Update(0), login(0, 1, 1)], late);
    all_is_kept(3_000, scenes);
}
