//! The deadline: how long a request waits for the store.

use std::future::Future;

use tokio::runtime;
use tokio::time::Instant;

use super::{Service, Turn};
use crate::error::{Error, Result};
use crate::record::Key;
use crate::store::{Answer, StoreError};

impl Service {
    pub(super) fn deadline(&self) -> Deadline<'_> {
        Deadline {
            service: self,
            at: None,
        }
    }

    pub(super) fn store_failed(&self, error: &StoreError) {
        self.counters.store_errors.count();
        tracing::error!(target: "bsession", %error, "store_failed");
    }
}

/// Until when a request waits for the store. The time begins with the first wait: what answers at
/// once costs no look at a clock.
pub(super) struct Deadline<'s> {
    service: &'s Service,
    at: Option<Instant>,
}

impl Deadline<'_> {
    fn at(&mut self) -> Instant {
        *self
            .at
            .get_or_insert_with(|| Instant::now() + self.service.config.store_timeout)
    }

    /// Waits for an answer, but not beyond the deadline.
    pub(super) async fn wait<T: Unpin>(&mut self, answer: Answer<'_, T>) -> Result<T, StoreError> {
        let result = match answer {
            Answer::Now(result) => result,
            // A timer needs a runtime, and panics without one.
            Answer::Later(_) if runtime::Handle::try_current().is_err() => Err(StoreError::Stopped),
            // Boxed, or every future that waits would have room for a timer.
            Answer::Later(future) => Box::pin(within(self.at(), future)).await,
        };
        result.inspect_err(|error| self.service.store_failed(error))
    }

    /// Waits for one's turn to save again.
    pub(super) async fn turn(&mut self, key: Key) -> Result<Turn> {
        let turn = Box::pin(self.service.turn_to_save(key));
        match tokio::time::timeout_at(self.at(), turn).await {
            Ok(turn) => turn,
            Err(_) => {
                self.service.store_failed(&StoreError::TimedOut);
                Err(Error::Store(StoreError::TimedOut))
            }
        }
    }

    /// Whether another try may begin.
    pub(super) fn check(&mut self) -> Result<()> {
        if Instant::now() < self.at() {
            return Ok(());
        }
        self.service.store_failed(&StoreError::TimedOut);
        Err(Error::Store(StoreError::TimedOut))
    }
}

async fn within<T>(
    end: Instant,
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout_at(end, future)
        .await
        .unwrap_or(Err(StoreError::TimedOut))
}
