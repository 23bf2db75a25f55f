//! The bytes under the key of a session.
//!
//! All numbers are little endian, and times are in ms since 1970. The scripts read the same bytes.
//!
//! | from | bytes | a session |
//! |---|---|---|
//! | 0 | 1 | 1 |
//! | 1 | 1 | the format of summary and body, 1 |
//! | 2 | 68 | the record's head, as [`Head::to_bytes`] writes it |
//! | 70 | 8 | the time until which the list of the user has the session at least; 0 if there is no user |
//! | 78 | 4 | the length of the summary; 0 without one |
//! | 82 | | the summary, then the body |
//!
//! | from | bytes | a tombstone |
//! |---|---|---|
//! | 0 | 1 | 2 if the session was removed, 3 if it was renewed |
//! | 1 | 8 | the time of that |
//! | 9 | 16 | the key of the successor, if it was renewed |
//!
//! No later version changes any of this. A newer format changes only the bytes of the summary and the body. So an
//! older server can list and end a session of a newer format, and never writes over it, because it cannot read
//! the body. Any other value under a key is not ours: it reads as nothing, and stays as it is.

use crate::clock::Timestamp;
use crate::record::{Body, Head, Key, Record, Summary};
use crate::store::Entry;

const LIVE: u8 = 1;
const REMOVED: u8 = 2;
const RENEWED: u8 = 3;
const FORMAT: u8 = 1;

const HEAD_AT: usize = 2;
/// The first byte of the time until which a session is listed, and the first byte after it.
const LISTED: usize = HEAD_AT + Head::LEN;
const AFTER_LISTED: usize = LISTED + 8;
const SUMMARY_AT: usize = AFTER_LISTED + 4;

/// The number of bytes that are read of a value where the body is not needed.
///
/// This is enough for the head and the summary, unless the note in the summary is very long.
pub(super) const START: usize = 1024;

/// The number of bytes that are read of a value where only its head is needed. A tombstone is shorter.
pub(super) const HEAD: usize = HEAD_AT + Head::LEN;

/// An entry in the two parts that scripts take: the bytes before the time until which it is listed, and the bytes
/// behind that time. A tombstone has only the first part. If there is no entry, both parts are empty.
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn of(entry: Option<&Entry>) -> Self {
        match entry {
            Some(Entry::Live(record)) => Self::of_session(record),
            Some(Entry::Ended { at, successor }) => Self(tombstone(*at, *successor)),
            None => Self(Vec::new()),
        }
    }

    fn of_session(record: &Record) -> Self {
        let summary = record.summary.as_ref().map_or(&[][..], Summary::as_bytes);
        let body = record.body.as_bytes();
        let mut bytes = Vec::with_capacity(SUMMARY_AT + summary.len() + body.len());
        bytes.extend([LIVE, FORMAT]);
        bytes.extend(record.head.to_bytes());
        bytes.extend([0; AFTER_LISTED - LISTED]);
        // The length fits: a summary holds only a short note.
        bytes.extend((summary.len() as u32).to_le_bytes());
        bytes.extend(summary);
        bytes.extend(body);
        Self(bytes)
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.0[..self.0.len().min(LISTED)]
    }

    pub(super) fn behind(&self) -> &[u8] {
        self.0.get(AFTER_LISTED..).unwrap_or_default()
    }
}

/// Returns the bytes of a head that change with a visit: `expires` and `seen`.
pub(super) fn visit_bytes(head: &Head) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&head.expires.as_millis().to_le_bytes());
    bytes[8..].copy_from_slice(&head.seen.as_millis().to_le_bytes());
    bytes
}

/// Returns the tombstone of a session that was removed, or renewed with a new key.
pub(super) fn tombstone(at: Timestamp, successor: Option<Key>) -> Vec<u8> {
    let mut bytes = vec![if successor.is_some() {
        RENEWED
    } else {
        REMOVED
    }];
    bytes.extend(at.as_millis().to_le_bytes());
    bytes.extend(successor.iter().flat_map(|key| key.0));
    bytes
}

/// Reads an entry; `None` if the bytes are not ours.
pub(super) fn read(bytes: &[u8]) -> Option<Entry> {
    let mut entry = read_start(bytes)?;
    if let Entry::Live(record) = &mut entry
        && bytes[1] == FORMAT
    {
        let summary = record.summary.as_ref().map_or(0, |it| it.as_bytes().len());
        record.body = Body::from_bytes(&bytes[SUMMARY_AT + summary..]);
    }
    Some(entry)
}

/// Reads an entry without its body, whose bytes may be missing; `None` if any other bytes are missing, or if they
/// are not ours.
pub(super) fn read_start(bytes: &[u8]) -> Option<Entry> {
    let (&kind, mut rest) = bytes.split_first()?;
    match kind {
        LIVE => {
            let [format] = chunk(&mut rest)?;
            let head = Head::from_bytes(&chunk(&mut rest)?);
            let _listed: [u8; 8] = chunk(&mut rest)?;
            let length = u32::from_le_bytes(chunk(&mut rest)?) as usize;
            let summary = rest.get(..length)?;
            let has_summary = format == FORMAT && !summary.is_empty();
            Some(Entry::Live(Record {
                head,
                summary: has_summary.then(|| Summary::from_bytes(summary)),
                body: Body::absent(),
            }))
        }
        REMOVED | RENEWED => Some(Entry::Ended {
            at: Timestamp::from_millis(u64::from_le_bytes(chunk(&mut rest)?)),
            successor: match kind {
                RENEWED => Some(Key(chunk(&mut rest)?)),
                _ => None,
            },
        }),
        _ => None,
    }
}

/// Reads an entry of which only the first [`HEAD`] bytes are there: without summary and body. `None` if they are not
/// ours.
pub(super) fn read_head(bytes: &[u8]) -> Option<Entry> {
    if bytes.first() != Some(&LIVE) {
        return read_start(bytes);
    }
    let mut head = bytes.get(HEAD_AT..)?;
    Some(Entry::Live(Record {
        head: Head::from_bytes(&chunk(&mut head)?),
        summary: None,
        body: Body::absent(),
    }))
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*chunk)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;
    use crate::record::{Handle, Revision, UserKey};

    /// A record as the first version wrote it. It must never change, because stored records have these bytes.
    const RECORD: &str = "\
        0101\
        0700000000000000efcdab8967452301\
        00f2052a01000000\
        00e1f50500000000\
        40420f0000000000\
        020202020202020202020202\
        03030303030303030303030303030303\
        00943577ffffff00\
        05000000\
        73686f7274\
        7365616c6564";
    const TOMBSTONE: &str = "0300e1f5050000000004040404040404040404040404040404";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().as_chunks::<2>().0.iter();
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn record() -> Record {
        Record {
            head: Head {
                revision: Revision {
                    number: 7,
                    tag: 0x0123_4567_89ab_cdef,
                },
                expires: Timestamp::from_millis(5_000_000_000),
                seen: Timestamp::from_millis(100_000_000),
                created: Timestamp::from_millis(1_000_000),
                handle: Handle([2; 12]),
                user: Some(UserKey([3; 16])),
            },
            summary: Some(Summary::from_bytes(*b"short")),
            body: Body::from_bytes(*b"sealed"),
        }
    }

    fn fields(record: &Record) -> impl PartialEq + std::fmt::Debug + use<> {
        let summary = record.summary.as_ref().map(|it| it.as_bytes().to_vec());
        (record.head, summary, record.body.as_bytes().to_vec())
    }

    fn live(bytes: &[u8]) -> Record {
        match read(bytes) {
            Some(Entry::Live(record)) => record,
            other => panic!("no record: {other:?}"),
        }
    }

    #[test]
    fn a_record_that_was_written_once_is_read_and_still_written_so() {
        assert_eq!(fields(&live(&bytes(RECORD))), fields(&record()));
        let parts = Parts::of(Some(&Entry::Live(record())));
        let listed = &bytes(RECORD)[LISTED..AFTER_LISTED];
        assert_eq!(
            [parts.before(), listed, parts.behind()].concat(),
            bytes(RECORD)
        );
        let at = Timestamp::from_millis(100_000_000);
        for (successor, expected) in [
            (Some(Key([4; 16])), TOMBSTONE),
            (None, "0200e1f50500000000"),
        ] {
            let parts = Parts::of(Some(&Entry::Ended { at, successor }));
            assert_eq!(parts.before(), bytes(expected));
            assert!(parts.behind().is_empty());
        }
    }

    #[test]
    fn an_anonymous_session_has_no_user_and_no_summary() {
        let mut anonymous = record();
        (anonymous.head.user, anonymous.summary) = (None, None);
        let parts = Parts::of(Some(&Entry::Live(anonymous.clone())));
        let whole = [parts.before(), &[0; 8], parts.behind()].concat();
        assert_eq!(fields(&live(&whole)), fields(&anonymous));
    }

    /// The head of a session is the same in every format.
    #[test]
    fn the_head_of_a_newer_format_is_read() {
        let mut newer = bytes(RECORD);
        newer[1] = 255;
        let found = live(&newer);
        assert_eq!(found.head, record().head);
        assert!(found.summary.is_none() && found.body.as_bytes().is_empty());
    }

    #[test]
    fn a_head_needs_no_more_than_its_own_bytes() {
        for whole in [RECORD, TOMBSTONE].map(bytes) {
            let least = HEAD.min(whole.len());
            for length in 0..whole.len() {
                assert_eq!(read_head(&whole[..length]).is_some(), length >= least);
            }
            let entry = read(&whole).unwrap();
            let head = read_head(&whole[..least]).unwrap();
            assert_eq!(head.head(), entry.head());
        }
    }

    #[test]
    fn only_the_body_may_be_missing() {
        let whole = bytes(RECORD);
        for length in 0..whole.len() {
            let start = read_start(&whole[..length]);
            assert_eq!(start.is_some(), length >= SUMMARY_AT + 5, "{length}");
        }
    }

    #[test]
    fn bytes_that_are_cut_off_or_not_ours_are_nothing() {
        for whole in [RECORD, TOMBSTONE].map(bytes) {
            let least = if whole[0] == LIVE {
                SUMMARY_AT + 5
            } else {
                whole.len()
            };
            for length in 0..whole.len() {
                assert_eq!(
                    read(&whole[..length]).is_some(),
                    length >= least,
                    "{length}"
                );
            }
            for kind in (0..=u8::MAX).filter(|kind| !(LIVE..=RENEWED).contains(kind)) {
                let mut other = whole.clone();
                other[0] = kind;
                assert!(read(&other).is_none(), "{kind}");
            }
        }
    }
}
