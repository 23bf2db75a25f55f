//! The contract of a store, sentence by sentence.

use std::sync::Arc;
use std::time::Duration;

use super::ask::{ask, created, is_gone, is_nothing, is_retired, is_saved, live};
use super::record::{HOUR, MINUTE, NOW, after, fields, key, of_user, record, user, with};
use super::{locks, races, swaps, users};
use crate::clock::Timestamp;
use crate::record::{Handle, RETIRED, TOMBSTONE};
use crate::store::asked::Asked;
use crate::store::{Commit, Entry, Loaded, Store};

/// Checks every sentence of the contract of [`Store`] against a store: for its operations, and for the operations that
/// the library makes of them.
///
/// `make` is called once for each check, and returns a store that nobody else uses. The checks pass
/// the time as an argument, so they need no clock and do not wait.
///
/// # Panics
/// Panics if a sentence does not hold. The message is the sentence.
pub async fn contract<S: Store>(mut make: impl FnMut() -> S) {
    let mut make = move || -> Arc<dyn Store> { Arc::new(make()) };
    swaps::check(&mut make).await;
    let mut make = || Arc::new(Asked::new(make()));
    a_record_is_read_back_as_it_was_written(&make()).await;
    what_was_never_created_is_nothing(&make()).await;
    no_key_is_shared(&make()).await;
    an_expired_record_is_nothing(&make()).await;
    a_commit_writes_over_its_revision_alone(&make()).await;
    a_lost_reply_does_no_harm(&make()).await;
    heads_are_those_of_the_keys_in_their_order(&make()).await;
    a_touch_moves_the_expiry_alone(&make()).await;
    a_renewal_moves_the_session(&make()).await;
    a_renewal_that_comes_too_late_leaves_nothing(&make()).await;
    nothing_revives_what_was_removed(&make()).await;
    a_removal_follows_renewals(&make()).await;
    tombstones_end(&make()).await;
    users::a_users_sessions_are_listed(&make()).await;
    users::a_users_sessions_are_removed(&make()).await;
    users::one_session_of_a_user_is_removed(&make()).await;
    the_sweeper_deletes_what_has_expired_alone(&make()).await;
    locks::a_lease_excludes_others_until_it_is_dropped(&make()).await;
    locks::a_lease_keeps_nobody_from_the_record(&make()).await;
    races::racing_commits_lose_nothing(&make()).await;
    races::a_removal_among_racing_commits_stays(&make()).await;
    races::racing_renewals_leave_one(&make()).await;
    races::removing_a_users_sessions_spares_who_logged_in_meanwhile(&make()).await;
    races::a_session_that_is_renewed_is_neither_missed_nor_ended_wrongly(&make()).await;
}

async fn a_record_is_read_back_as_it_was_written(store: &Arc<Asked>) {
    for (number, length) in (0..).zip([0, 1, 300, 4096, 70_000]) {
        let body: Vec<u8> = (0..length).map(|place: u32| (place % 251) as u8).collect();
        let body = if store.in_process() { &[] } else { &*body };
        for (place, record) in [(number, record(body)), (number + 100, of_user(3, body))] {
            let record = created(store, key(place), record).await;
            let loaded = live(store, key(place), NOW).await;
            assert_eq!(
                fields(&loaded),
                fields(&record),
                "a created record is read back whole"
            );
            let next = after(&record, &body[..body.len() / 2]);
            assert!(is_saved(&ask!(
                store,
                commit(key(place), record.head.revision, next.clone(), NOW)
            )));
            let loaded = live(store, key(place), NOW).await;
            assert_eq!(
                fields(&loaded),
                fields(&next),
                "a committed record is read back whole"
            );
        }
    }
}

async fn what_was_never_created_is_nothing(store: &Arc<Asked>) {
    let record = record(b"");
    assert!(
        is_nothing(store, key(1), NOW).await,
        "an unknown key is nothing"
    );
    assert!(
        is_gone(&ask!(
            store,
            commit(key(1), record.head.revision, after(&record, b""), NOW)
        )),
        "a commit creates nothing"
    );
    assert!(
        is_gone(&ask!(
            store,
            renew(
                key(1),
                record.head.revision,
                key(2),
                after(&record, b""),
                NOW
            )
        )),
        "a renewal of nothing is gone"
    );
    ask!(store, touch(key(1), record.head.revision, NOW + HOUR, NOW));
    assert!(
        !ask!(store, remove(key(1), NOW)),
        "there is nothing to remove"
    );
    for number in [1, 2] {
        assert!(
            is_nothing(store, key(number), NOW).await,
            "only `create` and `renew` bring a key to life"
        );
    }
}

async fn no_key_is_shared(store: &Arc<Asked>) {
    let first = created(store, key(1), record(b"first")).await;
    assert!(
        !ask!(store, create(key(1), record(b"second"), NOW)),
        "a live key is taken"
    );
    assert_eq!(
        fields(&live(store, key(1), NOW).await),
        fields(&first),
        "a refused `create` changes nothing"
    );
    assert!(ask!(store, remove(key(1), NOW)));
    assert!(
        !ask!(store, create(key(1), record(b"second"), NOW)),
        "a retired key is taken"
    );
    assert!(is_retired(store, key(1), NOW).await);
}

async fn an_expired_record_is_nothing(store: &Arc<Asked>) {
    let record = created(store, key(1), of_user(1, b"")).await;
    let end = record.head.expires;
    let before = Timestamp::from_millis(end.as_millis() - 1);
    assert_eq!(
        fields(&live(store, key(1), before).await),
        fields(&record),
        "a record lives until its expiry"
    );
    assert!(
        is_nothing(store, key(1), end).await,
        "and not at it, swept or not"
    );
    assert!(
        is_gone(&ask!(
            store,
            commit(key(1), record.head.revision, after(&record, b"x"), end)
        )),
        "a commit revives nothing"
    );
    assert!(is_gone(&ask!(
        store,
        renew(
            key(1),
            record.head.revision,
            key(2),
            after(&record, b"x"),
            end
        )
    )));
    ask!(store, touch(key(1), record.head.revision, end + HOUR, end));
    // It may be a tombstone by now: the renewal of an expired session makes one.
    assert!(
        !matches!(ask!(store, load(key(1), end)), Loaded::Live(_)),
        "a touch revives nothing"
    );
    assert!(
        is_nothing(store, key(2), end).await,
        "a renewal that is gone leaves nothing"
    );
    assert!(
        ask!(store, of_user(user(1), end)).is_empty(),
        "what has expired is not listed"
    );
    assert!(
        !ask!(store, create(key(1), of_user(1, b""), end)),
        "an expired key is taken until it is swept"
    );
}

async fn a_commit_writes_over_its_revision_alone(store: &Arc<Asked>) {
    let first = created(store, key(1), record(b"first")).await;
    let (mine, theirs) = (after(&first, b"mine"), after(&first, b"theirs"));
    assert!(is_saved(&ask!(
        store,
        commit(key(1), first.head.revision, theirs.clone(), NOW)
    )));
    match ask!(
        store,
        commit(key(1), first.head.revision, mine.clone(), NOW)
    ) {
        Commit::Conflict(latest) => assert_eq!(
            fields(&latest),
            fields(&theirs),
            "a conflict brings the latest record"
        ),
        other => {
            panic!("a revision is written over once, and then there is a conflict, not {other:?}")
        }
    }
    assert_eq!(
        fields(&live(store, key(1), NOW).await),
        fields(&theirs),
        "a conflict writes nothing"
    );
    let again = after(&theirs, b"mine again");
    assert!(is_saved(&ask!(
        store,
        commit(key(1), theirs.head.revision, again.clone(), NOW)
    )));
    assert_eq!(fields(&live(store, key(1), NOW).await), fields(&again));
    match ask!(store, renew(key(1), first.head.revision, key(2), mine, NOW)) {
        Commit::Conflict(latest) => assert_eq!(fields(&latest), fields(&again)),
        other => panic!("a renewal of another revision is a conflict, not {other:?}"),
    }
    assert!(
        is_nothing(store, key(2), NOW).await,
        "a renewal in conflict leaves nothing"
    );
}

async fn a_lost_reply_does_no_harm(store: &Arc<Asked>) {
    let first = created(store, key(1), record(b"first")).await;
    let next = after(&first, b"next");
    for _ in 0..2 {
        let commit = ask!(
            store,
            commit(key(1), first.head.revision, next.clone(), NOW)
        );
        assert!(
            is_saved(&commit),
            "a commit that finds its own revision is saved"
        );
    }
    let renewed = after(&next, b"renewed");
    for _ in 0..2 {
        let renewal = ask!(
            store,
            renew(key(1), next.head.revision, key(2), renewed.clone(), NOW)
        );
        assert!(
            is_saved(&renewal),
            "a renewal that finds its own revision is saved"
        );
    }
    assert_eq!(fields(&live(store, key(2), NOW).await), fields(&renewed));
}

async fn heads_are_those_of_the_keys_in_their_order(store: &Arc<Asked>) {
    let session = created(store, key(1), of_user(1, b"first")).await;
    created(store, key(2), record(b"second")).await;
    assert!(ask!(store, remove(key(2), NOW)));
    let third = created(store, key(3), of_user(3, b"third")).await;
    let renewed = after(&third, b"renewed");
    let over = third.head.revision;
    assert!(is_saved(&ask!(
        store,
        renew(key(3), over, key(4), renewed.clone(), NOW)
    )));
    let keys = [4, 9, 3, 1, 2, 1].map(key);
    let heads = ask!(store, heads(&keys));
    let heads: Vec<_> = heads.iter().map(Option::as_ref).collect();
    let [fourth, nothing, third, first, second, again] = heads[..] else {
        panic!("there is one answer for each key, and not {}", heads.len());
    };
    let head = |entry: Option<&Entry>| entry.and_then(Entry::head).copied();
    assert_eq!(
        [head(fourth), head(first), head(again)],
        [Some(renewed.head), Some(session.head), Some(session.head)],
        "a head is the one under its key"
    );
    assert!(nothing.is_none(), "under an unknown key there is nothing");
    let successor = |entry: Option<&Entry>| match entry {
        Some(Entry::Ended { successor, .. }) => *successor,
        other => panic!("a tombstone is among the heads, and not {other:?}"),
    };
    assert_eq!(
        [successor(second), successor(third)],
        [None, Some(key(4))],
        "a tombstone tells where the session went"
    );
    let many: Vec<_> = (0..3000).map(|number| key((number % 5) as u8)).collect();
    let heads = ask!(store, heads(&many));
    assert!(
        heads.len() == many.len()
            && heads
                .iter()
                .enumerate()
                .all(|(place, entry)| entry.is_some() == (place % 5 != 0)),
        "any number of heads is read"
    );
    assert!(ask!(store, heads(&[])).is_empty());
}

async fn a_touch_moves_the_expiry_alone(store: &Arc<Asked>) {
    let first = created(store, key(1), of_user(1, b"first")).await;
    let visit = NOW + MINUTE;
    ask!(
        store,
        touch(key(1), first.head.revision, NOW + 2 * HOUR, visit)
    );
    let touched = with(first.clone(), |head| {
        head.expires = NOW + 2 * HOUR;
        head.seen = visit;
    });
    assert_eq!(
        fields(&live(store, key(1), NOW + HOUR).await),
        fields(&touched),
        "a touch carries no data, and says when it was"
    );
    let listing = &ask!(store, of_user(user(1), NOW))[0];
    assert_eq!(
        (listing.head.expires, listing.head.seen),
        (NOW + 2 * HOUR, visit),
        "the list knows of it"
    );
    let next = with(after(&first, b"next"), |head| head.expires = NOW + HOUR);
    assert!(
        is_saved(&ask!(
            store,
            commit(key(1), first.head.revision, next.clone(), NOW)
        )),
        "a touch is no new revision"
    );
    assert_eq!(
        fields(&live(store, key(1), NOW).await),
        fields(&next),
        "a commit has its own expiry and visit"
    );
    ask!(
        store,
        touch(key(1), first.head.revision, NOW + 3 * HOUR, visit)
    );
    assert_eq!(
        fields(&live(store, key(1), NOW).await),
        fields(&next),
        "a touch of an older revision does nothing"
    );
}

async fn a_renewal_moves_the_session(store: &Arc<Asked>) {
    let first = created(store, key(1), of_user(1, b"first")).await;
    let renewed = with(after(&first, b"renewed"), |head| head.user = Some(user(2)));
    assert!(is_saved(&ask!(
        store,
        renew(key(1), first.head.revision, key(2), renewed.clone(), NOW)
    )));
    assert_eq!(fields(&live(store, key(2), NOW).await), fields(&renewed));
    assert!(
        is_retired(store, key(1), NOW).await,
        "the old key is retired"
    );
    assert!(
        is_gone(&ask!(
            store,
            commit(key(1), first.head.revision, after(&first, b"late"), NOW)
        )),
        "and nothing is committed to it"
    );
    ask!(
        store,
        touch(key(1), first.head.revision, NOW + 9 * HOUR, NOW)
    );
    assert!(is_retired(store, key(1), NOW).await);
    assert!(
        ask!(store, of_user(user(1), NOW)).is_empty(),
        "the index moves"
    );
    assert_eq!(ask!(store, of_user(user(2), NOW))[0].key, key(2));
}

async fn a_renewal_that_comes_too_late_leaves_nothing(store: &Arc<Asked>) {
    let first = created(store, key(1), of_user(1, b"first")).await;
    assert!(ask!(store, remove(key(1), NOW)));
    assert!(is_gone(&ask!(
        store,
        renew(
            key(1),
            first.head.revision,
            key(2),
            after(&first, b"late"),
            NOW
        )
    )));
    assert!(
        !matches!(ask!(store, load(key(2), NOW)), Loaded::Live(_)),
        "what was removed is not renewed"
    );
    assert!(ask!(store, of_user(user(1), NOW)).is_empty());
}

async fn nothing_revives_what_was_removed(store: &Arc<Asked>) {
    let first = created(store, key(1), record(b"first")).await;
    assert!(
        ask!(store, remove(key(1), NOW)),
        "a live record was removed"
    );
    assert!(!ask!(store, remove(key(1), NOW)), "once");
    for minute in 0..20 {
        let now = NOW + Duration::from_secs(60) * minute;
        assert!(is_gone(&ask!(
            store,
            commit(key(1), first.head.revision, after(&first, b"late"), now)
        )));
        ask!(store, touch(key(1), first.head.revision, now + HOUR, now));
        assert!(
            !matches!(ask!(store, load(key(1), now)), Loaded::Live(_)),
            "what was removed stays removed"
        );
    }
}

async fn a_removal_follows_renewals(store: &Arc<Asked>) {
    let mut latest = created(store, key(1), record(b"first")).await;
    for number in 1..5 {
        let next = after(&latest, b"renewed");
        assert!(is_saved(&ask!(
            store,
            renew(
                key(number),
                latest.head.revision,
                key(number + 1),
                next.clone(),
                NOW
            )
        )));
        latest = next;
    }
    assert!(
        ask!(store, remove(key(1), NOW)),
        "removing a renewed key removes its successor"
    );
    assert!(is_retired(store, key(5), NOW).await);
}

async fn tombstones_end(store: &Arc<Asked>) {
    created(store, key(1), record(b"first")).await;
    assert!(ask!(store, remove(key(1), NOW)));
    let just_before = Timestamp::from_millis((NOW + RETIRED).as_millis() - 1);
    assert!(
        is_retired(store, key(1), just_before).await,
        "retired for as long as it should be"
    );
    assert!(
        is_nothing(store, key(1), NOW + RETIRED).await,
        "and no longer"
    );
    // A clock that is set back does not make this time longer. A clock that is behind does not make it shorter.
    let before = |span: Duration| {
        Timestamp::from_millis(NOW.as_millis() - u64::try_from(span.as_millis()).unwrap_or(0))
    };
    let almost = RETIRED - Duration::from_millis(1);
    assert!(
        is_retired(store, key(1), before(almost)).await,
        "retired by a clock that is behind, too"
    );
    assert!(
        is_nothing(store, key(1), before(RETIRED)).await,
        "and nothing by one that was set back"
    );
    let second = created(store, key(2), record(b"second")).await;
    let renewed = after(&second, b"renewed");
    assert!(is_saved(&ask!(
        store,
        renew(key(2), second.head.revision, key(3), renewed, NOW)
    )));
    let late = Timestamp::from_millis((NOW + TOMBSTONE).as_millis() - 1);
    sweep(store, late).await;
    assert!(
        ask!(store, remove(key(2), late)),
        "a late removal still finds the successor"
    );
}

/// Sweeps at least one whole round. The store may be in the middle of a round, so this stops at the second end.
async fn sweep(store: &Arc<Asked>, now: Timestamp) -> usize {
    let (mut deleted, mut ends) = (0, 0);
    for _ in 0..100_000 {
        let swept = ask!(store, sweep_slice(now, 7));
        deleted += swept.deleted;
        ends += usize::from(swept.finished);
        if ends == 2 {
            return deleted;
        }
    }
    panic!("a sweep comes to its end");
}

async fn the_sweeper_deletes_what_has_expired_alone(store: &Arc<Asked>) {
    for number in 0..50 {
        let expires = NOW + HOUR * (1 + u32::from(number % 2));
        created(
            store,
            key(number),
            with(of_user(1, b""), |head| {
                head.expires = expires;
                head.handle = Handle([number; 12]);
            }),
        )
        .await;
    }
    for number in 50..60 {
        created(store, key(number), record(b"")).await;
        assert!(ask!(store, remove(key(number), NOW)));
    }
    assert_eq!(sweep(store, NOW).await, 0, "what is live or retired stays");
    let swept = sweep(store, NOW + HOUR).await;
    // A store whose server expires the entries need not count them.
    assert!(
        swept == 35 || swept == 0,
        "25 expired records and 10 tombstones, not {swept}"
    );
    for number in 0..50 {
        let is_live = matches!(ask!(store, load(key(number), NOW + HOUR)), Loaded::Live(_));
        assert_eq!(is_live, number % 2 == 1, "what has not expired stays");
    }
    assert_eq!(ask!(store, of_user(user(1), NOW + HOUR)).len(), 25);
}
