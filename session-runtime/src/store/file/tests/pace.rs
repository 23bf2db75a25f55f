//! A disk that is slow, and who waits for it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Poll;

use super::*;
use crate::store::file::dir::watched::STALL;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // So that a test can keep all of them busy.
        .max_blocking_threads(1)
        .build()
        .unwrap()
}

/// In a process of its own, for the disk is slow for all of it.
#[test]
fn a_worker_does_not_wait_for_a_slow_disk_but_once() {
    const NAME: &str = "pace::a_worker_does_not_wait_for_a_slow_disk_but_once";
    if child_argument().is_none() {
        return assert!(forks::run(&mut in_child(NAME, "")).unwrap().success());
    }
    let fixture = Fixture::new();
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    runtime().block_on(async {
        STALL.store(20, Ordering::Relaxed);
        assert_same(&fixture.live(key(1)), &first);
        let mut load = pin!(fixture.store.load(key(1), NOW));
        let at_once = std::future::poll_fn(|cx| Poll::Ready(load.as_mut().poll(cx).is_ready()));
        assert!(!at_once.await, "this one is done elsewhere");
        assert!(matches!(load.await.unwrap(), Loaded::Live(_)));
        let second = after(&first, b"second");
        let commit = fixture
            .store
            .commit(key(1), first.revision, second.clone(), NOW);
        assert!(matches!(commit, Answer::Later(_)));
        assert!(matches!(commit.await.unwrap(), Commit::Saved));

        STALL.store(0, Ordering::Relaxed);
        let mut later = 0;
        loop {
            match fixture.store.load(key(1), NOW) {
                Answer::Now(found) => break drop(found.unwrap()),
                answer => drop(answer.await.unwrap()),
            }
            later += 1;
            assert!(later < 1000, "the disk is never trusted again");
        }
        assert!(later >= 64, "trusted after {later} fast ones");
        assert_same(&fixture.live(key(1)), &second);
    });
}

#[test]
fn what_syncs_is_done_elsewhere_and_what_does_not_at_once() {
    let fixture = Fixture::with(Durability::Disk);
    let first = of(1, b"first");
    runtime().block_on(async {
        let create = fixture.store.create(key(1), first.clone(), NOW);
        assert!(matches!(create, Answer::Later(_)));
        assert!(create.await.unwrap());
        assert_same(&fixture.live(key(1)), &first);
        now(fixture.store.touch(key(1), first.revision, NOW + HOUR, NOW));
        let remove = fixture.store.remove(key(1), NOW);
        assert!(matches!(remove, Answer::Later(_)));
        assert!(remove.await.unwrap());
    });
}

/// As when the service has stopped waiting for it.
#[test]
fn what_nobody_waits_for_and_has_not_begun_is_not_done() {
    let fixture = Fixture::with(Durability::Disk);
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    runtime().block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let mut removal = Box::pin(fixture.store.remove(key(1), NOW));
        let begun = std::future::poll_fn(|cx| Poll::Ready(removal.as_mut().poll(cx).is_ready()));
        assert!(!begun.await);
        drop(removal);
        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        // Behind whatever the only thread was still to do.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    });
    assert_same(&fixture.live(key(1)), &first);
}
