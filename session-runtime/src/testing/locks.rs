//! The contract of a store: the lock of a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{ask, created, is_saved, live};
use super::record::{NOW, after, fields, key, record};
use crate::record::Key;
use crate::store::Lease;
use crate::store::asked::Asked;

/// The longest time after the end of a lease until others can take the lock.
const SOON: Duration = Duration::from_secs(2);

pub(super) async fn a_lease_excludes_others_until_it_is_dropped(store: &Arc<Asked>) {
    let lease = ask!(store, lock(key(1)));
    assert!(lease.is_some(), "a lock that nobody has is given");
    // A store that is not shared between processes may give the lock twice: it has nobody to exclude.
    if ask!(store, lock(key(1))).is_none() {
        let other = soon(store, key(2)).await;
        drop(lease);
        let next = soon(store, key(1)).await;
        assert!(
            ask!(store, lock(key(1))).is_none(),
            "a lock that was given back is given to one alone"
        );
        drop((other, next));
    }
}

pub(super) async fn a_lease_keeps_nobody_from_the_record(store: &Arc<Asked>) {
    let lease = soon(store, key(1)).await;
    let first = created(store, key(1), record(b"")).await;
    let second = after(&first, b"");
    assert!(is_saved(&ask!(
        store,
        commit(key(1), first.head.revision, second.clone(), NOW)
    )));
    assert_eq!(
        fields(&live(store, key(1), NOW).await),
        fields(&second),
        "a session that is locked is read and written"
    );
    assert!(
        ask!(store, remove(key(1), NOW)),
        "a session that is locked is removed"
    );
    drop(lease);
}

async fn soon(store: &Arc<Asked>, key: Key) -> Lease {
    let end = Instant::now() + SOON;
    loop {
        if let Some(lease) = ask!(store, lock(key)) {
            return lease;
        }
        assert!(
            Instant::now() < end,
            "a lock that is given back is free, and one session's is no other's"
        );
        tokio::task::yield_now().await;
    }
}
