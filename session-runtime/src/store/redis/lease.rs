//! The lock of a session: a key that expires, which its holder moves.

use std::sync::Arc;

use redis::{Cmd, Value};

use super::scripts::Scripted;
use super::{Shared, unexpected};
use crate::random;
use crate::record::Key;
use crate::store::lease::{Expiring, LASTS, keep};
use crate::store::{Lease, StoreError};

/// Takes the lock of a session; `None` if somebody has it.
pub(super) async fn take(shared: Arc<Shared>, key: Key) -> Result<Option<Lease>, StoreError> {
    let lock = shared.keys.lock(key);
    let whose = random::bytes()?;
    keep(Held {
        shared,
        lock,
        whose,
    })
    .await
}

/// A lock, and who has it or asks for it.
struct Held {
    shared: Arc<Shared>,
    lock: String,
    whose: [u8; 16],
}

impl Held {
    fn command(&self, script: &Scripted, lasts: bool) -> Cmd {
        let mut cmd = script.by_hash(128);
        cmd.arg(1).arg(&self.lock).arg(&self.whose[..]);
        if lasts {
            cmd.arg(LASTS.as_millis() as u64);
        }
        cmd
    }
}

impl Expiring for Held {
    async fn take(&self) -> Result<bool, StoreError> {
        let script = &self.shared.scripts.take;
        match self
            .shared
            .write(script, self.command(script, true))
            .await?
        {
            (Value::Int(taken), _) => Ok(taken == 1),
            _ => Err(unexpected()),
        }
    }

    async fn extend(&self) -> Result<bool, StoreError> {
        let script = &self.shared.scripts.extend;
        let moved = self.shared.run(script, self.command(script, true)).await?;
        Ok(!matches!(moved, Value::Int(0)))
    }

    async fn release(&self) -> Result<(), StoreError> {
        let script = &self.shared.scripts.release;
        let released = self.shared.run(script, self.command(script, false));
        released.await.map(drop)
    }
}
