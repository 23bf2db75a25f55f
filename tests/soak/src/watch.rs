//! The figures that have to stay flat, taken while nobody visits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bsession::store::TOMBSTONE;
use serde::Deserialize;

use crate::app;
use crate::args::{Args, Kind};
use crate::client::Connection;
use crate::tally::{Counts, Tally};
use crate::traffic::VISITORS;

/// How long servers may take to see that all clients have left.
const QUIET: Duration = Duration::from_secs(2);
/// A sweeper rests a minute between two rounds; the rest is room for a busy machine.
const SWEEPING: Duration = Duration::from_secs(60 + 30);

/// What a server tells of itself.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Health {
    /// In KiB.
    pub(crate) resident: u64,
    pub(crate) descriptors: u64,
    pub(crate) stats: Counts,
}

impl Health {
    pub(crate) fn of(address: SocketAddr) -> std::io::Result<Self> {
        let answer = Connection::open(address)?.ask("GET", "/health", &[])?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Asks until no descriptor is open but those of `before`, or the clients have had their time to leave.
    pub(crate) fn quiet(address: SocketAddr, before: u64) -> std::io::Result<Self> {
        let end = Instant::now() + QUIET;
        loop {
            let health = Self::of(address)?;
            if health.descriptors <= before || Instant::now() > end {
                return Ok(health);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The figures at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) at: Duration,
    pub(crate) requests: u64,
    /// Files, or keys.
    pub(crate) entries: u64,
    /// How many there can be at most.
    pub(crate) entries_expected: u64,
    pub(crate) servers: Vec<Health>,
    ended: u64,
    left: u64,
}

impl Figures {
    pub(crate) fn new(
        at: Duration,
        entries: u64,
        servers: Vec<Health>,
        tally: &Tally,
        past: &[Self],
        args: &Args,
    ) -> Self {
        let mut figures = Self {
            at,
            requests: tally.total(),
            entries,
            entries_expected: 0,
            servers,
            ended: tally.ended,
            left: tally.left,
        };
        figures.entries_expected = figures.most_entries(past, args);
        figures
    }

    /// The live sessions, each with an entry in a user's list; tombstones, and what has expired, that
    /// no sweeper has been at.
    fn most_entries(&self, past: &[Self], args: &Args) -> u64 {
        let before = |span: Duration| {
            past.iter()
                .rev()
                .find(|figures| figures.at + span < self.at)
        };
        let ended = before(TOMBSTONE + SWEEPING).map_or(0, |figures| figures.ended);
        let left = before(app::IDLE + SWEEPING).map_or(0, |figures| figures.left);
        let live = (args.clients * VISITORS) as u64;
        2 * live + (self.ended - ended) + (self.left - left)
    }
}

/// How much the memory of a server may grow after the warm-up: what allocators and thread pools take.
pub(crate) const GROWTH: u64 = 4 * 1024;
/// The bytes that memory mode may take for each session that is there.
pub(crate) const SESSION: u64 = 1024;

/// What is not flat.
pub(crate) fn unevenness(figures: &[Figures], steady: usize, kind: Kind) -> Vec<String> {
    let (Some(first), Some(last)) = (figures.first(), figures.last()) else {
        return vec!["nothing was measured".to_owned()];
    };
    let mut found = Vec::new();
    let kept = match kind {
        Kind::Memory => {
            last.entries_expected.saturating_sub(first.entries_expected) * SESSION / 1024
        }
        Kind::File | Kind::Redis => 0,
    };
    for (place, (start, end)) in first
        .servers
        .iter()
        .zip(&last.servers)
        .take(steady)
        .enumerate()
    {
        if end.descriptors > start.descriptors {
            found.push(format!(
                "server {place} has {} descriptors open, {} after the warm-up",
                end.descriptors, start.descriptors
            ));
        }
        if end.resident > start.resident + GROWTH + kept {
            found.push(format!(
                "server {place} takes {} KiB, {} after the warm-up",
                end.resident, start.resident
            ));
        }
    }
    for figures in figures
        .iter()
        .filter(|figures| figures.entries > figures.entries_expected)
    {
        found.push(format!(
            "{} files or keys after {:.0?}, at most {} expected",
            figures.entries, figures.at, figures.entries_expected
        ));
    }
    found
}
