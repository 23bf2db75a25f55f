//! What a file says, read anew from the tables in `layout`: slowly, and otherwise than there.

use super::super::checksum;
use super::super::layout::{LONGEST_BODY, Tombstone, capacity_for};
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Key, Record, Revision, Summary, UserKey};

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
            (true, Some(3..), _) => Self::Newer,
            (true, Some(0), _) => Self::Torn,
            (true, Some(_), _) if capacity < 984 || capacity > largest => Self::Torn,
            (true, Some(&version), 1) => {
                let slots = [0, 1].map(|slot| {
                    let at = 80 + slot * capacity;
                    Self::slot(bytes, at, capacity, version)
                });
                // The first of two equals, where `max_by_key` gives the last.
                let whole = slots.into_iter().flatten().rev();
                match whole.max_by_key(|record| record.revision.number) {
                    Some(record) => Self::Live(Self::touched(bytes, record, version)),
                    None => Self::Torn,
                }
            }
            (true, Some(_), 2) => Self::Tombstone(Tombstone {
                since,
                successor: None,
            }),
            (true, Some(_), 3) => Self::Tombstone(Tombstone {
                since,
                successor: Some(Key(bytes[24..40].try_into().unwrap())),
            }),
            _ => Self::Torn,
        }
    }

    fn slot(bytes: &[u8], at: usize, capacity: usize, version: u8) -> Option<Record> {
        let body = match version {
            1 => 80,
            _ => 88,
        };
        let summary = body + number(bytes, at + 72, 4) as usize;
        let end = match version {
            1 => summary,
            _ => summary + number(bytes, at + 76, 4) as usize,
        };
        if end > capacity || bytes.len() < at + end || number(bytes, at + 8, 8) == 0 {
            return None;
        }
        let slot = &bytes[at..at + end];
        (number(slot, 0, 8) == checksum::of(&slot[8..])).then(|| Record {
            revision: Revision {
                number: number(slot, 8, 8),
                tag: number(slot, 16, 8),
            },
            expires: Timestamp::from_millis(number(slot, 24, 8)),
            seen: Timestamp::from_millis(match version {
                1 => number(slot, 32, 8),
                _ => number(slot, 80, 8),
            }),
            created: Timestamp::from_millis(number(slot, 32, 8)),
            handle: Handle(slot[40..52].try_into().unwrap()),
            user: (number(slot, 52, 4) == 1).then(|| UserKey(slot[56..72].try_into().unwrap())),
            summary: (summary < end).then(|| Summary::from_bytes(&slot[summary..])),
            body: Body::from_bytes(&slot[body..summary]),
        })
    }

    fn touched(bytes: &[u8], mut record: Record, version: u8) -> Record {
        let (first, tag) = (number(bytes, 48, 8), number(bytes, 56, 8));
        let is_whole = number(bytes, 72, 8) == checksum::of(&bytes[48..72]);
        let expires = Timestamp::from_millis(number(bytes, 64, 8));
        match version {
            _ if !is_whole || tag != record.revision.tag => {}
            1 if first != record.revision.number => {}
            1 => record.expires = expires,
            _ => (record.expires, record.seen) = (expires, Timestamp::from_millis(first)),
        }
        record
    }
}
