//! The sweeper: a thread that deletes expired sessions and tombstones, a slice at a time.

use std::pin::pin;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};

use super::service::Service;
use crate::clock::Timestamp;
use crate::error::{InitError, Result};
use crate::record::TOMBSTONE;
use crate::store::{StoreError, Swept};

/// The number of records in a slice: about 3 ms on a disk, at 6 µs each, and less in memory.
const SLICE: usize = 500;
/// The time for a slice, as a multiple of `store_timeout`. It may be long, because no request waits for it.
const PATIENCE: u32 = 10;
/// The pause between two slices of one round.
const SLICE_PAUSE: Duration = Duration::from_millis(50);
/// The pause between two rounds.
const ROUND_PAUSE: Duration = Duration::from_secs(60);
/// The pause before the first round. A machine whose clock is wrong at its start corrects it meanwhile.
const FIRST_PAUSE: Duration = Duration::from_secs(120);
/// The time for which a clock that has jumped must run steadily before it is trusted. A clock also jumps when a
/// machine has slept.
const PROBATION: Duration = Duration::from_secs(60 * 60);

/// The service's hold on the thread. The thread ends when this is dropped.
pub(super) struct Sweeper {
    _alive: Sender<()>,
}

/// The thread before it runs. It starts later because it needs the finished service.
pub(super) struct SweeperThread(Receiver<()>);

impl Sweeper {
    pub(super) fn new() -> (Self, SweeperThread) {
        let (alive, ends) = mpsc::channel();
        (Self { _alive: alive }, SweeperThread(ends))
    }
}

impl SweeperThread {
    /// Starts the thread. It is a thread and not a task, because it may block and belongs to no worker's runtime. It
    /// holds the service weakly, so that it does not keep the service alive.
    pub(super) fn start(self, service: &Arc<Service>) -> Result<(), InitError> {
        let clock = SteadyClock::new(service.storage.now(), Instant::now());
        let runtime = runtime().map_err(InitError::Sweeper)?;
        let service = Arc::downgrade(service);
        std::thread::Builder::new()
            .name("bsession-sweeper".to_owned())
            .spawn(move || sweep_on(&service, &runtime, clock, &self.0))
            .map(drop)
            .map_err(InitError::Sweeper)
    }
}

fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

fn sweep_on(
    service: &Weak<Service>,
    runtime: &Runtime,
    mut clock: SteadyClock,
    ends: &Receiver<()>,
) {
    let mut pause = FIRST_PAUSE;
    while ends.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(service) = service.upgrade() else {
            return;
        };
        let now = clock.at(service.storage.now(), Instant::now());
        pause = match runtime.block_on(service.sweep_slice(now)) {
            Ok(swept) => {
                service.swept(swept.deleted);
                if swept.next.is_some() {
                    SLICE_PAUSE
                } else {
                    ROUND_PAUSE
                }
            }
            // The error is logged and counted. The next round may succeed.
            Err(_) => ROUND_PAUSE,
        };
    }
}

/// The clock by which sessions are deleted. If the wall clock of one process jumps ahead, that process must not
/// delete sessions that all the others still use. So this clock continues at the pace of the monotonic clock until
/// the jump has lasted for [`PROBATION`].
struct SteadyClock {
    /// A moment by both clocks, at which they agreed.
    anchor: (Timestamp, Instant),
    /// The jump, if there was one: the monotonic time at which it was noticed, and the wall clock's time then.
    jumped: Option<(Instant, Timestamp)>,
}

impl SteadyClock {
    fn new(wall: Timestamp, monotonic: Instant) -> Self {
        Self {
            anchor: (wall, monotonic),
            jumped: None,
        }
    }

    /// The time at this moment: the wall clock's, if it can be trusted.
    fn at(&mut self, wall: Timestamp, monotonic: Instant) -> Timestamp {
        let (then, begin) = self.anchor;
        let steady = then + (monotonic - begin);
        if steady.apart(wall) < TOMBSTONE {
            // They agree, or drift slowly apart, as the clock does while it is being adjusted.
            *self = Self::new(wall, monotonic);
            return wall;
        }
        let goes_on = |(since, from): (Instant, Timestamp)| {
            (from + (monotonic - since)).apart(wall) < TOMBSTONE
        };
        match self.jumped.filter(|jump| goes_on(*jump)) {
            Some((since, _)) if monotonic - since >= PROBATION => {
                *self = Self::new(wall, monotonic);
                return wall;
            }
            Some(_) => {}
            None => {
                self.jumped = Some((monotonic, wall));
                tracing::warn!(
                    target: "bsession",
                    seconds = steady.apart(wall).as_secs(),
                    ahead = wall > steady,
                    hint = "correct the clock of this machine; if it has only slept, sweeping goes on in an hour",
                    "clock_jumped"
                );
            }
        }
        steady.min(wall)
    }
}

impl Service {
    async fn sweep_slice(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut deadline = self.storage.deadline_after(self.storage.timeout * PATIENCE);
        deadline
            .wait(pin!(self.storage.ledger.sweep(now, SLICE)))
            .await
    }

    fn swept(&self, deleted: usize) {
        self.storage.counters.swept.add(deleted as u64);
        if deleted > 0 {
            tracing::debug!(target: "bsession", deleted, "swept");
        }
    }

    /// Sweeps a whole round. The store may be in the middle of a round. It is finished first, hence two ends.
    pub(super) fn sweep_all(&self) -> Result<usize> {
        let round = async {
            let (mut deleted, mut ends) = (0, 0);
            while ends < 2 {
                let swept = self.sweep_slice(self.storage.now()).await?;
                deleted += swept.deleted;
                ends += usize::from(swept.next.is_none());
            }
            Ok(deleted)
        };
        // On a separate thread: the caller may be inside a runtime, and `block_on` panics there.
        let swept = std::thread::scope(|scope| {
            let thread = scope.spawn(|| runtime().map_err(StoreError::Io)?.block_on(round));
            thread.join().unwrap_or(Err(StoreError::Stopped))
        });
        let deleted = swept?;
        self.swept(deleted);
        Ok(deleted)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_clock_that_agrees_is_believed() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        for minutes in 0..100_u32 {
            // A clock that gains a second a minute is being adjusted, and is not wrong.
            let passed = MINUTE * minutes;
            let wall = NOW + passed + Duration::from_secs(minutes.into());
            assert_eq!(clock.at(wall, begin + passed), wall);
        }
    }

    #[test]
    fn a_clock_that_jumped_ahead_is_believed_when_it_has_gone_on_for_an_hour() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        for minutes in 1..=60 {
            let passed = MINUTE * minutes;
            assert_eq!(clock.at(NOW + MONTH + passed, begin + passed), NOW + passed);
        }
        let passed = MINUTE * 61;
        let wall = NOW + MONTH + passed;
        assert_eq!(clock.at(wall, begin + passed), wall);
    }

    #[test]
    fn a_clock_that_is_corrected_is_believed_at_once() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        let wrong = clock.at(NOW + MONTH + MINUTE, begin + MINUTE);
        assert_eq!(wrong, NOW + MINUTE);
        let right = NOW + MINUTE * 2;
        assert_eq!(clock.at(right, begin + MINUTE * 2), right);
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_is_not_believed() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW, begin);
        for minutes in 1..=120 {
            let passed = MINUTE * minutes;
            let wall = NOW + MONTH * minutes;
            assert_eq!(clock.at(wall, begin + passed), NOW + passed);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_deletes_nothing_that_lives_by_it() {
        let begin = Instant::now();
        let mut clock = SteadyClock::new(NOW + MONTH, begin);
        assert_eq!(clock.at(NOW + MINUTE, begin + MINUTE), NOW + MINUTE);
    }

    /// One of several processes that share a directory has a wrong clock. All the others have the right time.
    #[test]
    fn a_process_whose_clock_jumps_ahead_deletes_nobodys_files() {
        use crate::clock::Clock;
        use crate::service::Sessions;
        use crate::store::file::FileStore;

        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let files = FileStore::at(dir.path().join("sessions"));
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef").mode(files);
        let sessions = builder.clock(clock.clone()).build().unwrap();
        let service = &*sessions.0;
        let runtime = runtime().unwrap();
        let made = runtime.block_on(sessions.cookie_for(|session| session.login("joe")));
        made.unwrap();
        let begin = Instant::now();
        let mut steady = SteadyClock::new(service.storage.now(), begin);
        let mut round = |passed: Duration| {
            let now = steady.at(service.storage.now(), begin + passed);
            let mut deleted = 0;
            loop {
                let swept = runtime.block_on(service.sweep_slice(now)).unwrap();
                deleted += swept.deleted;
                if swept.next.is_none() {
                    return deleted;
                }
            }
        };
        clock.advance(2 * MONTH);
        assert_eq!(round(MINUTE), 0);
        let listed = runtime.block_on(sessions.of_user("joe")).unwrap();
        assert_eq!(listed.len(), 0, "to this process it has expired");
        clock.rewind(2 * MONTH);
        let listed = runtime.block_on(sessions.of_user("joe")).unwrap();
        assert_eq!(listed.len(), 1, "and to the others not");
        // A machine that has slept this long shows the same time an hour later.
        clock.advance(2 * MONTH);
        assert_eq!(round(2 * MINUTE), 0);
        clock.advance(61 * MINUTE);
        assert_eq!(round(63 * MINUTE), 1);
    }
}
