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
use tokio::time::Instant;

use super::scripts::Scripted;
use super::{Shared, unexpected};
use crate::random;
use crate::record::Key;
use crate::store::{Lease, StoreError};

/// How long a lease lasts that nobody moves, and how often it is moved.
const LASTS: Duration = Duration::from_secs(30);
const MOVED_EVERY: Duration = Duration::from_secs(10);

/// The pause before it is tried again to end one.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes the lock of a session; `None` if somebody has it.
pub(super) async fn take(shared: Arc<Shared>, key: Key) -> Result<Option<Lease>, StoreError> {
    let (held, given_back) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    // A task of its own: what is taken is given back even if nobody waits for it any more.
    let keeper = Arc::clone(&shared);
    shared.later(async move {
        let held = match Held::new(&keeper, key) {
            Ok(held) => held,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let taken = keeper.in_time(keeper.take(&held)).await;
        let is_taken = matches!(taken, Ok(true));
        let is_in_doubt = taken.is_err();
        drop(tell.send(taken));
        if is_taken {
            keeper.keep(&held, given_back).await;
            keeper.give_back(&held).await;
        } else if is_in_doubt {
            drop(keeper.in_time(keeper.release(&held)).await);
        }
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
    async fn take(&self, held: &Held) -> Result<bool, StoreError> {
        let script = &self.scripts.take;
        match self.write(script, held.command(script, true)).await? {
            (Value::Int(taken), _) => Ok(taken == 1),
            _ => Err(unexpected()),
        }
    }

    async fn release(&self, held: &Held) -> Result<Value, StoreError> {
        let script = &self.scripts.release;
        self.run(script, held.command(script, false)).await
    }

    /// Moves a lease until it is given back.
    async fn keep(&self, held: &Held, mut given_back: oneshot::Receiver<()>) {
        while tokio::time::timeout(MOVED_EVERY, &mut given_back)
            .await
            .is_err()
        {
            let script = &self.scripts.extend;
            // What cannot be reached is asked again; what is another's by now is left alone.
            let moved = self.in_time(self.run(script, held.command(script, true)));
            if let Ok(Value::Int(0)) = moved.await {
                tracing::warn!(target: "bsession", "lock_lost");
                return;
            }
        }
    }

    /// Ends a lease. Others may wait for it: so where it cannot be ended now, that is tried again until it
    /// has ended by itself.
    async fn give_back(&self, held: &Held) {
        let begin = Instant::now();
        while self.in_time(self.release(held)).await.is_err() && begin.elapsed() < LASTS {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Held {
    fn new(shared: &Shared, key: Key) -> Result<Self, StoreError> {
        Ok(Self {
            lock: shared.keys.lock(key),
            whose: random::bytes()?,
        })
    }

    fn command(&self, script: &Scripted, lasts: bool) -> Cmd {
        let mut cmd = script.by_hash(128);
        cmd.arg(1).arg(&self.lock).arg(&self.whose[..]);
        if lasts {
            cmd.arg(LASTS.as_millis() as u64);
        }
        cmd
    }
}
