//! What must hold for any bytes in a session's file; see `crate::fuzzing`.

#![allow(clippy::unwrap_used, reason = "whoever panics says where")]

mod says;
mod site;

use std::path::Path;

use self::says::{Says, number};
use self::site::Site;
use super::checksum;
use super::layout::{self, Content, Read, capacity_for, file_len, read};
use crate::fuzzing::{edited, from_hex};
use crate::record::Record;

/// Bits of the first byte, which digits have so that seeds can be read: the others are a whole file
/// and not edits of one; the checksums are made right, or few edits would get past them; the store
/// is swept too, which takes long; the store is not asked at all, for fifty times as many inputs.
const WHOLE: u8 = 1;
const MENDED: u8 = 2;
const SWEPT: u8 = 4;
const READ: u8 = 8;

/// Takes `input` for the file of a session, or for what to do to one, and asks a store in `dir` all
/// that can be asked of it. Leaves `dir` as it was.
pub fn record(input: &[u8], dir: &Path) {
    let Some((&how, rest)) = input.split_first() else {
        return;
    };
    let mut bytes = if how & WHOLE != 0 {
        rest.to_vec()
    } else {
        let mut valid = from_hex(include_str!("../tests/format_1.hex"));
        valid.resize(file_len(capacity_for(0)), 0);
        edited(&valid, rest)
    };
    if how & MENDED != 0 {
        mend(&mut bytes);
    }
    let says = Says::by_table(&bytes);
    both_ways_of_reading_agree(&bytes, &says);
    if how & READ == 0 {
        Site::new(dir, &bytes, says).ask_everything(rest, how & SWEPT != 0);
    }
}

fn mend(bytes: &mut [u8]) {
    fn sum(bytes: &mut [u8], over: std::ops::Range<usize>, at: usize) {
        if let Some(summed) = bytes.get(over) {
            let sum = checksum::of(summed).to_le_bytes();
            if let Some(place) = bytes.get_mut(at..at + 8) {
                place.copy_from_slice(&sum);
            }
        }
    }
    sum(bytes, 0..40, 40);
    sum(bytes, 48..72, 72);
    for slot in 0..2 {
        let at = 80 + slot * number(bytes, 8, 4) as usize;
        let lengths = [76, 80].map(|place| number(bytes, at + place, 4) as usize);
        sum(bytes, at + 8..at + 84 + lengths[0] + lengths[1], at);
    }
}

fn both_ways_of_reading_agree(bytes: &[u8], says: &Says) {
    match (read(bytes, Read::UnderLock), says) {
        (Content::Live(live), Says::Live(expected)) => {
            assert_same(&live.record(), expected);
            // What is read is written back as an equal one.
            let capacity = capacity_for(layout::payload_len(expected));
            let mut file = vec![0; file_len(capacity)];
            layout::write_file(expected, capacity, &mut file);
            match read(&file, Read::Freely) {
                Content::Live(again) => assert_same(&again.record(), expected),
                other => panic!("a new file reads as {other:?}"),
            }
        }
        (Content::Tombstone(found), Says::Tombstone(expected)) => assert_eq!(found, *expected),
        (Content::Empty, Says::Empty) | (Content::Doubtful, Says::Torn) => {}
        (other, _) => panic!("under the lock it reads as {other:?}"),
    }
    // Who has no lock sees the same, or asks again with it.
    match (read(bytes, Read::Freely), says) {
        (Content::Live(live), Says::Live(expected)) => assert_same(&live.record(), expected),
        (Content::Tombstone(found), Says::Tombstone(expected)) => assert_eq!(found, *expected),
        (Content::Empty, Says::Empty) | (Content::Doubtful, Says::Torn | Says::Live(_)) => {}
        (other, _) => panic!("without the lock it reads as {other:?}"),
    }
}

#[track_caller]
fn assert_same(found: &Record, expected: &Record) {
    let fields = |record: &Record| {
        let body = record.body.as_bytes().to_vec();
        let summary = record.summary.as_ref();
        (record.head, summary.map(|it| it.as_bytes().to_vec()), body)
    };
    assert_eq!(fields(found), fields(expected));
}
