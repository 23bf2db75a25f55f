//! The server processes: started, killed and stopped by their own handles.

use std::io::{BufRead, BufReader, Result};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::tally::{self, Counts};
use crate::watch::Health;

/// Makes this program a server; the value is the name of a [`Place`].
pub(crate) const SERVE: &str = "BSESSION_SOAK_SERVE";

struct Server {
    child: Child,
    life: Life,
    _stdin: ChildStdin,
}

impl Server {
    fn start(number: u64, place: &str, lease: Duration) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(SERVE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("a server without pipes"));
        };
        let address = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serving at ")?.parse().ok())
            .ok_or(std::io::Error::other("a server that does not start"))?;
        Ok(Self {
            child,
            life: Life::new(number, address, lease),
            _stdin: stdin,
        })
    }
}

impl Drop for Server {
    /// `kill -9`: nothing in a server may count on an orderly end.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.life.killed.set(Instant::now());
    }
}

/// How long after its answer a request's lock may not be given back yet.
const GIVING_BACK: Duration = Duration::from_secs(1);

/// One life of a server: a port may come again, its life does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    number: u64,
    pub(crate) address: SocketAddr,
    /// How long a lock may outlive it.
    lease: Duration,
    killed: Arc<OnceLock<Instant>>,
}

impl Life {
    pub(crate) fn new(number: u64, address: SocketAddr, lease: Duration) -> Self {
        Self {
            number,
            address,
            lease,
            killed: Arc::default(),
        }
    }

    /// Whether the lock of a request that was answered then, if ever, may have outlived the server
    /// and be there until this moment.
    pub(crate) fn may_leave_a_lock(&self, answered: Option<Instant>, until: Instant) -> bool {
        self.killed.get().is_some_and(|&killed| {
            until <= killed + self.lease && answered.is_none_or(|at| killed < at + GIVING_BACK)
        })
    }

    #[cfg(test)]
    pub(crate) fn killed_at(self, moment: Instant) -> Self {
        self.killed.set(moment).expect("a server is killed once");
        self
    }
}

/// The server at each place; none, while it is being killed.
pub(crate) struct Lives(RwLock<Vec<Option<Life>>>);

impl Lives {
    pub(crate) fn all(&self) -> Vec<Life> {
        let lives = self.0.read().unwrap_or_else(PoisonError::into_inner);
        lives.iter().flatten().cloned().collect()
    }

    fn set(&self, place: usize, life: Option<Life>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner)[place] = life;
    }
}

pub(crate) struct Fleet {
    place: String,
    lease: Duration,
    servers: Vec<Server>,
}

impl Fleet {
    pub(crate) fn start(count: usize, place: &Place) -> Result<(Self, Lives)> {
        let (place, lease) = (place.name(), place.lease());
        let servers = (0..count as u64)
            .map(|number| Server::start(number, &place, lease))
            .collect::<Result<Vec<_>>>()?;
        let lives = servers.iter().map(|server| Some(server.life.clone()));
        let lives = Lives(RwLock::new(lives.collect()));
        let fleet = Self {
            place,
            lease,
            servers,
        };
        Ok((fleet, lives))
    }

    /// How many of the first servers run from the start to the end: the last of several does not.
    pub(crate) fn steady(&self) -> usize {
        match self.servers.len() {
            1 => 1,
            several => several - 1,
        }
    }

    pub(crate) fn is_single(&self) -> bool {
        self.servers.len() == 1
    }

    /// Kills the last server in the midst of what it does, and starts another one in its place. What
    /// it had counted is added to `past`.
    pub(crate) fn kill_one(&mut self, lives: &Lives, past: &mut Counts) -> Result<()> {
        let place = self.servers.len() - 1;
        let Life {
            number, address, ..
        } = self.servers[place].life;
        tally::add(past, &Health::of(address)?.stats);
        lives.set(place, None);
        drop(self.servers.pop());
        let server = Server::start(number + 1, &self.place, self.lease)?;
        lives.set(place, Some(server.life.clone()));
        self.servers.push(server);
        Ok(())
    }
}
