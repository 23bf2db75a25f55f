//! The id of a session, which only its visitor knows.

use std::fmt;

/// 24 bytes from the operating system: 192 bits, where OWASP ASVS 5.0 §7.2.3 asks for 128.
///
/// It is not wiped from memory, because the request's headers hold it too and are not wiped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Id([u8; Id::LEN]);

impl Id {
    pub(crate) const LEN: usize = 24;

    pub(crate) fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Never shows the id: anyone who has it can take over the session.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(..)")
    }
}
