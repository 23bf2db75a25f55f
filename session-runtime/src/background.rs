//! What must come to its end though nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

/// Runs a save or a purge whose request is gone as far as it goes at once, and the rest as a task.
pub(crate) fn finish(mut work: Pin<Box<dyn Future<Output = ()> + Send>>) {
    let mut nobody = Context::from_waker(Waker::noop());
    if let Poll::Ready(()) = work.as_mut().poll(&mut nobody) {
        return;
    }
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(work)),
        Err(_) => tracing::error!(target: "bsession", "unfinished_save_without_runtime"),
    }
}
