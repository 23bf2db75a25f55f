//! Which session goes when a full store gets another one.

use super::*;

fn keys(thread: u32, count: u32) -> impl Iterator<Item = Key> {
    (0..count).map(move |number| key(thread, number))
}

/// Creates sessions, each a second after the one before, that last a day.
fn create_each(store: &Observed, keys: impl IntoIterator<Item = Key>, user: Option<UserKey>) {
    for key in keys {
        let now = NOW + seconds(store.created.fetch_add(1, Ordering::Relaxed));
        store.create(key, record(user, now, now + seconds(86_400)), now);
    }
}

#[test]
fn an_account_with_a_thousand_sessions_pushes_nobody_else_out() {
    let store = Observed::limited(100);
    create_each(&store, keys(1, 45), None);
    for number in 0..45 {
        create_each(&store, [key(2, number)], Some(user(number)));
    }
    create_each(&store, keys(3, 1000), Some(user(1000)));
    assert_eq!(store.live(keys(1, 45)), Vec::from_iter(0..45));
    assert_eq!(store.live(keys(2, 45)), Vec::from_iter(0..45));
    assert_eq!(
        store.live(keys(3, 1000)),
        Vec::from_iter(990..1000),
        "and it keeps its ten newest"
    );
    assert_eq!(store.stats().evicted, 990);
}

#[test]
fn an_account_with_a_thousand_sessions_makes_room_for_others_before_anybody_else() {
    let store = Observed::limited(100);
    create_each(&store, keys(1, 50), Some(user(1)));
    create_each(&store, keys(2, 30), Some(user(2)));
    create_each(&store, keys(3, 20), None);
    create_each(&store, keys(4, 54), None);
    assert_eq!(
        store.live(keys(3, 20)).len() + store.live(keys(4, 54)).len(),
        74
    );
    // Of the one with the most first, and then of both in turn.
    let left = [store.live(keys(1, 50)), store.live(keys(2, 30))];
    assert_eq!(left, [Vec::from_iter(37..50), Vec::from_iter(17..30)]);
    create_each(&store, keys(5, 10), None);
    let left = [store.live(keys(1, 50)), store.live(keys(2, 30))];
    assert_eq!(left, [Vec::from_iter(40..50), Vec::from_iter(20..30)]);
    assert_eq!(
        store.live(keys(3, 20)),
        Vec::from_iter(4..20),
        "then it is their turn"
    );
}

#[test]
fn ten_sessions_of_a_user_are_not_too_many() {
    let store = Observed::limited(20);
    create_each(&store, keys(1, 10), Some(user(1)));
    create_each(&store, keys(2, 10), None);
    create_each(&store, keys(3, 10), None);
    assert_eq!(store.live(keys(1, 10)), Vec::from_iter(0..10));
    assert!(store.live(keys(2, 10)).is_empty());
    create_each(&store, [key(1, 10)], Some(user(1)));
    assert_eq!(
        store.live(keys(1, 11)),
        Vec::from_iter(1..11),
        "but eleven are"
    );
    assert_eq!(store.live(keys(3, 10)).len(), 10);
    assert_eq!(store.stats().evicted, 1);
}

#[test]
fn a_flood_of_anonymous_sessions_pushes_no_user_out() {
    let store = Observed::limited(100);
    for number in 0..99 {
        create_each(&store, [key(1, number)], Some(user(number)));
    }
    create_each(&store, keys(2, 1000), None);
    assert_eq!(store.live(keys(1, 99)), Vec::from_iter(0..99));
    assert_eq!(store.live(keys(2, 1000)), [999]);
    assert_eq!(store.stats().evicted, 0, "anonymous ones do not count");
}

#[test]
fn a_flood_of_logins_pushes_out_who_expires_first() {
    let store = Observed::limited(100);
    create_each(&store, [key(0, 0)], None);
    for number in 0..150_u32 {
        // The later ones expire first.
        let expires = NOW + seconds(u64::from(1000 - number));
        store.create(
            key(1, number),
            record(Some(user(number)), NOW, expires),
            NOW,
        );
    }
    let expected: Vec<_> = (0..99).chain([149]).collect();
    assert_eq!(store.live(keys(1, 150)), expected);
    assert!(!store.is_live(key(0, 0)), "the anonymous one was the first");
    assert_eq!(store.stats().evicted, 50);
}

#[test]
fn what_has_expired_goes_first_and_is_not_counted() {
    let store = Observed::limited(16);
    let soon = NOW + seconds(1);
    store.create(key(0, 0), record(Some(user(1)), NOW, soon), NOW);
    store.create(key(0, 1), record(None, NOW, soon), NOW);
    create_each(&store, keys(1, 3), None);
    create_each(&store, keys(2, 11), Some(user(2)));
    let later = NOW + seconds(2);
    let expired_ones = || {
        store
            .heads()
            .iter()
            .filter(|it| it.1.expires == soon)
            .count()
    };
    for (number, left) in [1, 0, 0].into_iter().enumerate() {
        let newcomer = record(None, later, later + seconds(60));
        store.create(key(3, number as u32), newcomer, later);
        assert_eq!(expired_ones(), left);
        let first_of_crowd = usize::from(number == 2);
        assert_eq!(store.live(keys(2, 11)), Vec::from_iter(first_of_crowd..11));
        assert_eq!(store.stats().evicted, first_of_crowd as u64);
    }
    assert_eq!(store.live(keys(1, 3)), [0, 1, 2]);
}

#[test]
fn the_session_that_is_being_created_is_never_the_victim() {
    let store = Observed::limited(3);
    create_each(&store, keys(1, 3), None);
    let newest = record(None, NOW, NOW + seconds(1));
    store.create(key(2, 0), newest, NOW);
    assert!(store.is_live(key(2, 0)), "though it expires first");
    let store = Observed::limited(12);
    create_each(&store, keys(1, 12), Some(user(1)));
    let oldest = Timestamp::from_millis(1);
    let imported = record(Some(user(1)), oldest, NOW + seconds(60));
    store.create(key(2, 0), imported, NOW);
    assert!(store.is_live(key(2, 0)), "though it is the oldest");
    assert_eq!(store.live(keys(1, 12)), Vec::from_iter(1..12));
    let store = Observed::limited(1);
    create_each(&store, keys(1, 5), None);
    assert_eq!(store.live(keys(1, 5)), [4]);
}

#[test]
fn a_renewal_makes_no_room() {
    let store = Observed::limited(2);
    let first = anonymous();
    store.create(key(1, 0), first.clone(), NOW);
    store.create(key(1, 1), anonymous(), NOW);
    let login = record(Some(user(1)), NOW, NOW + seconds(60));
    let renewed = store
        .asked
        .renew(key(1, 0), first.head.revision, key(1, 2), login, NOW);
    drop(done(renewed).unwrap());
    assert_eq!(store.live(keys(1, 3)), [1, 2]);
    store.check(Some(2));
}

/// Between the choice of a victim and its eviction other threads have their turn.
#[test]
fn a_victim_that_is_not_the_first_to_go_any_more_stays() {
    let [victim, other, newcomer] = [1, 2, 3].map(|number| key(0, number));
    let first = anonymous();
    let over = first.head.revision;
    let after = |meanwhile: &dyn Fn(&Asked)| {
        let store = Observed::limited(2);
        for (key, record) in [
            (victim, first.clone()),
            (other, record(None, NOW, NOW + seconds(70))),
            (newcomer, anonymous()),
        ] {
            // Without making room, as a thread that has not come to that yet.
            let mut entries = store.memory.shard(key);
            store
                .memory
                .put(&mut entries, key, Some(Entry::Live(record)));
        }
        assert_eq!(store.memory.victim(newcomer, NOW), Some(victim));
        meanwhile(&store.asked);
        store.memory.evict(victim, newcomer, NOW);
        store
    };
    assert!(!after(&|_| ()).is_live(victim));
    let visited = after(&|asked| done(asked.touch(victim, over, NOW + seconds(80), NOW)).unwrap());
    assert!(visited.is_live(victim));
    let logged_in = after(&|asked| {
        let login = record(Some(user(1)), NOW, NOW + seconds(60));
        drop(done(asked.commit(victim, over, login, NOW)).unwrap());
    });
    assert!(logged_in.is_live(victim));
    let renewed = after(&|asked| {
        let login = record(Some(user(1)), NOW, NOW + seconds(60));
        drop(done(asked.renew(victim, over, key(0, 4), login, NOW)).unwrap());
    });
    assert_eq!(
        renewed.live([victim, other, newcomer, key(0, 4)]),
        [1, 2, 3]
    );
    let removed = after(&|asked| assert!(done(asked.remove(victim, NOW)).unwrap()));
    assert!(matches!(
        done(removed.asked.load(victim, NOW)),
        Ok(Loaded::Retired)
    ));
    let room_was_made = after(&|asked| assert!(done(asked.remove(other, NOW)).unwrap()));
    assert!(room_was_made.is_live(victim));
}

#[test]
fn without_a_limit_anonymous_sessions_are_in_no_order_and_on_no_list() {
    let store = Observed::new(&MemoryStore::new());
    create_each(&store, keys(1, 100), None);
    assert_eq!(*lock(&store.memory.lists), Lists::new(None));
    assert_eq!(store.memory.victim(key(1, 0), NOW), None);
}

#[test]
fn a_limit_of_zero_is_an_error_that_says_what_to_do() {
    let result = MemoryStore::new().max_sessions(0).open(&Arc::default());
    let error = result.err().expect("no store");
    assert!(error.to_string().contains("leave it out for no limit"));
}
