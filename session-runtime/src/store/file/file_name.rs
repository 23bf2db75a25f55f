//! The names of files, relative to the directory of the sessions.
//!
//! ```text
//! 3f/3f9c…              a session: its key, in a directory named by the key's first byte
//! 3f/3f9c….0a44…        the same session while it moves into another file: key and revision's tag
//! users/b1/b17e…/3f9c…  an empty file for each session of a user
//! users/.whole          says that every session of a user has such a file, as far as is known
//! users/.healing        the same file, while a sweep makes that true
//! locks/3f9c…           an empty file while a request has the session's lock
//! damaged/3f9c…         a session's file that cannot be read any more
//! .gitignore            `*`, so that git adds no session to a repository
//! .lock-test            an empty file while a service that starts tries a lock
//! ```

use std::fmt;

use crate::record::{Key, UserKey};

/// The directory that lists sessions by user.
pub(super) const USERS: &str = "users";
/// The mark that the lists of all users are whole, and its name while a sweep makes that true.
pub(super) const WHOLE: &str = "users/.whole";
pub(super) const HEALING: &str = "users/.healing";
/// The directory for the locks that requests hold.
pub(super) const LOCKS: &str = "locks";
/// The directory for files that cannot be read any more.
pub(super) const DAMAGED: &str = "damaged";

/// The file that makes git ignore the directory.
pub(super) const GITIGNORE: &str = ".gitignore";
/// The file on which a lock is tried when a service is built.
pub(super) const LOCK_TEST: &str = ".lock-test";

/// True for the names that this store makes directly in its directory.
pub(super) fn is_ours(name: &str) -> bool {
    let is_bucket = || {
        let digits = name.as_bytes();
        digits.len() == 2
            && digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    [USERS, LOCKS, DAMAGED, GITIGNORE, LOCK_TEST].contains(&name) || is_bucket()
}

/// A path of this store, kept without an allocation: every load makes one.
#[derive(Clone, Copy)]
pub(super) struct FileName {
    bytes: [u8; 80],
    len: usize,
}

impl FileName {
    pub(super) fn session(key: Key) -> Self {
        Self::new("").hex(&key.0[..1]).text("/").hex(&key.0)
    }

    /// The directory number `bucket` of 256 that hold sessions.
    pub(super) fn bucket(bucket: u8) -> Self {
        Self::new("").hex(&[bucket])
    }

    /// The directory of a session.
    pub(super) fn bucket_of(key: Key) -> Self {
        Self::bucket(key.0[0])
    }

    pub(super) fn moving(key: Key, tag: u64) -> Self {
        Self::session(key).text(".").hex(&tag.to_be_bytes())
    }

    pub(super) fn lock(key: Key) -> Self {
        Self::new(LOCKS).text("/").hex(&key.0)
    }

    pub(super) fn damaged(key: Key) -> Self {
        Self::new(DAMAGED).text("/").hex(&key.0)
    }

    /// The directory number `bucket` of 256 that hold users.
    pub(super) fn users_bucket(bucket: u8) -> Self {
        Self::new(USERS).text("/").hex(&[bucket])
    }

    pub(super) fn user(user: UserKey) -> Self {
        Self::users_bucket(user.0[0]).text("/").hex(&user.0)
    }

    pub(super) fn user_session(user: UserKey, key: Key) -> Self {
        Self::user(user).text("/").hex(&key.0)
    }

    pub(super) fn as_str(&self) -> &str {
        // It is ASCII, so this never gives the default, the empty name, which no file has.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    fn new(text: &str) -> Self {
        Self {
            bytes: [0; 80],
            len: 0,
        }
        .text(text)
    }

    fn text(mut self, text: &str) -> Self {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        self
    }

    /// Written by hand: `Display` of a key takes fifty times as many instructions, at every load.
    fn hex(mut self, bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (pairs, _) = self.bytes[self.len..].as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        self.len += 2 * bytes.len();
        self
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The meaning of a name in a directory of sessions.
pub(super) enum Named {
    Session(Key),
    Moving(Key, u64),
}

impl Named {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let Some((key, tag)) = name.split_once('.') else {
            return name.parse().ok().map(Self::Session);
        };
        let is_tag = tag.len() == 16
            && tag
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let tag = is_tag
            .then(|| u64::from_str_radix(tag, 16).ok())
            .flatten()?;
        Some(Self::Moving(key.parse().ok()?, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_as_what_it_was_made_of() {
        let key = Key(std::array::from_fn(|i| 0xF0 | i as u8));
        assert_eq!(
            FileName::session(key).as_str(),
            "f0/f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
        );
        assert_eq!(
            FileName::moving(key, 0xAB).as_str(),
            "f0/f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff.00000000000000ab"
        );
        let user = UserKey([0x1B; 16]);
        assert_eq!(
            FileName::user_session(user, key).as_str(),
            "users/1b/1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b/f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
        );
        let in_bucket = |name: FileName| name.as_str()[3..].to_owned();
        assert!(
            matches!(Named::parse(&in_bucket(FileName::session(key))), Some(Named::Session(k)) if k == key)
        );
        assert!(
            matches!(Named::parse(&in_bucket(FileName::moving(key, 0xAB))), Some(Named::Moving(k, 0xAB)) if k == key)
        );
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        let digits = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        for other in [
            "",
            ".",
            "..",
            "README",
            &digits[1..],
            &digits.to_uppercase(),
        ] {
            assert!(Named::parse(other).is_none(), "{other}");
        }
        for tail in [
            ".",
            ".0",
            ".+0000000000000ab",
            ".00000000000000AB",
            ".00000000000000ab.",
            "0",
            "~",
        ] {
            assert!(Named::parse(&format!("{digits}{tail}")).is_none(), "{tail}");
        }
    }
}
