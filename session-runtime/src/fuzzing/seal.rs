//! Fuzzes sealing: a sealed value opens with the contents that were sealed, or not at all.

use once_cell::sync::Lazy;

use super::inputs::{BOTH, edited, from_hex};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::id::Id;
use crate::record::{Handle, Head, Key, Revision, UserKey};
use crate::seal::{SummaryContents, open, open_summary, seal as sealed_as, seal_summary};

/// A sealed record. Its id, key and head are below.
static GOLDEN: Lazy<Vec<u8>> =
    Lazy::new(|| from_hex(include_str!("../../tests/golden/record-1.hex")));

static GOLDEN_SUMMARY: Lazy<Vec<u8>> =
    Lazy::new(|| from_hex(include_str!("../../tests/golden/summary-1.hex")));

fn id() -> Id {
    Id::new([7; Id::LEN])
}

const KEY: Key = Key([1; 16]);
const HANDLE: Handle = Handle([5; 12]);
const USER: UserKey = UserKey([6; 16]);

fn head() -> Head {
    Head {
        revision: Revision { number: 2, tag: 3 },
        expires: Timestamp::from_millis(9),
        seen: Timestamp::from_millis(8),
        created: Timestamp::from_millis(4),
        handle: HANDLE,
        user: Some(USER),
    }
}

/// Takes `input` as a sealed record, as edits to one, and as the contents of one.
pub fn seal(input: &[u8]) {
    let opened = |sealed: &[u8]| open(&BOTH, &id(), KEY, &head(), sealed);
    assert!(input == *GOLDEN || opened(input).is_none());
    let other = edited(&GOLDEN, input);
    assert_eq!(opened(&other).is_some(), other == *GOLDEN, "{other:02x?}");

    let told = |sealed: &[u8]| open_summary(&BOTH, HANDLE, USER, sealed);
    assert!(input == *GOLDEN_SUMMARY || told(input).is_none());
    let other = edited(&GOLDEN_SUMMARY, input);
    assert_eq!(told(&other).is_some(), other == *GOLDEN_SUMMARY);

    let Some(contents) = Contents::decode(input) else {
        return;
    };
    let mut bytes = Vec::new();
    contents.encode(&mut bytes);
    let again = Contents::decode(&bytes);
    assert_eq!(again.as_ref(), Some(&contents), "it is read as written");
    let sealed = sealed_as(&BOTH, &id(), KEY, &head(), &contents).expect("it is not so large");
    assert_eq!(opened(&sealed), Some((contents.clone(), false)));
    if contents.note.as_deref() != Some("") {
        let sealed = seal_summary(&BOTH, HANDLE, USER, &contents).expect("it is not so large");
        assert_eq!(told(&sealed), Some(SummaryContents::from(&contents)));
    }
}
