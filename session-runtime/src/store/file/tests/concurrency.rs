//! Many at once, in one process and in several.

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
fn increment(store: &Asked, key: Key) {
    let Loaded::Live(mut latest) = wait(store.load(key, NOW)) else {
        panic!("not live")
    };
    loop {
        let next = after(&latest, &body(number(&latest) + 1));
        match wait(store.commit(key, latest.head.revision, next, NOW)) {
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
        let store = opened(Path::new(&root), Durability::Process).unwrap();
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
    let mut latest = with(record(&body(1)), |head| head.expires = NOW + HOUR);
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
                    assert_eq!(found.body.as_bytes(), body(found.head.revision.number));
                    assert!(found.head.revision.number >= last);
                    last = found.head.revision.number;
                }
            });
        }
        for n in 2..6000 {
            latest = fixture.commit_waiting(key(1), &latest, &body(n));
            now(fixture
                .store
                .touch(key(1), latest.head.revision, NOW + 2 * HOUR, NOW));
        }
        over.store(true, Ordering::Relaxed);
    });
}

impl Fixture {
    fn commit_waiting(&self, key: Key, over: &Record, body: &[u8]) -> Record {
        let record = after(over, body);
        assert!(matches!(
            wait(
                self.store
                    .commit(key, over.head.revision, record.clone(), NOW)
            ),
            Commit::Saved
        ));
        record
    }
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
                    let over = first.head.revision;
                    let next = with(first.clone(), |head| head.revision = over);
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

/// A sweeper in its place, whose clock is at the very moment of expiry, and visitors who touch.
#[test]
fn the_sweeper_deletes_nothing_that_was_touched_in_time() {
    let fixture = Fixture::new();
    for n in 0..=255 {
        fixture.create(Key([n; 16]), &with(of(n, b""), |head| head.expires = NOW));
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
            now(fixture
                .store
                .touch(key, found.head.revision, NOW + HOUR, early));
            if let Loaded::Live(touched) = wait(fixture.store.load(key, early))
                && touched.head.expires > NOW
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
        .touch(key(1), first.head.revision, NOW + 9 * HOUR, NOW));

    let second = after(&first, b"second");
    let answers = [
        fixture
            .store
            .commit(key(1), first.head.revision, second.clone(), NOW),
        fixture.store.renew(
            key(1),
            second.head.revision,
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
            .commit(key(1), first.head.revision, after(&first, b"x"), NOW),
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
        let store = opened(Path::new(&root), Durability::Process).unwrap();
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
fn wait_live(store: &Asked) -> Record {
    match wait(store.load(key(1), NOW)) {
        Loaded::Live(record) => record,
        other => panic!("{other:?}"),
    }
}
