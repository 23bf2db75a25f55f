//! Counters of what happened.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// What a service did since it was built, in this process.
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
    /// Sessions asked of the store.
    loads,
    /// Sessions created.
    creates,
    /// Saves of a session that was there, renewals among them.
    commits,
    /// Saves that met another one and were put on top of it.
    conflicts,
    /// Saves that came after a logout, a renewal or the expiry, and were dropped.
    late,
    /// Touches: visits that moved the idle expiry and nothing else.
    touches,
    /// Sessions given a new id.
    renewals,
    /// Sessions removed by a purge or from outside.
    removals,
    /// Cookies of our name that were none of our tokens.
    bad_cookies,
    /// Requests refused because another site may have sent them.
    cross_site,
    /// Records that did not open: of another secret, a newer version, or not whole.
    unreadable,
    /// Changes dropped because the response was a 5xx or the request did not end.
    dropped,
    /// Operations in which the store failed or was too slow.
    store_errors,
    /// Records and tombstones removed by the sweeper.
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
