//! The store as the service uses it: with a clock, a deadline and counters.

use std::sync::Arc;
use std::time::Duration;

use super::deadline::Deadline;
use crate::clock::{Clock, Timestamp};
use crate::one_line::OneLine;
use crate::stats::Counters;
use crate::store::{Ledger, StoreError};

/// The ledger over the store, with the service's clock, counters and timeout.
pub(crate) struct Storage {
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    /// The longest wait of a request for the store.
    pub(super) timeout: Duration,
}

impl Storage {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The deadline of a request that starts to wait now.
    pub(super) fn deadline(&self) -> Deadline<'_> {
        self.deadline_after(self.timeout)
    }

    pub(super) fn deadline_after(&self, span: Duration) -> Deadline<'_> {
        Deadline::new(self, span)
    }

    /// Counts and logs an error of the store.
    pub(super) fn failed(&self, error: &StoreError) {
        self.counters.store_errors.count();
        tracing::error!(target: "bsession", error = %OneLine(&error), "store_failed");
    }
}
