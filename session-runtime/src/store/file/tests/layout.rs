//! The bytes of a file: as they were, torn, cut short and made up.

use super::*;
use crate::store::file::layout::{
    Content, HEAD_LEN, ReadMode, capacity_for, file_len, half_len, len_by_head, read,
    wants_other_file, write_file,
};

/// A file with a record, a commit over it and a touch of that. Never to be changed: such files are on
/// disks.
const FORMAT_1: &str = include_str!("format_1.hex");

fn golden() -> Vec<u8> {
    let digits: Vec<u8> = FORMAT_1.bytes().filter(u8::is_ascii_hexdigit).collect();
    let mut bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    bytes.resize(2048, 0);
    bytes
}

/// The two records of it.
fn golden_records() -> [Record; 2] {
    let first = Record {
        head: Head {
            revision: Revision {
                number: 1,
                tag: 0x0102_0304_0506_0708,
            },
            expires: Timestamp::from_millis(0x1122_3344_5566),
            seen: Timestamp::from_millis(0x1A1B_1C1D_1E1F),
            created: Timestamp::from_millis(0x0A0B_0C0D_0E0F),
            handle: Handle(*b"handle handl"),
            user: None,
        },
        summary: None,
        body: Body::from_bytes(&b"the first body"[..]),
    };
    let second = Record {
        summary: Some(Summary::from_bytes(&b"and its summary"[..])),
        body: Body::from_bytes(&b"the body after it"[..]),
        ..with(first.clone(), |head| {
            head.seen = Timestamp::from_millis(0x2A2B_2C2D_2E2F);
            head.revision = Revision {
                number: 2,
                tag: 0x1112_1314_1516_1718,
            };
            head.user = Some(UserKey(*b"the user, hashed"));
        })
    };
    [first, second]
}

const GOLDEN_TOUCH: Timestamp = Timestamp::from_millis(0x2122_3344_5566);
const GOLDEN_VISIT: Timestamp = Timestamp::from_millis(0x1112_1314_1516);
/// Its first two digits are the directory.
const GOLDEN_KEY: Key = Key([0xAB; 16]);

/// A store with the golden file, as others have changed it.
fn with_golden(change: impl FnOnce(&mut [u8])) -> Fixture {
    let fixture = Fixture::new();
    fs::create_dir(fixture.root().join("ab")).unwrap();
    let mut bytes = golden();
    change(&mut bytes);
    let sum = crate::store::file::checksum::of(&bytes[..40]);
    bytes[40..48].copy_from_slice(&sum.to_le_bytes());
    fs::write(fixture.path(GOLDEN_KEY), bytes).unwrap();
    fixture
}

#[test]
fn a_file_that_was_written_once_is_read() {
    let fixture = with_golden(|_| {});
    let [_, second] = golden_records();
    assert_same(
        &fixture.live(GOLDEN_KEY),
        &with(second, |head| {
            head.expires = GOLDEN_TOUCH;
            head.seen = GOLDEN_VISIT;
        }),
    );
}

#[test]
fn what_is_written_is_this_format() {
    let fixture = Fixture::new();
    let [first, second] = golden_records();
    fixture.create(GOLDEN_KEY, &first);
    assert!(matches!(
        now(fixture
            .store
            .commit(GOLDEN_KEY, first.head.revision, second.clone(), NOW)),
        Commit::Saved
    ));
    now(fixture
        .store
        .touch(GOLDEN_KEY, second.head.revision, GOLDEN_TOUCH, GOLDEN_VISIT));
    let written = fs::read(fixture.path(GOLDEN_KEY)).unwrap();
    if written != golden() {
        for line in written.chunks(32) {
            eprintln!(
                "{}",
                line.iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            );
        }
        panic!("the bytes of a file have changed: make it a new version");
    }
}

#[test]
fn a_tombstone_that_was_written_once_is_read() {
    // Written down by hand from the table in `layout`: state 3, when, successor.
    let fixture = with_golden(|bytes| {
        bytes[12..16].copy_from_slice(&[3, 0, 0, 0]);
        bytes[16..24].copy_from_slice(&NOW.as_millis().to_le_bytes());
        bytes[24..40].copy_from_slice(&key(5).0);
    });
    fixture.create(key(5), &record(b"successor"));
    assert!(matches!(
        now(fixture.store.load(GOLDEN_KEY, NOW)),
        Loaded::Retired
    ));
    assert!(now(fixture.store.remove(GOLDEN_KEY, NOW)));
    assert!(matches!(
        now(fixture.store.load(key(5), NOW)),
        Loaded::Retired
    ));
}

/// The head of a session and its state are the same in every format.
#[test]
fn a_session_of_a_newer_format_is_listed_and_ended_and_swept() {
    let fixture = with_golden(|bytes| bytes[7] = 255);
    let [_, second] = golden_records();
    let found = fixture.live(GOLDEN_KEY);
    assert_eq!(found.head.handle, second.head.handle);
    assert!(found.body.as_bytes().is_empty() && found.summary.is_none());
    // The sweeper puts it on the list of its user, where it can be seen.
    assert_eq!(fixture.sweep(NOW), 0);
    let user = second.head.user.unwrap();
    let listed = now(fixture.store.of_user(user, NOW));
    assert!(listed.iter().map(|listing| listing.key).eq([GOLDEN_KEY]));
    assert_eq!(now(fixture.store.remove_user(user, Which::All, NOW)), 1);
    assert!(matches!(
        now(fixture.store.load(GOLDEN_KEY, NOW)),
        Loaded::Retired
    ));
    assert_eq!(fixture.sweep(NOW + crate::record::TOMBSTONE), 1);

    let fixture = with_golden(|bytes| bytes[7] = 255);
    assert!(
        now(fixture.store.remove(GOLDEN_KEY, NOW)),
        "a logout ends it"
    );
    let fixture = with_golden(|bytes| bytes[7] = 255);
    assert_eq!(fixture.sweep(GOLDEN_TOUCH), 1, "and it expires");
}

/// A file with two records, the second current, in half 1.
fn two_records(fixture: &Fixture) -> [Record; 2] {
    let first = record(b"the first body");
    fixture.create(key(1), &first);
    let second = fixture.commit(key(1), &first, b"the body after it, which is longer");
    [first, second]
}

fn end_of_half(half: usize, record: &Record) -> usize {
    HEAD_LEN + capacity_for(0) as usize * half + half_len(record.body.as_bytes().len())
}

#[test]
fn cut_short_anywhere_it_is_one_of_the_two_records_or_nothing() {
    let fixture = Fixture::new();
    let [first, second] = two_records(&fixture);
    let whole = fs::read(fixture.path(key(1))).unwrap();
    for len in 0..whole.len() {
        fs::write(fixture.path(key(1)), &whole[..len]).unwrap();
        let loaded = now(fixture.store.load(key(1), NOW));
        match loaded {
            Loaded::Live(record) if len >= end_of_half(1, &second) => assert_same(&record, &second),
            Loaded::Live(record) if len >= end_of_half(0, &first) => assert_same(&record, &first),
            Loaded::Nothing if len < end_of_half(0, &first) => {
                // An empty one is being created; all others are set aside.
                assert_eq!(fixture.path(key(1)).exists(), len == 0, "{len}");
                assert!(!now(fixture.store.remove(key(1), NOW)));
            }
            other => panic!("cut at {len}: {other:?}"),
        }
    }
}

#[test]
fn a_file_cut_short_is_whole_again_after_two_commits() {
    let fixture = Fixture::new();
    let [first, second] = two_records(&fixture);
    let whole = fs::read(fixture.path(key(1))).unwrap();
    fs::write(fixture.path(key(1)), &whole[..end_of_half(1, &second) - 1]).unwrap();
    let third = fixture.commit(key(1), &first, b"third");
    assert_same(&fixture.live(key(1)), &third);
    let fourth = fixture.commit(key(1), &third, b"fourth");
    assert_same(&fixture.live(key(1)), &fourth);
}

/// The file as it is if the process was killed in the write that made `before` into `after`,
/// once for each byte that may have been the last.
fn torn<'a>(before: &'a [u8], after: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let changed: Vec<usize> = (0..after.len())
        .filter(|&i| before[i] != after[i])
        .collect();
    changed
        .into_iter()
        .map(|last| [&after[..last], &before[last..]].concat())
}

#[test]
fn a_save_that_was_torn_anywhere_leaves_the_old_record() {
    let fixture = Fixture::new();
    let [_, second] = two_records(&fixture);
    let before = fs::read(fixture.path(key(1))).unwrap();
    let third = fixture.commit(
        key(1),
        &second,
        b"the third, which is longer than both of them were",
    );
    let after_it = fs::read(fixture.path(key(1))).unwrap();
    assert_same(&fixture.live(key(1)), &third);
    let mut count = 0;
    for bytes in torn(&before, &after_it) {
        fs::write(fixture.path(key(1)), &bytes).unwrap();
        assert_same(&fixture.live(key(1)), &second);
        let fourth = fixture.commit(key(1), &second, b"and on it goes");
        assert_same(&fixture.live(key(1)), &fourth);
        count += 1;
    }
    assert!(count > 50);
}

#[test]
fn a_touch_that_was_torn_anywhere_leaves_the_record_live() {
    let fixture = Fixture::new();
    let [_, second] = two_records(&fixture);
    let before = fs::read(fixture.path(key(1))).unwrap();
    now(fixture
        .store
        .touch(key(1), second.head.revision, NOW + 5 * HOUR, NOW));
    let after_it = fs::read(fixture.path(key(1))).unwrap();
    for bytes in torn(&before, &after_it) {
        fs::write(fixture.path(key(1)), bytes).unwrap();
        assert_same(&fixture.live(key(1)), &second);
    }
}

/// A reader meets the writer of a touch. The expiry in the half is long over.
#[test]
fn a_touch_that_is_being_written_is_not_an_expired_session() {
    let fixture = Fixture::new();
    let [_, second] = two_records(&fixture);
    now(fixture
        .store
        .touch(key(1), second.head.revision, NOW + 5 * HOUR, NOW));
    let before = fs::read(fixture.path(key(1))).unwrap();
    now(fixture
        .store
        .touch(key(1), second.head.revision, NOW + 6 * HOUR, NOW));
    let after_it = fs::read(fixture.path(key(1))).unwrap();
    // The first one is that of which nothing was written.
    for bytes in torn(&before, &after_it).skip(1) {
        assert!(matches!(read(&bytes, ReadMode::Freely), Content::Doubtful));
    }
}

#[test]
fn a_removal_that_was_torn_anywhere_brings_nothing_to_life() {
    let fixture = Fixture::new();
    let [_, _] = two_records(&fixture);
    let before = fs::read(fixture.path(key(1))).unwrap();
    assert!(now(fixture.store.remove(key(1), NOW)));
    let after_it = fs::read(fixture.path(key(1))).unwrap();
    let mut torn: Vec<_> = torn(&before, &after_it).collect();
    assert_eq!(torn.remove(0), before);
    for bytes in torn {
        fs::write(fixture.path(key(1)), bytes).unwrap();
        assert!(!matches!(
            now(fixture.store.load(key(1), NOW)),
            Loaded::Live(_)
        ));
    }
}

#[test]
fn a_bit_flipped_anywhere_never_makes_another_record() {
    let fixture = Fixture::new();
    let [first, second] = two_records(&fixture);
    let mut bytes = fs::read(fixture.path(key(1))).unwrap();
    let number = HEAD_LEN + capacity_for(0) as usize + 8..HEAD_LEN + capacity_for(0) as usize + 16;
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match read(&bytes, ReadMode::Freely) {
            // A revision that became a lower one is not the current one.
            Content::Live(live) if number.contains(&(bit / 8)) && live.half == 0 => {
                assert_same(&live.record(), &first)
            }
            Content::Live(live) => assert_same(&live.record(), &second),
            Content::Doubtful => {}
            other => panic!("bit {bit}: {other:?}"),
        }
        match read(&bytes, ReadMode::UnderLock) {
            Content::Live(live) if live.head.revision == second.head.revision => {
                assert_same(&live.record(), &second)
            }
            Content::Live(live) => assert_same(&live.record(), &first),
            Content::Doubtful if bit / 8 < 48 => {}
            other => panic!("bit {bit}: {other:?}"),
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// A generator good enough for noise: xorshift64*, always the same.
fn noise() -> impl FnMut() -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[test]
fn noise_is_no_session() {
    let mut next = noise();
    let mut whole = vec![0; file_len(capacity_for(0))];
    write_file(&record(b"body"), capacity_for(0), &mut whole);
    for round in 0..20_000 {
        // Every other time behind a good head, or more would never be looked at.
        let kept = [0, 8, 48, 80, 160][round % 5];
        let mut bytes = whole[..(next() as usize % whole.len()).max(kept)].to_vec();
        bytes[kept..].fill_with(|| next() as u8);
        for how in [ReadMode::Freely, ReadMode::UnderLock] {
            assert!(
                matches!(read(&bytes, how), Content::Doubtful | Content::Empty),
                "{round}: {bytes:02x?}"
            );
        }
    }
}

#[test]
fn lengths_that_a_file_claims_are_not_believed() {
    let mut whole = vec![0; file_len(capacity_for(0))];
    write_file(&record(b"body"), capacity_for(0), &mut whole);
    // 901 is one more than the half has room for; the file has room, and the checksum is right.
    for len in [0, 900, 901, 2000, u32::MAX - 84, u32::MAX] {
        let mut bytes = whole.clone();
        bytes[HEAD_LEN + 76..HEAD_LEN + 80].copy_from_slice(&u32::to_le_bytes(len));
        assert!(matches!(
            read(&bytes, ReadMode::UnderLock),
            Content::Doubtful
        ));
        if len == 901 {
            let sum = crate::store::file::checksum::of(&bytes[HEAD_LEN + 8..][..76 + 901]);
            bytes[HEAD_LEN..HEAD_LEN + 8].copy_from_slice(&sum.to_le_bytes());
            assert!(matches!(
                read(&bytes, ReadMode::UnderLock),
                Content::Doubtful
            ));
        }
        // The same of the summary.
        let mut bytes = whole.clone();
        bytes[HEAD_LEN + 80..HEAD_LEN + 84].copy_from_slice(&u32::to_le_bytes(len.max(1)));
        assert!(matches!(
            read(&bytes, ReadMode::UnderLock),
            Content::Doubtful
        ));
    }
    for capacity in [0, 80, capacity_for(0) - 1, u32::MAX] {
        let state = crate::store::file::layout::state(
            capacity,
            crate::store::file::layout::FileState::Live,
        );
        whole[..48].copy_from_slice(&state);
        assert!(matches!(
            read(&whole, ReadMode::UnderLock),
            Content::Doubtful
        ));
        // Or as much would be allocated for a file of holes.
        assert_eq!(len_by_head(&whole), None);
    }
}

#[test]
fn a_file_has_room_to_grow_and_is_of_a_handy_size() {
    for len in (0..300_000).step_by(77) {
        let capacity = capacity_for(len);
        assert!(half_len(len + len / 2) <= capacity as usize);
        assert!(file_len(capacity) == 2048 || file_len(capacity).is_multiple_of(4096));
        assert!(!wants_other_file(capacity, len) && !wants_other_file(capacity, len + len / 2));
        assert!(
            !wants_other_file(capacity, len / 4),
            "or sessions would move to and fro"
        );
    }
    assert!(wants_other_file(capacity_for(0), 901));
    assert_eq!(wants_other_file(capacity_for(1 << 20), 300), cfg!(unix));
}
