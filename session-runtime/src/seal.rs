//! Sealing: what a store cannot read and nobody can change.

use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Error;
use crate::id::Id;
use crate::random;
use crate::record::{Handle, Key, Revision, UserKey};
use crate::secret::KeyRing;

/// The first byte of what is sealed. A new layout is a new number; the old ones stay readable.
const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Format, key id, nonce.
const HEAD: usize = 2 + NONCE;

/// Where a sealed body stands: it opens in no other place and beside no other clear fields.
pub(crate) struct Place {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    pub(crate) created: Timestamp,
    pub(crate) handle: Handle,
    pub(crate) user: Option<UserKey>,
}

impl Place {
    /// The authenticated data: fixed widths, so that no two places read alike.
    fn bytes(&self) -> [u8; 69] {
        let mut bytes = [0; 69];
        bytes[..16].copy_from_slice(&self.key.0);
        bytes[16..24].copy_from_slice(&self.revision.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.revision.tag.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created.as_millis().to_le_bytes());
        bytes[40..52].copy_from_slice(&self.handle.0);
        if let Some(user) = self.user {
            bytes[52] = 1;
            bytes[53..].copy_from_slice(&user.0);
        }
        bytes
    }
}

/// Seals with AES-256-GCM under the current secret and the id.
///
/// The key serves one session alone, so random nonces stay far below the 2³² uses that
/// NIST SP 800-38D §8.3 allows.
pub(crate) fn seal(
    ring: &KeyRing,
    id: &Id,
    place: &Place,
    contents: &Contents,
) -> Result<Arc<[u8]>, Error> {
    let keys = ring.current();
    let nonce: [u8; NONCE] = random::bytes().map_err(Error::Random)?;
    let mut sealed = Vec::with_capacity(256);
    sealed.extend_from_slice(&[FORMAT, keys.key_id]);
    sealed.extend_from_slice(&nonce);
    contents.encode(&mut sealed);
    let size = sealed.len();
    let tag = Aes256Gcm::new((&*keys.sealing_key(id)).into())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            &place.bytes(),
            (&mut sealed[HEAD..]).into(),
        )
        // Only beyond 64 GiB, and `max_size` is far below.
        .map_err(|_| Error::TooLarge { size, max: size })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed.into())
}

/// Opens what [`seal`] made, and tells whether a previous secret sealed it; nothing if it is of
/// another secret, another place, another format or not whole.
pub(crate) fn open(
    ring: &KeyRing,
    id: &Id,
    place: &Place,
    sealed: &[u8],
) -> Option<(Contents, bool)> {
    let (head, rest) = sealed.split_at_checked(HEAD)?;
    let (cipher, tag) = rest.split_last_chunk::<TAG>()?;
    let (&[FORMAT, key_id], nonce) = head.split_first_chunk::<2>()? else {
        return None;
    };
    let nonce: [u8; NONCE] = nonce.try_into().ok()?;
    ring.candidates(key_id).find_map(|(keys, previous)| {
        let mut plain = cipher.to_vec();
        Aes256Gcm::new((&*keys.sealing_key(id)).into())
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                &place.bytes(),
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        Some((Contents::decode(&plain)?, previous))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::Secret;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    fn ring(secrets: &[&str]) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|&secret| Secret::from(secret)).collect();
        KeyRing::new(&secrets, "bsession")
    }

    fn id() -> Id {
        Id::new([7; Id::LEN])
    }

    fn place() -> Place {
        Place {
            key: Key([1; 16]),
            revision: Revision { number: 2, tag: 3 },
            created: Timestamp::from_millis(4),
            handle: Handle([5; 12]),
            user: Some(UserKey([6; 16])),
        }
    }

    fn contents() -> Contents {
        Contents {
            data: [
                ("cart", serde_json::json!(["book", 2, 0.1])),
                ("name", "joe".into()),
            ]
            .into_iter()
            .collect(),
            user: Some("joe".into()),
            created: Timestamp::from_millis(4),
            authenticated: Some(Timestamp::from_millis(5)),
            idle: Some(Duration::from_secs(6)),
            deadline: Some(Timestamp::from_millis(7)),
            cookie_sent: Timestamp::from_millis(8),
        }
    }

    /// Files outlive releases: this record was sealed by 0.1.0 and must open for ever.
    #[test]
    fn a_record_of_the_first_release_opens() {
        let golden = include_str!("../tests/golden/record-1.hex");
        let digits = golden.trim().as_bytes().chunks(2);
        let bytes: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(
            open(&ring(&[ONE]), &id(), &place(), &bytes),
            Some((contents(), false))
        );
    }

    #[test]
    fn what_is_sealed_opens_and_tells_of_a_previous_secret() {
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        assert_eq!(
            open(&ring(&[ONE]), &id(), &place(), &sealed),
            Some((contents(), false))
        );
        assert_eq!(
            open(&ring(&[TWO, ONE]), &id(), &place(), &sealed),
            Some((contents(), true))
        );
        let empty = Contents::default();
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &empty).unwrap();
        assert_eq!(
            open(&ring(&[ONE]), &id(), &place(), &sealed),
            Some((empty, false))
        );
    }

    #[test]
    fn nothing_readable_is_left() {
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        for word in [&b"joe"[..], b"cart", b"book", &[7; 8]] {
            assert!(!sealed.windows(word.len()).any(|window| window == word));
        }
        let again = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        assert_ne!(sealed, again, "each time with another nonce");
    }

    #[test]
    fn it_opens_in_its_own_place_only() {
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        let opens = |id: &Id, place: &Place| open(&ring(&[ONE]), id, place, &sealed).is_some();
        assert!(!opens(&Id::new([8; Id::LEN]), &place()));
        let elsewhere: [fn(&mut Place); 7] = [
            |place| place.key.0[0] ^= 1,
            |place| place.revision.number += 1,
            |place| place.revision.tag += 1,
            |place| place.created = Timestamp::from_millis(5),
            |place| place.handle.0[11] ^= 1,
            |place| place.user = None,
            |place| place.user = Some(UserKey([7; 16])),
        ];
        for (number, change) in elsewhere.into_iter().enumerate() {
            let mut place = place();
            change(&mut place);
            assert!(!opens(&id(), &place), "change {number}");
        }
        assert!(open(&ring(&[TWO]), &id(), &place(), &sealed).is_none());
    }

    #[test]
    fn no_bit_and_no_byte_of_it_may_change() {
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut spoiled = sealed.to_vec();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&ring(&[ONE]), &id(), &place(), &spoiled).is_none(),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(open(&ring(&[ONE]), &id(), &place(), &sealed[..length]).is_none());
        }
    }

    /// Made once, with `cargo test -p bsession-runtime print_a_golden_record -- --nocapture`, and
    /// kept: a new format gets a new file beside the old ones.
    #[test]
    fn print_a_golden_record() {
        let sealed = seal(&ring(&[ONE]), &id(), &place(), &contents()).unwrap();
        let digits: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits.len(), sealed.len() * 2);
        println!("{digits}");
    }
}
