//! The settings of Redis.

use std::fmt;
use std::time::Duration;

use super::{OpenRedis, PREFIX};
use crate::error::InitError;

/// Keeps sessions in Redis.
#[derive(Clone)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct RedisStore {
    address: String,
    prefix: String,
    replicas: u32,
}

impl RedisStore {
    /// Servers.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            prefix: PREFIX.to_owned(),
            replicas: 0,
        }
    }

    /// The prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Replicas.
    pub fn replicas(mut self, count: u32) -> Self {
        self.replicas = count;
        self
    }

    pub(crate) fn open(&self, patience: Duration) -> Result<OpenRedis, InitError> {
        let url = &self.address;
        let is_tls = url.starts_with("rediss") || url.starts_with("valkeys");
        if is_tls && cfg!(not(feature = "redis-tls")) {
            let text =
                "an address with `rediss` needs TLS: turn on the feature `redis-tls` of bsession";
            return Err(InitError::Setting(text.to_owned()));
        }
        OpenRedis::new(url, &self.prefix, self.replicas, patience).map_err(|problem| {
            InitError::Setting(format!(
                "the address of `RedisStore` {problem}: write it as in `redis://localhost:6379`, \
         `redis-sentinel://one:26379,two:26379/mymaster` or `redis-cluster://one:6379,two:6379`"
            ))
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
