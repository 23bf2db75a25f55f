//! The token in the cookie: a signed id of 64 characters, with exactly one spelling for each id.
//!
//! Its version is the version of the keys, `bsession/1`. A token of another version has other keys, and is not valid
//! here. Within a version the format never changes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::Id;
use crate::secret::{Carries, KeyRing, Keys, MAC_LEN};

/// Key id, id and MAC. 48 bytes are exactly 64 characters of base64url, with no bits left over.
const BYTES: usize = 1 + Id::LEN + MAC_LEN;
pub(crate) const CHARACTERS: usize = 64;

/// The contents of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: Id,
    /// True if a previous secret signed it, so that a new cookie is due.
    pub(crate) previous: bool,
    pub(crate) carries: Carries,
}

/// Writes the token of an id under the current secret.
pub(crate) fn encode(ring: &KeyRing, id: &Id, carries: Carries) -> String {
    let keys = ring.current();
    let mut bytes = [0; BYTES];
    bytes[0] = keys.key_id;
    bytes[1..=Id::LEN].copy_from_slice(id.as_bytes());
    bytes[1 + Id::LEN..].copy_from_slice(&keys.sign(id, carries));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token; `None` unless its bytes are exactly those that one of the secrets would write.
pub(crate) fn decode(ring: &KeyRing, text: &[u8]) -> Option<Token> {
    let bytes = bytes(text)?;
    let (&key_id, rest) = bytes.split_first()?;
    let (id, mac) = rest.split_first_chunk::<{ Id::LEN }>()?;
    let (id, mac) = (Id::new(*id), mac.first_chunk::<MAC_LEN>()?);
    let verified = |(keys, previous): (&Keys, bool)| Some((keys.verify(&id, mac)?, previous));
    let (carries, previous) = ring.candidates(key_id).find_map(verified)?;
    Some(Token {
        id,
        previous,
        carries,
    })
}

/// The reason why a text is not a valid token. It is for the log, and may be a guess.
pub(crate) fn fault(ring: &KeyRing, text: &[u8]) -> &'static str {
    match bytes(text) {
        None => "it is no token: cut off, altered, or of something else with this `cookie_name`",
        Some([key_id, ..]) if ring.candidates(key_id).next().is_none() => {
            "it is of another secret or another `realm`. After a change of the secret, pass the old one to `previous_secret`. If \
             another application on this host uses this `cookie_name`, give each its own name: browsers do not keep ports apart, \
             so on `localhost` a login to one logs the visitor out of the other"
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

    /// Cookies outlive releases: 0.1.0 wrote this token, and every later version must read it.
    #[test]
    fn a_token_is_what_it_always_was() {
        let text = encode(&ring(&[ONE], "bsession"), &id(), Carries::Session);
        assert_eq!(
            text,
            "uAABAgMEBQYHCAkKCwwNDg8QERITFBUWF52q5O7bAAMFp1-yEmq1rPfnFwoS9Aqq"
        );
        let token = decode(&ring(&[ONE], "bsession"), text.as_bytes());
        assert_eq!(
            token,
            Some(Token {
                id: id(),
                previous: false,
                carries: Carries::Session
            })
        );
    }

    #[test]
    fn a_token_has_one_spelling() {
        let ring = ring(&[ONE], "bsession");
        let good = encode(&ring, &id(), Carries::Session);
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

    /// The tokens of one id differ in what it carries, and neither is read as the other.
    #[test]
    fn a_token_tells_if_a_session_was_stored() {
        let ring = ring(&[ONE], "bsession");
        let uses = [Carries::Session, Carries::CsrfAlone];
        let texts = uses.map(|carries| encode(&ring, &id(), carries));
        assert_ne!(texts[0], texts[1]);
        for (text, carries) in texts.iter().zip(uses) {
            let token = decode(&ring, text.as_bytes()).expect("a token");
            assert_eq!((token.id, token.carries), (id(), carries));
        }
        assert_eq!(
            texts[1],
            "uAABAgMEBQYHCAkKCwwNDg8QERITFBUWF3rAbywY7YPK-PPs3gTSBWoqkUxz75Xs"
        );
    }

    #[test]
    fn what_is_no_token_is_so_for_a_reason() {
        let ours = ring(&[ONE], "bsession");
        let good = encode(&ours, &id(), Carries::Session);
        assert!(fault(&ours, &good.as_bytes()[1..]).contains("no token"));
        let of_another = fault(&ring(&[TWO], "bsession"), good.as_bytes());
        for part in [
            "another secret",
            "previous_secret",
            "another application",
            "ports",
            "cookie_name",
        ] {
            assert!(of_another.contains(part), "{of_another}");
        }
        assert!(fault(&ring(&[ONE], "admin"), good.as_bytes()).contains("`realm`"));
        let mut altered = good.into_bytes();
        altered[CHARACTERS - 1] ^= 1;
        assert!(fault(&ours, &altered).contains("signature"));
    }

    #[test]
    fn a_token_is_of_one_secret_and_one_realm() {
        let text = encode(&ring(&[ONE], "bsession"), &id(), Carries::Session);
        assert_eq!(decode(&ring(&[TWO], "bsession"), text.as_bytes()), None);
        assert_eq!(decode(&ring(&[ONE], "other"), text.as_bytes()), None);
        let rotated = decode(&ring(&[TWO, ONE], "bsession"), text.as_bytes());
        assert_eq!(
            rotated,
            Some(Token {
                id: id(),
                previous: true,
                carries: Carries::Session
            })
        );
    }

    /// Among 255 secrets, several share a key id. The tokens of all of them must still be read.
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
            let text = encode(&KeyRing::new([secret], "bsession"), &id(), Carries::Session);
            let token = decode(&all, text.as_bytes());
            assert_eq!(
                token,
                Some(Token {
                    id: id(),
                    previous: place > 0,
                    carries: Carries::Session
                }),
                "secret {place}"
            );
        }
    }

    /// The key of a record does not depend on the secret. Otherwise a rotation would have to move all records.
    #[test]
    fn a_store_key_hangs_on_id_and_realm_alone() {
        let key = ring(&[ONE], "bsession").store_key(&id());
        assert_eq!(key, ring(&[TWO], "bsession").store_key(&id()));
        assert_ne!(key, ring(&[ONE], "other").store_key(&id()));
        assert_eq!(key.to_string(), "1edf6658136f46d8922a3191a9cc74c9");
    }
}
