//! The contract of a store: the sessions of a user.

use std::sync::Arc;

use super::ask::{ask, created, is_gone, is_retired, is_saved};
use super::record::{HOUR, NOW, after, key, of_user, record, user, with};
use crate::record::{Handle, Key, Record, Summary};
use crate::store::asked::Asked;
use crate::store::{Loaded, Which};

pub(super) async fn a_users_sessions_are_listed(store: &Arc<Asked>) {
    let listed = async |number, now| {
        let mut keys: Vec<Key> = ask!(store, of_user(user(number), now))
            .iter()
            .map(|listing| listing.key)
            .collect();
        keys.sort();
        keys
    };
    let sorted = |mut keys: Vec<Key>| {
        keys.sort();
        keys
    };
    let first = created(store, key(1), of_user(1, b"")).await;
    created(store, key(2), device(1, 9)).await;
    created(store, key(3), of_user(2, b"")).await;
    let anonymous = created(store, key(4), record(b"")).await;
    assert_eq!(
        listed(1, NOW).await,
        sorted(vec![key(1), key(2)]),
        "every session of the user and no other"
    );
    let listing = &ask!(store, of_user(user(2), NOW))[0];
    assert_eq!(
        (
            listing.head.handle.0,
            listing.head.created,
            listing.head.expires
        ),
        ([2; 12], NOW, NOW + HOUR)
    );
    let summary = listing.summary.as_ref().map(Summary::as_bytes);
    assert_eq!(
        (listing.head.seen, summary),
        (NOW, Some(&[2; 40][..])),
        "with the last visit and the summary"
    );
    let login = with(after(&anonymous, b""), |head| head.user = Some(user(1)));
    assert!(is_saved(&ask!(
        store,
        commit(key(4), anonymous.head.revision, login, NOW)
    )));
    assert_eq!(
        listed(1, NOW).await,
        sorted(vec![key(1), key(2), key(4)]),
        "a commit moves the index"
    );
    let other = with(after(&first, b""), |head| head.user = Some(user(2)));
    assert!(is_saved(&ask!(
        store,
        commit(key(1), first.head.revision, other, NOW)
    )));
    assert_eq!(listed(1, NOW).await, sorted(vec![key(2), key(4)]));
    assert_eq!(listed(2, NOW).await, sorted(vec![key(1), key(3)]));
    assert!(ask!(store, remove(key(2), NOW)));
    assert_eq!(
        listed(1, NOW).await,
        [key(4)],
        "what was removed is not listed"
    );
    assert_eq!(listed(9, NOW).await, [], "an unknown user has no sessions");
}

/// Makes a session of a user, with the handle of a device.
fn device(number: u8, device: u8) -> Record {
    with(of_user(number, b""), |head| {
        head.handle = Handle([device; 12]);
    })
}

pub(super) async fn a_users_sessions_are_removed(store: &Arc<Asked>) {
    for number in 1..=4 {
        created(store, key(number), device(1, number)).await;
    }
    created(store, key(5), device(2, 5)).await;
    assert_eq!(
        ask!(
            store,
            remove_user(user(1), Which::AllBut(Handle([2; 12])), NOW)
        ),
        3,
        "all but one"
    );
    assert!(matches!(ask!(store, load(key(2), NOW)), Loaded::Live(_)));
    for number in [1, 3, 4] {
        assert!(is_retired(store, key(number), NOW).await);
    }
    assert_eq!(
        ask!(store, remove_user(user(1), Which::All, NOW)),
        1,
        "and then all"
    );
    assert_eq!(ask!(store, remove_user(user(1), Which::All, NOW)), 0);
    assert!(
        matches!(ask!(store, load(key(5), NOW)), Loaded::Live(_)),
        "of nobody else"
    );
}

pub(super) async fn one_session_of_a_user_is_removed(store: &Arc<Asked>) {
    let first = created(store, key(1), device(1, 1)).await;
    created(store, key(2), device(1, 2)).await;
    let one = |device| Which::One(Handle([device; 12]));
    assert_eq!(
        ask!(store, remove_user(user(2), one(1), NOW)),
        0,
        "a handle of another user's session removes nothing"
    );
    assert_eq!(ask!(store, remove_user(user(1), one(3), NOW)), 0);
    let renewed = after(&first, b"");
    assert!(is_saved(&ask!(
        store,
        renew(key(1), first.head.revision, key(3), renewed.clone(), NOW)
    )));
    assert_eq!(
        ask!(store, remove_user(user(1), one(1), NOW)),
        1,
        "a handle is the same through renewals"
    );
    assert!(is_retired(store, key(3), NOW).await);
    assert!(is_gone(&ask!(
        store,
        commit(key(3), renewed.head.revision, after(&renewed, b""), NOW)
    )));
    assert!(
        matches!(ask!(store, load(key(2), NOW)), Loaded::Live(_)),
        "and it is that session's alone"
    );
    let end = NOW + HOUR;
    assert_eq!(
        ask!(store, remove_user(user(1), one(2), end)),
        0,
        "what has expired is not counted"
    );
}
