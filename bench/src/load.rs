//! A bounded load: so many requests over so many connections, then it is over.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Result, library::PAGE, server::Server, visitor::Visitor};

/// As many as wrk is usually given; each visitor has a session of his own.
pub(crate) const CONNECTIONS: usize = 32;

/// What a load cost.
pub(crate) struct Cost {
    requests: usize,
    elapsed: Duration,
    cpu: Duration,
}

impl Cost {
    /// The server's CPU time per request, in user space and in the kernel.
    pub(crate) fn cpu_micros(&self) -> f64 {
        1e6 * self.cpu.as_secs_f64() / self.requests as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// How much of the time the server had work, of one CPU.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// Every visitor sends his next request when he has the answer to the last.
pub(crate) async fn run(server: &mut Server, requests: usize) -> Result<Cost> {
    let each = requests.div_ceil(CONNECTIONS);
    let mut visitors = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        visitors.push(Visitor::arrive(server.address).await?);
    }
    let visitors = visit(visitors, each.div_ceil(10)).await?;

    let cpu_before = server.cpu().await?;
    let begin = Instant::now();
    visit(visitors, each).await?;
    let elapsed = begin.elapsed();
    let cpu = server.cpu().await? - cpu_before;
    Ok(Cost {
        requests: each * CONNECTIONS,
        elapsed,
        cpu,
    })
}

async fn visit(visitors: Vec<Visitor>, times: usize) -> Result<Vec<Visitor>> {
    let mut tasks = JoinSet::new();
    for mut visitor in visitors {
        tasks.spawn(async move {
            for _ in 0..times {
                visitor.visit(PAGE).await?;
            }
            Ok::<_, std::io::Error>(visitor)
        });
    }
    let mut back = Vec::with_capacity(CONNECTIONS);
    while let Some(visitor) = tasks.join_next().await {
        back.push(visitor??);
    }
    Ok(back)
}
