//! The neighbours: the other services of this process that keep sessions in its memory.
//!
//! Two services with one secret and one realm accept each other's cookies. If each keeps its sessions in memory, neither finds
//! those of the other, and visitors lose their sessions for no visible reason. The usual cause is a service that is built in the
//! closure of `HttpServer::new`, once for each worker.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use crate::clock::Timestamp;
use crate::record::{Head, Key};
use crate::store::{Answer, Entry, Store};

/// The services that keep sessions in this process. A service that is dropped is no neighbour any more.
static ALL: RwLock<Vec<Neighbour>> = RwLock::new(Vec::new());

struct Neighbour {
    store: Weak<dyn Store>,
    built: &'static Location<'static>,
}

/// The view of one service on its neighbours.
pub(super) struct Neighbours {
    built: &'static Location<'static>,
    /// True if no neighbour is looked at: the sessions are not in this process, or the warning is logged already.
    is_done: AtomicBool,
}

impl Neighbours {
    /// Makes a service with this store, built at this place in the program, a neighbour of the others.
    pub(super) fn new(store: &Arc<dyn Store>, built: &'static Location<'static>) -> Self {
        let is_in_process = store.in_process();
        if is_in_process {
            let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
            all.retain(|other| other.store.strong_count() > 0);
            let store = Arc::downgrade(store);
            all.push(Neighbour { store, built });
        }
        Self {
            built,
            is_done: AtomicBool::new(!is_in_process),
        }
    }

    /// Warns, once, if a neighbour has the session that this service does not have.
    ///
    /// A warning when the service is built would come too early: two services that never see each other's cookies, as those of
    /// two tests, do no harm.
    pub(super) fn look_for(&self, key: Key, now: Timestamp) {
        if self.is_done.load(Ordering::Relaxed) {
            return;
        }
        let Some((head, built)) = find(key, now) else {
            return;
        };
        if self.is_done.swap(true, Ordering::Relaxed) {
            return;
        }
        let hint = if built == self.built {
            "the service was built there more than once, as in the closure of `HttpServer::new`, and each one has other \
             sessions: build it once, before that closure, and give clones of it to the application"
        } else {
            "two services have one secret and one realm, so each takes the cookies of the other for its own, and finds no \
             session: use one service for both, or give each another `cookie_name`"
        };
        tracing::warn!(
            target: "bsession",
            handle = %head.handle,
            user = head.user.map(tracing::field::display),
            built = %self.built,
            other_built = %built,
            hint,
            "session_of_another_service"
        );
    }
}

/// Returns the head of a live session in the memory of this process, and the place where its service was built.
fn find(key: Key, now: Timestamp) -> Option<(Head, &'static Location<'static>)> {
    let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
    if all.len() < 2 {
        return None;
    }
    all.iter().find_map(|neighbour| {
        let store = neighbour.store.upgrade()?;
        match store.load(key) {
            Answer::Now(Ok(Some(Entry::Live(record)))) if record.head.is_live(now) => {
                Some((record.head, neighbour.built))
            }
            _ => None,
        }
    })
}
