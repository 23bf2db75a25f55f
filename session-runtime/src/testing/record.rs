//! Records and times for tests.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision, Summary, UserKey};

/// The time at which every check begins.
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

/// Makes an anonymous session that lasts an hour from [`NOW`].
pub(super) fn record(body: &[u8]) -> Record {
    Record {
        head: Head {
            revision: Revision::first(),
            expires: NOW + HOUR,
            seen: NOW,
            created: NOW,
            handle: Handle([7; 12]),
            user: None,
        },
        summary: None,
        body: Body::from_bytes(body),
    }
}

/// Makes a session of a user, with a summary made of the user's number.
pub(super) fn of_user(number: u8, body: &[u8]) -> Record {
    Record {
        summary: Some(Summary::from_bytes(vec![number; 40])),
        ..with(record(body), |head| {
            head.user = Some(user(number));
            head.handle = Handle([number; 12]);
        })
    }
}

/// Makes the record that a commit over `before` writes.
pub(super) fn after(before: &Record, body: &[u8]) -> Record {
    Record {
        body: Body::from_bytes(body),
        ..with(before.clone(), |head| {
            head.revision = before.head.revision.next();
        })
    }
}

/// Changes the head of a record.
pub(super) fn with(mut record: Record, change: impl FnOnce(&mut Head)) -> Record {
    change(&mut record.head);
    record
}

/// Returns the parts of a record that a store must return unchanged.
pub(super) fn fields(record: &Record) -> impl PartialEq + std::fmt::Debug {
    (
        record.head,
        record.summary.as_ref().map(Summary::as_bytes),
        record.body.as_bytes(),
    )
}
