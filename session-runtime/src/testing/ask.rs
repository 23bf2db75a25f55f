//! Calls to a store, and checks of the answers.

use std::sync::Arc;

use super::record::NOW;
use crate::clock::Timestamp;
use crate::record::{Key, Record};
use crate::store::asked::Asked;
use crate::store::{Commit, Loaded};

/// Calls an operation of a store, and panics if it fails.
macro_rules! ask {
    ($store:expr, $operation:ident($($argument:expr),*)) => {
        $store.$operation($($argument),*).await.unwrap_or_else(|error| panic!(concat!(stringify!($operation), " failed: {}"), error))
    };
}
pub(super) use ask;

pub(super) async fn live(store: &Arc<Asked>, key: Key, now: Timestamp) -> Record {
    match ask!(store, load(key, now)) {
        Loaded::Live(record) => record,
        other => panic!("a live record is loaded, and not {other:?}"),
    }
}

pub(super) async fn is_nothing(store: &Arc<Asked>, key: Key, now: Timestamp) -> bool {
    matches!(ask!(store, load(key, now)), Loaded::Nothing)
}

pub(super) async fn is_retired(store: &Arc<Asked>, key: Key, now: Timestamp) -> bool {
    matches!(ask!(store, load(key, now)), Loaded::Retired)
}

pub(super) async fn created(store: &Arc<Asked>, key: Key, record: Record) -> Record {
    assert!(
        ask!(store, create(key, record.clone(), NOW)),
        "a free key is taken"
    );
    record
}

pub(super) fn is_gone(commit: &Commit) -> bool {
    matches!(commit, Commit::Gone)
}

pub(super) fn is_saved(commit: &Commit) -> bool {
    matches!(commit, Commit::Saved)
}
