//! The token: what the cookie carries. A signed id, 64 characters, one spelling each.
//!
//! Its version is that of the keys, `bsession/1`: tokens of another version are of other keys, and so no tokens to
//! this one. Within a version nothing of it changes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::Id;
use crate::secret::{KeyRing, MAC_LEN};

/// Key id, id and MAC; 48 bytes are 64 characters of base64url and leave no bit over.
const BYTES: usize = 1 + Id::LEN + MAC_LEN;
pub(crate) const CHARACTERS: usize = 64;

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
    let bytes = bytes(text)?;
    let (&key_id, rest) = bytes.split_first()?;
    let (id, mac) = rest.split_first_chunk::<{ Id::LEN }>()?;
    let (id, mac) = (Id::new(*id), mac.first_chunk::<MAC_LEN>()?);
    let (_, previous) = ring
        .candidates(key_id)
        .find(|(keys, _)| keys.verify(&id, mac))?;
    Some(Token { id, previous })
}

/// Why a text is no token of ours: for the log, which may guess.
pub(crate) fn fault(ring: &KeyRing, text: &[u8]) -> &'static str {
    match bytes(text) {
        None => "it is no token: cut off, altered, or of something else with this `cookie_name`",
        Some([key_id, ..]) if ring.candidates(key_id).next().is_none() => {
            "it is of another secret, or of a service with another `realm`: `previous_secret` takes the one before"
        }
        Some(_) => "its signature does not fit: forged, or altered",
    }
}

fn bytes(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != CHARACTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn ring(secrets: &[&str], realm: &str) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|&secret| Secret::from(secret)).collect();
        KeyRing::new(&secrets, realm)
    }

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    fn id() -> Id {
        Id::new(std::array::from_fn(|place| place as u8))
    }

    /// Cookies outlive releases: this token was written by 0.1.0 and must be read for ever.
    #[test]
    fn a_token_is_what_it_always_was() {
        let text = encode(&ring(&[ONE], "bsession"), &id());
        assert_eq!(
            text,
            "uAABAgMEBQYHCAkKCwwNDg8QERITFBUWF52q5O7bAAMFp1-yEmq1rPfnFwoS9Aqq"
        );
        let token = decode(&ring(&[ONE], "bsession"), text.as_bytes());
        assert_eq!(
            token,
            Some(Token {
                id: id(),
                previous: false
            })
        );
    }

    #[test]
    fn a_token_has_one_spelling() {
        let ring = ring(&[ONE], "bsession");
        let good = encode(&ring, &id());
        for place in 0..CHARACTERS {
            for byte in 0..=u8::MAX {
                let mut text = good.clone().into_bytes();
                if text[place] != byte {
                    text[place] = byte;
                    assert_eq!(decode(&ring, &text), None, "byte {byte} at {place}");
                }
            }
        }
        for length in 0..CHARACTERS {
            assert_eq!(decode(&ring, &good.as_bytes()[..length]), None);
        }
    }

    #[test]
    fn what_is_no_token_is_so_for_a_reason() {
        let ours = ring(&[ONE], "bsession");
        let good = encode(&ours, &id());
        assert!(fault(&ours, &good.as_bytes()[1..]).contains("no token"));
        assert!(fault(&ring(&[TWO], "bsession"), good.as_bytes()).contains("another secret"));
        assert!(fault(&ring(&[ONE], "admin"), good.as_bytes()).contains("`realm`"));
        let mut altered = good.into_bytes();
        altered[CHARACTERS - 1] ^= 1;
        assert!(fault(&ours, &altered).contains("signature"));
    }

    #[test]
    fn a_token_is_of_one_secret_and_one_realm() {
        let text = encode(&ring(&[ONE], "bsession"), &id());
        assert_eq!(decode(&ring(&[TWO], "bsession"), text.as_bytes()), None);
        assert_eq!(decode(&ring(&[ONE], "other"), text.as_bytes()), None);
        let rotated = decode(&ring(&[TWO, ONE], "bsession"), text.as_bytes());
        assert_eq!(
            rotated,
            Some(Token {
                id: id(),
                previous: true
            })
        );
    }

    /// Among 255 secrets several share a key id; each of their tokens is read all the same.
    #[test]
    fn secrets_may_share_a_key_id() {
        let names: Vec<_> = (0..255).map(|number| format!("{number:032}")).collect();
        let secrets: Vec<_> = names
            .iter()
            .map(|name| Secret::from(name.as_str()))
            .collect();
        let all = KeyRing::new(&secrets, "bsession");
        assert!((0..=u8::MAX).any(|key_id| all.candidates(key_id).count() > 1));
        for (place, secret) in secrets.iter().enumerate() {
            let text = encode(&KeyRing::new([secret], "bsession"), &id());
            let token = decode(&all, text.as_bytes());
            assert_eq!(
                token,
                Some(Token {
                    id: id(),
                    previous: place > 0
                }),
                "secret {place}"
            );
        }
    }

    /// The place of a record does not hang on the secret, or a rotation would move them all.
    #[test]
    fn a_store_key_hangs_on_id_and_realm_alone() {
        let key = ring(&[ONE], "bsession").store_key(&id());
        assert_eq!(key, ring(&[TWO], "bsession").store_key(&id()));
        assert_ne!(key, ring(&[ONE], "other").store_key(&id()));
        assert_eq!(key.to_string(), "1edf6658136f46d8922a3191a9cc74c9");
    }
}
