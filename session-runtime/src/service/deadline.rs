//! The deadline: the limit of a request's wait for the store.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime;
use tokio::time::{Instant, Sleep, sleep_until};

use super::locks::{Locks, Turn};
use super::storage::Storage;
use crate::error::{Error, Result};
use crate::record::Key;
use crate::store::StoreError;

/// The end of a request's wait for the store. The time starts with the first wait, so that an answer that is ready
/// at once does not read the clock.
pub(super) struct Deadline<'s> {
    storage: &'s Storage,
    span: Duration,
    at: Option<Instant>,
}

impl<'s> Deadline<'s> {
    pub(super) fn new(storage: &'s Storage, span: Duration) -> Self {
        Self {
            storage,
            span,
            at: None,
        }
    }

    fn at(&mut self) -> Instant {
        *self.at.get_or_insert_with(|| Instant::now() + self.span)
    }

    /// Waits for the store, but not beyond the deadline.
    ///
    /// When a worker ends, its saves are polled once more without a runtime. Timers, threads and connections would
    /// panic there, so the wait ends instead.
    ///
    /// The caller pins `work`: a future that is passed by value takes its space twice.
    pub(super) async fn wait<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = Result<T, StoreError>>>,
    ) -> Result<T, StoreError> {
        // Boxed: otherwise every future that waits would reserve space for a timer.
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        let result = poll_fn(|context| {
            let begun = timer.is_some();
            if begun && runtime::Handle::try_current().is_err() {
                return Poll::Ready(Err(StoreError::Stopped));
            }
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            if !begun && runtime::Handle::try_current().is_err() {
                return Poll::Ready(Err(StoreError::Stopped));
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(self.at())));
            timer
                .as_mut()
                .poll(context)
                .map(|()| Err(StoreError::TimedOut))
        });
        let result = result.await;
        result.inspect_err(|error| self.storage.failed(error))
    }

    /// Waits for a turn in one of these locks' queues.
    pub(super) async fn turn(&mut self, locks: &Arc<Locks>, key: Key) -> Result<Turn> {
        self.wait(pin!(async { Ok(locks.turn(key).await) })).await?
    }

    /// Refuses another attempt after the deadline.
    pub(super) fn check(&mut self) -> Result<()> {
        if Instant::now() < self.at() {
            return Ok(());
        }
        self.storage.failed(&StoreError::TimedOut);
        Err(Error::Store(StoreError::TimedOut))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};

    use super::*;
    use crate::service::Sessions;
    use crate::store::Answer;

    type Waiting<'w> = Pin<Box<dyn Future<Output = Result<()>> + 'w>>;

    fn poll(waiting: &mut Waiting<'_>) -> Poll<Result<()>> {
        let mut nobody = Context::from_waker(Waker::noop());
        waiting.as_mut().poll(&mut nobody)
    }

    /// A worker that ends polls the futures that it drops once more, with no runtime left to wait on.
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
            Box::pin(async { Ok(service.storage.deadline().wait(pin!(slow)).await?) }),
            Box::pin(async {
                let _turn = service.savers.turn(key).await?;
                pending().await
            }),
            Box::pin(async {
                service
                    .storage
                    .deadline()
                    .turn(&service.savers, key)
                    .await
                    .map(drop)
            }),
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
