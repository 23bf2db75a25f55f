//! The link of a runtime to a server: a connection that is opened when it is needed, and again when it is lost.
//!
//! Every worker has its own runtime, and the runtime on which a connection was opened drives it. So each runtime
//! has its own connection, and no request waits for another worker. All requests of a runtime share the
//! connection, so a server has as many connections as there are workers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::connection::{Command, RedisConnection, Replies};
use super::failure::failed;
use super::servers::Server;
use crate::backoff::Backoff;
use crate::one_line::OneLine;
use crate::random;

/// The pauses between two attempts to connect. Each is twice as long as the one before, and shortened by a random
/// part, so that the workers of many hosts do not all connect at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The time for which a connection is kept although the server takes no writes.
///
/// A server that was the master a moment ago may have been replaced by another one under the same name, so it
/// helps to connect again. A server that was never the master must not get new connections all the time.
const READ_ONLY_FOR: Duration = Duration::from_secs(1);

/// The connection of one runtime to one server.
pub(super) struct Link {
    server: Arc<Server>,
    /// The time that a request waits.
    patience: Duration,
    state: sync::Mutex<LinkState>,
    connecting: Attempt<()>,
}

struct LinkState {
    /// The time of the last command.
    used: Instant,
    open: Option<OpenConnection>,
    outage: Option<Outage>,
}

/// An open connection, and its health.
#[derive(Clone)]
struct OpenConnection {
    connection: RedisConnection,
    since: Instant,
    health: Arc<Health>,
}

/// The health of a connection.
#[derive(Default)]
struct Health {
    /// The number of replies so far.
    replies: AtomicU64,
    lost: AtomicBool,
}

/// A time in which no connection can be opened.
struct Outage {
    since: Instant,
    backoff: Backoff,
    /// The time of the next attempt.
    retry_at: Instant,
    /// The error of the last attempt.
    error: RedisError,
}

/// A command whose reply is awaited. If it is dropped without a reply, the connection may be lost.
struct PendingReply<'h> {
    health: &'h Health,
    since: Instant,
    /// The number of replies when the command was sent.
    replies: u64,
    patience: Duration,
    is_over: bool,
}

impl Drop for PendingReply<'_> {
    fn drop(&mut self) {
        if self.is_over {
            self.health.replies.fetch_add(1, Ordering::Relaxed);
        } else if self.health.replies.load(Ordering::Relaxed) == self.replies
            && self.since.elapsed() >= self.patience / 2
        {
            // No command was answered all that time: the other side is gone, whatever TCP says.
            self.health.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Link {
    pub(super) fn to(server: Arc<Server>, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            server,
            patience,
            state: sync::Mutex::new(LinkState {
                used: Instant::now(),
                open: None,
                outage: None,
            }),
            connecting: Attempt::none(),
        })
    }

    /// Locks the state. A poisoned lock does no harm: no panic leaves the state half changed.
    fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command, and waits for the replies for as long as the caller polls.
    ///
    /// If the connection turns out to be lost, the command is sent a second time, so it must be safe to do it
    /// twice.
    pub(super) async fn ask(self: &Arc<Self>, command: Command<'_>) -> RedisResult<Replies> {
        let mut is_second = false;
        loop {
            let mut open = match self.current() {
                Some(open) => open,
                // Boxed, because few commands get here. Otherwise the future of every command would be as large.
                None => Box::pin(self.open()).await?,
            };
            let health = Arc::clone(&open.health);
            let mut pending = PendingReply {
                health: &health,
                since: Instant::now(),
                replies: health.replies.load(Ordering::Relaxed),
                patience: self.patience,
                is_over: false,
            };
            let (result, was_sent) = send(open.connection.ask(command)).await;
            pending.is_over = true;
            match result {
                Err(error) if is_lost(&error, &open) => {
                    health.lost.store(true, Ordering::Relaxed);
                    if is_second {
                        return Err(error);
                    }
                    is_second = true;
                    // A server that takes no writes has not done it either.
                    if was_sent && !is_read_only(&error) {
                        command.resent.store(true, Ordering::Relaxed);
                    }
                }
                result => return result,
            }
        }
    }

    /// Returns the error of the last attempt to connect, if there is an outage and the attempt was not long ago.
    pub(super) fn outage(&self) -> Option<RedisError> {
        let state = self.state();
        let outage = state.outage.as_ref()?;
        // Nobody may have needed this server since then, and it may be well again.
        (Instant::now() < outage.retry_at + self.patience).then(|| outage.error.clone())
    }

    /// True if a command was sent within the last `span`.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        self.state().used.elapsed() < span
    }

    /// Returns the connection, if there is one that is not known to be lost.
    fn current(&self) -> Option<OpenConnection> {
        let mut state = self.state();
        state.used = Instant::now();
        let open = state.open.as_ref()?;
        (!open.health.lost.load(Ordering::Relaxed)).then(|| open.clone())
    }

    /// Waits for a connection.
    ///
    /// Early in an outage a request waits, because the end may be near.
    ///
    /// # Errors
    /// The error of the last attempt, if the outage has lasted for longer than a request waits, and the time for the
    /// next attempt has not come yet.
    async fn open(self: &Arc<Self>) -> RedisResult<OpenConnection> {
        loop {
            if let Some(open) = self.current() {
                return Ok(open);
            }
            let now = Instant::now();
            if let Some(outage) = &self.state().outage
                && now < outage.retry_at
                && now - outage.since >= self.patience
            {
                return Err(outage.error.clone());
            }
            let link = Arc::clone(self);
            let connect = || async move { link.connect().await };
            self.connecting.join(connect).await;
        }
    }

    /// Connects when the time for it has come, unless there is a connection by then.
    async fn connect(&self) {
        let retry_at = self.state().outage.as_ref().map(|outage| outage.retry_at);
        if let Some(retry_at) = retry_at {
            tokio::time::sleep_until(retry_at).await;
        }
        if self.current().is_some() {
            return;
        }
        let begin = Instant::now();
        // Shorter than a request waits, so that requests still see the end of an attempt that hangs.
        let limit = self.patience / 4 * 3;
        match self.server.connect(limit).await {
            Ok(connection) => self.opened(connection),
            Err(error) => self.failed(error, begin),
        }
    }

    fn opened(&self, connection: RedisConnection) {
        let mut state = self.state();
        if state.outage.take().is_some() {
            tracing::info!(target: "bsession", "store_reachable_again");
        }
        state.open = Some(OpenConnection {
            connection,
            since: Instant::now(),
            health: Arc::default(),
        });
    }

    fn failed(&self, error: RedisError, begin: Instant) {
        let mut state = self.state();
        state.open = None;
        let (since, mut backoff) = match &state.outage {
            Some(outage) => (outage.since, outage.backoff),
            None => {
                let error = failed(error.clone());
                tracing::warn!(target: "bsession", error = %OneLine(&error), "store_unreachable");
                (begin, Backoff::new(FIRST_PAUSE, LONGEST_PAUSE))
            }
        };
        let pause = backoff.next();
        let chance = u32::from(random::bytes_or_time()[0]);
        state.outage = Some(Outage {
            since,
            backoff,
            retry_at: Instant::now() + pause / 2 + pause * chance / 512,
            error,
        });
    }
}

/// Waits for a command. Returns its result, and whether it was sent.
///
/// A connection that is known to be closed refuses a command at the first poll, before it takes anything.
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

fn is_lost(error: &RedisError, open: &OpenConnection) -> bool {
    error.kind() == ErrorKind::Io
        || error.is_unrecoverable_error()
        || (is_read_only(error) && open.since.elapsed() >= READ_ONLY_FOR)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::io;

    use super::*;

    /// Longer than any delay of the machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Makes a link to a port where nobody listens. Its first attempt began so long ago, and failed.
    fn failed(since: Duration) -> Arc<Link> {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let link = Link::to(Arc::new(Server::At(client)), PATIENCE);
        link.failed(silence(), Instant::now() - since);
        link
    }

    fn silence() -> RedisError {
        io::Error::from(io::ErrorKind::TimedOut).into()
    }

    fn retry_at(link: &Link) -> Instant {
        link.state().outage.as_ref().unwrap().retry_at
    }

    #[test]
    fn a_connection_is_given_up_if_nobody_was_answered_for_long() {
        let is_given_up = |waited: Duration, answered: u64, is_over: bool| {
            let health = Health::default();
            let pending = PendingReply {
                health: &health,
                since: Instant::now() - waited,
                replies: 0,
                patience: PATIENCE,
                is_over,
            };
            health.replies.store(answered, Ordering::Relaxed);
            drop(pending);
            health.lost.into_inner()
        };
        assert!(is_given_up(PATIENCE, 0, false));
        assert!(!is_given_up(PATIENCE, 1, false), "another one was answered");
        assert!(!is_given_up(PATIENCE, 0, true), "this one was answered");
        let soon = Duration::ZERO;
        assert!(!is_given_up(soon, 0, false), "the client hung up");
    }

    #[actix_web::test]
    async fn early_requests_wait_and_later_ones_are_refused_until_the_next_attempt() {
        let link = failed(Duration::ZERO);
        let mut early = pin!(link.open());
        let polled = poll_fn(|context| Poll::Ready(early.as_mut().poll(context))).await;
        assert!(polled.is_pending());

        let link = failed(PATIENCE);
        let far = Instant::now() + PATIENCE;
        link.state().outage.as_mut().unwrap().retry_at = far;
        let error = link.open().await.map(drop).unwrap_err();
        assert!(error.is_timeout(), "the known error: {error}");
        assert_eq!(retry_at(&link), far, "and nobody tried");

        link.state().outage.as_mut().unwrap().retry_at = Instant::now();
        let error = link.open().await.map(drop).unwrap_err();
        assert!(error.is_connection_refusal(), "a new error: {error}");
    }

    #[test]
    fn pauses_grow_up_to_a_second() {
        let link = failed(Duration::ZERO);
        assert!(retry_at(&link) <= Instant::now() + FIRST_PAUSE);
        for tries in 1..100 {
            let before = Instant::now();
            link.failed(silence(), before);
            let retry_at = retry_at(&link);
            assert!(retry_at <= Instant::now() + LONGEST_PAUSE, "{tries}");
            let is_short = retry_at < before + LONGEST_PAUSE / 2;
            assert!(tries < 6 || !is_short, "{tries}");
        }
    }

    #[actix_web::test]
    async fn a_command_that_ends_at_its_first_poll_was_not_sent() {
        assert_eq!(send(std::future::ready(1)).await, (1, false));
        assert_eq!(send(tokio::task::yield_now()).await, ((), true));
    }
}
