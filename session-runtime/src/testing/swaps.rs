//! The contract of a store: its operations, one by one.

use std::sync::Arc;

use super::ask::ask;
use super::record::{HOUR, NOW, after, fields, key, of_user, record, user, with};
use crate::clock::Timestamp;
use crate::record::{Handle, Key, Record, TOMBSTONE};
use crate::store::{Cursor, Ending, Entry, Expected, Scanned, Store, Swap, Which, Whose};

pub(super) async fn check(make: &mut impl FnMut() -> Arc<dyn Store>) {
    an_entry_is_put_only_where_it_is_expected(&make()).await;
    what_is_over_may_be_replaced(&make()).await;
    a_list_has_all_of_its_users(&make()).await;
    a_scan_visits_every_entry(&make()).await;
    an_end_is_of_whom_it_is_meant_for(&make()).await;
}

fn live(record: &Record) -> Option<Entry> {
    Some(Entry::Live(record.clone()))
}

fn ended(at: Timestamp, successor: Option<Key>) -> Option<Entry> {
    Some(Entry::Ended { at, successor })
}

/// Converts an entry to a form that can be compared.
fn said(entry: Option<&Entry>) -> Option<impl PartialEq + std::fmt::Debug> {
    entry.map(|entry| match entry {
        Entry::Live(record) => (Some(format!("{:?}", fields(record))), None),
        Entry::Ended { at, successor } => (None, Some((*at, *successor))),
    })
}

async fn swap(
    store: &Arc<dyn Store>,
    number: u8,
    expected: Expected,
    entry: Option<Entry>,
    now: Timestamp,
) -> bool {
    let before = ask!(store, load(key(number)));
    let is_met = expected.is_met_by(before.as_ref(), now);
    match ask!(store, swap(key(number), expected, entry.clone(), now)) {
        Swap::Done => {
            assert!(is_met, "a swap is done only if what it expects is there");
            let after = ask!(store, load(key(number)));
            assert_eq!(
                said(after.as_ref()),
                said(entry.as_ref()),
                "a swap that is done puts its entry there, whole"
            );
            true
        }
        Swap::Found(found) => {
            assert!(!is_met, "a swap is done if what it expects is there");
            let after = ask!(store, load(key(number)));
            for found in [found, after] {
                assert_eq!(
                    said(found.as_ref()),
                    said(before.as_ref()),
                    "a swap that is not done changes nothing, and says what is there"
                );
            }
            false
        }
    }
}

async fn an_entry_is_put_only_where_it_is_expected(store: &Arc<dyn Store>) {
    let body: &[u8] = if store.in_process() { b"" } else { b"first" };
    let first = of_user(1, body);
    let next = after(&first, body);
    let (at, over) = (Expected::At, Expected::Over);
    let nothing = Expected::Nothing;
    let none_is_met = async |number, met: &[Expected]| {
        for expected in [
            nothing,
            at(first.head.revision),
            at(next.head.revision),
            over,
        ] {
            if !met.contains(&expected) {
                assert!(!swap(store, number, expected, live(&next), NOW).await);
                assert!(!swap(store, number, expected, None, NOW).await);
            }
        }
    };
    none_is_met(1, &[nothing]).await;
    assert!(swap(store, 1, nothing, None, NOW).await, "nothing is there");
    assert!(swap(store, 1, nothing, live(&first), NOW).await);
    none_is_met(1, &[at(first.head.revision)]).await;
    assert!(swap(store, 1, at(first.head.revision), live(&next), NOW).await);
    none_is_met(1, &[at(next.head.revision)]).await;
    let removed = ended(NOW, None);
    assert!(swap(store, 1, at(next.head.revision), removed, NOW).await);
    none_is_met(1, &[]).await;
    // A deleted entry is the same as an entry that never existed.
    assert!(swap(store, 2, nothing, live(&first), NOW).await);
    assert!(swap(store, 2, at(first.head.revision), None, NOW).await);
    none_is_met(2, &[nothing]).await;
    assert!(swap(store, 2, nothing, live(&next), NOW).await);
    let renewed = ended(NOW, Some(key(3)));
    assert!(swap(store, 2, at(next.head.revision), renewed, NOW).await);
}

async fn what_is_over_may_be_replaced(store: &Arc<dyn Store>) {
    let first = record(b"");
    let end = first.head.expires;
    let later = with(record(b""), |head| head.expires = end + HOUR);
    let over = Expected::Over;
    for number in 1..=3 {
        assert!(swap(store, number, Expected::Nothing, live(&first), NOW).await);
        let at = Expected::At(first.head.revision);
        assert!(
            !swap(store, number, at, live(&later), end).await,
            "an expired session is at no revision"
        );
    }
    // A server that expires entries by itself may delete these later, but not at once.
    assert!(swap(store, 1, over, ended(end, None), end).await);
    assert!(swap(store, 2, over, None, end).await);
    assert!(swap(store, 3, over, live(&later), end).await);
    assert!(
        !swap(store, 1, over, None, end).await,
        "a new tombstone stays"
    );
    assert!(
        swap(store, 1, over, None, end + TOMBSTONE).await,
        "and ends"
    );
    let by_a_clock_behind = Timestamp::from_millis(end.as_millis() - TOMBSTONE.as_millis() as u64);
    assert!(swap(store, 4, Expected::Nothing, ended(end, None), NOW).await);
    assert!(
        swap(store, 4, over, None, by_a_clock_behind).await,
        "a tombstone of the future ends, too"
    );
}

async fn a_list_has_all_of_its_users(store: &Arc<dyn Store>) {
    for (number, whose) in [(1, 1), (2, 2), (3, 3)] {
        let session = with(of_user(whose, b""), |head| head.handle.0[0] = number);
        assert!(swap(store, number, Expected::Nothing, live(&session), NOW).await);
    }
    assert!(swap(store, 4, Expected::Nothing, live(&record(b"")), NOW).await);
    let listed = ask!(store, list(&[user(1), user(2)]));
    assert!(listed.whole, "a list from which nothing was lost is whole");
    let mut keys: Vec<_> = listed.entries.iter().map(|(key, _)| *key).collect();
    keys.sort();
    let mut expected = [key(1), key(2)];
    expected.sort();
    assert_eq!(keys, expected, "the sessions of each user, and no others");
    for (_, entry) in &listed.entries {
        let Entry::Live(record) = entry else {
            panic!("a live session is listed as one")
        };
        assert!(record.summary.is_some(), "with its summary");
    }
}

async fn an_end_is_of_whom_it_is_meant_for(store: &Arc<dyn Store>) {
    let session = of_user(1, b"");
    let end = async |number: u8, who: u8, which: Which| {
        let users = [user(who), user(who + 100)];
        let whose = Whose {
            users: &users,
            which,
        };
        ask!(store, end(key(number), Some(whose), NOW))
    };
    let own = session.head.handle;
    let other = Handle([99; 12]);
    let meant = [Which::All, Which::One(own), Which::AllBut(other)];
    for (number, which) in (1..).zip(meant) {
        assert!(swap(store, number, Expected::Nothing, live(&session), NOW).await);
        for (who, which) in [(2, which), (1, Which::One(other)), (1, Which::AllBut(own))] {
            let ending = end(number, who, which).await;
            assert_eq!(ending, Ending::Nothing, "what is not meant does not end");
            let left = ask!(store, load(key(number)));
            assert!(matches!(left, Some(Entry::Live(_))), "and stays as it is");
        }
        let ending = end(number, 1, which).await;
        assert_eq!(ending, Ending::Ended(session.head), "what is meant ends");
        assert_eq!(end(number, 1, which).await, Ending::Nothing, "once");
    }
    // An end of a renewed session returns the successor, and ends nothing.
    let renewed = ended(NOW, Some(key(8)));
    assert!(swap(store, 9, Expected::Nothing, renewed, NOW).await);
    assert_eq!(end(9, 1, Which::All).await, Ending::Renewed(key(8)));
    let expiry = session.head.expires;
    assert!(swap(store, 7, Expected::Nothing, live(&session), NOW).await);
    let ending = ask!(store, end(key(7), None, expiry));
    assert_eq!(ending, Ending::Ended(session.head), "an expired one, too");
}

async fn a_scan_visits_every_entry(store: &Arc<dyn Store>) {
    for number in 0..40 {
        let entry = if number % 2 == 0 {
            live(&of_user(number + 1, b""))
        } else {
            ended(NOW, Some(key(100)))
        };
        assert!(swap(store, number, Expected::Nothing, entry, NOW).await);
    }
    let mut seen = std::collections::BTreeMap::new();
    let mut cursor = Some(Cursor::default());
    for _ in 0..1000 {
        let Some(from) = cursor else { break };
        let Scanned { entries, next } = ask!(store, scan(from, 7));
        seen.extend(entries);
        cursor = next;
    }
    assert!(cursor.is_none(), "a scan comes to its end");
    for number in 0..40 {
        let is_live = matches!(seen.get(&key(number)), Some(Entry::Live(_)));
        let is_ended = matches!(
            seen.get(&key(number)),
            Some(Entry::Ended { successor: Some(successor), .. }) if *successor == key(100)
        );
        assert!(
            is_live == (number % 2 == 0) && is_ended != is_live,
            "every entry is visited, and is what it is"
        );
    }
}
