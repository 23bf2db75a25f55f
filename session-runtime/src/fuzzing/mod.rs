//! What must hold for any bytes whatever: called by the fuzz targets in `fuzz/`, and by the tests
//! with the seeds of these.
//!
//! Each function panics if a promise is broken. Bytes alone seldom get past a MAC or a checksum, so
//! each looks at its input twice: as it is, and as what is to be done to something valid.

#![allow(clippy::unwrap_used, reason = "whoever panics says where")]

mod cookie;
mod seal;
#[cfg(test)]
mod tests;
mod token;

use once_cell::sync::Lazy;

pub use self::cookie::cookie;
pub use self::seal::seal;
pub use self::token::token;
use crate::secret::{KeyRing, Secret};
pub use crate::store::file::fuzzing::record;
use crate::token::{self as tokens, Token};

/// Of the current secret, then of the previous one.
const SECRETS: [&str; 2] = [
    "0123456789abcdef0123456789abcdef",
    "fedcba9876543210fedcba9876543210",
];

/// With the keys of both secrets.
static BOTH: Lazy<KeyRing> = Lazy::new(|| ring(&SECRETS));
/// With those of one of them alone.
static EACH: Lazy<[KeyRing; 2]> = Lazy::new(|| SECRETS.map(|secret| ring(&[secret])));

fn ring(secrets: &[&str]) -> KeyRing {
    let secrets: Vec<_> = secrets.iter().map(|&secret| Secret::from(secret)).collect();
    KeyRing::new(&secrets, "bsession")
}

/// As whichever secret signed it writes a token.
fn written(token: &Token) -> String {
    tokens::encode(&EACH[usize::from(token.previous)], &token.id)
}

/// Changes `valid` as `edits` say, three bytes each: where, as a little-endian number, and what to
/// flip there. Nothing to flip cuts off all from there; just behind the end a byte is added.
pub(crate) fn edited(valid: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for &[low, high, flip] in edits.as_chunks::<3>().0 {
        let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
        match bytes.get_mut(at) {
            _ if flip == 0 => bytes.truncate(at),
            Some(byte) => *byte ^= flip,
            None => bytes.push(flip),
        }
    }
    bytes
}

/// What the hexadecimal digits in `text` stand for.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
