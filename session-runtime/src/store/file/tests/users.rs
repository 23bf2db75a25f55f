//! The lists of users' sessions.

use super::*;

fn listed(fixture: &Fixture, who: u8) -> Vec<Key> {
    let mut keys: Vec<Key> = now(fixture.store.of_user(user(who), NOW))
        .into_iter()
        .map(|listing| listing.key)
        .collect();
    keys.sort();
    keys
}

/// The entries in the index, stale ones among them.
fn entries(fixture: &Fixture, who: u8) -> usize {
    fs::read_dir(fixture.root().join(FileName::user(user(who)).as_str())).map_or(0, Iterator::count)
}

fn add_entry(fixture: &Fixture, who: u8, key: Key) {
    let entry = fixture
        .root()
        .join(FileName::user_session(user(who), key).as_str());
    fs::create_dir_all(entry.parent().unwrap()).unwrap();
    fs::write(entry, b"").unwrap();
}

#[test]
fn a_listing_has_the_clear_fields_of_the_live_sessions() {
    let fixture = Fixture::new();
    let first = with(of(1, b"a"), |head| head.handle = Handle([1; 12]));
    fixture.create(key(1), &first);
    fixture.create(key(2), &with(of(1, b"expired"), |head| head.expires = NOW));
    fixture.create(key(3), &of(2, b"of another"));
    fixture.create(key(4), &record(b"of nobody"));
    now(fixture
        .store
        .touch(key(1), first.head.revision, NOW + 7 * HOUR, NOW + HOUR / 2));
    let [listing] = &now(fixture.store.of_user(user(1), NOW))[..] else {
        panic!("one is live");
    };
    assert_eq!(
        (listing.key, listing.head.handle, listing.head.created),
        (key(1), first.head.handle, NOW)
    );
    assert_eq!(
        (listing.head.expires, listing.head.seen),
        (NOW + 7 * HOUR, NOW + HOUR / 2)
    );
    let summary = listing.summary.as_ref().map(Summary::as_bytes);
    assert_eq!(summary, first.summary.as_ref().map(Summary::as_bytes));
    assert!(now(fixture.store.of_user(user(9), NOW)).is_empty());
    assert_eq!(entries(&fixture, 1), 2, "an expired one is the sweeper's");
}

#[test]
fn a_session_is_listed_under_the_user_it_has_now() {
    let fixture = Fixture::new();
    let mut latest = record(b"");
    fixture.create(key(1), &latest);
    for who in [Some(1), Some(2), None, Some(1)] {
        let next = with(after(&latest, b"x"), |head| head.user = who.map(user));
        assert!(matches!(
            now(fixture
                .store
                .commit(key(1), latest.head.revision, next.clone(), NOW)),
            Commit::Saved
        ));
        latest = next;
        fixture.sweep(NOW);
        for other in [1, 2] {
            let count = usize::from(who == Some(other));
            assert_eq!(
                (entries(&fixture, other), listed(&fixture, other).len()),
                (count, count)
            );
        }
    }
    let next = of(2, b"renewed");
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), latest.head.revision, key(2), next, NOW)),
        Commit::Saved
    ));
    assert_eq!(listed(&fixture, 2), [key(2)]);
    assert_eq!(entries(&fixture, 1), 1, "as long as the tombstone is there");
    assert!(now(fixture.store.remove(key(2), NOW)));
    assert_eq!(entries(&fixture, 2), 0);
    fixture.sweep(NOW + crate::record::TOMBSTONE);
    assert_eq!(entries(&fixture, 1), 0);
}

#[test]
fn a_session_that_was_renewed_while_a_users_were_removed_is_removed_too() {
    let fixture = Fixture::new();
    let first = of(1, b"");
    fixture.create(key(1), &first);
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.head.revision, key(2), after(&first, b""), NOW)),
        Commit::Saved
    ));
    // As the list was when it was read, before the renewal.
    fs::remove_file(
        fixture
            .root()
            .join(FileName::user_session(user(1), key(2)).as_str()),
    )
    .unwrap();
    add_entry(&fixture, 1, key(1));
    assert_eq!(listed(&fixture, 1), [key(2)], "it is listed all the same");
    add_entry(&fixture, 1, key(1));
    assert_eq!(
        now(fixture
            .store
            .remove_user(user(1), Which::AllBut(first.head.handle), NOW)),
        0,
        "this one is to stay"
    );
    assert_eq!(now(fixture.store.remove_user(user(1), Which::All, NOW)), 1);
    assert!(matches!(
        now(fixture.store.load(key(2), NOW)),
        Loaded::Retired
    ));
}

#[test]
fn a_session_that_became_another_users_is_not_removed_with_the_first_ones() {
    let fixture = Fixture::new();
    let first = of(1, b"");
    fixture.create(key(1), &first);
    assert!(matches!(
        now(fixture
            .store
            .renew(key(1), first.head.revision, key(2), of(2, b""), NOW)),
        Commit::Saved
    ));
    add_entry(&fixture, 1, key(1));
    let other = with(of(2, b""), |head| head.handle = Handle([8; 12]));
    fixture.create(key(3), &other);
    add_entry(&fixture, 1, key(3));
    assert_eq!(now(fixture.store.remove_user(user(1), Which::All, NOW)), 0);
    assert_eq!(listed(&fixture, 2), [key(2), key(3)]);
}

/// One for each way in which an entry can be stale.
fn add_stale_entries(fixture: &Fixture) {
    fixture.create(key(1), &of(1, b""));
    fixture.create(key(2), &of(2, b"of another"));
    fixture.create(key(3), &record(b"of nobody"));
    fixture.create(key(4), &record(b"removed"));
    assert!(now(fixture.store.remove(key(4), NOW)));
    for n in [2, 3, 4, 5] {
        add_entry(fixture, 1, key(n));
    }
    fs::create_dir_all(fixture.path(key(6)).parent().unwrap()).unwrap();
    fs::write(fixture.path(key(6)), b"damaged").unwrap();
    add_entry(fixture, 1, key(6));
}

#[test]
fn stale_entries_are_removed_by_the_sweeper() {
    let fixture = Fixture::new();
    add_stale_entries(&fixture);
    assert_eq!(fixture.sweep(NOW), 5);
    assert_eq!(entries(&fixture, 1), 1);
    assert_eq!(listed(&fixture, 1), [key(1)]);
}

#[test]
fn the_entry_of_a_session_that_is_being_created_or_moved_to_a_user_stays() {
    let fixture = Fixture::new();
    let path = fixture.path(key(1));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"").unwrap();
    add_entry(&fixture, 1, key(1));
    assert!(listed(&fixture, 1).is_empty());
    assert_eq!(fixture.sweep(NOW), 0);
    assert_eq!(entries(&fixture, 1), 1);

    fixture.create(key(2), &record(b""));
    let committer = fs::File::open(fixture.path(key(2))).unwrap();
    committer.lock().unwrap();
    add_entry(&fixture, 1, key(2));
    assert!(listed(&fixture, 1).is_empty());
    assert_eq!(fixture.sweep(NOW), 0);
    assert_eq!(entries(&fixture, 1), 2, "its record is about to say so");
}

#[test]
fn names_that_are_not_ours_do_not_disturb_the_index() {
    let fixture = Fixture::new();
    fixture.create(key(1), &of(1, b""));
    let dir = fixture.root().join(FileName::user(user(1)).as_str());
    fs::write(dir.join("README"), b"").unwrap();
    fs::write(dir.parent().unwrap().join("README"), b"").unwrap();
    fs::write(fixture.root().join("users/README"), b"").unwrap();
    assert_eq!(listed(&fixture, 1), [key(1)]);
    assert_eq!(now(fixture.store.remove_user(user(1), Which::All, NOW)), 1);
    assert_eq!(fixture.sweep(NOW), 0);
    assert!(dir.join("README").exists());
}
