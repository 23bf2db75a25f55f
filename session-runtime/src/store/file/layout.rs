//! The format of a session's file, byte by byte.
//!
//! A file has a head and two *halves*, each with room for a whole record. A save writes the half that is not current.
//! All numbers are little endian. The *capacity*, `C` for short, is the size of one half.
//!
//! | from | bytes | the head |
//! |---|---|---|
//! | 0 | 7 | `BSESSN` and a zero byte |
//! | 7 | 1 | the format of bodies and summaries, 1 |
//! | 8 | 4 | capacity |
//! | 12 | 4 | state: 1 live, 2 removed, 3 renewed |
//! | 16 | 8 | the time at which it was removed or renewed, in ms since 1970; else 0 |
//! | 24 | 16 | renewed: the key of the successor; else zeros |
//! | 40 | 8 | checksum of bytes 0 to 40 |
//! | **48** | | **the touch** |
//! | 48 | 8 | seen, in ms since 1970 |
//! | 56 | 8 | the tag of the revision that was touched |
//! | 64 | 8 | expires, in ms since 1970 |
//! | 72 | 8 | checksum of bytes 48 to 72 |
//! | **80** | C | **half 0** |
//! | **80 + C** | C | **half 1** |
//!
//! | from | bytes | a half |
//! |---|---|---|
//! | 0 | 8 | checksum of all that follows, up to the end of the summary |
//! | 8 | 68 | the record's head, as [`Head::to_bytes`] writes it; the number of its revision is 0 in a half that was never written |
//! | 76 | 4 | length of the body |
//! | 80 | 4 | length of the summary, 0 if there is none |
//! | 84 | | the body, and behind it the summary |
//!
//! # Why a reader needs no lock
//!
//! The half with the higher number is the current record, and a save writes the other half. A reader gets the whole file
//! with one `pread`. There are three cases for a half that is being written meanwhile:
//!
//! - It reads with the higher number. Then its checksum is wrong, and the reader asks again under the lock.
//! - It reads with the lower number. Then the reader takes the other half, which is right: the save is not over.
//! - So many saves fall into one `pread` that the half which was read first is being written again. Then the other half
//!   holds a whole record that is newer than the beginning of the `pread`.
//!
//! In each case, the reader takes a record that was current at some moment between its beginning and its end.
//!
//! Head and touch have their own checksums for the same reason. A touch of which a part was read would make an old expiry
//! valid, and a tombstone of which a part was read would be one of 1970.
//!
//! # The checksum, and what never changes
//!
//! The checksum is XXH64. These tables stay as they are in every later version. Another format number means that the body
//! and the summary are written in another way, or that there is more in them. So an older server can list, end and sweep
//! the session of a newer one. It does not know the body, and never writes over it.

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
/// The place of the touch, and its length.
pub(super) const TOUCH_AT: u64 = 48;
pub(super) const TOUCH_LEN: usize = 32;
/// The place of the first half.
pub(super) const HEAD_LEN: usize = 80;
const HALF_HEAD_LEN: usize = LENGTHS_AT + 8;
/// The place of the lengths of body and summary in a half.
const LENGTHS_AT: usize = 8 + Head::LEN;

/// The length of the shortest file. It has room for a body of 900 bytes, three times a usual one. To read and write it
/// costs no more than 1 KiB would, and a file system gives it 4 KiB anyway.
const SMALLEST: usize = 2048;
/// Longer files are multiples of a block of the file system.
const BLOCK: usize = 4096;
/// The longest body and summary, together. It is far more than a session should have, and little enough to allocate.
pub(super) const LONGEST_BODY: usize = 64 << 20;

/// The state of a session: live, or ended with a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    Live,
    Tombstone(Tombstone),
}

/// The mark of a session that was removed, or renewed under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) at: Timestamp,
    pub(super) successor: Option<Key>,
}

/// A record that was read from its file, with its place.
#[derive(Clone, Debug)]
pub(super) struct LiveRecord<'b> {
    pub(super) half: usize,
    pub(super) capacity: u32,
    /// True if this version knows the format of body and summary.
    pub(super) is_known: bool,
    /// The head in the half, with the times of a later touch.
    pub(super) head: Head,
    pub(super) summary: &'b [u8],
    pub(super) body: &'b [u8],
}

impl LiveRecord<'_> {
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

    /// The record without its body, as lists show it.
    pub(super) fn without_body(&self) -> Record {
        let has_summary = self.is_known && !self.summary.is_empty();
        Record {
            head: self.head,
            summary: has_summary.then(|| Summary::from_bytes(self.summary)),
            body: Body::absent(),
        }
    }
}

/// The content of a file.
#[derive(Clone, Debug)]
pub(super) enum Content<'b> {
    Live(LiveRecord<'b>),
    Tombstone(Tombstone),
    /// The file was created, and is not yet written.
    Empty,
    /// The file is torn. If it was read without the lock, a write may be going on; if with it, it stays torn.
    Doubtful,
}

/// The way in which the bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Without the lock, perhaps during a write. What does not fit together is doubtful.
    Freely,
    /// Under the lock. A torn half or touch was never answered with *saved*, so the other half counts, or the expiry in
    /// the half.
    UnderLock,
}

/// Returns the length of a record's body and summary.
pub(super) fn payload_len(record: &Record) -> usize {
    record.body.as_bytes().len() + summary_of(record).len()
}

fn summary_of(record: &Record) -> &[u8] {
    record.summary.as_ref().map_or(&[], Summary::as_bytes)
}

/// Returns the capacity for a body and a summary of `len` bytes, with half as much again to grow into.
pub(super) fn capacity_for(len: usize) -> u32 {
    let wanted = HEAD_LEN + 2 * (HALF_HEAD_LEN + len + len / 2);
    let file = if wanted <= SMALLEST {
        SMALLEST
    } else {
        wanted.next_multiple_of(BLOCK)
    };
    u32::try_from((file - HEAD_LEN) / 2).unwrap_or(u32::MAX)
}

/// Returns the capacity of the file that takes the place of one with the capacity `old`.
pub(super) fn capacity_after(old: u32, len: usize) -> u32 {
    let capacity = capacity_for(len);
    // On systems other than Unix, files are told apart by their length, so no length may come back.
    if cfg!(unix) || capacity > old {
        capacity
    } else {
        capacity_for(old as usize)
    }
}

/// Answers whether a payload of `len` bytes needs another file: it does not fit into this one, or this one is so large
/// that reading it is a waste.
pub(super) fn wants_other_file(capacity: u32, len: usize) -> bool {
    let outgrown = HALF_HEAD_LEN + len > capacity as usize;
    let may_shrink = cfg!(unix) && capacity as usize > 16 * BLOCK;
    outgrown || (may_shrink && capacity_for(len) < capacity / 8)
}

/// Returns the length of a file with halves of `capacity`.
pub(super) fn file_len(capacity: u32) -> usize {
    HEAD_LEN + 2 * capacity as usize
}

/// Returns the place of a half.
pub(super) fn half_at(capacity: u32, half: usize) -> u64 {
    HEAD_LEN as u64 + u64::from(capacity) * half as u64
}

/// Returns the number of bytes that are used of a half with a payload of `len` bytes.
pub(super) fn half_len(len: usize) -> usize {
    HALF_HEAD_LEN + len
}

/// Returns the length of the file that its first bytes tell. Answers `None` if they are not those of a session.
pub(super) fn len_by_head(bytes: &[u8]) -> Option<usize> {
    parse_start(bytes).map(|start| file_len(start.capacity))
}

/// Writes a whole new file into zeroed bytes of its length.
pub(super) fn write_file(record: &Record, capacity: u32, file: &mut [u8]) {
    file[..STATE_LEN].copy_from_slice(&state(capacity, FileState::Live));
    // A new file has a touch. So a touch with a wrong checksum is always one that is being written.
    file[STATE_LEN..HEAD_LEN].copy_from_slice(&touch(&record.head));
    write_half(record, &mut file[HEAD_LEN..]);
}

/// Returns the first [`STATE_LEN`] bytes.
pub(super) fn state(capacity: u32, state: FileState) -> [u8; STATE_LEN] {
    let mut bytes = [0; STATE_LEN];
    let (word, at, successor) = match state {
        FileState::Live => (LIVE, Timestamp::default(), None),
        FileState::Tombstone(Tombstone {
            at,
            successor: None,
        }) => (REMOVED, at, None),
        FileState::Tombstone(Tombstone { at, successor }) => (RENEWED, at, successor),
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

/// Returns the [`TOUCH_LEN`] bytes at [`TOUCH_AT`].
pub(super) fn touch(head: &Head) -> [u8; TOUCH_LEN] {
    let mut bytes = [0; TOUCH_LEN];
    bytes[..8].copy_from_slice(&head.seen.as_millis().to_le_bytes());
    bytes[8..16].copy_from_slice(&head.revision.tag.to_le_bytes());
    bytes[16..24].copy_from_slice(&head.expires.as_millis().to_le_bytes());
    let sum = checksum::of(&bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Writes a half into at least [`half_len`] bytes.
pub(super) fn write_half(record: &Record, half: &mut [u8]) {
    let (body, summary) = (record.body.as_bytes(), summary_of(record));
    let half = &mut half[..half_len(body.len() + summary.len())];
    half[8..LENGTHS_AT].copy_from_slice(&record.head.to_bytes());
    // The caller has checked it against `LONGEST_BODY`.
    half[LENGTHS_AT..LENGTHS_AT + 4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    half[LENGTHS_AT + 4..HALF_HEAD_LEN].copy_from_slice(&(summary.len() as u32).to_le_bytes());
    let (for_body, for_summary) = half[HALF_HEAD_LEN..].split_at_mut(body.len());
    for_body.copy_from_slice(body);
    for_summary.copy_from_slice(summary);
    let sum = checksum::of(&half[8..]);
    half[..8].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the content of a file from its bytes.
pub(super) fn read(bytes: &[u8], how: ReadMode) -> Content<'_> {
    if bytes.is_empty() {
        return Content::Empty;
    }
    match parse_start(bytes) {
        Some(FileStart {
            state: FileState::Tombstone(tombstone),
            ..
        }) => Content::Tombstone(tombstone),
        Some(start) => read_live(bytes, &start, how).map_or(Content::Doubtful, Content::Live),
        None => Content::Doubtful,
    }
}

/// The first bytes of a file.
struct FileStart {
    format: u8,
    capacity: u32,
    state: FileState,
}

fn parse_start(bytes: &[u8]) -> Option<FileStart> {
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
        LIVE => FileState::Live,
        REMOVED => FileState::Tombstone(Tombstone {
            at,
            successor: None,
        }),
        RENEWED => FileState::Tombstone(Tombstone {
            at,
            successor: Some(successor),
        }),
        _ => return None,
    };
    Some(FileStart {
        format,
        capacity,
        state,
    })
}

fn read_live<'b>(bytes: &'b [u8], start: &FileStart, how: ReadMode) -> Option<LiveRecord<'b>> {
    let halves = [0, 1].map(|half| {
        bytes
            .get(half_at(start.capacity, half) as usize..)
            .unwrap_or_default()
    });
    let numbers = halves.map(|half| (half.len() >= HALF_HEAD_LEN).then(|| u64_at(half, 8)));
    let current = usize::from(numbers[1] > numbers[0]);
    let mut live = match how {
        ReadMode::Freely if numbers.contains(&None) => return None,
        ReadMode::Freely => read_half(halves[current], start, current)?,
        ReadMode::UnderLock => {
            let other = 1 - current;
            read_half(halves[current], start, current)
                .or_else(|| read_half(halves[other], start, other))?
        }
    };
    match read_touch(bytes) {
        Some((seen, tag, expires)) if tag == live.head.revision.tag => {
            (live.head.expires, live.head.seen) = (expires, seen);
        }
        Some(_) => {}
        // The expiry in the half does not do: where touches keep a session alive, it is long over.
        None if how == ReadMode::Freely => return None,
        None => {}
    }
    Some(live)
}

/// Reads the last visit, the tag and the expiry from a touch.
fn read_touch(bytes: &[u8]) -> Option<(Timestamp, u64, Timestamp)> {
    let touch = bytes.get(STATE_LEN..HEAD_LEN)?;
    let whole = u64_at(touch, 24) == checksum::of(&touch[..24]);
    let time = |at| Timestamp::from_millis(u64_at(touch, at));
    whole.then(|| (time(0), u64_at(touch, 8), time(16)))
}

fn read_half<'b>(bytes: &'b [u8], start: &FileStart, half: usize) -> Option<LiveRecord<'b>> {
    let head = bytes.first_chunk::<HALF_HEAD_LEN>()?;
    let [body_len, summary_len] = [0, 4].map(|at| u32_at(head, LENGTHS_AT + at) as usize);
    let summary_at = HALF_HEAD_LEN.checked_add(body_len)?;
    let end = summary_at.checked_add(summary_len)?;
    if end > start.capacity as usize || u64_at(head, 8) == 0 {
        return None;
    }
    let bytes = bytes.get(..end)?;
    (u64_at(bytes, 0) == checksum::of(&bytes[8..])).then(|| LiveRecord {
        half,
        capacity: start.capacity,
        is_known: start.format == FORMAT,
        head: Head::from_bytes(&chunk_at(head, 8)),
        body: &bytes[HALF_HEAD_LEN..summary_at],
        summary: &bytes[summary_at..],
    })
}

/// Copies `N` bytes. It panics beyond the end, so the caller has checked the length.
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
