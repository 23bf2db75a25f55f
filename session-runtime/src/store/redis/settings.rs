//! The settings of the store.

use std::fmt;
use std::time::Duration;

use super::address::Address;
use super::backend::Backend;
use super::open_redis::OpenRedis;
use super::servers::Servers;
use crate::error::InitError;

/// Keeps sessions in Redis or Valkey, sealed. Any number of hosts can share them. Needs the feature `redis`.
///
/// | address | servers |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one server; all parts but the host are optional |
/// | `redis-sentinel://user:password@one:26379,two:26379/mymaster/0` | the master that these sentinels name; the login and the database are those of the servers. Sentinels whose address has no port are at 26379, and [`sentinel_password`](Self::sentinel_password) is for them |
/// | `redis-cluster://user:password@one:6379,two:6379` | a cluster; the address names some of its nodes |
/// | `unix:///run/redis.sock?db=0` | one server on this host |
///
/// In a user name or password percent-encode `/` as `%2F`, `?` as `%3F`, `#` as `%23`, `@` as `%40` and `%` as `%25`.
///
/// With `rediss` in place of `redis` the connection uses TLS, which needs the feature `redis-tls`; `valkey` and
/// `valkeys` mean the same as `redis` and `rediss`. The server must be Redis 5 or newer. The page
/// [Operations](https://docs.rs/bsession/latest/bsession/operations/index.html) tells how to configure it.
///
/// A service connects when a request first needs the store, not when it is built. Then every worker has one
/// connection; in a cluster, one to each master.
///
/// ```
/// # use bsession_runtime as bsession;
/// # use bsession::{RedisStore, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(RedisStore::at("redis://localhost:6379").prefix("shop:").replicas(1))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until a builder has them"]
pub struct RedisStore {
    address: String,
    prefix: String,
    replicas: u32,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    sentinel_tls: Option<bool>,
}

impl RedisStore {
    /// Keeps sessions on the servers at this address; see the table [above](Self).
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            prefix: "bsession:".to_owned(),
            replicas: 0,
            sentinel_user: None,
            sentinel_password: None,
            sentinel_tls: None,
        }
    }

    /// Sets the text that every key in Redis begins with. Default: `bsession:`.
    ///
    /// Applications that share a server do not need different prefixes, since no secret opens what another secret
    /// sealed. A prefix helps to tell keys apart, and to write access rules.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how many replicas must have a write before the request is answered. Default: 0.
    ///
    /// Redis replicates a moment after the answer, so a master that dies loses the writes that no replica has.
    /// With 1 here it loses nothing that was answered, unless a replica that lacks the write becomes the master.
    ///
    /// A write then waits for the replica (`WAIT`). If the replica does not have it within half of
    /// [`store_timeout`](crate::Builder::store_timeout), the answer is a 503, although the write may have lasted.
    /// Each worker has a second connection for these writes, which wait one after another. Reads do not wait.
    pub fn replicas(mut self, count: u32) -> Self {
        self.replicas = count;
        self
    }

    /// Sets the password that the sentinels ask for. Default: none, whatever password the servers have.
    ///
    /// It is the password of the user `default` (`requirepass` in a sentinel's configuration), unless
    /// [`sentinel_user`](Self::sentinel_user) names another one. Percent-encode nothing here: only the address needs that.
    ///
    /// ```
    /// # use bsession_runtime as bsession;
    /// # use bsession::RedisStore;
    /// let store = RedisStore::at("redis-sentinel://shop:password@one:26379,two:26379/mymaster")
    ///     .sentinel_password("another password");
    /// ```
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Sets the user as whom the sentinels are asked. Default: the user `default`. It needs a
    /// [`sentinel_password`](Self::sentinel_password).
    ///
    /// The only right that this user needs is `+sentinel|get-master-addr-by-name`.
    pub fn sentinel_user(mut self, name: impl Into<String>) -> Self {
        self.sentinel_user = Some(name.into());
        self
    }

    /// Sets if the sentinels are asked over TLS. Default: as the servers, for which the scheme of the address decides.
    ///
    /// So `redis-sentinel://` with `sentinel_tls(true)` is for sentinels with TLS and servers without, and
    /// `rediss-sentinel://` with `sentinel_tls(false)` for the opposite. Needs the feature `redis-tls`.
    pub fn sentinel_tls(mut self, tls: bool) -> Self {
        self.sentinel_tls = Some(tls);
        self
    }

    /// Opens the store, without a connection yet. `patience` is the time that a request waits.
    ///
    /// # Errors
    /// The address is invalid, or needs a feature that is off. The message does not repeat the address.
    pub(crate) fn open(&self, patience: Duration) -> Result<OpenRedis, InitError> {
        let is_tls = self.address.starts_with("rediss")
            || self.address.starts_with("valkeys")
            || self.sentinel_tls == Some(true);
        if is_tls && cfg!(not(feature = "redis-tls")) {
            let text = "an address with `rediss`, and `sentinel_tls(true)`, need TLS: turn on the feature `redis-tls` of bsession";
            return Err(InitError::Setting(text.to_owned()));
        }
        let address = Address::parse(&self.address, self.sentinel_tls).map_err(no_address)?;
        self.check_sentinels(&address)?;
        let login = (
            self.sentinel_user.as_deref(),
            self.sentinel_password.as_deref(),
        );
        let servers = Servers::new(address, login)
            .map_err(|error| no_address(format!("is invalid: {error}")))?;
        let backend = Backend::new(servers, &self.prefix, self.replicas, patience);
        Ok(OpenRedis::new(backend))
    }

    /// Refuses settings for sentinels that would do nothing.
    fn check_sentinels(&self, address: &Address) -> Result<(), InitError> {
        let is_set = self.sentinel_password.is_some()
            || self.sentinel_user.is_some()
            || self.sentinel_tls.is_some();
        let text = if is_set && !matches!(address, Address::Sentinel { .. }) {
            "`sentinel_password`, `sentinel_user` and `sentinel_tls` are for sentinels, and the address names none: write \
             `redis-sentinel://one:26379,two:26379/mymaster`, or leave them out"
        } else if self.sentinel_user.is_some() && self.sentinel_password.is_none() {
            "`sentinel_user` needs a password: set `sentinel_password`, too"
        } else {
            return Ok(());
        };
        Err(InitError::Setting(text.to_owned()))
    }
}

impl fmt::Debug for RedisStore {
    /// Leaves out the address, which may contain a password, and the login of the sentinels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

fn no_address(problem: impl fmt::Display) -> InitError {
    InitError::Setting(format!(
        "the address of `RedisStore::at(\"…\")` {problem}: write it as in `redis://localhost:6379`, \
         `redis-sentinel://one:26379,two:26379/mymaster` or `redis-cluster://one:6379,two:6379`"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    /// The address may contain a password.
    #[test]
    fn neither_settings_nor_errors_show_the_address() {
        let store = RedisStore::at("redis://joe:whisper@host:port").prefix("shop:");
        let shown = format!("{store:?}");
        assert!(shown.contains("shop:"), "{shown}");
        assert!(!shown.contains("joe"), "{shown}");
        let error = store.open(Duration::from_secs(2)).map(drop).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("`RedisStore::at(\"…\")` is invalid"),
            "{text}"
        );
        assert!(!text.contains("joe"), "{text}");
        let store = RedisStore::at("redis-sentinel://one/main")
            .sentinel_user("joe")
            .sentinel_password("whisper");
        let shown = format!("{store:?}");
        assert!(
            !shown.contains("joe") && !shown.contains("whisper"),
            "{shown}"
        );
    }

    #[test]
    fn settings_for_sentinels_that_would_do_nothing_are_refused() {
        let refused = |store: RedisStore| {
            let error = store.open(Duration::from_secs(2)).map(drop).unwrap_err();
            error.to_string()
        };
        let server = RedisStore::at("redis://host");
        for store in [
            server.clone().sentinel_password("whisper"),
            server.clone().sentinel_tls(false),
            RedisStore::at("redis-cluster://host").sentinel_user("joe"),
        ] {
            let text = refused(store);
            assert!(text.contains("names none"), "{text}");
        }
        let text = refused(RedisStore::at("redis-sentinel://one/main").sentinel_user("joe"));
        assert!(text.contains("set `sentinel_password`"), "{text}");
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn tls_for_sentinels_names_its_feature() {
        let store = RedisStore::at("redis-sentinel://one/main").sentinel_tls(true);
        let error = store.open(Duration::from_secs(2)).map(drop).unwrap_err();
        assert!(error.to_string().contains("`redis-tls`"), "{error}");
    }
}
