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
/// | `redis-sentinel://user:password@one:26379,two:26379/mymaster/0` | the master that these sentinels name; the sentinels are asked without the password |
/// | `redis-cluster://user:password@one:6379,two:6379` | a cluster; the address names some of its nodes |
/// | `unix:///run/redis.sock?db=0` | one server on this host |
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
}

impl RedisStore {
    /// Keeps sessions on the servers at this address; see the table [above](Self).
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            prefix: "bsession:".to_owned(),
            replicas: 0,
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

    /// Opens the store, without a connection yet. `patience` is the time that a request waits.
    ///
    /// # Errors
    /// The address is invalid, or needs a feature that is off. The message does not repeat the address.
    pub(crate) fn open(&self, patience: Duration) -> Result<OpenRedis, InitError> {
        let is_tls = self.address.starts_with("rediss") || self.address.starts_with("valkeys");
        if is_tls && cfg!(not(feature = "redis-tls")) {
            let text =
                "an address with `rediss` needs TLS: turn on the feature `redis-tls` of bsession";
            return Err(InitError::Setting(text.to_owned()));
        }
        let address = Address::parse(&self.address).map_err(no_address)?;
        let servers =
            Servers::new(address).map_err(|error| no_address(format!("is invalid: {error}")))?;
        let backend = Backend::new(servers, &self.prefix, self.replicas, patience);
        Ok(OpenRedis::new(backend))
    }
}

impl fmt::Debug for RedisStore {
    /// Leaves out the address, which may contain a password.
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
    }
}
