//! The names of the keys in Redis.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::record::{Key, UserKey};

/// Makes the names of keys, each with the prefix in front.
pub(super) struct KeyNames {
    prefix: Box<str>,
    mark: Box<str>,
}

impl KeyNames {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            mark: format!("{prefix}whole").into(),
        }
    }

    pub(super) fn record(&self, key: Key) -> String {
        self.name("{", key.0, "}")
    }

    pub(super) fn lock(&self, key: Key) -> String {
        self.name("{", key.0, "}:lock")
    }

    pub(super) fn user(&self, user: UserKey) -> String {
        self.name("user:", user.0, "")
    }

    /// The name of the mark that the lists of all users are whole.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// The pattern for `SCAN` that matches all records and no locks.
    pub(super) fn records(&self) -> String {
        let mut pattern = String::new();
        for character in self.prefix.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern + "{*}"
    }

    /// Returns the key of the record with this name; `None` if it is not the name of a record.
    pub(super) fn key_of(&self, name: &[u8]) -> Option<Key> {
        let text = name.strip_prefix(self.prefix.as_bytes())?;
        let text = text.strip_prefix(b"{")?.strip_suffix(b"}")?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Key)
    }

    fn name(&self, before: &str, bytes: [u8; 16], behind: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 32);
        name.push_str(&self.prefix);
        name.push_str(before);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut name);
        name.push_str(behind);
        name
    }
}
