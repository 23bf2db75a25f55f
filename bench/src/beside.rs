//! What a request without a session waits for while others write theirs on the same worker.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Result,
    compare::Options,
    library::{ASIDE, Library, PAGE, Route},
    load,
    server::Server,
};

/// The visitors of the bare route, and how often each comes.
pub(crate) const VISITORS: usize = 8;
const VISIT_EVERY: Duration = Duration::from_millis(5);

/// The same writes for every library, so that the slower one is not spared.
pub(crate) const WRITERS: usize = 32;
const WRITE_EVERY: Duration = Duration::from_millis(10);

/// One figure a round.
pub(crate) struct Beside {
    pub(crate) library: Library,
    /// The 99th percentile of the bare route while nobody else comes, in microseconds.
    pub(crate) alone: Vec<f64>,
    /// The same beside the writers.
    pub(crate) beside: Vec<f64>,
    pub(crate) writes_per_second: Vec<f64>,
}

/// How many requests a round of the bare route has.
pub(crate) fn requests(options: &Options) -> usize {
    options.requests / 5
}

pub(crate) async fn measure(options: &Options, scratch: &Path) -> Result<Vec<Beside>> {
    let mut servers = Vec::new();
    for &library in &options.libraries {
        let beside = Beside {
            library,
            alone: Vec::new(),
            beside: Vec::new(),
            writes_per_second: Vec::new(),
        };
        let server = Server::start(library, Route::Write, scratch).await?;
        servers.push((server, beside));
    }
    for round in 0..options.rounds {
        eprintln!(
            "bare beside writers, round {} of {}",
            round + 1,
            options.rounds
        );
        for (server, beside) in &mut servers {
            beside.round(server, requests(options)).await?;
        }
    }
    let mut measured = Vec::new();
    for (server, beside) in servers {
        server.stop().await?;
        measured.push(beside);
    }
    Ok(measured)
}

impl Beside {
    async fn round(&mut self, server: &Server, requests: usize) -> Result<()> {
        self.alone.push(bare(server, requests).await?);

        let writes = Arc::new(AtomicU64::new(0));
        let mut writers = JoinSet::new();
        let visitors = load::arrive(server.address, WRITERS).await?;
        for (place, mut visitor) in visitors.into_iter().enumerate() {
            let mut ticks = load::ticks(WRITE_EVERY, place, WRITERS);
            let writes = Arc::clone(&writes);
            writers.spawn(async move {
                loop {
                    ticks.tick().await;
                    if let Err(error) = visitor.visit(PAGE).await {
                        return error;
                    }
                    writes.fetch_add(1, Relaxed);
                }
            });
        }
        let begin = Instant::now();
        self.beside.push(bare(server, requests).await?);
        let elapsed = begin.elapsed().as_secs_f64();
        self.writes_per_second
            .push(writes.load(Relaxed) as f64 / elapsed);
        // Nobody ends but by an error; those who go on are stopped with the set.
        match writers.try_join_next() {
            Some(ended) => Err(ended?.into()),
            None => Ok(()),
        }
    }
}

async fn bare(server: &Server, requests: usize) -> Result<f64> {
    let visitors = load::arrive(server.address, VISITORS).await?;
    let each = requests.div_ceil(VISITORS);
    let (_, latencies) = load::visit(visitors, ASIDE, each, Some(VISIT_EVERY)).await?;
    Ok(latencies.p99_micros())
}
