//! The secrets of the checks, and inputs made of bytes.

use once_cell::sync::Lazy;

use crate::secret::{KeyRing, Secret};
use crate::token::{self as tokens, Token};

/// The current secret, then the previous one.
pub(super) const SECRETS: [&str; 2] = [
    "0123456789abcdef0123456789abcdef",
    "fedcba9876543210fedcba9876543210",
];

/// The keys of both secrets.
pub(super) static BOTH: Lazy<KeyRing> = Lazy::new(|| ring(&SECRETS));
/// The keys of each secret alone.
pub(super) static EACH: Lazy<[KeyRing; 2]> = Lazy::new(|| SECRETS.map(|secret| ring(&[secret])));

fn ring(secrets: &[&str]) -> KeyRing {
    let secrets: Vec<_> = secrets.iter().map(|&secret| Secret::from(secret)).collect();
    KeyRing::new(&secrets, "bsession")
}

/// The token as the secret that signed it writes it.
pub(super) fn written(token: &Token) -> String {
    let ring = &EACH[usize::from(token.previous)];
    tokens::encode(ring, &token.id, token.carries)
}

/// Changes `valid` by `edits` of three bytes each: a little-endian position, and the bits to flip there. If there are
/// no bits to flip, the bytes are cut off at the position. A position just behind the end adds a byte.
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

/// The bytes that the hexadecimal digits in `text` stand for.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
