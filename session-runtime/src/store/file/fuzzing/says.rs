//! What a file says, read anew from the tables in `layout`: slowly, and otherwise than there.

use super::super::checksum;
use super::super::layout::{LONGEST_BODY, Tombstone, capacity_for};
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Key, Record, Revision, UserKey};

/// A little-endian number; what is not there is zeros.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.iter().skip(at).take(len);
    bytes
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// What the bytes of a file say to whoever has its lock.
pub(super) enum Says {
    Live(Record),
    Tombstone(Tombstone),
    Empty,
    Newer,
    Torn,
}

impl Says {
    pub(super) fn by_table(bytes: &[u8]) -> Self {
        let is_ours = bytes.len() >= 48
            && bytes.starts_with(b"BSESSN\0")
            && number(bytes, 40, 8) == checksum::of(&bytes[..40]);
        let capacity = number(bytes, 8, 4) as usize;
        let largest = capacity_for(LONGEST_BODY) as usize;
        let since = Timestamp::from_millis(number(bytes, 16, 8));
        match (is_ours, bytes.get(7), number(bytes, 12, 4)) {
            (false, ..) if bytes.is_empty() => Self::Empty,
            (true, Some(2..), _) => Self::Newer,
            (true, Some(1), _) if capacity < 984 || capacity > largest => Self::Torn,
            (true, Some(1), 1) => {
                let slots = [0, 1].map(|slot| Self::slot(bytes, 80 + slot * capacity, capacity));
                // The first of two equals, where `max_by_key` gives the last.
                let whole = slots.into_iter().flatten().rev();
                match whole.max_by_key(|record| record.revision.number) {
                    Some(record) => Self::Live(Self::touched(bytes, record)),
                    None => Self::Torn,
                }
            }
            (true, Some(1), 2) => Self::Tombstone(Tombstone {
                since,
                successor: None,
            }),
            (true, Some(1), 3) => Self::Tombstone(Tombstone {
                since,
                successor: Some(Key(bytes[24..40].try_into().unwrap())),
            }),
            _ => Self::Torn,
        }
    }

    fn slot(bytes: &[u8], at: usize, capacity: usize) -> Option<Record> {
        let len = number(bytes, at + 72, 4) as usize;
        if len + 80 > capacity || bytes.len() < at + 80 + len || number(bytes, at + 8, 8) == 0 {
            return None;
        }
        let slot = &bytes[at..at + 80 + len];
        (number(slot, 0, 8) == checksum::of(&slot[8..])).then(|| Record {
            revision: Revision {
                number: number(slot, 8, 8),
                tag: number(slot, 16, 8),
            },
            expires: Timestamp::from_millis(number(slot, 24, 8)),
            created: Timestamp::from_millis(number(slot, 32, 8)),
            handle: Handle(slot[40..52].try_into().unwrap()),
            user: (number(slot, 52, 4) == 1).then(|| UserKey(slot[56..72].try_into().unwrap())),
            body: Body::from_bytes(&slot[80..]),
        })
    }

    fn touched(bytes: &[u8], mut record: Record) -> Record {
        let Revision { number: n, tag } = record.revision;
        let is_of_it = number(bytes, 48, 8) == n && number(bytes, 56, 8) == tag;
        if is_of_it && number(bytes, 72, 8) == checksum::of(&bytes[48..72]) {
            record.expires = Timestamp::from_millis(number(bytes, 64, 8));
        }
        record
    }
}
