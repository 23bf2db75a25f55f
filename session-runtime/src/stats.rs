//! Counters of events.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// Counts of what a service has done in this process since it was built.
        ///
        /// ```
        /// # use bsession::{Mode, Secret, Sessions};
        /// # fn main() -> Result<(), bsession::InitError> {
        /// let sessions = Sessions::builder(Secret::random()?).mode(Mode::Memory).build()?;
        /// assert_eq!(sessions.stats().loads, 0);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Loads of a session from the store.
    loads,
    /// Sessions created.
    creates,
    /// Saves of an existing session, renewals included.
    commits,
    /// Saves that were in conflict with another request's and were applied on top of that one.
    conflicts,
    /// Saves that were dropped because they came after a logout, a renewal or the expiry.
    late,
    /// Touches: visits that changed nothing but the idle expiry.
    touches,
    /// Sessions that got a new id.
    renewals,
    /// Sessions that were ended by a purge, by `revoke` or `revoke_user`, or by `max_per_user`.
    removals,
    /// Logged-in sessions that were evicted before they expired, because there were more than
    /// [`max_sessions`](crate::MemoryStore::max_sessions).
    evicted,
    /// Cookies with the name of the session cookie that hold no token of this service.
    bad_cookies,
    /// Requests that were refused because another site may have sent them.
    cross_site,
    /// Records that could not be opened: sealed with another secret, written by a newer version, or damaged.
    unreadable,
    /// Changes that were dropped because the response was a 5xx or the request did not finish.
    dropped,
    /// Changes that were dropped because the browser withheld the cookie: another site began the request, or it was outside
    /// the cookie's path.
    withheld,
    /// Operations of the store that failed or took too long.
    store_errors,
    /// Records and tombstones that the sweeper deleted.
    swept,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) {
        self.add(1);
    }
}
