//! The sweeper: it deletes what is over, and nothing else.

use super::*;
use crate::record::TOMBSTONE;
use crate::store::file::file_name::DAMAGED;
use crate::store::file::sweep::{DAMAGED_KEPT, DELETION};

#[test]
fn what_expired_is_deleted_and_nothing_else() {
    let fixture = Fixture::new();
    fixture.create(key(1), &of(1, b"live"));
    fixture.create(key(2), &with(of(1, b"expired"), |head| head.expires = NOW));
    let touched = with(record(b"touched"), |head| head.expires = NOW);
    fixture.create(key(3), &touched);
    now(fixture.store.touch(
        key(3),
        touched.head.revision,
        NOW + HOUR,
        Timestamp::default(),
    ));
    fixture.create(key(4), &of(2, b"removed"));
    assert!(now(fixture.store.remove(key(4), NOW)));

    assert_eq!(fixture.sweep(NOW), 1);
    assert!([1, 3, 4].iter().all(|&n| fixture.path(key(n)).exists()));
    assert!(!fixture.path(key(2)).exists());
    assert_eq!(
        fs::read_dir(fixture.root().join(FileName::user(user(1)).as_str()))
            .unwrap()
            .count(),
        1
    );

    let just_before = Timestamp::from_millis((NOW + TOMBSTONE).as_millis() - 1);
    assert_eq!(fixture.sweep(just_before), 0);
    assert_eq!(fixture.sweep(NOW + TOMBSTONE), 1);
    assert!(!fixture.path(key(4)).exists());
    assert_eq!(fixture.sweep(NOW + HOUR), 2);
    assert!(fixture.files().is_empty());
    assert_eq!(fixture.sweep(NOW + HOUR), 0);
}

#[test]
fn a_user_without_sessions_leaves_no_directory() {
    let fixture = Fixture::new();
    fixture.create(key(1), &of(1, b""));
    fixture.create(key(2), &of(2, b""));
    assert!(now(fixture.store.remove(key(1), NOW)));
    fixture.sweep(NOW);
    assert!(
        !fixture
            .root()
            .join(FileName::user(user(1)).as_str())
            .exists()
    );
    assert!(
        fixture
            .root()
            .join(FileName::user(user(2)).as_str())
            .exists()
    );
    fixture.create(key(3), &of(1, b""));
    assert_eq!(now(fixture.store.of_user(user(1), NOW)).len(), 1);
}

#[test]
fn a_budget_is_kept_and_the_next_slice_goes_on() {
    let fixture = Fixture::new();
    for n in 0..50 {
        fixture.create(Key([n * 5; 16]), &record(b""));
    }
    let mut deleted = Vec::new();
    let finished = |swept: &Slice| swept.finished;
    loop {
        let swept = fixture.store.sweep(NOW + HOUR, 7 * DELETION).unwrap();
        assert!(swept.deleted <= 7);
        deleted.push(swept.deleted);
        if finished(&swept) {
            break;
        }
    }
    assert_eq!(deleted.iter().sum::<usize>(), 50);
    assert_eq!(deleted[..7], [7; 7]);
    assert!(fixture.files().is_empty());

    // From the beginning again.
    fixture.create(key(0), &record(b""));
    assert_eq!(fixture.sweep(NOW + HOUR), 1);
    assert_eq!(fixture.store.sweep(NOW, 0).unwrap(), Slice::default());
}

#[test]
fn one_directory_of_many_files_is_swept_in_slices_too() {
    let fixture = Fixture::new();
    for n in 0..100 {
        fixture.create(
            Key(std::array::from_fn(|i| if i == 0 { 0x42 } else { n })),
            &record(b""),
        );
    }
    let swept = fixture.store.sweep(NOW + HOUR, 40 * DELETION).unwrap();
    assert_eq!(
        swept,
        Slice {
            deleted: 40,
            finished: false
        }
    );
    assert_eq!(fixture.files().len(), 60);
}

#[test]
fn a_session_that_somebody_is_at_is_skipped() {
    let fixture = Fixture::new();
    fixture.create(key(1), &record(b""));
    let holder = fs::File::open(fixture.path(key(1))).unwrap();
    holder.lock().unwrap();
    assert_eq!(fixture.sweep(NOW + HOUR), 0);
    drop(holder);
    assert_eq!(fixture.sweep(NOW + HOUR), 1);
}

#[test]
fn an_empty_file_is_deleted_when_its_maker_must_be_dead() {
    let fixture = Fixture::new();
    let path = fixture.path(key(1));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create_new(&path).unwrap();
    // However far the clock of the sessions is turned: a file has the time of the system.
    assert_eq!(fixture.sweep(Timestamp::MAX), 0);
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(61))
        .unwrap();
    assert_eq!(fixture.sweep(NOW), 1);
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_set_aside_by_the_sweeper_and_not_too_many_are_kept() {
    let fixture = Fixture::new();
    fixture.create(key(1), &record(b""));
    fs::write(fixture.path(key(1)), b"damaged").unwrap();
    assert_eq!(fixture.sweep(NOW), 0);
    assert_eq!(fixture.files(), [FileName::damaged(key(1)).as_str()]);

    for n in 0..DAMAGED_KEPT {
        fs::write(fixture.root().join(DAMAGED).join(format!("{n}")), b"").unwrap();
    }
    assert_eq!(fixture.sweep(NOW), 1);
    assert_eq!(fixture.files().len(), DAMAGED_KEPT);
    assert_eq!(fixture.sweep(NOW), 0);
}

#[test]
fn what_is_not_ours_stays() {
    let fixture = Fixture::new();
    let key = Key([0x11; 16]);
    fixture.create(key, &record(b""));
    let bucket = fixture.path(key).parent().unwrap().to_owned();
    let name = key.to_string();
    let old = std::time::SystemTime::now() - Duration::from_secs(3600);
    // Among them a session that is not where it belongs, and so nobody's.
    let names = [
        format!("{name}~"),
        format!("{name}.bak"),
        "README".into(),
        "22".repeat(16),
    ];
    for name in &names {
        fs::File::create_new(bucket.join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    fs::write(fixture.root().join("README"), b"").unwrap();
    assert_eq!(fixture.sweep(Timestamp::MAX), 1);
    assert_eq!(fixture.files().len(), names.len() + 1);
}

#[test]
fn a_clock_that_was_set_back_deletes_nothing_and_makes_nothing_immortal() {
    let fixture = Fixture::new();
    fixture.create(key(1), &record(b""));
    fixture.create(key(2), &record(b""));
    assert!(now(fixture.store.remove(key(2), NOW)));
    let just_before = Timestamp::from_millis(before(TOMBSTONE).as_millis() + 1);
    assert_eq!(fixture.sweep(just_before), 0);
    assert!(matches!(
        now(fixture.store.load(key(2), before(Duration::from_secs(59)))),
        Loaded::Retired
    ));
    assert_eq!(fixture.sweep(Timestamp::default()), 1, "the tombstone");
    assert_eq!(fixture.sweep(NOW + HOUR), 1);
}

#[test]
fn two_sweepers_do_not_disturb_each_other() {
    let fixture = Fixture::new();
    let other = opened(&fixture.root(), Durability::Process).unwrap();
    for n in 0..=255 {
        fixture.create(Key([n; 16]), &record(b""));
    }
    let sweep = |store: &Asked| {
        let mut deleted = 0;
        loop {
            let swept = store.sweep(NOW + HOUR, 3).unwrap();
            deleted += swept.deleted;
            if swept.finished {
                return deleted;
            }
        }
    };
    let total = std::thread::scope(|scope| {
        let there = scope.spawn(|| sweep(&other));
        sweep(&fixture.store) + there.join().unwrap()
    });
    // One that both were at is left to the next pass.
    assert_eq!(total + sweep(&other), 256);
    assert!(fixture.files().is_empty());
}

fn before(span: Duration) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - span.as_millis() as u64)
}
