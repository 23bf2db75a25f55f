//! Fuzzes the token: it is read only exactly as it was written.

use super::inputs::{BOTH, EACH, edited, written};
use crate::id::Id;
use crate::secret::Carries;
use crate::token::{decode, encode};

/// Takes `input` as a token; then as an id, and as edits to the token of that id.
pub fn token(input: &[u8]) {
    is_one_of_ours_or_none(input);

    let mut id = [0; Id::LEN];
    let (start, edits) = input.split_at(input.len().min(Id::LEN));
    id[..start.len()].copy_from_slice(start);
    let id = Id::new(id);
    for (place, ring) in EACH.iter().enumerate() {
        for carries in [Carries::Session, Carries::CsrfAlone] {
            let good = encode(ring, &id, carries);
            let read = decode(&BOTH, good.as_bytes()).expect("what is written is read");
            let told = (&read.id, read.previous, read.carries);
            assert_eq!(told, (&id, place > 0, carries));

            let text = edited(good.as_bytes(), edits);
            let read = decode(&BOTH, &text);
            assert_eq!(read.is_some(), text == good.as_bytes(), "{text:?}");
        }
    }
}

/// Checks that a text which is read as a token is, byte for byte, what one of the secrets writes for its id.
fn is_one_of_ours_or_none(text: &[u8]) {
    if let Some(token) = decode(&BOTH, text) {
        assert_eq!(written(&token).as_bytes(), text, "a token has one spelling");
    }
}
