//! The CSRF token: a form carries it to prove that one of our pages has sent it.
//!
//! The token stands for the id of the session whose visitor got the page. It does not reveal that id. Each token is
//! a different text, because its MACs cover a random nonce. An attack that guesses a secret in compressed pages
//! (BREACH, <https://breachattack.com>) needs a secret that stays the same, and finds none here.
//!
//! The version of the token is the version of the keys, `bsession/1`, as with the token in the cookie.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::random;
use crate::secret::{KeyRing, Keys};

const NONCE: usize = 15;
/// 128 bits of each MAC are enough, because an attacker can test a guess only by sending it to us.
const MAC: usize = 16;

// Key id, nonce, a mark for each of two ids, and the MAC of all that.
const FIRST: usize = 1 + NONCE;
const SECOND: usize = FIRST + MAC;
const SIGNED: usize = SECOND + MAC;
const BYTES: usize = SIGNED + MAC;
/// The form field that carries a token.
const FIELD: &str = "csrf_token";
/// The length of a token as text.
const CHARACTERS: usize = 86;

/// Makes a token that fits either of two ids: the id that the session has now, and the id that it has after this
/// response if the response brings another one.
///
/// # Errors
/// [`Error::Random`] if the operating system gives no random bytes.
pub(crate) fn encode(ring: &KeyRing, now: &Id, next: &Id) -> Result<String> {
    let keys = ring.current();
    let nonce = random::bytes::<NONCE>().map_err(Error::Random)?;
    let mut bytes = [0; BYTES];
    bytes[0] = keys.key_id;
    bytes[1..FIRST].copy_from_slice(&nonce);
    for (id, place) in [(now, FIRST), (next, SECOND)] {
        let mark = mark(keys, &bytes[..FIRST], id).finalize().into_bytes();
        bytes[place..place + MAC].copy_from_slice(&mark[..MAC]);
    }
    let mac = signature(keys, &bytes[..SIGNED]).finalize().into_bytes();
    bytes[SIGNED..].copy_from_slice(&mac[..MAC]);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// True if this is, byte for byte, a token that fits this id. Compares in constant time.
pub(crate) fn fits(ring: &KeyRing, text: &[u8], id: &Id) -> bool {
    let mut bytes = [0; BYTES];
    if text.len() != CHARACTERS || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).is_err() {
        return false;
    }
    let is = |mac: Hmac<Sha256>, place: usize| {
        mac.verify_truncated_left(&bytes[place..place + MAC])
            .is_ok()
    };
    ring.candidates(bytes[0]).any(|(keys, _)| {
        let mark = mark(keys, &bytes[..FIRST], id);
        // `|` and not `||`: the time must not show which of the two marks fits.
        is(signature(keys, &bytes[..SIGNED]), SIGNED)
            && (is(mark.clone(), FIRST) | is(mark, SECOND))
    })
}

/// True if a body of this content type is a form that is searched for a token.
pub(crate) fn is_form(content_type: &str) -> bool {
    content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The token that a form carries; `None` if the form has several, because another parser may read another one. If the
/// body is cut off, its last field does not count.
pub(crate) fn form_field(body: &[u8], is_whole: bool) -> Option<Cow<'_, str>> {
    let end = if is_whole {
        body.len()
    } else {
        memchr::memrchr(b'&', body)?
    };
    let mut fields = form_urlencoded::parse(&body[..end]).filter(|(name, _)| name == FIELD);
    match (fields.next(), fields.next()) {
        (Some((_, token)), None) => Some(token),
        _ => None,
    }
}

/// The mark of an id in one token. Its input and the input of the signature have different lengths, so one cannot be
/// used as the other.
fn mark(keys: &Keys, head: &[u8], id: &Id) -> Hmac<Sha256> {
    signature(keys, head).chain_update(id.as_bytes())
}

fn signature(keys: &Keys, bytes: &[u8]) -> Hmac<Sha256> {
    keys.csrf.clone().chain_update(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::secret::{Carries, Secret};
    use crate::token;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    fn ring(secrets: &[&str], realm: &str) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|&secret| Secret::from(secret)).collect();
        KeyRing::new(&secrets, realm)
    }

    fn id(number: u8) -> Id {
        Id::new([number; Id::LEN])
    }

    fn made(ring: &KeyRing) -> String {
        encode(ring, &id(1), &id(2)).expect("random bytes")
    }

    #[test]
    fn a_token_fits_the_session_as_it_is_and_as_the_response_leaves_it() {
        let ring = ring(&[ONE], "bsession");
        let token = made(&ring);
        assert_eq!(token.len(), CHARACTERS);
        assert!(fits(&ring, token.as_bytes(), &id(1)));
        assert!(fits(&ring, token.as_bytes(), &id(2)));
        assert!(!fits(&ring, token.as_bytes(), &id(3)));
    }

    /// Pages stay open during a deployment. This token was made by 0.1.0.
    #[test]
    fn a_token_is_read_as_it_always_was() {
        let token = "uAj6WmCm0u_-e1Tv3lCS9WvdriXivHNzbZr76yHO6S7eKWwkoWggSHfwWUwiPwWt-wp7tWCI0lIh6x--3pxJSA";
        let ring = ring(&[ONE], "bsession");
        assert!(fits(&ring, token.as_bytes(), &id(1)));
        assert!(fits(&ring, token.as_bytes(), &id(2)));
    }

    /// Replaces each byte of the text, in turn, by every other byte. That flips every bit, too.
    #[test]
    fn a_token_has_one_spelling() {
        let ring = ring(&[ONE], "bsession");
        let good = made(&ring).into_bytes();
        for place in 0..good.len() {
            for byte in (0..=u8::MAX).filter(|&byte| byte != good[place]) {
                let mut text = good.clone();
                text[place] = byte;
                assert!(!fits(&ring, &text, &id(1)), "byte {byte} at {place}");
            }
        }
        for length in 0..good.len() {
            assert!(!fits(&ring, &good[..length], &id(1)), "cut to {length}");
        }
        assert!(!fits(&ring, &[&good[..], b"A"].concat(), &id(1)));
        assert!(!fits(&ring, &[&good[..], b"="].concat(), &id(1)));
    }

    #[test]
    fn a_token_is_of_one_secret_and_one_realm() {
        let text = made(&ring(&[ONE], "bsession"));
        let fits_in = |ring: &KeyRing| fits(ring, text.as_bytes(), &id(1));
        assert!(!fits_in(&ring(&[TWO], "bsession")));
        assert!(!fits_in(&ring(&[ONE], "other")));
        assert!(fits_in(&ring(&[TWO, ONE], "bsession")), "a previous secret");
    }

    /// One page must reveal nothing about another page, so no part of the token stays the same.
    #[test]
    fn no_two_tokens_have_a_part_in_common() {
        let ring = ring(&[ONE], "bsession");
        let mut parts = HashSet::new();
        for _ in 0..1000 {
            let bytes = URL_SAFE_NO_PAD.decode(made(&ring)).expect("base64url");
            for (start, end) in [
                (1, FIRST),
                (FIRST, SECOND),
                (SECOND, SIGNED),
                (SIGNED, BYTES),
            ] {
                assert!(parts.insert(bytes[start..end].to_vec()));
            }
        }
    }

    #[test]
    fn a_form_has_one_token_and_has_it_whole() {
        let whole = |body: &'static str| form_field(body.as_bytes(), true);
        assert_eq!(whole("csrf_token=abc").as_deref(), Some("abc"));
        assert_eq!(whole("a=1&csrf_token=abc&b=2").as_deref(), Some("abc"));
        assert_eq!(whole("csrf%5Ftoken=a%62c").as_deref(), Some("abc"));
        for none in [
            "",
            "a=1",
            "csrf_token=a&csrf_token=a",
            "CSRF_TOKEN=a",
            "xcsrf_token=a",
            "\u{0}",
        ] {
            assert_eq!(whole(none), None, "{none:?}");
        }
        let cut = |body: &'static str| form_field(body.as_bytes(), false);
        assert_eq!(cut("csrf_token=abc&b=2").as_deref(), Some("abc"));
        assert_eq!(cut("a=1&csrf_token=abc"), None);
        assert_eq!(cut("csrf_token=abc"), None);
    }

    /// A page shows the CSRF token, so the token must not give access to the session.
    #[test]
    fn a_token_is_no_cookie_nor_a_cookie_a_token() {
        let ring = ring(&[ONE], "bsession");
        let cookie = token::encode(&ring, &id(1), Carries::Session);
        assert_eq!(token::decode(&ring, made(&ring).as_bytes()), None);
        assert!(!fits(&ring, cookie.as_bytes(), &id(1)));
    }
}
