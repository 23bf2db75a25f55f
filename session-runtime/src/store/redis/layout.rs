//! What is under a session's key, byte by byte.
//!
//! All numbers are little endian; times are in ms since 1970. The scripts read the same bytes.
//!
//! | from | bytes | a live record |
//! |---|---|---|
//! | 0 | 1 | 1 |
//! | 1 | 8 | expires |
//! | 9 | 8 | seen |
//! | 17 | 16 | revision: number, tag |
//! | 33 | 8 | until when the list of the user has the session at least; 0 if there is no user |
//! | 41 | 8 | created |
//! | 49 | 12 | handle |
//! | 61 | 1 | 1 if there is a user, else 0 |
//! | 62 | 16 | user, or zeros |
//! | 78 | 4 | length of the summary, 0 if there is none |
//! | 82 | | the summary, and behind it the body |
//!
//! | from | bytes | a tombstone |
//! |---|---|---|
//! | 0 | 1 | 2 removed, 3 renewed |
//! | 1 | 8 | since when |
//! | 9 | 16 | renewed: the key of the successor |
//!
//! Another first byte is a format that this program does not know: what has it reads as no session,
//! and is left as it is.

use crate::clock::Timestamp;
use crate::record::{Body, Handle, Key, Record, Revision, Summary, UserKey};

const LIVE: u8 = 1;
const REMOVED: u8 = 2;
const RENEWED: u8 = 3;

/// Where the time until which a session is listed begins, and where it ends.
const LISTED: usize = 33;
const AFTER_LISTED: usize = 41;
const HEAD_LEN: usize = 82;

/// What is under a key.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Live(Record),
    Tombstone {
        since: Timestamp,
        successor: Option<Key>,
    },
}

/// A live record as scripts take it: what is before the time until which it is listed, and what is
/// behind it.
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn of(record: &Record) -> Self {
        let summary = record.summary.as_ref().map_or(&[][..], Summary::as_bytes);
        let body = record.body.as_bytes();
        let mut bytes = Vec::with_capacity(HEAD_LEN + summary.len() + body.len());
        bytes.push(LIVE);
        bytes.extend(record.expires.as_millis().to_le_bytes());
        bytes.extend(record.seen.as_millis().to_le_bytes());
        bytes.extend(revision(record.revision));
        bytes.extend([0; AFTER_LISTED - LISTED]);
        bytes.extend(record.created.as_millis().to_le_bytes());
        bytes.extend(record.handle.0);
        bytes.push(u8::from(record.user.is_some()));
        bytes.extend(record.user.map_or([0; 16], |user| user.0));
        // A summary holds a short note and no more.
        bytes.extend((summary.len() as u32).to_le_bytes());
        bytes.extend(summary);
        bytes.extend(body);
        Self(bytes)
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.0[..LISTED]
    }

    pub(super) fn behind(&self) -> &[u8] {
        &self.0[AFTER_LISTED..]
    }
}

pub(super) fn revision(revision: Revision) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&revision.number.to_le_bytes());
    bytes[8..].copy_from_slice(&revision.tag.to_le_bytes());
    bytes
}

/// The bytes of a record that a visit moves.
pub(super) fn visit(expires: Timestamp, seen: Timestamp) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&expires.as_millis().to_le_bytes());
    bytes[8..].copy_from_slice(&seen.as_millis().to_le_bytes());
    bytes
}

/// The tombstone of a session that was removed, or renewed under another key.
pub(super) fn tombstone(since: Timestamp, successor: Option<Key>) -> Vec<u8> {
    let mut bytes = vec![if successor.is_some() {
        RENEWED
    } else {
        REMOVED
    }];
    bytes.extend(since.as_millis().to_le_bytes());
    bytes.extend(successor.iter().flat_map(|key| key.0));
    bytes
}

/// What these bytes say; `None` if they are not of this format.
pub(super) fn read(bytes: &[u8]) -> Option<Content> {
    let mut rest = bytes;
    let [kind] = chunk(&mut rest)?;
    match kind {
        LIVE => read_live(rest).map(Content::Live),
        REMOVED | RENEWED => Some(Content::Tombstone {
            since: time(&mut rest)?,
            successor: match kind {
                RENEWED => Some(Key(chunk(&mut rest)?)),
                _ => None,
            },
        }),
        _ => None,
    }
}

fn read_live(mut rest: &[u8]) -> Option<Record> {
    let rest = &mut rest;
    let (expires, seen) = (time(rest)?, time(rest)?);
    let (number, tag) = (
        u64::from_le_bytes(chunk(rest)?),
        u64::from_le_bytes(chunk(rest)?),
    );
    let _listed = time(rest)?;
    let created = time(rest)?;
    let handle = Handle(chunk(rest)?);
    let [has_user] = chunk(rest)?;
    let user = UserKey(chunk(rest)?);
    let summary_len = u32::from_le_bytes(chunk(rest)?) as usize;
    let (summary, body) = rest.split_at_checked(summary_len)?;
    Some(Record {
        revision: Revision { number, tag },
        expires,
        seen,
        created,
        handle,
        user: (has_user == 1).then_some(user),
        summary: (!summary.is_empty()).then(|| Summary::from_bytes(summary)),
        body: Body::from_bytes(body),
    })
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*chunk)
}

fn time(rest: &mut &[u8]) -> Option<Timestamp> {
    chunk(rest)
        .map(u64::from_le_bytes)
        .map(Timestamp::from_millis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    /// What the first version wrote. It stays as it is: records of it may be anywhere.
    const RECORD: &str = "\
        01\
        00f2052a01000000\
        00e1f50500000000\
        0700000000000000efcdab8967452301\
        00943577ffffff00\
        40420f0000000000\
        020202020202020202020202\
        01\
        03030303030303030303030303030303\
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
            revision: Revision {
                number: 7,
                tag: 0x0123_4567_89ab_cdef,
            },
            expires: Timestamp::from_millis(5_000_000_000),
            seen: Timestamp::from_millis(100_000_000),
            created: Timestamp::from_millis(1_000_000),
            handle: Handle([2; 12]),
            user: Some(UserKey([3; 16])),
            summary: Some(Summary::from_bytes(*b"short")),
            body: Body::from_bytes(*b"sealed"),
        }
    }

    fn fields(record: &Record) -> impl PartialEq + std::fmt::Debug + use<> {
        let summary = record.summary.as_ref().map(|it| it.as_bytes().to_vec());
        (
            record.revision,
            [record.expires, record.seen, record.created],
            (record.handle, record.user, summary),
            record.body.as_bytes().to_vec(),
        )
    }

    #[test]
    fn a_record_of_version_1_is_read_and_still_written_so() {
        let Some(Content::Live(read)) = read(&bytes(RECORD)) else {
            panic!("no record");
        };
        assert_eq!(fields(&read), fields(&record()));
        let parts = Parts::of(&record());
        let listed = &bytes(RECORD)[LISTED..AFTER_LISTED];
        assert_eq!(
            [parts.before(), listed, parts.behind()].concat(),
            bytes(RECORD)
        );
        let since = Timestamp::from_millis(100_000_000);
        assert_eq!(tombstone(since, Some(Key([4; 16]))), bytes(TOMBSTONE));
        assert_eq!(tombstone(since, None), bytes("0200e1f50500000000"));
    }

    #[test]
    fn nobodys_session_has_no_user_and_no_summary() {
        let anonymous = Record {
            user: None,
            summary: None,
            ..record()
        };
        let parts = Parts::of(&anonymous);
        let whole = [parts.before(), &[0; 8], parts.behind()].concat();
        let Some(Content::Live(read)) = read(&whole) else {
            panic!("no record");
        };
        assert_eq!(fields(&read), fields(&anonymous));
    }

    #[test]
    fn what_is_cut_off_or_of_another_format_is_nothing() {
        for whole in [RECORD, TOMBSTONE].map(bytes) {
            let least = if whole[0] == LIVE {
                HEAD_LEN + 5
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
