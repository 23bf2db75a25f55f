//! A second reader of session files, written from the tables in `layout`: slow, and unlike the one there.

use super::super::checksum;
use super::super::layout::{LONGEST_BODY, Tombstone, capacity_for};
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision, Summary, UserKey};

/// Reads a little-endian number. Bytes beyond the end count as zeros.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.iter().skip(at).take(len);
    bytes
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The content of a file, as a reader with the lock sees it.
pub(super) enum Says {
    Live(Record),
    Tombstone(Tombstone),
    Empty,
    Torn,
}

impl Says {
    pub(super) fn by_table(bytes: &[u8]) -> Self {
        let is_ours = bytes.len() >= 48
            && bytes.starts_with(b"BSESSN\0")
            && number(bytes, 40, 8) == checksum::of(&bytes[..40]);
        let capacity = number(bytes, 8, 4) as usize;
        let largest = capacity_for(LONGEST_BODY) as usize;
        let at = Timestamp::from_millis(number(bytes, 16, 8));
        match (is_ours, bytes.get(7), number(bytes, 12, 4)) {
            (false, ..) if bytes.is_empty() => Self::Empty,
            (true, Some(0), _) => Self::Torn,
            (true, Some(_), _) if capacity < 984 || capacity > largest => Self::Torn,
            (true, Some(&format), 1) => {
                let halves = [0, 1].map(|half| {
                    let at = 80 + half * capacity;
                    Self::half(bytes, at, capacity, format)
                });
                // Reversed, since the first of two equal ones counts and `max_by_key` gives the last.
                let whole = halves.into_iter().flatten().rev();
                match whole.max_by_key(|record| record.head.revision.number) {
                    Some(record) => Self::Live(Self::touched(bytes, record)),
                    None => Self::Torn,
                }
            }
            (true, Some(_), 2) => Self::Tombstone(Tombstone {
                at,
                successor: None,
            }),
            (true, Some(_), 3) => Self::Tombstone(Tombstone {
                at,
                successor: Some(Key(bytes[24..40].try_into().unwrap())),
            }),
            _ => Self::Torn,
        }
    }

    fn half(bytes: &[u8], at: usize, capacity: usize, format: u8) -> Option<Record> {
        let (body, summary) = (84, 84 + number(bytes, at + 76, 4) as usize);
        let end = summary + number(bytes, at + 80, 4) as usize;
        if end > capacity || bytes.len() < at + end || number(bytes, at + 8, 8) == 0 {
            return None;
        }
        let half = &bytes[at..at + end];
        let time = |at| Timestamp::from_millis(number(half, at, 8));
        let is_known = format == 1;
        (number(half, 0, 8) == checksum::of(&half[8..])).then(|| Record {
            head: Head {
                revision: Revision {
                    number: number(half, 8, 8),
                    tag: number(half, 16, 8),
                },
                expires: time(24),
                seen: time(32),
                created: time(40),
                handle: Handle(half[48..60].try_into().unwrap()),
                user: (half[60..76] != [0; 16]).then(|| UserKey(half[60..76].try_into().unwrap())),
            },
            summary: (is_known && summary < end).then(|| Summary::from_bytes(&half[summary..])),
            body: match is_known {
                true => Body::from_bytes(&half[body..summary]),
                false => Body::absent(),
            },
        })
    }

    fn touched(bytes: &[u8], mut record: Record) -> Record {
        let is_whole = number(bytes, 72, 8) == checksum::of(&bytes[48..72]);
        let time = |at| Timestamp::from_millis(number(bytes, at, 8));
        if is_whole && number(bytes, 56, 8) == record.head.revision.tag {
            (record.head.seen, record.head.expires) = (time(48), time(64));
        }
        record
    }
}

/// Compares everything that a store keeps of a session.
#[track_caller]
pub(super) fn assert_same(found: &Record, expected: &Record) {
    let fields = |record: &Record| {
        let body = record.body.as_bytes().to_vec();
        let summary = record.summary.as_ref();
        (record.head, summary.map(|it| it.as_bytes().to_vec()), body)
    };
    assert_eq!(fields(found), fields(expected));
}
