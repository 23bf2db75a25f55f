//! What is sealed: opens as it was written or not at all.

use once_cell::sync::Lazy;

use super::{BOTH, edited, from_hex};
use crate::clock::Timestamp;
use crate::contents::{Contents, FORMAT};
use crate::id::Id;
use crate::record::{Handle, Key, Revision, UserKey};
use crate::seal::{Place, Told, open, open_summary, seal as sealed_as, seal_summary};

/// A record of each format; its place is the one below.
static GOLDEN: Lazy<[Vec<u8>; 2]> = Lazy::new(|| {
    [
        include_str!("../../tests/golden/record-1.hex"),
        include_str!("../../tests/golden/record-2.hex"),
    ]
    .map(from_hex)
});

static GOLDEN_SUMMARY: Lazy<Vec<u8>> =
    Lazy::new(|| from_hex(include_str!("../../tests/golden/summary-1.hex")));

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
    let is_golden = GOLDEN.iter().any(|golden| input == golden);
    assert!(is_golden || opened(input).is_none());

    for golden in &*GOLDEN {
        let other = edited(golden, input);
        assert_eq!(opened(&other).is_some(), other == *golden, "{other:02x?}");
    }

    let Place { handle, user, .. } = place();
    let user = user.expect("there is one");
    let told = |sealed: &[u8]| open_summary(&BOTH, handle, user, sealed);
    assert!(input == *GOLDEN_SUMMARY || told(input).is_none());
    let other = edited(&GOLDEN_SUMMARY, input);
    assert_eq!(told(&other).is_some(), other == *GOLDEN_SUMMARY);

    for format in [1, FORMAT] {
        let Some(contents) = Contents::decode(format, input) else {
            continue;
        };
        let mut bytes = Vec::new();
        contents.encode(&mut bytes);
        let again = Contents::decode(FORMAT, &bytes);
        assert_eq!(again.as_ref(), Some(&contents), "it is read as written");
        let sealed = sealed_as(&BOTH, &id(), &place(), &contents).expect("it is not so large");
        assert_eq!(opened(&sealed), Some((contents.clone(), false)));
        if contents.note.as_deref() != Some("") {
            let sealed = seal_summary(&BOTH, handle, user, &contents).expect("it is not so large");
            assert_eq!(told(&sealed), Some(Told::from(&contents)));
        }
    }
}
