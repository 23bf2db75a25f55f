//! What things are called in Redis.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::record::{Key, UserKey};

/// Makes the names, with the prefix in front.
pub(super) struct Keys {
    prefix: Box<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
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

    fn name(&self, before: &str, bytes: [u8; 16], behind: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 32);
        name.push_str(&self.prefix);
        name.push_str(before);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut name);
        name.push_str(behind);
        name
    }
}
