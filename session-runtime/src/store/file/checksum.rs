//! XXH64, which tells a whole half from a torn one.
//!
//! It guards against torn writes and not against attackers: bodies are sealed. It is a fixed standard. The hashers of the
//! standard library are not, and what is on disk outlives a compiler.
//! Specification: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>, seed 0.

use twox_hash::XxHash64;

/// Returns the XXH64 of `bytes` with seed 0.
pub(super) fn of(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

#[cfg(test)]
mod tests {
    /// The values are those of the reference implementation: what is on disk outlives the library that is used.
    #[test]
    fn it_is_xxh64() {
        assert_eq!(super::of(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(super::of(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(super::of(b"abc"), 0x44BC_2CF5_AD77_0999);
        assert_eq!(
            super::of(b"Nobody inspects the spammish repetition"),
            0xFBCE_A83C_8A37_8BF1
        );
        let bytes: Vec<u8> = (0..=255).cycle().take(768).chain(*b"abcde").collect();
        assert_eq!(super::of(&bytes), 0x4D8C_B655_8D58_CD89);
        assert_eq!(super::of(&[b'x'; 31]), 0x60DD_0D01_083B_99F0);
        assert_eq!(super::of(&bytes[..100]), 0x6AC1_E580_3216_6597);
    }
}
