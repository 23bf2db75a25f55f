//! The seeds of the fuzz targets, and a few hundred inputs beside them. So every `cargo test` checks the promises that
//! the fuzz targets check.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cookie::GOOD;
use crate::contents::Contents;

/// Runs the seeds of a target: the texts and bytes with which fuzzing starts.
fn each_seed(target: &str, check: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let mut count = 0;
    for entry in fs::read_dir(dir.join(target)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_seed_keeps_its_promise() {
    let dir = tempfile::tempdir().unwrap();
    each_seed("cookie", super::cookie);
    each_seed("token", super::token);
    each_seed("seal", super::seal);
    each_seed("record", |input| super::record(input, dir.path()));
}

/// A change of the format must not make a seed into noise that nothing reads.
#[test]
fn a_seed_that_is_called_contents_is_read_as_contents() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/seal");
    let of_contents = |name: &str| name.starts_with("contents");
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let contents = Contents::decode(&fs::read(&path).unwrap());
        assert_eq!(contents.is_some(), of_contents(name), "{name}");
    }
}

/// A failing input is printed. It belongs in `fuzz/seeds`, and not in a file that proptest writes.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Headers that are put together from typical pieces of headers.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"bsession=".to_vec()),
        3 => Just(b"; ".to_vec()),
        2 => Just(GOOD.to_vec()),
        2 => prop::sample::select(&b";= \t\n\r\x0C\"%bs"[..]).prop_map(|byte| vec![byte]),
        1 => vec(any::<u8>(), 0..4),
        1 => (0..400_usize).prop_map(|count| b"bsession=x;".repeat(count)),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Edits, each with a position and the bits to flip there. Half of the cases have one edit. A cut is rare.
fn edits(places: std::ops::Range<u16>) -> impl Strategy<Value = Vec<u8>> {
    let flip = prop_oneof![15 => 1..=u8::MAX, 1 => Just(0)];
    let edit = (places, flip).prop_map(|(place, flip)| {
        let [low, high] = place.to_le_bytes();
        [low, high, flip]
    });
    let count = prop_oneof![Just(1), 0..6_usize];
    count.prop_flat_map(move |count| vec(edit.clone(), count).prop_map(|edits| edits.concat()))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_cookie_header_hides_or_makes_a_session(input in headers()) {
        super::cookie(&input);
    }

    #[test]
    fn a_token_is_read_only_as_it_was_written(id in any::<[u8; 24]>(), edits in prop_oneof![edits(0..70), edits(60..67)]) {
        super::token(&[&id, edits.as_slice()].concat());
    }

    #[test]
    fn a_sealed_record_opens_as_it_was_or_not_at_all(edits in prop_oneof![edits(0..170), edits(0..16)]) {
        super::seal(&edits);
    }

    #[test]
    fn contents_are_read_as_they_were_written(
        words in any::<[u8; 40]>(),
        [user, note] in prop::array::uniform2(proptest::option::of("\\PC{0,8}")),
        flashes in proptest::option::of(prop_oneof!["\\[(\\{\"level\":\"info\",\"text\":\"[a-z]{0,3}\"\\})?\\]", "\\PC{0,8}"]),
        json in prop_oneof!["\\{\"\\PC{0,4}\":-?[0-9]{1,30}(\\.[0-9]{1,20})?(e-?[0-9]{1,3})?\\}", "\\PC{0,20}"],
    ) {
        let text = |text: Option<String>| {
            let length = text.as_ref().map_or(0, |text| text.len() as u32 + 1);
            [&length.to_le_bytes()[..], text.unwrap_or_default().as_bytes()].concat()
        };
        super::seal(&[&words, &*text(user), &text(note), &text(flashes), json.as_bytes()].concat());
    }

    #[test]
    fn no_bytes_in_a_file_make_another_session(
        how in prop::sample::select(&b"002224pprrrtv"[..]),
        // The positions of the bytes that are written: the heads, and the two records.
        edits in prop_oneof![edits(0..200), edits(1060..1190), edits(0..2100)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        super::record(&[&[how], edits.as_slice()].concat(), dir.path());
    }
}
