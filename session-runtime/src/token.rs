//! The token: what the cookie carries. A signed id, 64 characters, one spelling each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::Id;
use crate::secret::{KeyRing, MAC_LEN};

/// Key id, id and MAC; 48 bytes are 64 characters of base64url and leave no bit over.
const BYTES: usize = 1 + Id::LEN + MAC_LEN;
const CHARACTERS: usize = 64;

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: Id,
    /// Whether it is signed with a previous secret, so that a new cookie is due.
    pub(crate) previous: bool,
}

/// Writes the token of an id, under the current secret.
pub(crate) fn encode(ring: &KeyRing, id: &Id) -> String {
    let keys = ring.current();
    let mut bytes = [0; BYTES];
    bytes[0] = keys.key_id;
    bytes[1..=Id::LEN].copy_from_slice(id.as_bytes());
    bytes[1 + Id::LEN..].copy_from_slice(&keys.sign(id));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token; nothing unless it is, byte for byte, one of ours.
pub(crate) fn decode(ring: &KeyRing, text: &[u8]) -> Option<Token> {
    if text.len() != CHARACTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    let (&key_id, rest) = bytes.split_first()?;
    let (id, mac) = rest.split_first_chunk::<{ Id::LEN }>()?;
    let (id, mac) = (Id::new(*id), mac.first_chunk::<MAC_LEN>()?);
    let (_, previous) = ring
        .candidates(key_id)
        .find(|(keys, _)| keys.verify(&id, mac))?;
    Some(Token { id, previous })
}
