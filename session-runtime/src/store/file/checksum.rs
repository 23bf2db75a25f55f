//! XXH64, which tells a whole slot from a torn one.
//!
//! It guards against tearing and not against attackers: bodies are sealed. Against CRC-32 it is
//! three times as fast without tables or processor features, and it is a fixed standard, which a
//! hasher of the standard library is not: what is on disk outlives the compiler.
//! Specification: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>, seed 0.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// The XXH64 of `bytes` with seed 0.
pub(super) fn of(bytes: &[u8]) -> u64 {
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        P5
    } else {
        of_stripes(stripes)
    };
    hash = hash.wrapping_add(bytes.len() as u64);

    let (words, rest) = rest.as_chunks::<8>();
    for &word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(word)))
            .rotate_left(27)
            .wrapping_mul(P1)
            .wrapping_add(P4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for &half in halves {
        let half = u64::from(u32::from_le_bytes(half)).wrapping_mul(P1);
        hash = (hash ^ half)
            .rotate_left(23)
            .wrapping_mul(P2)
            .wrapping_add(P3);
    }
    for &byte in rest {
        hash = (hash ^ u64::from(byte).wrapping_mul(P5))
            .rotate_left(11)
            .wrapping_mul(P1);
    }

    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

fn of_stripes(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [P1.wrapping_add(P2), P2, 0, P1.wrapping_neg()];
    for stripe in stripes {
        for (lane, &word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(word));
        }
    }
    let [a, b, c, d] = lanes;
    let mut hash = a.rotate_left(1);
    hash = hash
        .wrapping_add(b.rotate_left(7))
        .wrapping_add(c.rotate_left(12))
        .wrapping_add(d.rotate_left(18));
    for lane in lanes {
        hash = (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
    }
    hash
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(P2))
        .rotate_left(31)
        .wrapping_mul(P1)
}

#[cfg(test)]
mod tests {
    /// The short ones as published with the reference implementation, the long ones by its
    /// binding to Python.
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
