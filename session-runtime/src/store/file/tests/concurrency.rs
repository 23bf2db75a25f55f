//! Many at once, in one process and in several.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::*;

/// The number in a body, whatever its length.
fn number(record: &Record) -> u64 {
    u64::from_le_bytes(record.body.as_bytes()[..8].try_into().unwrap())
}

/// A body with a number, of lengths that make it move between files now and then.
fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    let len = if number.is_multiple_of(50) {
        3000 + number as usize * 10
    } else {
        8 + (number % 700) as usize
    };
    body.resize(len, number as u8);
    body
}

/// Adds one, as often as it takes.
fn increment(store: &FileStore, key: Key) {
    let Loaded::Live(mut latest) = wait(store.load(key, NOW)) else {
        panic!("not live")
    };
    loop {
        let next = after(&latest, &body(number(&latest) + 1));
        match wait(store.commit(key, latest.revision, next, NOW)) {
            Commit::Saved => return,
            Commit::Conflict(theirs) => latest = theirs,
            Commit::Gone => panic!("gone"),
        }
    }
}

#[test]
fn no_increment_of_eight_threads_is_lost() {
    let fixture = Fixture::new();
    fixture.create(key(1), &record(&body(0)));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..300).for_each(|_| increment(&fixture.store, key(1))));
        }
    });
    assert_eq!(number(&fixture.live(key(1))), 8 * 300);
    assert_eq!(fixture.files().len(), 1);
}

#[test]
#[cfg(unix)]
fn no_increment_of_four_processes_is_lost() {
    const NAME: &str = "concurrency::no_increment_of_four_processes_is_lost";
    if let Some(root) = child_argument() {
        let store = FileStore::open(Path::new(&root), Durability::Process).unwrap();
        return (0..200).for_each(|_| increment(&store, key(1)));
    }
    let fixture = Fixture::new();
    fixture.create(key(1), &record(&body(0)));
    let mut children: Vec<_> = (0..4)
        .map(|_| {
            let mut child = in_child(NAME, fixture.root().to_str().unwrap());
            forks::start(child.stdout(std::process::Stdio::null())).unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(number(&fixture.live(key(1))), 4 * 200);
}

/// Each record says its number in its body and its revision, so that a mixture would show.
#[test]
fn who_reads_without_a_lock_never_sees_a_mixture_nor_the_past() {
    let fixture = Fixture::new();
    let mut latest = Record {
        expires: NOW + HOUR,
        ..record(&body(1))
    };
    fixture.create(key(1), &latest);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !over.load(Ordering::Relaxed) {
                    let Loaded::Live(found) = wait(fixture.store.load(key(1), NOW)) else {
                        panic!("not live")
                    };
                    assert_eq!(found.body.as_bytes(), body(found.revision.number));
                    assert!(found.revision.number >= last);
                    last = found.revision.number;
                }
            });
        }
        for n in 2..6000 {
            latest = fixture.commit_waiting(key(1), &latest, &body(n));
            now(fixture
                .store
                .touch(key(1), latest.revision, NOW + 2 * HOUR, NOW));
        }
        over.store(true, Ordering::Relaxed);
    });
}

impl Fixture {
    fn commit_waiting(&self, key: Key, over: &Record, body: &[u8]) -> Record {
        let record = after(over, body);
        assert!(matches!(
            wait(self.store.commit(key, over.revision, record.clone(), NOW)),
            Commit::Saved
        ));
        record
    }
}

/// Commits and touches until it is told that the session is gone.
fn write_until_gone(store: &FileStore, key: Key) {
    let Loaded::Live(mut latest) = wait(store.load(key, NOW)) else {
        return;
    };
    loop {
        now(store.touch(key, latest.revision, NOW + 2 * HOUR, NOW));
        let next = after(&latest, &body(number(&latest) + 49));
        match wait(store.commit(key, latest.revision, next.clone(), NOW)) {
            Commit::Saved => latest = next,
            Commit::Conflict(theirs) => latest = theirs,
            Commit::Gone => return,
        }
    }
}

#[test]
fn no_commit_revives_what_was_removed() {
    let fixture = Fixture::new();
    for n in 0..200 {
        let key = Key([n; 16]);
        fixture.create(key, &of(1, &body(1)));
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    write_until_gone(&fixture.store, key);
                });
            }
            start.wait();
            assert!(wait(fixture.store.remove(key, NOW)));
            assert!(matches!(
                wait(fixture.store.load(key, NOW)),
                Loaded::Retired
            ));
        });
        assert!(matches!(
            wait(fixture.store.load(key, NOW)),
            Loaded::Retired
        ));
    }
    assert!(now(fixture.store.of_user(user(1), NOW)).is_empty());
    assert_eq!(fixture.files().len(), 200);
}

#[test]
fn a_removal_does_not_lose_against_a_renewal() {
    let fixture = Fixture::new();
    for n in 0..100_u8 {
        let place = |step: u8| Key(std::array::from_fn(|i| if i == 0 { n } else { step }));
        let first = of(1, b"");
        fixture.create(place(0), &first);
        let steps = AtomicU8::new(0);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let mut latest = first.clone();
                for step in 0..100 {
                    let next = after(&latest, b"");
                    match wait(fixture.store.renew(
                        place(step),
                        latest.revision,
                        place(step + 1),
                        next.clone(),
                        NOW,
                    )) {
                        Commit::Saved => latest = next,
                        Commit::Gone => return,
                        Commit::Conflict(_) => panic!("nobody commits"),
                    }
                    steps.store(step + 1, Ordering::Relaxed);
                }
            });
            start.wait();
            // One that holds the newest lock, one with a cookie from long ago.
            assert!(wait(fixture.store.remove(place(0), NOW)));
        });
        for step in 0..=steps.load(Ordering::Relaxed) + 1 {
            assert!(!matches!(
                wait(fixture.store.load(place(step), NOW)),
                Loaded::Live(_)
            ));
        }
    }
    assert!(now(fixture.store.of_user(user(1), NOW)).is_empty());
}

#[test]
fn a_removal_of_all_sessions_of_a_user_does_not_lose_against_renewals() {
    let fixture = Fixture::new();
    let place = |n: u8, step: u8| Key(std::array::from_fn(|i| if i == 0 { n } else { step }));
    let first = of(1, b"");
    (0..20).for_each(|n| fixture.create(place(n, 0), &first));
    let renewed = AtomicU8::new(0);
    std::thread::scope(|scope| {
        for half in [0..10, 10..20] {
            let (fixture, first, renewed) = (&fixture, &first, &renewed);
            scope.spawn(move || {
                for n in half.cycle().take(1000) {
                    let step = (0..)
                        .find(|&step| !fixture.path(place(n, step + 1)).exists())
                        .unwrap();
                    let (old, new) = (place(n, step), place(n, step + 1));
                    let over = first.revision;
                    let next = Record {
                        revision: over,
                        ..first.clone()
                    };
                    if !matches!(
                        wait(fixture.store.renew(old, over, new, next, NOW)),
                        Commit::Saved
                    ) {
                        return;
                    }
                    renewed.fetch_add(1, Ordering::Relaxed);
                }
                panic!("it was never logged out");
            });
        }
        while renewed.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        wait(fixture.store.remove_user(user(1), Which::All, NOW));
    });
    assert!(now(fixture.store.of_user(user(1), NOW)).is_empty());
    for n in 0..20 {
        let live = (0..=255).filter(|&step| {
            matches!(
                now(fixture.store.load(place(n, step), NOW)),
                Loaded::Live(_)
            )
        });
        assert_eq!(live.count(), 0);
    }
}

#[test]
fn two_renewals_of_one_revision_make_one_session() {
    let fixture = Fixture::new();
    for n in 0..100 {
        let place = |step: u8| Key(std::array::from_fn(|i| if i == 0 { n } else { step }));
        let first = record(b"");
        fixture.create(place(0), &first);
        let start = Barrier::new(2);
        let renew = |to: u8| {
            start.wait();
            wait(
                fixture
                    .store
                    .renew(place(0), first.revision, place(to), after(&first, b""), NOW),
            )
        };
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| renew(1));
            let two = renew(2);
            (one.join().unwrap(), two)
        });
        assert!(matches!(
            (one, two),
            (Commit::Saved, Commit::Gone) | (Commit::Gone, Commit::Saved)
        ));
        assert_eq!(
            fixture.path(place(1)).exists(),
            !fixture.path(place(2)).exists()
        );
    }
}

#[test]
fn of_two_creations_of_one_key_one_wins() {
    let fixture = Fixture::new();
    for n in 0..100 {
        let start = Barrier::new(2);
        let create = || {
            start.wait();
            usize::from(wait(fixture.store.create(Key([n; 16]), record(b""), NOW)))
        };
        let won = std::thread::scope(|scope| {
            let one = scope.spawn(create);
            create() + one.join().unwrap()
        });
        assert_eq!(won, 1);
    }
}

/// A sweeper in its place, whose clock is at the very moment of expiry, and visitors who touch.
#[test]
fn the_sweeper_deletes_nothing_that_was_touched_in_time() {
    let fixture = Fixture::new();
    for n in 0..=255 {
        fixture.create(
            Key([n; 16]),
            &Record {
                expires: NOW,
                ..of(n, b"")
            },
        );
    }
    let early = Timestamp::from_millis(NOW.as_millis() - 1);
    std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| (0..4).map(|_| fixture.sweep(NOW)).sum::<usize>());
        let mut kept = 0;
        for n in (0..=255).rev() {
            let key = Key([n; 16]);
            let Loaded::Live(found) = wait(fixture.store.load(key, early)) else {
                continue;
            };
            now(fixture.store.touch(key, found.revision, NOW + HOUR, early));
            if let Loaded::Live(touched) = wait(fixture.store.load(key, early))
                && touched.expires > NOW
            {
                kept += 1;
            }
        }
        sweeping.join().unwrap();
        let found = (0..=255)
            .filter(|&n| matches!(now(fixture.store.load(Key([n; 16]), NOW)), Loaded::Live(_)));
        assert_eq!(found.count(), kept);
    });
}

#[test]
fn a_lock_that_is_held_is_waited_for_without_blocking() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let holder = fs::File::open(fixture.path(key(1))).unwrap();
    holder.lock().unwrap();

    // Who reads does not wait, and a touch is left out.
    assert_same(&fixture.live(key(1)), &first);
    now(fixture
        .store
        .touch(key(1), first.revision, NOW + 9 * HOUR, NOW));

    let second = after(&first, b"second");
    let answers = [
        fixture
            .store
            .commit(key(1), first.revision, second.clone(), NOW),
        fixture.store.renew(
            key(1),
            second.revision,
            key(2),
            after(&second, b"third"),
            NOW,
        ),
    ];
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Answer::Later(_)))
    );
    let removal = fixture.store.remove(key(1), NOW);
    assert!(matches!(removal, Answer::Later(_)));
    assert_same(&fixture.live(key(1)), &first);
    assert!(!fixture.path(key(2)).exists(), "and nothing is half done");

    drop(holder);
    for answer in answers {
        assert!(matches!(wait(answer), Commit::Saved));
    }
    assert!(wait(removal));
    assert!(matches!(
        now(fixture.store.load(key(2), NOW)),
        Loaded::Retired
    ));
}

#[test]
fn a_wait_that_is_given_up_leaves_nothing_locked() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let holder = fs::File::open(fixture.path(key(1))).unwrap();
    holder.lock().unwrap();
    drop(
        fixture
            .store
            .commit(key(1), first.revision, after(&first, b"x"), NOW),
    );
    drop(holder);
    assert_same(&fixture.live(key(1)), &first);
    fixture.commit(key(1), &first, b"second");
}

/// Killed in the middle of saves, as often as there is patience for; the record is whole.
#[test]
#[cfg(unix)]
fn a_process_killed_at_any_moment_leaves_a_whole_record_and_no_lock() {
    const NAME: &str =
        "concurrency::a_process_killed_at_any_moment_leaves_a_whole_record_and_no_lock";
    if let Some(root) = child_argument() {
        let store = FileStore::open(Path::new(&root), Durability::Process).unwrap();
        println!("ready");
        // Far more than it will be left to do, and an end if nobody is there to kill it.
        return (0..100_000).for_each(|_| increment(&store, key(1)));
    }
    let fixture = Fixture::new();
    fixture.create(key(1), &record(&body(0)));
    let mut last = 0;
    for _ in 0..10 {
        use std::io::BufRead;
        let mut child = in_child(NAME, fixture.root().to_str().unwrap());
        let mut child = forks::start(child.stdout(std::process::Stdio::piped())).unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        // Until it has written; then it dies wherever it is.
        let until = last + 60;
        while number(&wait_live(&fixture.store)) < until {}
        child.kill().unwrap();
        child.wait().unwrap();
        let found = fixture.live(key(1));
        assert_eq!(found.body.as_bytes(), body(number(&found)));
        assert!(number(&found) >= until);
        last = number(&found) + 1;
        fixture.commit(key(1), &found, &body(last));
    }
}

#[cfg(unix)]
fn wait_live(store: &FileStore) -> Record {
    match wait(store.load(key(1), NOW)) {
        Loaded::Live(record) => record,
        other => panic!("{other:?}"),
    }
}
