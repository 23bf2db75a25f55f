//! The lock of a session: a key that expires, and that its holder makes last longer.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::backend::Backend;
use super::failure::unexpected;
use super::scripts::LuaScript;
use crate::random;
use crate::record::Key;
use crate::store::lease::{Expiring, LEASE_TIME, keep};
use crate::store::{Lease, StoreError};

/// Takes the lock of a session; `None` if somebody has it.
pub(super) async fn take(backend: Arc<Backend>, key: Key) -> Result<Option<Lease>, StoreError> {
    let name = backend.names.lock(key);
    let holder = random::bytes()?;
    keep(RedisLock {
        backend,
        name,
        holder,
    })
    .await
}

/// The lock of one session, as one request asks for it or holds it.
struct RedisLock {
    backend: Arc<Backend>,
    /// The name of the key.
    name: String,
    /// Random bytes that tell this holder from others.
    holder: [u8; 16],
}

impl RedisLock {
    fn command(&self, script: &LuaScript, lasts: bool) -> Cmd {
        let mut cmd = script.by_hash(128);
        cmd.arg(1).arg(&self.name).arg(&self.holder[..]);
        if lasts {
            cmd.arg(LEASE_TIME.as_millis() as u64);
        }
        cmd
    }
}

impl Expiring for RedisLock {
    async fn take(&self) -> Result<bool, StoreError> {
        let script = &self.backend.scripts.take;
        let taken = self.backend.write(script, self.command(script, true));
        match taken.await? {
            (Value::Int(taken), _) => Ok(taken == 1),
            _ => Err(unexpected()),
        }
    }

    async fn extend(&self) -> Result<bool, StoreError> {
        let script = &self.backend.scripts.extend;
        let extended = self.backend.run(script, self.command(script, true)).await?;
        Ok(!matches!(extended, Value::Int(0)))
    }

    async fn release(&self) -> Result<(), StoreError> {
        let script = &self.backend.scripts.release;
        let released = self.backend.run(script, self.command(script, false));
        released.await.map(drop)
    }

    fn outage(&self) -> Option<StoreError> {
        self.backend.outage()
    }
}
