//! A disk that is slow, and who waits for it.

use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;

use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};
use crate::store::file::pace::{CALM, FAST, Pace};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // So that a test can keep all of them busy.
        .max_blocking_threads(1)
        .build()
        .unwrap()
}

/// Does as many fast operations as it takes for the disk to be trusted, whatever else this machine does.
fn trust(fixture: &Fixture) {
    (0..CALM).for_each(|_| fixture.files.0.pace.note(FAST));
}

#[test]
fn a_disk_is_trusted_again_after_so_many_fast_operations_in_a_row() {
    let pace = Pace::default();
    assert!(!pace.is_slow());
    pace.note(FAST);
    assert!(!pace.is_slow());
    let slow = FAST + Duration::from_millis(1);
    for fast in [0, 1, CALM - 1] {
        pace.note(slow);
        (0..fast).for_each(|_| pace.note(FAST));
        assert!(pace.is_slow(), "after {fast}");
    }
    pace.note(FAST);
    assert!(!pace.is_slow());
    assert_eq!(pace.of(|| 1), 1);
}

/// A disk that takes its time to open a file.
struct Slow;

impl Watcher for Slow {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        if let DirCall::Open(_) = call {
            std::thread::sleep(FAST * 2);
        }
        Verdict::Go
    }
}

#[test]
fn an_operation_tells_whether_the_disk_is_slow_unless_it_syncs() {
    for (durability, tells) in [(Durability::Process, true), (Durability::Disk, false)] {
        let fixture = Fixture::with(durability);
        let first = of(1, b"first");
        fixture.create(key(1), &first);
        trust(&fixture);
        under(Rc::new(Slow), || {
            fixture.commit(key(1), &first, b"second");
        });
        assert_eq!(fixture.files.0.pace.is_slow(), tells, "{durability:?}");
    }
}

/// Asks while no other thread is free, so that what is done elsewhere is not there already.
async fn asked<T>(ask: impl FnOnce() -> T) -> T {
    let (release, released) = mpsc::channel::<()>();
    let busy = tokio::task::spawn_blocking(move || released.recv());
    let answer = ask();
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    answer
}

#[test]
fn whoever_serves_requests_does_not_wait_for_a_slow_disk() {
    let fixture = Fixture::new();
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let second = after(&first, b"second");
    runtime().block_on(async {
        fixture.files.0.pace.note(FAST * 2);
        let load = asked(|| fixture.store.load(key(1), NOW)).await;
        assert!(matches!(load, Answer::Later(_)));
        assert!(matches!(load.await.unwrap(), Loaded::Live(_)));
        let over = first.head.revision;
        let commit = asked(|| fixture.store.commit(key(1), over, second.clone(), NOW)).await;
        assert!(matches!(commit, Answer::Later(_)));
        assert!(matches!(commit.await.unwrap(), Commit::Saved));

        trust(&fixture);
        let load = fixture.store.load(key(1), NOW);
        assert!(matches!(load, Answer::Now(Ok(Loaded::Live(_)))));
    });
    assert_same(&fixture.live(key(1)), &second);
}

#[test]
fn what_syncs_is_done_elsewhere_and_what_does_not_at_once() {
    let fixture = Fixture::with(Durability::Disk);
    let first = of(1, b"first");
    runtime().block_on(async {
        let create = asked(|| fixture.store.create(key(1), first.clone(), NOW)).await;
        assert!(matches!(create, Answer::Later(_)));
        assert!(create.await.unwrap());
        trust(&fixture);
        let load = fixture.store.load(key(1), NOW);
        assert!(matches!(load, Answer::Now(Ok(Loaded::Live(_)))));
        trust(&fixture);
        let touch = fixture
            .store
            .touch(key(1), first.head.revision, NOW + HOUR, NOW);
        assert!(matches!(touch, Answer::Now(Ok(()))));
        let remove = asked(|| fixture.store.remove(key(1), NOW)).await;
        assert!(matches!(remove, Answer::Later(_)));
        assert!(remove.await.unwrap());
    });
}

/// The service has stopped waiting for it, for example.
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

#[test]
fn what_looks_at_all_sessions_of_a_user_is_long_on_every_disk() {
    let fixture = Fixture::new();
    trust(&fixture);
    let store = &fixture.store;
    runtime().block_on(async {
        let listed = asked(|| store.of_user(user(1), NOW)).await;
        assert!(matches!(listed, Answer::Later(_)), "{listed:?}");
        let removed = asked(|| store.remove_user(user(1), Which::All, NOW)).await;
        assert!(matches!(removed, Answer::Later(_)), "{removed:?}");
        assert_eq!(removed.await.unwrap(), 0);
    });
}
