//! What is sealed: opens as it was written or not at all.

use once_cell::sync::Lazy;

use super::{BOTH, edited, from_hex};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::id::Id;
use crate::record::{Handle, Key, Revision, UserKey};
use crate::seal::{Place, open, seal as sealed_as};

/// A record of the first release; its place is the one below.
static GOLDEN: Lazy<Vec<u8>> =
    Lazy::new(|| from_hex(include_str!("../../tests/golden/record-1.hex")));

fn id() -> Id {
    Id::new([7; Id::LEN])
}

fn place() -> Place {
    Place {
        key: Key([1; 16]),
        revision: Revision { number: 2, tag: 3 },
        created: Timestamp::from_millis(4),
        handle: Handle([5; 12]),
        user: Some(UserKey([6; 16])),
    }
}

/// Takes `input` for a sealed record, for what to do to one, and for what is in one.
pub fn seal(input: &[u8]) {
    let opened = |sealed: &[u8]| open(&BOTH, &id(), &place(), sealed);
    assert!(input == GOLDEN.as_slice() || opened(input).is_none());

    let other = edited(&GOLDEN, input);
    assert_eq!(opened(&other).is_some(), other == *GOLDEN, "{other:02x?}");

    if let Some(contents) = Contents::decode(input) {
        let mut bytes = Vec::new();
        contents.encode(&mut bytes);
        let again = Contents::decode(&bytes);
        assert_eq!(again.as_ref(), Some(&contents), "it is read as written");
        let sealed = sealed_as(&BOTH, &id(), &place(), &contents).expect("it is not so large");
        assert_eq!(opened(&sealed), Some((contents, false)));
    }
}
