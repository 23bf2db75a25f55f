//! What the trait promises, on files.

use super::*;
use crate::record::{RETIRED, TOMBSTONE};

#[test]
fn a_record_is_read_back_whole() {
    let fixture = Fixture::new();
    for (n, len) in [0, 1, 300, 896, 897, 4000, 70_000, 1 << 20]
        .into_iter()
        .enumerate()
    {
        let body: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let anonymous = record(&body);
        fixture.create(key(n as u8), &anonymous);
        assert_same(&fixture.live(key(n as u8)), &anonymous);
        let named = of(3, &body);
        fixture.create(key(0x80 | n as u8), &named);
        assert_same(&fixture.live(key(0x80 | n as u8)), &named);
    }
}

#[test]
fn a_key_that_was_never_created_is_nothing() {
    let Fixture {
        store,
        dir: _dir,
        _quiet,
    } = Fixture::new();
    assert!(matches!(now(store.load(key(1), NOW)), Loaded::Nothing));
    let over = record(b"");
    assert!(matches!(
        now(store.commit(key(1), over.revision, after(&over, b"x"), NOW)),
        Commit::Gone
    ));
    assert!(matches!(
        now(store.renew(key(1), over.revision, key(2), after(&over, b"x"), NOW)),
        Commit::Gone
    ));
    now(store.touch(key(1), over.revision, NOW + HOUR, NOW));
    assert!(!now(store.remove(key(1), NOW)));
    for n in [1, 2] {
        assert!(matches!(now(store.load(key(n), NOW)), Loaded::Nothing));
    }
}

#[test]
fn no_key_is_shared() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    for at in [NOW, NOW + HOUR] {
        assert!(
            !now(fixture.store.create(key(1), record(b"second"), at)),
            "live, then expired"
        );
        assert_same(&fixture.live(key(1)), &first);
    }
    assert!(now(fixture.store.remove(key(1), NOW)));
    assert!(
        !now(fixture.store.create(key(1), record(b"second"), NOW)),
        "retired"
    );
    assert!(matches!(
        now(fixture.store.load(key(1), NOW)),
        Loaded::Retired
    ));
}

#[test]
fn an_expired_record_is_nothing_and_stays_as_it_is() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let before = fs::read(fixture.path(key(1))).unwrap();
    let just_before = Timestamp::from_millis(first.expires.as_millis() - 1);
    assert!(matches!(
        now(fixture.store.load(key(1), just_before)),
        Loaded::Live(_)
    ));

    let at = first.expires;
    assert!(matches!(
        now(fixture.store.load(key(1), at)),
        Loaded::Nothing
    ));
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.revision, after(&first, b"x"), at)),
        Commit::Gone
    ));
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), after(&first, b"x"), at)),
        Commit::Gone
    ));
    now(fixture.store.touch(key(1), first.revision, at + HOUR, at));
    assert_eq!(fs::read(fixture.path(key(1))).unwrap(), before);
    assert!(!fixture.path(key(2)).exists());
}

#[test]
fn a_removal_of_an_expired_record_is_one_although_nothing_live_was_removed() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    assert!(!now(fixture.store.remove(key(1), first.expires)));
    // The clock goes back.
    assert!(matches!(
        now(fixture.store.load(key(1), NOW)),
        Loaded::Retired
    ));
}

#[test]
fn a_revision_is_written_over_once() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let mut latest = first.clone();
    for n in 0..5_u8 {
        let stale = latest.clone();
        latest = fixture.commit(key(1), &stale, &[n; 9]);
        assert_same(&fixture.live(key(1)), &latest);
        for old in [&first, &stale] {
            match now(fixture
                .store
                .commit(key(1), old.revision, after(old, b"lost"), NOW))
            {
                Commit::Conflict(record) => assert_same(&record, &latest),
                other => panic!("{other:?}"),
            }
        }
        assert_same(&fixture.live(key(1)), &latest);
    }
}

#[test]
fn a_revision_of_the_same_number_is_another_one() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let ours = after(&first, b"ours");
    let theirs = fixture.commit(key(1), &first, b"theirs");
    assert_eq!(ours.revision.number, theirs.revision.number);
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), ours.revision, after(&ours, b"more"), NOW)),
        Commit::Conflict(_)
    ));
    now(fixture
        .store
        .touch(key(1), ours.revision, NOW + 2 * HOUR, NOW));
    assert_same(&fixture.live(key(1)), &theirs);
}

#[test]
fn a_commit_whose_reply_was_lost_is_saved() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let second = fixture.commit(key(1), &first, b"second");
    let bytes = fs::read(fixture.path(key(1))).unwrap();
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.revision, second.clone(), NOW)),
        Commit::Saved
    ));
    assert_eq!(fs::read(fixture.path(key(1))).unwrap(), bytes);
}

#[test]
fn a_commit_that_does_not_go_forward_is_an_error() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let mut back = after(&first, b"back");
    back.revision.number = first.revision.number;
    let failed = error(fixture.store.commit(key(1), first.revision, back, NOW));
    assert!(
        matches!(failed, StoreError::Io(error) if error.kind() == std::io::ErrorKind::InvalidInput)
    );
    assert_same(&fixture.live(key(1)), &first);
}

#[test]
fn a_touch_moves_the_times_of_its_revision_only() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let later = NOW + 5 * HOUR;
    let visit = NOW + HOUR / 2;
    now(fixture.store.touch(key(1), first.revision, later, visit));
    assert_same(
        &fixture.live(key(1)),
        &Record {
            expires: later,
            seen: visit,
            ..first.clone()
        },
    );
    assert!(
        matches!(
            now(fixture.store.load(key(1), NOW + 4 * HOUR)),
            Loaded::Live(_)
        ),
        "past the expiry in the slot"
    );
    assert!(matches!(
        now(fixture.store.load(key(1), later)),
        Loaded::Nothing
    ));

    now(fixture
        .store
        .touch(key(1), first.revision.next(), NOW + 9 * HOUR, NOW));
    assert_eq!(fixture.live(key(1)).expires, later, "of another revision");

    let second = fixture.commit(key(1), &first, b"second");
    assert_same(&fixture.live(key(1)), &second);
    now(fixture
        .store
        .touch(key(1), first.revision, NOW + 9 * HOUR, NOW));
    assert_same(&fixture.live(key(1)), &second);
    now(fixture
        .store
        .touch(key(1), second.revision, NOW + HOUR / 2, NOW));
    assert_eq!(
        fixture.live(key(1)).expires,
        NOW + HOUR / 2,
        "a shorter one too"
    );
}

#[test]
fn a_commit_at_a_moment_that_only_touches_made_live_is_saved() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    now(fixture
        .store
        .touch(key(1), first.revision, NOW + 5 * HOUR, NOW));
    let second = after(&first, b"second");
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.revision, second, NOW + 4 * HOUR)),
        Commit::Saved
    ));
}

#[test]
fn what_was_removed_stays_removed() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    assert!(now(fixture.store.remove(key(1), NOW)));
    assert!(!now(fixture.store.remove(key(1), NOW + RETIRED / 2)));

    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.revision, after(&first, b"x"), NOW)),
        Commit::Gone
    ));
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), after(&first, b"x"), NOW)),
        Commit::Gone
    ));
    now(fixture
        .store
        .touch(key(1), first.revision, NOW + 2 * HOUR, NOW));
    assert!(!fixture.path(key(2)).exists());

    let last = Timestamp::from_millis((NOW + RETIRED).as_millis() - 1);
    assert!(matches!(
        now(fixture.store.load(key(1), last)),
        Loaded::Retired
    ));
    assert!(
        matches!(
            now(fixture.store.load(key(1), NOW + RETIRED)),
            Loaded::Nothing
        ),
        "not prolonged by the second one"
    );
}

#[test]
fn a_renewal_moves_the_session_and_retires_the_old_key() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let second = after(&first, b"second");
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), second.clone(), NOW)),
        Commit::Saved
    ));
    assert_same(&fixture.live(key(2)), &second);
    assert!(matches!(
        now(fixture.store.load(key(1), NOW)),
        Loaded::Retired
    ));
    assert!(matches!(
        now(fixture.store.load(key(1), NOW + RETIRED)),
        Loaded::Nothing
    ));
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.revision, after(&first, b"x"), NOW)),
        Commit::Gone
    ));
}

#[test]
fn a_renewal_that_is_refused_leaves_nothing() {
    let fixture = Fixture::new();
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let latest = fixture.commit(key(1), &first, b"latest");
    let files = fixture.files();
    match now(fixture
        .store
        .renew(key(1), first.revision, key(2), after(&first, b"x"), NOW))
    {
        Commit::Conflict(record) => assert_same(&record, &latest),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.files(), files);
    assert_same(&fixture.live(key(1)), &latest);
}

#[test]
fn a_renewal_whose_reply_was_lost_is_saved() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let second = after(&first, b"second");
    for _ in 0..2 {
        assert!(matches!(
            now(fixture
                .store
                .renew(key(1), first.revision, key(2), second.clone(), NOW)),
            Commit::Saved
        ));
    }
    assert_same(&fixture.live(key(2)), &second);
    assert!(now(fixture.store.remove(key(2), NOW)));
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), second, NOW)),
        Commit::Gone
    ));
}

#[test]
fn a_renewal_that_was_stopped_in_its_middle_can_be_repeated() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let second = after(&first, b"second");
    // As it was when the process was killed between the new file and the tombstone.
    fixture.create(key(2), &second);
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), second.clone(), NOW)),
        Commit::Saved
    ));
    assert!(matches!(
        now(fixture.store.load(key(1), NOW)),
        Loaded::Retired
    ));
    assert_same(&fixture.live(key(2)), &second);
}

#[test]
fn a_renewal_never_takes_the_key_of_another_session() {
    let fixture = Fixture::new();
    let (first, other) = (record(b"first"), record(b"other"));
    fixture.create(key(1), &first);
    fixture.create(key(2), &other);
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.revision, key(2), after(&first, b"x"), NOW)),
        Commit::Gone
    ));
    assert_same(&fixture.live(key(1)), &first);
    assert_same(&fixture.live(key(2)), &other);
}

#[test]
fn a_removal_follows_every_renewal() {
    let fixture = Fixture::new();
    let mut latest = record(b"");
    fixture.create(key(0), &latest);
    for n in 0..20 {
        let next = after(&latest, &[n]);
        assert!(matches!(
            now(fixture
                .store
                .renew(key(n), latest.revision, key(n + 1), next.clone(), NOW)),
            Commit::Saved
        ));
        latest = next;
    }
    assert!(now(fixture.store.remove(key(0), NOW + TOMBSTONE)));
    assert!(matches!(
        now(fixture.store.load(key(20), NOW + TOMBSTONE)),
        Loaded::Retired
    ));
    assert!(!now(fixture.store.remove(key(0), NOW + TOMBSTONE)));
}

#[test]
fn a_removal_does_not_follow_a_circle_forever() {
    use crate::store::file::layout::{State, Tombstone, capacity_for, state};
    let fixture = Fixture::new();
    for (n, next) in [(1, 2), (2, 1)] {
        fixture.create(key(n), &record(b""));
        let mut bytes = fs::read(fixture.path(key(n))).unwrap();
        let tombstone = Tombstone {
            since: NOW,
            successor: Some(key(next)),
        };
        bytes[..48].copy_from_slice(&state(capacity_for(0), State::Tombstone(tombstone)));
        fs::write(fixture.path(key(n)), bytes).unwrap();
    }
    assert!(!now(fixture.store.remove(key(1), NOW)));
}

#[test]
fn what_is_too_large_for_a_file_is_an_error_and_the_old_record_stays() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let huge = vec![0; crate::store::file::layout::LONGEST_BODY + 1];
    let failures = [
        error(
            fixture
                .store
                .commit(key(1), first.revision, after(&first, &huge), NOW),
        ),
        error(fixture.store.create(key(2), record(&huge), NOW)),
        error(
            fixture
                .store
                .renew(key(1), first.revision, key(3), after(&first, &huge), NOW),
        ),
    ];
    for failed in failures {
        assert!(
            matches!(failed, StoreError::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge)
        );
    }
    assert_same(&fixture.live(key(1)), &first);
    assert_eq!(fixture.files().len(), 1);
}

#[test]
fn two_stores_on_one_directory_are_one() {
    let one = Fixture::new();
    let other = FileStore::open(&one.root(), Durability::Process).unwrap();
    let first = record(b"first");
    one.create(key(1), &first);
    let second = after(&first, b"second");
    assert!(matches!(
        now(other.commit(key(1), first.revision, second.clone(), NOW)),
        Commit::Saved
    ));
    assert_same(&one.live(key(1)), &second);
    assert!(now(other.remove(key(1), NOW)));
    assert!(matches!(now(one.store.load(key(1), NOW)), Loaded::Retired));
}

#[test]
fn on_a_disk_that_is_synced_the_same_holds() {
    let fixture = Fixture::with(Durability::Disk);
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let second = fixture.commit(key(1), &first, &[2; 5000]);
    assert_same(&fixture.live(key(1)), &second);
    let third = Record {
        user: Some(user(2)),
        ..after(&second, b"third")
    };
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), second.revision, key(2), third.clone(), NOW)),
        Commit::Saved
    ));
    assert_same(&fixture.live(key(2)), &third);
    assert!(now(fixture.store.remove(key(1), NOW)));
    assert!(matches!(
        now(fixture.store.load(key(2), NOW)),
        Loaded::Retired
    ));
}
