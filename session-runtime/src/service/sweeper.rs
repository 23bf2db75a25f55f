//! The sweeper: a thread that removes what has expired, a slice at a time.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Service;
use crate::error::{InitError, Result};
use crate::store::{StoreError, Swept};

/// How many records a slice looks at: some 3 ms of a disk, at 6 µs each, and less of memory.
const SLICE: usize = 500;
/// The pause between two slices of one round.
const BREATH: Duration = Duration::from_millis(50);
/// The pause between two rounds.
const REST: Duration = Duration::from_secs(60);

/// Held by the service; when it goes, so does the thread.
pub(super) struct Sweeper {
    _alive: Sender<()>,
}

/// The thread before it runs: it can only be told of the service once there is one.
pub(super) struct Thread(Receiver<()>);

impl Sweeper {
    pub(super) fn new() -> (Self, Thread) {
        let (alive, ends) = mpsc::channel();
        (Self { _alive: alive }, Thread(ends))
    }
}

impl Thread {
    /// A thread and not a task: it belongs to no runtime, and it may block. It holds the service
    /// weakly, so that it keeps nothing alive.
    pub(super) fn start(self, service: &Arc<Service>) -> Result<(), InitError> {
        let service = Arc::downgrade(service);
        std::thread::Builder::new()
            .name("bsession-sweeper".to_owned())
            .spawn(move || sweep_on(&service, &self.0))
            .map(drop)
            .map_err(InitError::Sweeper)
    }
}

fn sweep_on(service: &Weak<Service>, ends: &Receiver<()>) {
    let mut pause = REST;
    while ends.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(service) = service.upgrade() else {
            return;
        };
        pause = match service.sweep_slice() {
            Ok(swept) if !swept.finished => BREATH,
            // A failure is logged and counted; the next round may fare better.
            Ok(_) | Err(_) => REST,
        };
    }
}

impl Service {
    fn sweep_slice(&self) -> Result<Swept, StoreError> {
        let swept = self
            .store
            .sweep(self.now(), SLICE)
            .inspect_err(|error| self.store_failed(error))?;
        self.counters.swept.add(swept.deleted as u64);
        if swept.deleted > 0 {
            tracing::debug!(target: "bsession", deleted = swept.deleted, "swept");
        }
        Ok(swept)
    }

    /// A whole round. A store that was in the middle of one is finished first, hence two ends.
    pub(super) fn sweep_all(&self) -> Result<usize> {
        let (mut deleted, mut ends) = (0, 0);
        while ends < 2 {
            let swept = self.sweep_slice()?;
            deleted += swept.deleted;
            ends += usize::from(swept.finished);
        }
        Ok(deleted)
    }
}
