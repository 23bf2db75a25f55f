//! The settings of memory mode.

use std::sync::Arc;

use super::open::OpenMemory;
use crate::error::InitError;
use crate::stats::Counters;

/// The settings of memory mode: sessions are kept in the memory of this process and end with it.
///
/// ```
/// # use bsession::{MemoryStore, Secret, Sessions};
/// # fn main() -> Result<(), bsession::InitError> {
/// let sessions = Sessions::builder(Secret::random()?)
///     .mode(MemoryStore::new().max_sessions(100_000))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until a service is built with them"]
pub struct MemoryStore {
    max_sessions: Option<usize>,
}

impl MemoryStore {
    /// The default settings.
    pub const fn new() -> Self {
        Self { max_sessions: None }
    }

    /// Sets how many sessions the store keeps. Default: no limit.
    ///
    /// A full store refuses nobody. For each new session it drops another one, the first of these that there is:
    ///
    /// 1. a session that has expired;
    /// 2. the oldest session, by its creation, of the user with the most sessions, if that user has more than ten;
    /// 3. the anonymous session that expires first;
    /// 4. the logged-in session that expires first.
    ///
    /// Usually the session that expires first is the one that was not visited for the longest time. The visitor of a
    /// dropped session has no session at the next request.
    ///
    /// A logged-in session that is dropped before it expires is counted in [`Stats::evicted`](crate::Stats::evicted)
    /// and logged as `evicted`. Then raise the limit, or set [`max_per_user`](crate::Builder::max_per_user).
    ///
    /// While several sessions are created at the same moment, the store holds a few more than `count`.
    ///
    /// The store also remembers for ten minutes that a session has ended, or has moved to another id by a login or
    /// a renewal. Each of these takes some 200 bytes and does not count. If anybody may create and end sessions,
    /// limit the rate of requests in the proxy in front.
    pub const fn max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = Some(count);
        self
    }

    /// Opens a store with these settings, which counts what it evicts in `counters`.
    ///
    /// # Errors
    /// A limit of zero.
    pub(crate) fn open(&self, counters: &Arc<Counters>) -> Result<OpenMemory, InitError> {
        if self.max_sessions == Some(0) {
            let text = "`max_sessions(0)` leaves no room for a session: leave it out for no limit";
            return Err(InitError::Setting(text.to_owned()));
        }
        Ok(OpenMemory::new(self.max_sessions, Arc::clone(counters)))
    }
}
