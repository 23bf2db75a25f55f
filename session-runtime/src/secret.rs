//! The secret, and the keys that are derived from it: a separate key for each purpose.

use std::env;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, InitError};
use crate::id::Id;
use crate::one_line::OneLine;
use crate::random;
use crate::record::{Handle, Key, UserKey};

/// The shortest secret: as long as the keys that are derived from it.
const MIN_LEN: usize = 32;

/// The secret that signs the cookies and seals the sessions: at least 32 bytes that nobody can guess.
///
/// Make one with `openssl rand -base64 48` and keep it out of the repository. Anybody who has it can
/// forge cookies. `Debug` does not show it. Its memory is wiped when it is dropped.
///
/// ```
/// # fn main() -> Result<(), bsession::InitError> {
/// use bsession::Secret;
///
/// let secret = Secret::random()?; // or `Secret::from_env("SESSION_SECRET")?`
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Makes a secret that lasts as long as this process. That is enough for tests, and for
    /// [`Mode::Memory`](crate::Mode::Memory), whose sessions last no longer.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, InitError> {
        let bytes = random::bytes::<48>().map_err(InitError::Random)?;
        Ok(Self::from(bytes))
    }

    /// Reads the secret from an environment variable.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), bsession::InitError> {
    /// use bsession::{Mode, Secret};
    ///
    /// bsession::init(Secret::from_env("SESSION_SECRET")?, Mode::File)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The variable is not set, or is not UTF-8. The length is checked later, when the service is built.
    pub fn from_env(name: &str) -> Result<Self, InitError> {
        let problem = match env::var(name) {
            Ok(text) => return Ok(Self::from(text.trim_ascii())),
            Err(env::VarError::NotPresent) => "is not set",
            Err(env::VarError::NotUnicode(_)) => "is not UTF-8",
        };
        Err(InitError::SecretVariable {
            name: name.to_owned(),
            problem,
        })
    }

    /// Reads the secret from a file. If there is no file, makes a secret and stores it there, readable only by its
    /// owner (mode 0600).
    ///
    /// Several processes may call it at once: they all get the same secret.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("session.secret");
    /// use bsession::{Secret, Sessions};
    ///
    /// let secret = Secret::load_or_create(path)?; // such as "session.secret"
    /// let sessions = Sessions::builder(secret).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The file cannot be read or made, or has less than 32 bytes.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, InitError> {
        let path = path.as_ref();
        let secret = match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::create(path).and_then(|()| Self::read(path))
            }
            result => result,
        }
        .map_err(|source| InitError::SecretFile {
            path: path.to_owned(),
            source,
        })?;
        secret.check()?;
        Ok(secret)
    }

    fn read(path: &Path) -> io::Result<Self> {
        warn_if_shared(path)?;
        let bytes = Zeroizing::new(fs::read(path)?);
        Ok(Self(Zeroizing::new(bytes.trim_ascii().to_vec())))
    }

    /// Writes a new secret to a file beside `path`, and links that complete file to `path`. So nobody reads half a
    /// secret, and if several processes do this, the first one wins.
    fn create(path: &Path) -> io::Result<()> {
        let unique: [u8; 8] = random::bytes()?;
        let bytes = Zeroizing::new(random::bytes::<48>()?);
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let mut name = path
            .file_name()
            .ok_or(io::ErrorKind::InvalidInput)?
            .to_owned();
        name.push(format!(".{:016x}.new", u64::from_le_bytes(unique)));
        let draft = path.with_file_name(name);

        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            writeln!(file, "{}", &*text)?;
            file.sync_all()?;
            fs::hard_link(&draft, path)
        });
        let _ = fs::remove_file(&draft);
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// Refuses bytes that cannot be a secret.
    pub(crate) fn check(&self) -> Result<(), InitError> {
        let problem = match &**self.0 {
            [] => "is empty".to_owned(),
            bytes if bytes.len() < MIN_LEN => {
                format!("has {} bytes and needs {MIN_LEN}", bytes.len())
            }
            [first, rest @ ..] if rest.iter().all(|byte| byte == first) => {
                "is one byte again and again".to_owned()
            }
            _ => return Ok(()),
        };
        Err(InitError::Secret { problem })
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[cfg(unix)]
fn warn_if_shared(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            target: "bsession",
            path = %OneLine(path.display()),
            hint = "take their rights away with `chmod 600`, and if they are not trusted make a new secret",
            "secret_readable_by_others"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path) -> io::Result<()> {
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

macro_rules! secret_from {
    ($($from:ty),+) => {$(
        impl From<$from> for Secret {
            fn from(bytes: $from) -> Self {
                Self(Zeroizing::new(bytes.into()))
            }
        }
    )+};
}

secret_from!(&str, String, &[u8], Vec<u8>);

impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<const N: usize> From<[u8; N]> for Secret {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

/// The keys of one secret, ready for use: the key schedules are computed once.
pub(crate) struct Keys {
    /// The first byte of a token. It identifies the format and, among a few secrets, the secret.
    pub(crate) key_id: u8,
    mac: Hmac<Sha256>,
    user: Hmac<Sha256>,
    pub(crate) csrf: Hmac<Sha256>,
    seal: Hkdf<Sha256>,
    summary: Hkdf<Sha256>,
}

/// The use of an id in a cookie. Its token tells it, so that no store has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// A session was stored under the id.
    Session,
    /// No session was stored under the id. A page with a CSRF token was sent to a visitor who has no session.
    CsrfAlone,
}

/// The number of MAC bytes in a token: 184 bits, so that a token is 48 bytes and 64 characters.
pub(crate) const MAC_LEN: usize = 23;

impl Keys {
    fn derive(secret: &Secret, realm: &str) -> Self {
        let root = Hkdf::<Sha256>::new(Some(b"bsession/1"), &secret.0);
        let key = |purpose: &str| {
            let mut key = Zeroizing::new([0; 32]);
            // HKDF can give 8160 bytes. 32 of them cannot fail.
            let expanded =
                root.expand_multi_info(&[purpose.as_bytes(), b"\0", realm.as_bytes()], &mut *key);
            debug_assert!(expanded.is_ok());
            key
        };
        Self {
            key_id: key("key id")[0],
            mac: keyed(&key("token")),
            user: keyed(&key("user")),
            csrf: keyed(&key("csrf")),
            seal: Hkdf::new(None, &*key("seal")),
            summary: Hkdf::new(None, &*key("summary")),
        }
    }

    fn mac(&self, id: &Id, carries: Carries) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&[self.key_id]);
        mac.update(id.as_bytes());
        match carries {
            Carries::Session => {}
            // One byte more than the input above, so neither can be used as the other.
            Carries::CsrfAlone => mac.update(&[1]),
        }
        mac
    }

    /// The MAC of an id, cut to the length that a token carries.
    pub(crate) fn sign(&self, id: &Id, carries: Carries) -> [u8; MAC_LEN] {
        let mut short = [0; MAC_LEN];
        short.copy_from_slice(&self.mac(id, carries).finalize().into_bytes()[..MAC_LEN]);
        short
    }

    /// Returns the use of an id that this MAC was made for, if it is a MAC of that id. Compares in constant time.
    pub(crate) fn verify(&self, id: &Id, mac: &[u8; MAC_LEN]) -> Option<Carries> {
        let fits = |carries: &Carries| self.mac(id, *carries).verify_truncated_left(mac).is_ok();
        [Carries::Session, Carries::CsrfAlone]
            .into_iter()
            .find(fits)
    }

    /// The key that seals one session. It needs the secret and the visitor's id.
    pub(crate) fn sealing_key(&self, id: &Id) -> Zeroizing<[u8; 32]> {
        expand(&self.seal, id.as_bytes())
    }

    /// The key that seals one session's summary for lists. It needs the secret only.
    pub(crate) fn summary_key(&self, handle: Handle) -> Zeroizing<[u8; 32]> {
        expand(&self.summary, &handle.0)
    }

    /// The key under which the store knows a user.
    pub(crate) fn user_key(&self, user: &str) -> UserKey {
        let mut mac = self.user.clone();
        mac.update(user.as_bytes());
        UserKey(first_16(&mac.finalize().into_bytes()))
    }
}

fn expand(from: &Hkdf<Sha256>, info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = from.expand(info, &mut *key);
    debug_assert!(expanded.is_ok());
    key
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // `new` takes exactly one block. An HMAC key that is shorter is padded with zeros (RFC 2104).
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new((&*block).into())
}

fn first_16(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&bytes[..16]);
    first
}

/// All secrets of a service. The first one signs and seals; all of them verify and open.
pub(crate) struct KeyRing {
    secrets: Vec<Keys>,
    /// The positions of the secrets by key id, so that twenty secrets cost no more than one.
    by_key_id: Box<[Vec<u8>; 256]>,
    /// SHA-256 that has already read everything except the id.
    store_key: Sha256,
}

impl KeyRing {
    /// Derives the keys of at most 255 secrets. The current secret is the first.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>, realm: &str) -> Self {
        let secrets: Vec<_> = secrets
            .into_iter()
            .map(|secret| Keys::derive(secret, realm))
            .collect();
        let mut by_key_id = Box::new([const { Vec::new() }; 256]);
        for (place, keys) in (0..=u8::MAX).zip(&secrets) {
            by_key_id[usize::from(keys.key_id)].push(place);
        }
        let store_key = Sha256::new_with_prefix("bsession/1 key\0")
            .chain_update(realm)
            .chain_update(b"\0");
        Self {
            secrets,
            by_key_id,
            store_key,
        }
    }

    /// The secret that signs and seals.
    pub(crate) fn current(&self) -> &Keys {
        &self.secrets[0]
    }

    /// The secrets that may belong to a key id, each with `true` if it is a previous one.
    pub(crate) fn candidates(&self, key_id: u8) -> impl Iterator<Item = (&Keys, bool)> {
        let places = &self.by_key_id[usize::from(key_id)];
        places
            .iter()
            .map(|&place| (&self.secrets[usize::from(place)], place > 0))
    }

    /// The keys under which the store knows a user, one for each secret.
    pub(crate) fn user_keys(&self, user: &str) -> impl Iterator<Item = UserKey> {
        self.secrets.iter().map(move |keys| keys.user_key(user))
    }

    /// The key under which the session of this id is stored. It is the same under every secret, so that a rotation
    /// moves no record.
    pub(crate) fn store_key(&self, id: &Id) -> Key {
        Key(first_16(
            &self
                .store_key
                .clone()
                .chain_update(id.as_bytes())
                .finalize(),
        ))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} secrets)", self.secrets.len())
    }
}

/// A new id from the operating system.
pub(crate) fn new_id() -> Result<Id, Error> {
    random::bytes().map(Id::new).map_err(Error::Random)
}
