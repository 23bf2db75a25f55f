//! What is in a session's file, byte by byte.
//!
//! All numbers are little endian. `capacity` is the size of a slot, `C` for short.
//!
//! | from | bytes | the head |
//! |---|---|---|
//! | 0 | 7 | `BSESSN` and a zero byte |
//! | 7 | 1 | version of the format, 2 |
//! | 8 | 4 | capacity |
//! | 12 | 4 | state: 1 live, 2 removed, 3 renewed |
//! | 16 | 8 | removed or renewed when, in ms since 1970; else 0 |
//! | 24 | 16 | renewed: the key of the successor; else zeros |
//! | 40 | 8 | checksum of bytes 0 to 40 |
//! | **48** | | **the touch** |
//! | 48 | 8 | seen, in ms since 1970 |
//! | 56 | 8 | the tag of the revision that was touched |
//! | 64 | 8 | expires, in ms since 1970 |
//! | 72 | 8 | checksum of bytes 48 to 72 |
//! | **80** | C | **slot 0** |
//! | **80 + C** | C | **slot 1** |
//!
//! | from | bytes | a slot |
//! |---|---|---|
//! | 0 | 8 | checksum of all that follows, up to the end of the summary |
//! | 8 | 16 | revision: number (0 is a slot never written), tag |
//! | 24 | 8 | expires, in ms since 1970 |
//! | 32 | 8 | created, in ms since 1970 |
//! | 40 | 12 | handle |
//! | 52 | 4 | 1 if there is a user, else 0 |
//! | 56 | 16 | user, or zeros |
//! | 72 | 4 | length of the body |
//! | 76 | 4 | length of the summary, 0 if there is none |
//! | 80 | 8 | seen, in ms since 1970 |
//! | 88 | | the body, and behind it the summary |
//!
//! In version 1 the number of the touched revision stood where the touch has `seen`; bytes 76 to 80
//! of a slot were zeros, and the body was behind them. A record of such a file was *seen* when it was
//! created. The file is replaced by one of today when something is written to it.
//!
//! # Why a reader needs no lock
//!
//! The slot with the higher number is the record, and a save writes the other one. A reader gets
//! all of the file with one `pread`. A slot that is being written meanwhile either reads as the
//! higher number, and then its checksum is wrong and the reader asks again under the lock; or as
//! the lower one, and then the other slot is taken, which is right: the save is not over. If so
//! many saves fall into one `pread` that the slot read first is being written again, the other one
//! holds a whole record that is newer than the `pread`. Which of the two is taken, it was current
//! at some moment between the reader's beginning and its end.
//!
//! Head and touch have checksums of their own for the same reason: a touch read half would make
//! an expiry of long ago the valid one, a tombstone read half one of 1970.
//!
//! # Checksum and versions
//!
//! The checksum is XXH64. The first 48 bytes stay as they are in every version to come, so that a
//! program can tell a file that is too new for it from a damaged one. Slots begin where they always
//! did.

use super::checksum;
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Key, Record, Revision, Summary, UserKey};

const MAGIC: &[u8; 7] = b"BSESSN\0";
const VERSION: u8 = 2;
const OLDEST: u8 = 1;

const LIVE: u32 = 1;
const REMOVED: u32 = 2;
const RENEWED: u32 = 3;

/// The part of the head that a tombstone rewrites: all but the touch.
pub(super) const STATE_LEN: usize = 48;
/// Where the touch begins, and how long it is.
pub(super) const TOUCH_AT: u64 = 48;
pub(super) const TOUCH_LEN: usize = 32;
/// Where the slots begin.
pub(super) const HEAD_LEN: usize = 80;
const SLOT_HEAD_LEN: usize = 88;
/// The same in version 1.
const SLOT_HEAD_LEN_1: usize = 80;

/// A new file is at least so long: room for a body of 896 bytes, three times a usual one. Reading
/// and writing it costs what half of it does, and a file system gives it 4 KiB anyway.
const SMALLEST: usize = 2048;
/// Longer files are multiples of what a file system hands out.
const BLOCK: usize = 4096;
/// Body and summary may be so long. Far above what a session should be, far below what hurts to
/// allocate.
pub(super) const LONGEST_BODY: usize = 64 << 20;

/// Whether a session is live, or what it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Tombstone(Tombstone),
}

/// That a session was removed, or renewed under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) since: Timestamp,
    pub(super) successor: Option<Key>,
}

/// Where a record is in its file, and its parts.
#[derive(Clone, Debug)]
pub(super) struct Live<'b> {
    pub(super) slot: usize,
    pub(super) capacity: u32,
    /// Whether the file is of an older version than those that are written.
    pub(super) is_old: bool,
    pub(super) revision: Revision,
    /// As the slot has it, or as it was touched since.
    pub(super) expires: Timestamp,
    /// The same.
    pub(super) seen: Timestamp,
    pub(super) created: Timestamp,
    pub(super) handle: Handle,
    pub(super) user: Option<UserKey>,
    pub(super) summary: &'b [u8],
    pub(super) body: &'b [u8],
}

impl Live<'_> {
    pub(super) fn record(&self) -> Record {
        let &Self {
            revision,
            expires,
            seen,
            created,
            handle,
            user,
            body,
            ..
        } = self;
        Record {
            revision,
            expires,
            seen,
            created,
            handle,
            user,
            summary: self.summary(),
            body: Body::from_bytes(body),
        }
    }

    pub(super) fn summary(&self) -> Option<Summary> {
        (!self.summary.is_empty()).then(|| Summary::from_bytes(self.summary))
    }
}

/// What the bytes of a file say.
#[derive(Clone, Debug)]
pub(super) enum Content<'b> {
    Live(Live<'b>),
    Tombstone(Tombstone),
    /// Created, and not yet written.
    Empty,
    /// Whole, of a version that this program does not know.
    Newer,
    /// Torn: by a write that goes on, if it was read without the lock; for good, if with it.
    Doubtful,
}

/// How the bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Perhaps while somebody wrote: what does not fit together is doubtful.
    Freely,
    /// With the lock held: a torn slot or touch is one that nobody was told is saved, so the
    /// other slot stands in, or the expiry in the slot.
    UnderLock,
}

/// How many bytes of a record a slot has beside its head.
pub(super) fn payload_len(record: &Record) -> usize {
    record.body.as_bytes().len() + summary_of(record).len()
}

fn summary_of(record: &Record) -> &[u8] {
    record.summary.as_ref().map_or(&[], Summary::as_bytes)
}

/// The capacity for a body and a summary of `len` bytes and half as much to grow into.
pub(super) fn capacity_for(len: usize) -> u32 {
    let wanted = HEAD_LEN + 2 * (SLOT_HEAD_LEN + len + len / 2);
    let file = if wanted <= SMALLEST {
        SMALLEST
    } else {
        wanted.next_multiple_of(BLOCK)
    };
    u32::try_from((file - HEAD_LEN) / 2).unwrap_or(u32::MAX)
}

/// The capacity of the file that takes the place of one with a capacity of `old`.
pub(super) fn capacity_after(old: u32, len: usize) -> u32 {
    let capacity = capacity_for(len);
    // Elsewhere a file that was replaced is known by its length, which must not come back.
    if cfg!(unix) || capacity > old {
        capacity
    } else {
        capacity_for(old as usize)
    }
}

/// Whether a payload of `len` bytes belongs into another file: one that it fits into, or one that
/// is not so much too large that reading it is a waste.
pub(super) fn wants_other_file(capacity: u32, len: usize) -> bool {
    let outgrown = SLOT_HEAD_LEN + len > capacity as usize;
    let may_shrink = cfg!(unix) && capacity as usize > 16 * BLOCK;
    outgrown || (may_shrink && capacity_for(len) < capacity / 8)
}

/// How long a file with slots of `capacity` is.
pub(super) fn file_len(capacity: u32) -> usize {
    HEAD_LEN + 2 * capacity as usize
}

/// Where a slot begins.
pub(super) fn slot_at(capacity: u32, slot: usize) -> u64 {
    HEAD_LEN as u64 + u64::from(capacity) * slot as u64
}

/// How many bytes a slot with a payload of `len` bytes takes up.
pub(super) fn slot_len(len: usize) -> usize {
    SLOT_HEAD_LEN + len
}

/// How long the file should be, by its first bytes; `None` if they are not those of a session.
pub(super) fn len_by_head(bytes: &[u8]) -> Option<usize> {
    parse_state(bytes).ok().map(|head| file_len(head.capacity))
}

/// A whole new file, written into zeroed bytes of its length.
pub(super) fn write_file(record: &Record, capacity: u32, file: &mut [u8]) {
    file[..STATE_LEN].copy_from_slice(&state(capacity, State::Live));
    // A touch from the start: so one whose checksum is wrong is always one being written.
    file[STATE_LEN..HEAD_LEN].copy_from_slice(&touch(record.revision, record.expires, record.seen));
    write_slot(record, &mut file[HEAD_LEN..]);
}

/// The first [`STATE_LEN`] bytes.
pub(super) fn state(capacity: u32, state: State) -> [u8; STATE_LEN] {
    let mut bytes = [0; STATE_LEN];
    let (word, since, successor) = match state {
        State::Live => (LIVE, Timestamp::default(), None),
        State::Tombstone(Tombstone {
            since,
            successor: None,
        }) => (REMOVED, since, None),
        State::Tombstone(Tombstone { since, successor }) => (RENEWED, since, successor),
    };
    bytes[..7].copy_from_slice(MAGIC);
    bytes[7] = VERSION;
    bytes[8..12].copy_from_slice(&capacity.to_le_bytes());
    bytes[12..16].copy_from_slice(&word.to_le_bytes());
    bytes[16..24].copy_from_slice(&since.as_millis().to_le_bytes());
    bytes[24..40].copy_from_slice(&successor.map_or([0; 16], |key| key.0));
    let sum = checksum::of(&bytes[..40]);
    bytes[40..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The [`TOUCH_LEN`] bytes at [`TOUCH_AT`].
pub(super) fn touch(revision: Revision, expires: Timestamp, seen: Timestamp) -> [u8; TOUCH_LEN] {
    let mut bytes = [0; TOUCH_LEN];
    bytes[..8].copy_from_slice(&seen.as_millis().to_le_bytes());
    bytes[8..16].copy_from_slice(&revision.tag.to_le_bytes());
    bytes[16..24].copy_from_slice(&expires.as_millis().to_le_bytes());
    let sum = checksum::of(&bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A slot, into at least [`slot_len`] bytes.
pub(super) fn write_slot(record: &Record, slot: &mut [u8]) {
    let (body, summary) = (record.body.as_bytes(), summary_of(record));
    let slot = &mut slot[..slot_len(body.len() + summary.len())];
    slot[8..16].copy_from_slice(&record.revision.number.to_le_bytes());
    slot[16..24].copy_from_slice(&record.revision.tag.to_le_bytes());
    slot[24..32].copy_from_slice(&record.expires.as_millis().to_le_bytes());
    slot[32..40].copy_from_slice(&record.created.as_millis().to_le_bytes());
    slot[40..52].copy_from_slice(&record.handle.0);
    slot[52..56].copy_from_slice(&u32::from(record.user.is_some()).to_le_bytes());
    slot[56..72].copy_from_slice(&record.user.map_or([0; 16], |user| user.0));
    // Whoever calls has checked it against `LONGEST_BODY`.
    slot[72..76].copy_from_slice(&(body.len() as u32).to_le_bytes());
    slot[76..80].copy_from_slice(&(summary.len() as u32).to_le_bytes());
    slot[80..88].copy_from_slice(&record.seen.as_millis().to_le_bytes());
    let (for_body, for_summary) = slot[SLOT_HEAD_LEN..].split_at_mut(body.len());
    for_body.copy_from_slice(body);
    for_summary.copy_from_slice(summary);
    let sum = checksum::of(&slot[8..]);
    slot[..8].copy_from_slice(&sum.to_le_bytes());
}

/// What `bytes`, a file from its beginning, say.
pub(super) fn read(bytes: &[u8], how: Read) -> Content<'_> {
    if bytes.is_empty() {
        return Content::Empty;
    }
    match parse_state(bytes) {
        Ok(Head {
            state: State::Tombstone(tombstone),
            ..
        }) => Content::Tombstone(tombstone),
        Ok(head) => read_live(bytes, &head, how).map_or(Content::Doubtful, Content::Live),
        Err(Unreadable::Newer) => Content::Newer,
        Err(Unreadable::Torn) => Content::Doubtful,
    }
}

enum Unreadable {
    Newer,
    Torn,
}

struct Head {
    version: u8,
    capacity: u32,
    state: State,
}

fn parse_state(bytes: &[u8]) -> Result<Head, Unreadable> {
    let bytes = bytes.first_chunk::<STATE_LEN>().ok_or(Unreadable::Torn)?;
    if bytes[..7] != MAGIC[..] || u64_at(bytes, 40) != checksum::of(&bytes[..40]) {
        return Err(Unreadable::Torn);
    }
    let version = bytes[7];
    if version > VERSION {
        return Err(Unreadable::Newer);
    }
    let capacity = u32_at(bytes, 8);
    if version < OLDEST || !(capacity_for(0)..=capacity_for(LONGEST_BODY)).contains(&capacity) {
        return Err(Unreadable::Torn);
    }
    let since = Timestamp::from_millis(u64_at(bytes, 16));
    let successor = Key(chunk_at(bytes, 24));
    let state = match u32_at(bytes, 12) {
        LIVE => State::Live,
        REMOVED => State::Tombstone(Tombstone {
            since,
            successor: None,
        }),
        RENEWED => State::Tombstone(Tombstone {
            since,
            successor: Some(successor),
        }),
        _ => return Err(Unreadable::Torn),
    };
    Ok(Head {
        version,
        capacity,
        state,
    })
}

fn read_live<'b>(bytes: &'b [u8], head: &Head, how: Read) -> Option<Live<'b>> {
    let slots = [0, 1].map(|slot| {
        bytes
            .get(slot_at(head.capacity, slot) as usize..)
            .unwrap_or_default()
    });
    let numbers = slots.map(|slot| (slot.len() >= SLOT_HEAD_LEN_1).then(|| u64_at(slot, 8)));
    let current = usize::from(numbers[1] > numbers[0]);
    let mut live = match how {
        Read::Freely if numbers.contains(&None) => return None,
        Read::Freely => read_slot(slots[current], head, current)?,
        Read::UnderLock => {
            let other = 1 - current;
            read_slot(slots[current], head, current)
                .or_else(|| read_slot(slots[other], head, other))?
        }
    };
    match read_touch(bytes) {
        Some((first, tag, expires)) if tag == live.revision.tag => {
            if !live.is_old {
                (live.expires, live.seen) = (expires, Timestamp::from_millis(first));
            } else if first == live.revision.number {
                live.expires = expires;
            }
        }
        Some(_) => {}
        // Not the expiry in the slot, which is long over where touches keep a session alive.
        None if how == Read::Freely => return None,
        None => {}
    }
    Some(live)
}

/// Its first word, the tag and the expiry.
fn read_touch(bytes: &[u8]) -> Option<(u64, u64, Timestamp)> {
    let touch = bytes.get(STATE_LEN..HEAD_LEN)?;
    let whole = u64_at(touch, 24) == checksum::of(&touch[..24]);
    let expires = Timestamp::from_millis(u64_at(touch, 16));
    whole.then(|| (u64_at(touch, 0), u64_at(touch, 8), expires))
}

fn read_slot<'b>(bytes: &'b [u8], of: &Head, slot: usize) -> Option<Live<'b>> {
    let head = bytes.first_chunk::<SLOT_HEAD_LEN_1>()?;
    let is_old = of.version < VERSION;
    let (head_len, summary_len) = if is_old {
        (SLOT_HEAD_LEN_1, 0)
    } else {
        (SLOT_HEAD_LEN, u32_at(head, 76) as usize)
    };
    let summary_at = head_len.checked_add(u32_at(head, 72) as usize)?;
    let end = summary_at.checked_add(summary_len)?;
    if end > of.capacity as usize || u64_at(head, 8) == 0 {
        return None;
    }
    let bytes = bytes.get(..end)?;
    let created = Timestamp::from_millis(u64_at(head, 32));
    (u64_at(bytes, 0) == checksum::of(&bytes[8..])).then(|| Live {
        slot,
        capacity: of.capacity,
        is_old,
        revision: Revision {
            number: u64_at(head, 8),
            tag: u64_at(head, 16),
        },
        expires: Timestamp::from_millis(u64_at(head, 24)),
        seen: if is_old {
            created
        } else {
            Timestamp::from_millis(u64_at(bytes, 80))
        },
        created,
        handle: Handle(chunk_at(head, 40)),
        user: (u32_at(head, 52) == 1).then(|| UserKey(chunk_at(head, 56))),
        body: &bytes[head_len..summary_at],
        summary: &bytes[summary_at..],
    })
}

/// Panics beyond the end, so the caller has checked the length.
fn chunk_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut chunk = [0; N];
    chunk.copy_from_slice(&bytes[at..at + N]);
    chunk
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(chunk_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(chunk_at(bytes, at))
}
