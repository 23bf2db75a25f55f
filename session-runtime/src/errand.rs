//! The errand: what must come to its end though nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A save or a purge whose request is gone.
pub(crate) type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs an errand as far as it goes at once, and the rest as a task.
pub(crate) fn finish(mut errand: Errand) {
    if let Poll::Ready(()) = errand
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return;
    }
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(errand)),
        Err(_) => tracing::error!(target: "bsession", "unfinished_save_without_runtime"),
    }
}
