//! The lease of a session, for requests that go one after the other: a key that expires, which
//! whoever has the lease moves.
//!
//! It ends when it is given back, or some time after whoever has it was killed or cut off. A worker
//! that is blocked for that long loses it while it believes to have it; what it then commits is
//! merged as any other commit is.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::scripts::Scripted;
use super::{Shared, unexpected};
use crate::random;
use crate::record::Key;
use crate::store::{Lease, StoreError};

/// How long a lease lasts that nobody moves, and how often it is moved.
const LASTS: Duration = Duration::from_secs(30);
const MOVED_EVERY: Duration = Duration::from_secs(10);

/// Takes the lock of a session; `None` if somebody has it.
pub(super) async fn take(shared: Arc<Shared>, key: Key) -> Result<Option<Lease>, StoreError> {
    let (held, given_back) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    // A task of its own: what is taken is given back even if nobody waits for it any more.
    let keeper = Arc::clone(&shared);
    shared.later(async move {
        let lease = match keeper.lease(key).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return drop(tell.send(Ok(false))),
            Err(error) => return drop(tell.send(Err(error))),
        };
        drop(tell.send(Ok(true)));
        keeper.keep(&lease, given_back).await;
    });
    let is_taken = told.await.unwrap_or(Err(StoreError::Stopped))?;
    Ok(is_taken.then(|| Lease::holding(held)))
}

/// A lock that one has.
struct Held {
    lock: String,
    whose: [u8; 16],
}

impl Shared {
    async fn lease(&self, key: Key) -> Result<Option<Held>, StoreError> {
        let held = Held {
            lock: self.keys.lock(key),
            whose: random::bytes()?,
        };
        let script = &self.scripts.take;
        let cmd = held.command(script, true);
        match self.write(script, cmd).await? {
            Value::Int(taken) => Ok((taken == 1).then_some(held)),
            _ => Err(unexpected()),
        }
    }

    /// Moves a lease until it is given back, and then ends it.
    async fn keep(&self, held: &Held, mut given_back: oneshot::Receiver<()>) {
        while tokio::time::timeout(MOVED_EVERY, &mut given_back)
            .await
            .is_err()
        {
            let script = &self.scripts.extend;
            // What cannot be reached is asked again; what is another's by now is left alone.
            if let Ok(Value::Int(0)) = self.run(script, held.command(script, true)).await {
                tracing::warn!(target: "bsession", "lock_lost");
                return;
            }
        }
        let script = &self.scripts.release;
        drop(self.run(script, held.command(script, false)).await);
    }
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
