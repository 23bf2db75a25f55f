//! Checks that hold for any bytes in a session's file. See `crate::fuzzing`.

#![allow(clippy::unwrap_used, reason = "a panic says where")]

mod fuzzed_store;
mod says;

use std::path::Path;

use self::fuzzed_store::FuzzedStore;
use self::says::{Says, assert_same, number};
use super::checksum;
use super::layout::{self, Content, ReadMode, capacity_for, file_len, read};
use crate::fuzzing::{edited, from_hex};

/// Bits of the first byte. Digits have them, so that seeds can be read by people.
///
/// - `WHOLE`: the other bytes are a whole file, and not edits of one.
/// - `MENDED`: the checksums are made right. Few edits would get past them otherwise.
/// - `SWEPT`: the store is swept, too, which takes long.
/// - `READ`: the store is not asked at all, which allows fifty times as many inputs.
const WHOLE: u8 = 1;
const MENDED: u8 = 2;
const SWEPT: u8 = 4;
const READ: u8 = 8;

/// Takes `input` as the file of a session, or as edits of one, and asks a store in `dir` everything that can be asked
/// about it. Leaves `dir` as it was.
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
        FuzzedStore::new(dir, &bytes, says).ask_everything(rest, how & SWEPT != 0);
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
    for half in 0..2 {
        let at = 80 + half * number(bytes, 8, 4) as usize;
        let lengths = [76, 80].map(|place| number(bytes, at + place, 4) as usize);
        sum(bytes, at + 8..at + 84 + lengths[0] + lengths[1], at);
    }
}

fn both_ways_of_reading_agree(bytes: &[u8], says: &Says) {
    match (read(bytes, ReadMode::UnderLock), says) {
        (Content::Live(live), Says::Live(expected)) => {
            assert_same(&live.record(), expected);
            // Written again, the record reads as an equal one.
            let capacity = capacity_for(layout::payload_len(expected));
            let mut file = vec![0; file_len(capacity)];
            layout::write_file(expected, capacity, &mut file);
            match read(&file, ReadMode::Freely) {
                Content::Live(again) => assert_same(&again.record(), expected),
                other => panic!("a new file reads as {other:?}"),
            }
        }
        (Content::Tombstone(found), Says::Tombstone(expected)) => assert_eq!(found, *expected),
        (Content::Empty, Says::Empty) | (Content::Doubtful, Says::Torn) => {}
        (other, _) => panic!("under the lock it reads as {other:?}"),
    }
    // Without the lock a reader sees the same, or asks again with it.
    match (read(bytes, ReadMode::Freely), says) {
        (Content::Live(live), Says::Live(expected)) => assert_same(&live.record(), expected),
        (Content::Tombstone(found), Says::Tombstone(expected)) => assert_eq!(found, *expected),
        (Content::Empty, Says::Empty) | (Content::Doubtful, Says::Torn | Says::Live(_)) => {}
        (other, _) => panic!("without the lock it reads as {other:?}"),
    }
}
