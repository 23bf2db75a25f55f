//! Work that must be finished although nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Finishes a save or a purge whose request is gone. It runs here until it first has to wait; the rest runs as a
/// task.
pub(crate) fn finish(mut work: Pin<Box<dyn Future<Output = ()> + Send>>) {
    let mut nobody = Context::from_waker(Waker::noop());
    if let Poll::Ready(()) = work.as_mut().poll(&mut nobody) {
        return;
    }
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(UnderWay::begin(work))),
        Err(_) => tracing::error!(target: "bsession", "unfinished_save_without_runtime"),
    }
}

/// The number of tasks in this process that must not be interrupted.
static UNDER_WAY: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Waits until all of these tasks have finished.
pub(crate) async fn all_finished() {
    let mut count = UNDER_WAY.subscribe();
    // The sender is never dropped.
    drop(count.wait_for(|count| *count == 0).await);
}

/// Work that counts as being under way while it exists.
struct UnderWay {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_done: bool,
}

impl UnderWay {
    fn begin(work: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        UNDER_WAY.send_modify(|count| *count += 1);
        Self {
            work,
            is_done: false,
        }
    }
}

impl Future for UnderWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = self.work.as_mut().poll(cx);
        self.is_done = poll.is_ready();
        poll
    }
}

/// If it is dropped before its end, its runtime has ended.
impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_done && !std::thread::panicking() {
            tracing::error!(target: "bsession", "unfinished_save_without_runtime");
        }
        UNDER_WAY.send_modify(|count| *count -= 1);
    }
}

/// A future that continues as a task if it is dropped before its end. It does not continue if a panic drops it,
/// because nothing can be relied on after a panic.
pub(crate) struct Lasting<T: 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Lasting<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T> Future for Lasting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let poll = future.as_mut().poll(cx);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<T> Drop for Lasting<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && !std::thread::panicking()
        {
            finish(Box::pin(async move { drop(future.await) }));
        }
    }
}
