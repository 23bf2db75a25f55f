//! Sealing: encryption and authentication, so that a store can neither read nor change sealed contents.

use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Error;
use crate::id::Id;
use crate::random;
use crate::record::{Handle, Head, Key, UserKey};
use crate::secret::KeyRing;

/// The first byte of a sealed body: the format of its contents.
const FORMAT: u8 = 1;
/// The first byte of a sealed summary.
const SUMMARY_FORMAT: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Format, key id and nonce.
const PREFIX_LEN: usize = 2 + NONCE_LEN;

/// The authenticated data: the place of a sealed body. The body opens in no other place and with no other head.
/// Only the times that a touch moves are left out. All widths are fixed, so that no two places have the same bytes.
fn place(key: Key, head: &Head) -> [u8; 17 + Head::LEN] {
    let fixed = Head {
        expires: Timestamp::default(),
        seen: Timestamp::default(),
        ..*head
    };
    let mut bytes = [FORMAT; 17 + Head::LEN];
    bytes[..16].copy_from_slice(&key.0);
    bytes[16..16 + Head::LEN].copy_from_slice(&fixed.to_bytes());
    bytes
}

/// Seals with AES-256-GCM under a key made from the current secret and the id.
///
/// The key is used for one session only, so random nonces stay far below the 2³² uses that
/// NIST SP 800-38D §8.3 allows.
pub(crate) fn seal(
    ring: &KeyRing,
    id: &Id,
    key: Key,
    head: &Head,
    contents: &Contents,
) -> Result<Arc<[u8]>, Error> {
    let keys = ring.current();
    let first = [FORMAT, keys.key_id];
    encrypt(&keys.sealing_key(id), first, &place(key, head), |sealed| {
        contents.encode(sealed);
    })
}

/// Opens a body that [`seal`] made. The second value is true if a previous secret sealed it. `None` if it has
/// another secret, another place or another format, or is damaged.
pub(crate) fn open(
    ring: &KeyRing,
    id: &Id,
    key: Key,
    head: &Head,
    sealed: &[u8],
) -> Option<(Contents, bool)> {
    let &[FORMAT, key_id, ..] = sealed else {
        return None;
    };
    let place = place(key, head);
    ring.candidates(key_id).find_map(|(keys, previous)| {
        let plain = decrypt(&keys.sealing_key(id), &place, sealed)?;
        Some((Contents::decode(&plain)?, previous))
    })
}

/// True if a newer version sealed it. It is then taken as intact, but this version cannot read it.
pub(crate) fn is_of_newer_format(sealed: &[u8]) -> bool {
    sealed.first().is_some_and(|&format| format > FORMAT)
}

/// The fields of a session that a list shows and that are not in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SummaryContents {
    /// The time of the login.
    pub(crate) authenticated: Option<Timestamp>,
    pub(crate) note: Option<Box<str>>,
}

impl From<&Contents> for SummaryContents {
    fn from(contents: &Contents) -> Self {
        Self {
            authenticated: contents.authenticated,
            note: contents.note.clone(),
        }
    }
}

/// Seals the fields that a list shows of a session. A list is made without the visitor's cookie, so the key is made
/// from the current secret and the session's public name. The summary opens only with that name and that user.
pub(crate) fn seal_summary(
    ring: &KeyRing,
    handle: Handle,
    user: UserKey,
    contents: &Contents,
) -> Result<Arc<[u8]>, Error> {
    let keys = ring.current();
    let head = [SUMMARY_FORMAT, keys.key_id];
    let place = summary_place(handle, user);
    encrypt(&keys.summary_key(handle), head, &place, |sealed| {
        let authenticated = contents.authenticated.unwrap_or_default();
        sealed.extend_from_slice(&authenticated.as_millis().to_le_bytes());
        sealed.extend_from_slice(contents.note.as_deref().unwrap_or_default().as_bytes());
    })
}

/// Opens a summary that [`seal_summary`] made; `None` if it belongs to another secret or session.
pub(crate) fn open_summary(
    ring: &KeyRing,
    handle: Handle,
    user: UserKey,
    sealed: &[u8],
) -> Option<SummaryContents> {
    let &[SUMMARY_FORMAT, key_id, ..] = sealed else {
        return None;
    };
    let place = summary_place(handle, user);
    ring.candidates(key_id).find_map(|(keys, _)| {
        let plain = decrypt(&keys.summary_key(handle), &place, sealed)?;
        let (authenticated, note) = plain.split_first_chunk::<8>()?;
        let authenticated = Timestamp::from_millis(u64::from_le_bytes(*authenticated));
        let note = std::str::from_utf8(note).ok()?;
        Some(SummaryContents {
            authenticated: (authenticated != Timestamp::default()).then_some(authenticated),
            note: (!note.is_empty()).then(|| note.into()),
        })
    })
}

fn summary_place(handle: Handle, user: UserKey) -> [u8; 29] {
    let mut bytes = [SUMMARY_FORMAT; 29];
    bytes[..12].copy_from_slice(&handle.0);
    bytes[12..28].copy_from_slice(&user.0);
    bytes
}

/// Makes the sealed bytes: the head, a nonce, the encrypted bytes that `write` adds, and the tag.
fn encrypt(
    key: &[u8; 32],
    head: [u8; 2],
    place: &[u8],
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<Arc<[u8]>, Error> {
    let nonce: [u8; NONCE_LEN] = random::bytes().map_err(Error::Random)?;
    let mut sealed = Vec::with_capacity(256);
    sealed.extend_from_slice(&head);
    sealed.extend_from_slice(&nonce);
    write(&mut sealed);
    let size = sealed.len();
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            place,
            (&mut sealed[PREFIX_LEN..]).into(),
        )
        // Fails only beyond 64 GiB, and `max_size` is far below that.
        .map_err(|_| Error::TooLarge { size, max: size })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed.into())
}

fn decrypt(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = sealed.split_at_checked(PREFIX_LEN)?;
    let (cipher, tag) = rest.split_last_chunk::<TAG_LEN>()?;
    let nonce: [u8; NONCE_LEN] = head[2..].try_into().ok()?;
    let mut plain = cipher.to_vec();
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(
            &Nonce::from(nonce),
            place,
            plain.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flash::Waiting;
    use crate::record::Revision;
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

    const KEY: Key = Key([1; 16]);

    fn head() -> Head {
        Head {
            revision: Revision { number: 2, tag: 3 },
            expires: Timestamp::from_millis(9),
            seen: Timestamp::from_millis(8),
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
            flashes: Waiting::read(r#"[{"level":"success","text":"Saved."}]"#).unwrap(),
            user: Some("joe".into()),
            note: Some("on the train".into()),
            created: Timestamp::from_millis(4),
            authenticated: Some(Timestamp::from_millis(5)),
            idle: Some(Duration::from_secs(6)),
            deadline: Some(Timestamp::from_millis(7)),
            cookie_sent: Timestamp::from_millis(8),
        }
    }

    fn as_hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Files outlive releases, so these must open in every later version. A new format gets new files beside these.
    /// Their bytes are in the message of the failing test.
    #[test]
    fn a_record_opens_that_was_sealed_once() {
        let bytes = crate::fuzzing::from_hex(include_str!("../tests/golden/record-1.hex"));
        assert_eq!(
            open(&ring(&[ONE]), &id(), KEY, &head(), &bytes),
            Some((contents(), false)),
            "today's: {}",
            as_hex(&seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap())
        );
    }

    /// See the test above.
    #[test]
    fn a_summary_opens_that_was_sealed_once() {
        let bytes = crate::fuzzing::from_hex(include_str!("../tests/golden/summary-1.hex"));
        let (handle, user) = (head().handle, head().user.unwrap());
        assert_eq!(
            open_summary(&ring(&[ONE]), handle, user, &bytes),
            Some(SummaryContents::from(&contents())),
            "today's: {}",
            as_hex(&seal_summary(&ring(&[ONE]), handle, user, &contents()).unwrap())
        );
    }

    #[test]
    fn a_newer_format_is_known_for_one() {
        let mut sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents())
            .unwrap()
            .to_vec();
        assert!(!is_of_newer_format(&sealed));
        for format in [2, 255] {
            sealed[0] = format;
            assert!(is_of_newer_format(&sealed));
            assert!(open(&ring(&[ONE]), &id(), KEY, &head(), &sealed).is_none());
        }
    }

    #[test]
    fn a_summary_opens_beside_its_session_and_user_only() {
        let (handle, user) = (head().handle, head().user.unwrap());
        let sealed = seal_summary(&ring(&[ONE]), handle, user, &contents()).unwrap();
        let opens =
            |secrets: &[&str], handle, user| open_summary(&ring(secrets), handle, user, &sealed);
        assert_eq!(opens(&[TWO, ONE], handle, user), Some((&contents()).into()));
        assert_eq!(opens(&[TWO], handle, user), None);
        assert_eq!(opens(&[ONE], Handle([6; 12]), user), None);
        assert_eq!(opens(&[ONE], handle, UserKey([7; 16])), None);
        for bit in 0..sealed.len() * 8 {
            let mut spoiled = sealed.to_vec();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_summary(&ring(&[ONE]), handle, user, &spoiled), None);
        }
        for length in 0..sealed.len() {
            assert_eq!(
                open_summary(&ring(&[ONE]), handle, user, &sealed[..length]),
                None
            );
        }
        assert!(!sealed.windows(5).any(|window| window == b"train"));
        let nothing = Contents::default();
        let sealed = seal_summary(&ring(&[ONE]), handle, user, &nothing).unwrap();
        assert_eq!(
            open_summary(&ring(&[ONE]), handle, user, &sealed),
            Some(SummaryContents::default())
        );
    }

    #[test]
    fn what_is_sealed_opens_and_tells_of_a_previous_secret() {
        let sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap();
        assert_eq!(
            open(&ring(&[ONE]), &id(), KEY, &head(), &sealed),
            Some((contents(), false))
        );
        assert_eq!(
            open(&ring(&[TWO, ONE]), &id(), KEY, &head(), &sealed),
            Some((contents(), true))
        );
        let empty = Contents::default();
        let sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &empty).unwrap();
        assert_eq!(
            open(&ring(&[ONE]), &id(), KEY, &head(), &sealed),
            Some((empty, false))
        );
    }

    #[test]
    fn nothing_readable_is_left() {
        let sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap();
        for word in [&b"joe"[..], b"cart", b"book", &[7; 8]] {
            assert!(!sealed.windows(word.len()).any(|window| window == word));
        }
        let again = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap();
        assert_ne!(sealed, again, "each time with another nonce");
    }

    #[test]
    fn it_opens_in_its_own_place_only() {
        let sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap();
        let opens =
            |id: &Id, key: Key, head: &Head| open(&ring(&[ONE]), id, key, head, &sealed).is_some();
        assert!(!opens(&Id::new([8; Id::LEN]), KEY, &head()));
        assert!(!opens(&id(), Key([2; 16]), &head()));
        let others: [fn(&mut Head); 6] = [
            |head| head.revision.number += 1,
            |head| head.revision.tag += 1,
            |head| head.created = Timestamp::from_millis(5),
            |head| head.handle.0[11] ^= 1,
            |head| head.user = None,
            |head| head.user = Some(UserKey([7; 16])),
        ];
        for (number, change) in others.into_iter().enumerate() {
            let mut head = head();
            change(&mut head);
            assert!(!opens(&id(), KEY, &head), "change {number}");
        }
        // A touch moves these times without opening the body.
        let touched = Head {
            expires: Timestamp::MAX,
            seen: Timestamp::MAX,
            ..head()
        };
        assert!(opens(&id(), KEY, &touched));
        assert!(open(&ring(&[TWO]), &id(), KEY, &head(), &sealed).is_none());
    }

    #[test]
    fn no_bit_and_no_byte_of_it_may_change() {
        let sealed = seal(&ring(&[ONE]), &id(), KEY, &head(), &contents()).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut spoiled = sealed.to_vec();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&ring(&[ONE]), &id(), KEY, &head(), &spoiled).is_none(),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(open(&ring(&[ONE]), &id(), KEY, &head(), &sealed[..length]).is_none());
        }
    }
}
