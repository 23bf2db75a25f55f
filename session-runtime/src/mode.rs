//! The mode: where sessions are kept.

use std::sync::Arc;

use crate::store::Store;

/// Where sessions are kept.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Mode {
    /// In the memory of this process: fastest, and gone with it. The default of the builder.
    #[default]
    Memory,
    /// In files of one directory, sealed: they outlive the process, and several processes may
    /// share them.
    File,
    /// In Redis or Valkey, sealed: any number of hosts share them. With the feature `redis`.
    ///
    /// | address | servers |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | one; all but the host may be left out |
    /// | `redis-sentinel://user:password@one:26379,two:26379/mymaster/0` | the master that these sentinels name; they are asked without the password |
    /// | `redis-cluster://user:password@one:6379,two:6379` | a cluster, of which these are some nodes |
    /// | `unix:///run/redis.sock?db=0` | one on this host |
    ///
    /// With `rediss` in the place of `redis` the same over TLS, which needs the feature `redis-tls`. It takes Redis 5 or newer;
    /// the page [Operations](https://docs.rs/bsession/latest/bsession/operations/index.html) tells how to configure it.
    ///
    /// No connection is made until a request needs it; then every worker has one of its own (in a cluster,
    /// one to each master).
    #[cfg(feature = "redis")]
    Redis(String),
    /// In a store of your own.
    Custom(Arc<dyn Store>),
}

/// Without the feature the compiler would only say that there is no such variant.
#[cfg(not(feature = "redis"))]
impl Mode {
    /// ```compile_fail,E0277
    /// let _ = bsession_runtime::init("secret", bsession_runtime::Mode::Redis(String::new()));
    /// ```
    #[doc(hidden)]
    #[allow(non_snake_case, reason = "it stands for a variant")]
    pub fn Redis<M: WithRedis>(address: String) -> M {
        M::redis(address)
    }
}

/// What a mode is not.
#[cfg(not(feature = "redis"))]
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`Mode::Redis` needs the feature `redis` of bsession",
    label = "the feature `redis` is off",
    note = "write `bsession = {{ version = \"0.1\", features = [\"redis\"] }}` into Cargo.toml, or `cargo add bsession -F redis`"
)]
pub trait WithRedis {
    fn redis(address: String) -> Self;
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "Memory",
            Self::File => "File",
            // There may be a password in it.
            #[cfg(feature = "redis")]
            Self::Redis(_) => "Redis(..)",
            Self::Custom(_) => "Custom(..)",
        })
    }
}
