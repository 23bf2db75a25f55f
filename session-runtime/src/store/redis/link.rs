//! A runtime's connection to a server: opened when it is needed, and anew when it is lost.
//!
//! Every worker has a runtime of its own, and a connection is driven by the runtime that it was
//! opened on; so each runtime has its own, and no request waits for another worker. All requests of
//! a runtime share it, so there are as many connections to a server as there are workers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::servers::{Connection, Replies, Request, Server};
use crate::random;

/// The pauses between two tries to connect: doubled from the one to the other, and shortened by chance, so that
/// the workers of many hosts do not come all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a connection to a server that takes no writes is kept: a server that was the master a
/// moment ago may be reached under another's name by now, one that never was is not called all the time.
const READ_ONLY_FOR: Duration = Duration::from_secs(1);

/// The connection of one runtime.
pub(super) struct Link {
    server: Arc<Server>,
    /// How long a request waits.
    patience: Duration,
    state: sync::Mutex<State>,
    connecting: Attempt<()>,
}

struct State {
    used: Instant,
    open: Option<Open>,
    outage: Option<Outage>,
}

/// A connection that was opened, and what is known of it.
#[derive(Clone)]
struct Open {
    connection: Connection,
    since: Instant,
    health: Arc<Health>,
}

#[derive(Default)]
struct Health {
    /// How many replies there were.
    replies: AtomicU64,
    lost: AtomicBool,
}

/// Since when no connection could be opened, and when that is tried again.
struct Outage {
    since: Instant,
    tries: u32,
    again: Instant,
    error: RedisError,
}

/// A request that waits for a reply, and tells when it was left without one.
struct Waiting<'h> {
    health: &'h Health,
    since: Instant,
    replies: u64,
    patience: Duration,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            self.health.replies.fetch_add(1, Ordering::Relaxed);
        } else if self.health.replies.load(Ordering::Relaxed) == self.replies
            && self.since.elapsed() >= self.patience / 2
        {
            // Nobody was answered all that time: the other side is not there, whatever TCP says.
            self.health.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Link {
    pub(super) fn to(server: Arc<Server>, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            server,
            patience,
            state: sync::Mutex::new(State {
                used: Instant::now(),
                open: None,
                outage: None,
            }),
            connecting: Attempt::none(),
        })
    }

    /// A poisoned lock guards a whole state: nothing that can panic comes between two changes of it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is to be asked, and waits for the replies, for as long as it is polled. All that is
    /// sent is safe to be sent twice, and it is if the connection turns out to be lost.
    pub(super) async fn ask(self: &Arc<Self>, request: Request<'_>) -> RedisResult<Replies> {
        let mut is_second = false;
        loop {
            let mut open = match self.current() {
                Some(open) => open,
                // Boxed, or every request would have room for what few of them need.
                None => Box::pin(self.open()).await?,
            };
            let health = Arc::clone(&open.health);
            let mut waiting = Waiting {
                health: &health,
                since: Instant::now(),
                replies: health.replies.load(Ordering::Relaxed),
                patience: self.patience,
                is_over: false,
            };
            let (result, was_sent) = send(open.connection.ask(request)).await;
            waiting.is_over = true;
            match result {
                Err(error) if is_lost(&error, &open) => {
                    health.lost.store(true, Ordering::Relaxed);
                    if is_second {
                        return Err(error);
                    }
                    is_second = true;
                    // Nor has a server done it that takes no writes.
                    if was_sent && !is_read_only(&error) {
                        request.again.store(true, Ordering::Relaxed);
                    }
                }
                result => return result,
            }
        }
    }

    /// Whether anybody asked within that time.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        self.state().used.elapsed() < span
    }

    /// The connection, if there is one that is not known to be lost.
    fn current(&self) -> Option<Open> {
        let mut state = self.state();
        state.used = Instant::now();
        let open = state.open.as_ref()?;
        (!open.health.lost.load(Ordering::Relaxed)).then(|| open.clone())
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// Why there is none, if that has been so for longer than anybody waits and it is not yet time to
    /// try again. Whoever comes early in an outage waits for its end, which may be near.
    async fn open(self: &Arc<Self>) -> RedisResult<Open> {
        loop {
            if let Some(open) = self.current() {
                return Ok(open);
            }
            let now = Instant::now();
            if let Some(outage) = &self.state().outage
                && now < outage.again
                && now - outage.since >= self.patience
            {
                return Err(outage.error.clone());
            }
            let link = Arc::clone(self);
            let connect = || async move { link.connect().await };
            self.connecting.join(connect).await;
        }
    }

    /// Connects when it is time, unless somebody else has.
    async fn connect(&self) {
        let again = self.state().outage.as_ref().map(|outage| outage.again);
        if let Some(again) = again {
            tokio::time::sleep_until(again).await;
        }
        if self.current().is_some() {
            return;
        }
        let begin = Instant::now();
        // Shorter than anybody waits, so that an attempt that hangs has an end that is seen.
        let limit = self.patience / 4 * 3;
        let attempt = tokio::time::timeout(limit, self.server.connect(limit));
        let silence = |elapsed| Err(std::io::Error::from(elapsed).into());
        match attempt.await.unwrap_or_else(silence) {
            Ok(connection) => self.opened(connection),
            Err(error) => self.failed(error, begin),
        }
    }

    fn opened(&self, connection: Connection) {
        let mut state = self.state();
        if state.outage.take().is_some() {
            tracing::info!(target: "bsession", "store_reachable_again");
        }
        state.open = Some(Open {
            connection,
            since: Instant::now(),
            health: Arc::default(),
        });
    }

    fn failed(&self, error: RedisError, begin: Instant) {
        let mut state = self.state();
        state.open = None;
        let (since, tries) = match &state.outage {
            Some(outage) => (outage.since, outage.tries + 1),
            None => {
                tracing::warn!(target: "bsession", %error, "store_unreachable");
                (begin, 0)
            }
        };
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(tries)).min(LONGEST_PAUSE);
        let chance = u32::from(random::bytes_or_time()[0]);
        state.outage = Some(Outage {
            since,
            tries,
            again: Instant::now() + pause / 2 + pause * chance / 512,
            error,
        });
    }
}

/// Sends something, and tells whether it was sent: a connection that is known to be closed says so before
/// it takes anything.
async fn send<T>(asked: impl Future<Output = T>) -> (T, bool) {
    let mut asked = pin!(asked);
    match poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await {
        Poll::Ready(result) => (result, false),
        Poll::Pending => (asked.await, true),
    }
}

fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn is_lost(error: &RedisError, open: &Open) -> bool {
    error.kind() == ErrorKind::Io
        || error.is_unrecoverable_error()
        || (is_read_only(error) && open.since.elapsed() >= READ_ONLY_FOR)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::io;

    use super::*;

    /// Longer than any machine is held up.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A link to where nobody listens, after a failure of an attempt that was begun so long ago.
    fn failed(since: Duration) -> Arc<Link> {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let link = Link::to(Arc::new(Server::At(client)), PATIENCE);
        link.failed(silence(), Instant::now() - since);
        link
    }

    fn silence() -> RedisError {
        io::Error::from(io::ErrorKind::TimedOut).into()
    }

    fn again(link: &Link) -> Instant {
        link.state().outage.as_ref().unwrap().again
    }

    #[test]
    fn a_connection_is_given_up_if_nobody_was_answered_for_long() {
        let is_given_up = |waited: Duration, answered: u64, is_over: bool| {
            let health = Health::default();
            let waiting = Waiting {
                health: &health,
                since: Instant::now() - waited,
                replies: 0,
                patience: PATIENCE,
                is_over,
            };
            health.replies.store(answered, Ordering::Relaxed);
            drop(waiting);
            health.lost.into_inner()
        };
        assert!(is_given_up(PATIENCE, 0, false));
        assert!(!is_given_up(PATIENCE, 1, false), "somebody was");
        assert!(!is_given_up(PATIENCE, 0, true), "this one was");
        let soon = Duration::ZERO;
        assert!(!is_given_up(soon, 0, false), "the client hung up");
    }

    #[actix_web::test]
    async fn whoever_comes_early_waits_and_later_ones_are_refused_until_it_is_time() {
        let link = failed(Duration::ZERO);
        let mut early = pin!(link.open());
        let polled = poll_fn(|context| Poll::Ready(early.as_mut().poll(context))).await;
        assert!(polled.is_pending());

        let link = failed(PATIENCE);
        let far = Instant::now() + PATIENCE;
        link.state().outage.as_mut().unwrap().again = far;
        let error = link.open().await.map(drop).unwrap_err();
        assert!(error.is_timeout(), "the one that there was: {error}");
        assert_eq!(again(&link), far, "and nobody tried");

        link.state().outage.as_mut().unwrap().again = Instant::now();
        let error = link.open().await.map(drop).unwrap_err();
        assert!(error.is_connection_refusal(), "a new one: {error}");
    }

    #[test]
    fn pauses_grow_up_to_a_second() {
        let link = failed(Duration::ZERO);
        assert!(again(&link) <= Instant::now() + FIRST_PAUSE);
        for tries in 1..100 {
            let before = Instant::now();
            link.failed(silence(), before);
            let again = again(&link);
            assert!(again <= Instant::now() + LONGEST_PAUSE, "{tries}");
            let is_short = again < before + LONGEST_PAUSE / 2;
            assert!(tries < 6 || !is_short, "{tries}");
        }
    }

    #[actix_web::test]
    async fn what_is_answered_before_anybody_waits_was_not_sent() {
        assert_eq!(send(std::future::ready(1)).await, (1, false));
        assert_eq!(send(tokio::task::yield_now()).await, ((), true));
    }
}
