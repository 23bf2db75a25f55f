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
                .map(|()| Err(self.storage.ledger.timed_out()))
        });
        let result = result.await;
        result.inspect_err(|error| self.storage.failed(error))
    }

    /// Waits for a turn in one of these locks' queues.
    pub(super) async fn turn(&mut self, locks: &Arc<Locks>, key: Key) -> Result<Turn> {
        self.wait(pin!(async { Ok(locks.turn(key).await) })).await?
    }

    /// True if no time is left.
    pub(super) fn is_over(&mut self) -> bool {
        Instant::now() >= self.at()
    }

    /// Refuses another attempt after the deadline.
    pub(super) fn check(&mut self) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        let error = self.storage.ledger.timed_out();
        self.storage.failed(&error);
        Err(Error::Store(error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::UserKey;
    use crate::service::Sessions;
    use crate::store::{Answer, Cursor, Entry, Expected, Listed, Scanned, Store, Swap};

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

    /// A store that never answers, and knows why.
    struct Dark;

    impl Store for Dark {
        fn load(&self, _: Key) -> Answer<'_, Option<Entry>> {
            Answer::later(pending())
        }

        fn swap(&self, _: Key, _: Expected, _: Option<Entry>, _: Timestamp) -> Answer<'_, Swap> {
            Answer::later(pending())
        }

        fn list<'a>(&'a self, _: &'a [UserKey]) -> Answer<'a, Listed> {
            Answer::later(pending())
        }

        fn scan(&self, _: Cursor, _: usize) -> Answer<'_, Scanned> {
            Answer::later(pending())
        }

        fn outage(&self) -> Option<StoreError> {
            Some(StoreError::Other("the lights are off".into()))
        }
    }

    /// Also if other operations took a part of the time, and if it is over between two of them.
    #[test]
    fn a_time_out_is_told_with_the_reason_that_the_store_knows() {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef").mode(Arc::new(Dark));
        let Sessions(service) = builder.build().unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut deadline = service.storage.deadline();
            let first = async {
                tokio::time::sleep(service.storage.timeout / 2).await;
                Ok(())
            };
            deadline.wait(pin!(first)).await.unwrap();
            let now = service.storage.now();
            let load = service.storage.ledger.load(Key([1; 16]), now);
            let error = deadline.wait(pin!(load)).await.map(drop).unwrap_err();
            assert_eq!(error.to_string(), "the lights are off");
            let error = deadline.check().unwrap_err();
            assert!(error.to_string().ends_with("the lights are off"), "{error}");
        });
    }
}
