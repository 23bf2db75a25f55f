//! Locks: the requests that use a session one after the other, and the queue in which they wait.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Semaphore;

use super::service::Service;
use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::record::Key;
use crate::store::Lease;

/// The longest queue for one session: ten times the number of requests that a browser sends at once.
pub(super) const LONGEST_QUEUE: usize = 64;

/// The first wait for another process: the shortest time that a timer can measure.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest wait for another process. A waiting request must ask often enough not to starve.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// The queues of this process, one for each session that is locked.
pub(super) struct Locks {
    longest: usize,
    queues: sync::Mutex<HashMap<Key, Queue, RandomState>>,
}

struct Queue {
    /// A permit that goes to the waiting requests in the order in which they came.
    turn: Arc<Semaphore>,
    /// The number of requests that have the turn or wait for it. The queue is removed with the last of them.
    places: usize,
}

/// A request's place in a queue.
struct QueuePlace {
    locks: Arc<Locks>,
    key: Key,
}

/// A request's turn. While it exists, no other request has the lock of the session. The order of the fields
/// matters: the lock is given back first to other processes, then to the next request here, then the place goes.
pub(crate) struct Turn {
    _lease: Lease,
    _permit: Permit,
    _place: QueuePlace,
}

/// Gives the turn back to the queue when it is dropped. Not a guard from tokio: clippy warns about a guard that is
/// kept to the end of a scope, and a handler's connection contains this.
struct Permit(Arc<Semaphore>);

impl Permit {
    async fn take(turn: Arc<Semaphore>) -> Option<Self> {
        turn.acquire().await.ok()?.forget();
        Some(Self(turn))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Locks {
    /// Makes queues in which at most `longest` requests wait.
    pub(super) fn new(longest: usize) -> Arc<Self> {
        Arc::new(Self {
            longest,
            queues: sync::Mutex::default(),
        })
    }

    /// The map of queues. A poisoned lock still guards a consistent map: nothing that can panic runs between two
    /// related changes of it.
    fn queues(&self) -> MutexGuard<'_, HashMap<Key, Queue, RandomState>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn among the requests of this process.
    ///
    /// After a conflict, requests save in turns: if all retried at once, one would succeed and the rest would conflict
    /// again.
    pub(super) async fn turn(self: &Arc<Self>, key: Key) -> Result<Turn> {
        let (place, turn) = self.enter(key)?;
        // Nobody closes the semaphore.
        let permit = Permit::take(turn).await.ok_or(Error::Locked)?;
        Ok(Turn {
            _lease: Lease::default(),
            _permit: permit,
            _place: place,
        })
    }

    /// Takes the last place in the queue of a session.
    fn enter(self: &Arc<Self>, key: Key) -> Result<(QueuePlace, Arc<Semaphore>)> {
        let mut queues = self.queues();
        let queue = queues.entry(key).or_insert_with(|| Queue {
            turn: Arc::new(Semaphore::new(1)),
            places: 0,
        });
        if queue.places > self.longest {
            return Err(Error::LockQueueFull);
        }
        queue.places += 1;
        let locks = Arc::clone(self);
        Ok((QueuePlace { locks, key }, Arc::clone(&queue.turn)))
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut queues = self.locks.queues();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

impl Service {
    /// Waits for the lock of a session. It has no time limit: the caller stops the wait by dropping it.
    pub(crate) async fn lock(&self, key: Key) -> Result<Turn> {
        let turn = self.locks.turn(key).await?;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let asked = self.storage.ledger.lock(key, self.storage.now());
            if let Some(lease) = self.storage.deadline().wait(pin!(asked)).await? {
                return Ok(Turn {
                    _lease: lease,
                    ..turn
                });
            }
            backoff.wait().await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::service::Sessions;

    const ONE: Key = Key([1; 16]);
    const TWO: Key = Key([2; 16]);

    fn sessions() -> Sessions {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef");
        builder.build().unwrap()
    }

    fn poll(waiting: Pin<&mut impl Future<Output = Result<Turn>>>) -> Option<Result<Turn>> {
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn at_once(service: &Service, key: Key) -> Turn {
        poll(pin!(service.lock(key))).unwrap().unwrap()
    }

    #[test]
    fn whoever_came_first_is_next() {
        let Sessions(service) = sessions();
        let first = at_once(&service, ONE);
        let (mut second, mut third) = (pin!(service.lock(ONE)), pin!(service.lock(ONE)));
        assert!(poll(second.as_mut()).is_none() && poll(third.as_mut()).is_none());
        drop(first);
        assert!(poll(third.as_mut()).is_none());
        let second = poll(second).unwrap();
        assert!(poll(third.as_mut()).is_none());
        drop(second);
        poll(third).unwrap().unwrap();
    }

    #[test]
    fn sessions_do_not_wait_for_each_other() {
        let Sessions(service) = sessions();
        let _one = at_once(&service, ONE);
        at_once(&service, TWO);
    }

    #[test]
    fn a_queue_is_bounded_and_whoever_leaves_it_makes_room() {
        let Sessions(service) = sessions();
        let first = at_once(&service, ONE);
        let mut queue: Vec<_> = (0..LONGEST_QUEUE)
            .map(|_| Box::pin(service.lock(ONE)))
            .collect();
        assert!(queue.iter_mut().all(|place| poll(place.as_mut()).is_none()));
        let refused = poll(pin!(service.lock(ONE)));
        assert!(matches!(refused, Some(Err(Error::LockQueueFull))));
        let text = Error::LockQueueFull.to_string();
        assert!(text.starts_with(&LONGEST_QUEUE.to_string()), "{text}");
        drop(queue.pop());
        let mut last = pin!(service.lock(ONE));
        assert!(poll(last.as_mut()).is_none());
        drop((first, queue));
        poll(last).unwrap().unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_queue_in_which_nobody_is() {
        let Sessions(service) = sessions();
        let first = at_once(&service, ONE);
        let mut second = Box::pin(service.lock(ONE));
        assert!(poll(second.as_mut()).is_none());
        drop(first);
        assert_eq!(service.locks.queues().len(), 1, "somebody waits");
        drop(second);
        assert!(service.locks.queues().is_empty());
    }
}
