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
    let nonce: [u8; NONCE] = random::bytes()?;
    let plain = contents.encode();
    let mut sealed = Vec::with_capacity(HEAD + plain.len() + TAG);
    sealed.extend_from_slice(&[FORMAT, keys.key_id]);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&plain);
    let tag = Aes256Gcm::new((&*keys.sealing_key(id)).into())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            &place.bytes(),
            (&mut sealed[HEAD..]).into(),
        )
        // Only beyond 64 GiB, and `max_size` is far below.
        .map_err(|_| Error::TooLarge {
            size: plain.len(),
            max: plain.len(),
        })?;
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
