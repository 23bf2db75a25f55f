//! The deadline: how long a request waits for the store.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

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
            // Boxed, or every future that waits would have room for a timer.
            Answer::Later(future) => Box::pin(within(self.at(), future)).await,
        };
        result.inspect_err(|error| self.service.store_failed(error))
    }

    /// Waits for one's turn to save again.
    pub(super) async fn turn(&mut self, key: Key) -> Result<Turn> {
        let turn = async { Ok(self.service.turn_to_save(key).await) };
        let turn = Box::pin(within(self.at(), turn)).await;
        turn.inspect_err(|error| self.service.store_failed(error))?
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

/// Waits until then, on a runtime: a save whose worker ends is polled once more where there is none, and
/// timers, threads and connections panic without.
async fn within<T>(
    end: Instant,
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut limited = pin!(async { tokio::time::timeout_at(end, future).await });
    poll_fn(|context| match runtime::Handle::try_current() {
        Ok(_) => limited
            .as_mut()
            .poll(context)
            .map(|result| result.unwrap_or(Err(StoreError::TimedOut))),
        Err(_) => Poll::Ready(Err(StoreError::Stopped)),
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::future::pending;
    use std::pin::Pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::service::Sessions;

    type Waiting<'w> = Pin<Box<dyn Future<Output = Result<()>> + 'w>>;

    fn poll(waiting: &mut Waiting<'_>) -> Poll<Result<()>> {
        let mut nobody = Context::from_waker(Waker::noop());
        waiting.as_mut().poll(&mut nobody)
    }

    /// A worker that ends polls once more what it drops, with nothing left to wait on.
    #[test]
    fn what_outlives_its_runtime_is_an_error_and_no_panic() {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef");
        let Sessions(service) = builder.build().unwrap();
        let key = Key([1; 16]);
        let slow = Answer::later(async {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        let mut waiting: [Waiting<'_>; 3] = [
            Box::pin(async { Ok(service.deadline().wait(slow).await?) }),
            Box::pin(async {
                let _turn = service.turn_to_save(key).await?;
                pending().await
            }),
            Box::pin(async { service.deadline().turn(key).await.map(drop) }),
        ];
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        {
            let _inside = runtime.enter();
            assert!(waiting.iter_mut().all(|it| poll(it).is_pending()));
        }
        drop(runtime);
        let [wait, _, turn] = &mut waiting;
        for it in [wait, turn] {
            let stopped = Error::Store(StoreError::Stopped).to_string();
            assert!(matches!(poll(it), Poll::Ready(Err(error)) if error.to_string() == stopped));
        }
    }
}
