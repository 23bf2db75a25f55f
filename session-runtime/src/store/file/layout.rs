//! What is in a session's file, byte by byte.
//!
//! All numbers are little endian. `capacity` is the size of a slot, `C` for short.
//!
//! | from | bytes | the head |
//! |---|---|---|
//! | 0 | 7 | `BSESSN` and a zero byte |
//! | 7 | 1 | the format of bodies and summaries, 1 |
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
//! | 8 | 68 | the record's head, as [`Head::to_bytes`] writes it; the number of its revision is 0 in a slot that was never written |
//! | 76 | 4 | length of the body |
//! | 80 | 4 | length of the summary, 0 if there is none |
//! | 84 | | the body, and behind it the summary |
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
//! # The checksum, and what never changes
//!
//! The checksum is XXH64. All of this stays as it is in every version to come. Another format means that body
//! and summary are written otherwise, or that there is more in them: so a server can list, end and sweep the
//! session of a newer one, whose body it does not know and never writes over.

use super::checksum;
use crate::clock::Timestamp;
use crate::record::{Body, Head, Key, Record, Summary};

const MAGIC: &[u8; 7] = b"BSESSN\0";
const FORMAT: u8 = 1;

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
const SLOT_HEAD_LEN: usize = LENGTHS_AT + 8;
/// Where the lengths of body and summary are in a slot.
const LENGTHS_AT: usize = 8 + Head::LEN;

/// A new file is at least so long: room for a body of 900 bytes, three times a usual one. Reading
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
    pub(super) at: Timestamp,
    pub(super) successor: Option<Key>,
}

/// Where a record is in its file, and its parts.
#[derive(Clone, Debug)]
pub(super) struct Live<'b> {
    pub(super) slot: usize,
    pub(super) capacity: u32,
    /// Whether this program knows what is in body and summary.
    pub(super) is_known: bool,
    /// As the slot has it, or as it was touched since.
    pub(super) head: Head,
    pub(super) summary: &'b [u8],
    pub(super) body: &'b [u8],
}

impl Live<'_> {
    pub(super) fn record(&self) -> Record {
        let body = match self.is_known {
            true => Body::from_bytes(self.body),
            false => Body::absent(),
        };
        Record {
            body,
            ..self.without_body()
        }
    }

    /// The record as a list has it.
    pub(super) fn without_body(&self) -> Record {
        let has_summary = self.is_known && !self.summary.is_empty();
        Record {
            head: self.head,
            summary: has_summary.then(|| Summary::from_bytes(self.summary)),
            body: Body::absent(),
        }
    }
}

/// What the bytes of a file say.
#[derive(Clone, Debug)]
pub(super) enum Content<'b> {
    Live(Live<'b>),
    Tombstone(Tombstone),
    /// Created, and not yet written.
    Empty,
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
    parse_start(bytes).map(|start| file_len(start.capacity))
}

/// A whole new file, written into zeroed bytes of its length.
pub(super) fn write_file(record: &Record, capacity: u32, file: &mut [u8]) {
    file[..STATE_LEN].copy_from_slice(&state(capacity, State::Live));
    // A touch from the start: so one whose checksum is wrong is always one being written.
    file[STATE_LEN..HEAD_LEN].copy_from_slice(&touch(&record.head));
    write_slot(record, &mut file[HEAD_LEN..]);
}

/// The first [`STATE_LEN`] bytes.
pub(super) fn state(capacity: u32, state: State) -> [u8; STATE_LEN] {
    let mut bytes = [0; STATE_LEN];
    let (word, at, successor) = match state {
        State::Live => (LIVE, Timestamp::default(), None),
        State::Tombstone(Tombstone {
            at,
            successor: None,
        }) => (REMOVED, at, None),
        State::Tombstone(Tombstone { at, successor }) => (RENEWED, at, successor),
    };
    bytes[..7].copy_from_slice(MAGIC);
    bytes[7] = FORMAT;
    bytes[8..12].copy_from_slice(&capacity.to_le_bytes());
    bytes[12..16].copy_from_slice(&word.to_le_bytes());
    bytes[16..24].copy_from_slice(&at.as_millis().to_le_bytes());
    bytes[24..40].copy_from_slice(&successor.map_or([0; 16], |key| key.0));
    let sum = checksum::of(&bytes[..40]);
    bytes[40..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The [`TOUCH_LEN`] bytes at [`TOUCH_AT`].
pub(super) fn touch(head: &Head) -> [u8; TOUCH_LEN] {
    let mut bytes = [0; TOUCH_LEN];
    bytes[..8].copy_from_slice(&head.seen.as_millis().to_le_bytes());
    bytes[8..16].copy_from_slice(&head.revision.tag.to_le_bytes());
    bytes[16..24].copy_from_slice(&head.expires.as_millis().to_le_bytes());
    let sum = checksum::of(&bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A slot, into at least [`slot_len`] bytes.
pub(super) fn write_slot(record: &Record, slot: &mut [u8]) {
    let (body, summary) = (record.body.as_bytes(), summary_of(record));
    let slot = &mut slot[..slot_len(body.len() + summary.len())];
    slot[8..LENGTHS_AT].copy_from_slice(&record.head.to_bytes());
    // Whoever calls has checked it against `LONGEST_BODY`.
    slot[LENGTHS_AT..LENGTHS_AT + 4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    slot[LENGTHS_AT + 4..SLOT_HEAD_LEN].copy_from_slice(&(summary.len() as u32).to_le_bytes());
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
    match parse_start(bytes) {
        Some(Start {
            state: State::Tombstone(tombstone),
            ..
        }) => Content::Tombstone(tombstone),
        Some(start) => read_live(bytes, &start, how).map_or(Content::Doubtful, Content::Live),
        None => Content::Doubtful,
    }
}

/// What the first bytes of a file say.
struct Start {
    format: u8,
    capacity: u32,
    state: State,
}

fn parse_start(bytes: &[u8]) -> Option<Start> {
    let bytes = bytes.first_chunk::<STATE_LEN>()?;
    if bytes[..7] != MAGIC[..] || u64_at(bytes, 40) != checksum::of(&bytes[..40]) {
        return None;
    }
    let format = bytes[7];
    let capacity = u32_at(bytes, 8);
    if format == 0 || !(capacity_for(0)..=capacity_for(LONGEST_BODY)).contains(&capacity) {
        return None;
    }
    let at = Timestamp::from_millis(u64_at(bytes, 16));
    let successor = Key(chunk_at(bytes, 24));
    let state = match u32_at(bytes, 12) {
        LIVE => State::Live,
        REMOVED => State::Tombstone(Tombstone {
            at,
            successor: None,
        }),
        RENEWED => State::Tombstone(Tombstone {
            at,
            successor: Some(successor),
        }),
        _ => return None,
    };
    Some(Start {
        format,
        capacity,
        state,
    })
}

fn read_live<'b>(bytes: &'b [u8], start: &Start, how: Read) -> Option<Live<'b>> {
    let slots = [0, 1].map(|slot| {
        bytes
            .get(slot_at(start.capacity, slot) as usize..)
            .unwrap_or_default()
    });
    let numbers = slots.map(|slot| (slot.len() >= SLOT_HEAD_LEN).then(|| u64_at(slot, 8)));
    let current = usize::from(numbers[1] > numbers[0]);
    let mut live = match how {
        Read::Freely if numbers.contains(&None) => return None,
        Read::Freely => read_slot(slots[current], start, current)?,
        Read::UnderLock => {
            let other = 1 - current;
            read_slot(slots[current], start, current)
                .or_else(|| read_slot(slots[other], start, other))?
        }
    };
    match read_touch(bytes) {
        Some((seen, tag, expires)) if tag == live.head.revision.tag => {
            (live.head.expires, live.head.seen) = (expires, seen);
        }
        Some(_) => {}
        // Not the expiry in the slot, which is long over where touches keep a session alive.
        None if how == Read::Freely => return None,
        None => {}
    }
    Some(live)
}

/// The visit, the tag and the expiry.
fn read_touch(bytes: &[u8]) -> Option<(Timestamp, u64, Timestamp)> {
    let touch = bytes.get(STATE_LEN..HEAD_LEN)?;
    let whole = u64_at(touch, 24) == checksum::of(&touch[..24]);
    let time = |at| Timestamp::from_millis(u64_at(touch, at));
    whole.then(|| (time(0), u64_at(touch, 8), time(16)))
}

fn read_slot<'b>(bytes: &'b [u8], start: &Start, slot: usize) -> Option<Live<'b>> {
    let head = bytes.first_chunk::<SLOT_HEAD_LEN>()?;
    let [body_len, summary_len] = [0, 4].map(|at| u32_at(head, LENGTHS_AT + at) as usize);
    let summary_at = SLOT_HEAD_LEN.checked_add(body_len)?;
    let end = summary_at.checked_add(summary_len)?;
    if end > start.capacity as usize || u64_at(head, 8) == 0 {
        return None;
    }
    let bytes = bytes.get(..end)?;
    (u64_at(bytes, 0) == checksum::of(&bytes[8..])).then(|| Live {
        slot,
        capacity: start.capacity,
        is_known: start.format == FORMAT,
        head: Head::from_bytes(&chunk_at(head, 8)),
        body: &bytes[SLOT_HEAD_LEN..summary_at],
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
