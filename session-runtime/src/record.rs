//! The record that a store keeps under a key, and the few fields of it that a store may read.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::random;

/// The time for which a removed or renewed id counts as *retired*.
pub const RETIRED: Duration = Duration::from_secs(60);

/// The time for which a tombstone is kept, so that a late removal still finds the successor.
pub const TOMBSTONE: Duration = Duration::from_secs(600);

macro_rules! bytes_as_hex {
    ($($(#[$doc:meta])* $name:ident[$len:literal];)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotHex;

            /// Reads exactly what `Display` writes: lower-case hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, NotHex> {
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NotHex) };
                let mut bytes = [0; $len];
                if pairs.len() != $len {
                    return Err(NotHex);
                }
                for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
                    *byte = nibble(high)? << 4 | nibble(low)?;
                }
                Ok(Self(bytes))
            }
        }
    )+};
}

bytes_as_hex! {
    /// The key of a record: a hash of the session's id, from which the id cannot be found.
    Key[16];
    /// The public name of a session, for lists and logs. It is not secret, and stays the same through every renewal.
    /// Its text form, which serde uses too, is 24 hexadecimal digits.
    Handle[12];
    /// A user in a store: a hash of the name, keyed by the secret.
    UserKey[16];
}

/// Serializes the text that `Display` shows, for forms and pages.
impl serde::Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Handle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The error of reading a [`Key`], [`Handle`] or [`UserKey`] from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected lower-case hexadecimal digits, two for each byte")]
#[non_exhaustive]
pub struct NotHex;

fn nibble(digit: u8) -> Result<u8, NotHex> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotHex),
    }
}

/// The revision of a record: a number that grows by one with each commit, and a tag that distinguishes
/// two commits with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of the commit: 1 for a created record, and one more with each commit.
    pub number: u64,
    /// A value that is different for every revision ever made, in any process.
    pub tag: u64,
}

impl Revision {
    /// Writes number and tag as little-endian bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.tag.to_le_bytes());
        bytes
    }

    /// Returns the revision of a record that is about to be created.
    #[must_use]
    pub fn first() -> Self {
        Self {
            number: 1,
            tag: new_tag(),
        }
    }

    /// Returns the revision that follows this one. Every call returns another one.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            // Never 0: no revision has the number 0.
            number: self.number.wrapping_add(1).max(1),
            tag: new_tag(),
        }
    }
}

/// A counter with a random start for each process. Tags are certainly unique in a process, and between processes as
/// surely as 64 random bits are. Each costs one addition.
fn new_tag() -> u64 {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(u64::from_le_bytes(random::bytes_or_time())));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The fields of a session that every store can read, in every format of the rest.
///
/// Their form in bytes, [`to_bytes`](Self::to_bytes), never changes. So a server can list, end and
/// sweep a session that a newer version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The revision of the session.
    pub revision: Revision,
    /// The time at which the session ends unless it is visited. A touch moves it.
    pub expires: Timestamp,
    /// The last visit that was written. A touch moves it.
    pub seen: Timestamp,
    /// The time at which the session was created.
    pub created: Timestamp,
    /// The session's public name.
    pub handle: Handle,
    /// The user who is logged in, if there is one.
    pub user: Option<UserKey>,
}

/// The bytes that stand for the user if nobody is logged in.
const NOBODY: [u8; 16] = [0; 16];

impl Head {
    /// The length of a head in bytes.
    pub const LEN: usize = 68;

    /// True if the session has not expired at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires > now
    }

    /// Writes the head: revision (number, tag), expires, seen, created, handle, and the user. Zeros mean that there is
    /// no user. Numbers are little endian, times in ms since 1970.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(&self.revision.to_bytes());
        bytes[16..24].copy_from_slice(&self.expires.as_millis().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.seen.as_millis().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created.as_millis().to_le_bytes());
        bytes[40..52].copy_from_slice(&self.handle.0);
        bytes[52..].copy_from_slice(&self.user.map_or(NOBODY, |user| user.0));
        bytes
    }

    /// Reads a head that [`to_bytes`](Self::to_bytes) wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        fn chunk<const N: usize>(bytes: &[u8; Head::LEN], at: usize) -> [u8; N] {
            let mut chunk = [0; N];
            chunk.copy_from_slice(&bytes[at..at + N]);
            chunk
        }
        let time = |at| Timestamp::from_millis(u64::from_le_bytes(chunk(bytes, at)));
        Self {
            revision: Revision {
                number: u64::from_le_bytes(chunk(bytes, 0)),
                tag: u64::from_le_bytes(chunk(bytes, 8)),
            },
            expires: time(16),
            seen: time(24),
            created: time(32),
            handle: Handle(chunk(bytes, 40)),
            user: Some(chunk(bytes, 52))
                .filter(|user| *user != NOBODY)
                .map(UserKey),
        }
    }
}

/// A session as a store keeps it: its head in clear, and two parts that the store cannot read.
#[derive(Clone, Debug)]
pub struct Record {
    /// The fields in clear.
    pub head: Head,
    /// The part that a list of the user's sessions shows. Its bytes are never empty.
    pub summary: Option<Summary>,
    /// The rest.
    pub body: Body,
}

#[derive(Clone)]
pub(crate) enum Inner {
    /// For a store that keeps records in this process's memory: the shared values themselves.
    Plain(Arc<Contents>),
    /// For every other store.
    Sealed(Arc<[u8]>),
    /// Left out of a list, or in a format that this version does not know.
    Absent,
}

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(pub(crate) Inner);

        impl $name {
            /// Makes the value from the bytes that a store kept.
            #[must_use]
            pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
                Self(Inner::Sealed(bytes.into()))
            }

            /// Returns the sealed bytes, which the store keeps.
            ///
            /// Empty for a store whose [`in_process`](crate::Store::in_process) is true: such a store
            /// keeps the value itself.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                match &self.0 {
                    Inner::Plain(_) | Inner::Absent => &[],
                    Inner::Sealed(bytes) => bytes,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

impl Body {
    /// Makes a body that is absent: left out of [`Store::list`](crate::Store::list) or
    /// [`Store::scan`](crate::Store::scan), or in a format that this version does not know.
    ///
    /// A record with such a body can be listed, ended and swept. It opens for nobody, so it is
    /// never overwritten.
    #[must_use]
    pub fn absent() -> Self {
        Self(Inner::Absent)
    }
}

impl Summary {
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.0, Inner::Sealed(_))
    }
}

opaque! {
    /// The part of a record that only the session service can read, and only with the visitor's cookie.
    Body;
    /// The part of a record that only the session service can read. It needs no visitor's cookie, because it is for
    /// lists.
    Summary;
}
