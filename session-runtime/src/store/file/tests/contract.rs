//! The parts of the contract that need a file, and that the public suite cannot see.

use super::*;

#[test]
fn a_record_is_read_back_whole() {
    let fixture = Fixture::new();
    for (n, len) in [0, 1, 300, 900, 901, 4000, 70_000, 1 << 20]
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
fn an_expired_record_is_nothing_and_stays_as_it_is() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let before = fs::read(fixture.path(key(1))).unwrap();
    let just_before = Timestamp::from_millis(first.head.expires.as_millis() - 1);
    assert!(matches!(
        now(fixture.store.load(key(1), just_before)),
        Loaded::Live(_)
    ));

    let at = first.head.expires;
    assert!(matches!(
        now(fixture.store.load(key(1), at)),
        Loaded::Nothing
    ));
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.head.revision, after(&first, b"x"), at)),
        Commit::Gone
    ));
    now(fixture
        .store
        .touch(key(1), first.head.revision, at + HOUR, at));
    assert_eq!(fs::read(fixture.path(key(1))).unwrap(), before);
}

#[test]
fn a_revision_of_the_same_number_is_another_one() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let ours = after(&first, b"ours");
    let theirs = fixture.commit(key(1), &first, b"theirs");
    assert_eq!(ours.head.revision.number, theirs.head.revision.number);
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), ours.head.revision, after(&ours, b"more"), NOW)),
        Commit::Conflict(_)
    ));
    now(fixture
        .store
        .touch(key(1), ours.head.revision, NOW + 2 * HOUR, NOW));
    assert_same(&fixture.live(key(1)), &theirs);
}

/// The half with the higher number is the record.
#[test]
fn a_commit_whose_number_does_not_go_forward_is_read_all_the_same() {
    let fixture = Fixture::new();
    let first = with(record(b"first"), |head| head.revision.number = u64::MAX);
    fixture.create(key(1), &first);
    let mut latest = first;
    for number in [u64::MAX, 7, 7, 1] {
        let next = with(after(&latest, b"back"), |head| {
            head.revision.number = number
        });
        let commit = fixture
            .store
            .commit(key(1), latest.head.revision, next.clone(), NOW);
        assert!(matches!(now(commit), Commit::Saved));
        assert_same(&fixture.live(key(1)), &next);
        latest = next;
    }
}

#[test]
fn a_commit_at_a_moment_that_only_touches_made_live_is_saved() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    now(fixture
        .store
        .touch(key(1), first.head.revision, NOW + 5 * HOUR, NOW));
    let second = after(&first, b"second");
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.head.revision, second, NOW + 4 * HOUR)),
        Commit::Saved
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
            .renew(key(1), first.head.revision, key(2), second.clone(), NOW)),
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
    let (over, next) = (first.head.revision, after(&first, b"x"));
    let failed = error(fixture.store.renew(key(1), over, key(2), next, NOW));
    assert!(matches!(failed, StoreError::Taken), "{failed}");
    assert_same(&fixture.live(key(1)), &first);
    assert_same(&fixture.live(key(2)), &other);
}

/// More than anybody makes in the ten minutes that a tombstone is kept.
#[test]
fn a_logout_with_the_first_id_ends_the_session_after_eleven_hundred_renewals() {
    let fixture = Fixture::new();
    let place = |step: u16| {
        let [high, low] = step.to_be_bytes();
        Key(std::array::from_fn(|i| [low, high][i % 2]))
    };
    let mut latest = of(1, b"");
    fixture.create(place(0), &latest);
    for step in 0..1100 {
        let next = after(&latest, b"");
        let renewal = fixture.store.renew(
            place(step),
            latest.head.revision,
            place(step + 1),
            next.clone(),
            NOW,
        );
        assert!(matches!(now(renewal), Commit::Saved));
        latest = next;
    }
    assert!(
        now(fixture.store.remove(place(0), NOW)),
        "a live session ended"
    );
    assert!(matches!(
        now(fixture.store.load(place(1100), NOW)),
        Loaded::Retired
    ));
}

#[test]
fn a_removal_does_not_follow_a_circle_forever() {
    use crate::store::file::layout::{FileState, Tombstone, capacity_for, state};
    let fixture = Fixture::new();
    for (n, next) in [(1, 2), (2, 1)] {
        fixture.create(key(n), &record(b""));
        let mut bytes = fs::read(fixture.path(key(n))).unwrap();
        let tombstone = Tombstone {
            at: NOW,
            successor: Some(key(next)),
        };
        bytes[..48].copy_from_slice(&state(capacity_for(0), FileState::Tombstone(tombstone)));
        fs::write(fixture.path(key(n)), bytes).unwrap();
    }
    let failed = error(fixture.store.remove(key(1), NOW));
    assert!(matches!(failed, StoreError::Endless(_)), "{failed}");
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
                .commit(key(1), first.head.revision, after(&first, &huge), NOW),
        ),
        error(fixture.store.create(key(2), record(&huge), NOW)),
        error(fixture.store.renew(
            key(1),
            first.head.revision,
            key(3),
            after(&first, &huge),
            NOW,
        )),
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
    let other = opened(&one.root(), Durability::Process).unwrap();
    let first = record(b"first");
    one.create(key(1), &first);
    let second = after(&first, b"second");
    assert!(matches!(
        now(other.commit(key(1), first.head.revision, second.clone(), NOW)),
        Commit::Saved
    ));
    assert_same(&one.live(key(1)), &second);
    assert!(now(other.remove(key(1), NOW)));
    assert!(matches!(now(one.store.load(key(1), NOW)), Loaded::Retired));
}
