//! Records and moments to test with.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{Body, Handle, Key, Record, Revision, Summary, UserKey};

/// The present moment of every check.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn key(number: u8) -> Key {
    // Keys are hashes, so they differ in every byte.
    Key(std::array::from_fn(|place| {
        number
            .wrapping_mul(31)
            .wrapping_add(place as u8)
            .wrapping_mul(167)
    }))
}

pub(super) fn user(number: u8) -> UserKey {
    UserKey([number; 16])
}

/// An anonymous session that lasts an hour from [`NOW`].
pub(super) fn record(body: &[u8]) -> Record {
    Record {
        revision: Revision::first(),
        expires: NOW + HOUR,
        seen: NOW,
        created: NOW,
        handle: Handle([7; 12]),
        user: None,
        summary: None,
        body: Body::from_bytes(body),
    }
}

/// A session of a user, with a summary that says whose.
pub(super) fn of_user(number: u8, body: &[u8]) -> Record {
    Record {
        user: Some(user(number)),
        handle: Handle([number; 12]),
        summary: Some(Summary::from_bytes(vec![number; 40])),
        ..record(body)
    }
}

/// What a commit over `before` would write.
pub(super) fn after(before: &Record, body: &[u8]) -> Record {
    Record {
        revision: before.revision.next(),
        body: Body::from_bytes(body),
        ..before.clone()
    }
}

/// All that a store has to give back as it was given.
pub(super) fn fields(record: &Record) -> impl PartialEq + std::fmt::Debug {
    let Record {
        revision,
        expires,
        seen,
        created,
        handle,
        user,
        summary,
        body,
    } = record;
    (
        *revision,
        [*expires, *seen, *created],
        (*handle, *user),
        summary.as_ref().map(Summary::as_bytes),
        body.as_bytes(),
    )
}
