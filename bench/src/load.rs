//! A bounded load: so many requests over so many connections, then it is over.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval_at},
};

use crate::{Result, library::PAGE, redis::Redis, server::Server, visitor::Visitor};

/// As many as wrk is usually given; each visitor has a session of his own.
pub(crate) const CONNECTIONS: usize = 32;

/// What a load cost.
pub(crate) struct Cost {
    latencies: Latencies,
    elapsed: Duration,
    cpu: Duration,
    redis_cpu: Option<Duration>,
}

impl Cost {
    /// The server's CPU time per request, in user space and in the kernel.
    pub(crate) fn cpu_micros(&self) -> f64 {
        1e6 * self.cpu.as_secs_f64() / self.requests()
    }

    /// The CPU time of its Redis per request; `None` without one.
    pub(crate) fn redis_cpu_micros(&self) -> Option<f64> {
        Some(1e6 * self.redis_cpu?.as_secs_f64() / self.requests())
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests() / self.elapsed.as_secs_f64()
    }

    pub(crate) fn median_micros(&self) -> f64 {
        self.latencies.micros(50)
    }

    pub(crate) fn p99_micros(&self) -> f64 {
        self.latencies.p99_micros()
    }

    /// How much of the time the server had work, of one CPU.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    fn requests(&self) -> f64 {
        self.latencies.0.len() as f64
    }
}

/// From the request to the whole answer, as the visitors saw it.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// All but one in a hundred were at most as long.
    pub(crate) fn p99_micros(&self) -> f64 {
        self.micros(99)
    }

    /// So many of a hundred were at most as long.
    fn micros(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted
            .get(place)
            .map_or(0.0, |latency| 1e6 * latency.as_secs_f64())
    }
}

/// Every visitor sends his next request when he has the answer to the last.
pub(crate) async fn run(server: &mut Server, requests: usize) -> Result<Cost> {
    let each = requests.div_ceil(CONNECTIONS);
    let visitors = arrive(server.address, CONNECTIONS).await?;
    let (visitors, _) = visit(visitors, PAGE, each.div_ceil(10), None).await?;

    let redis_before = redis_cpu(server)?;
    let cpu_before = server.cpu().await?;
    let begin = Instant::now();
    let (_, latencies) = visit(visitors, PAGE, each, None).await?;
    let elapsed = begin.elapsed();
    let cpu = server.cpu().await? - cpu_before;
    let redis_cpu = redis_cpu(server)?.zip(redis_before);
    Ok(Cost {
        latencies,
        elapsed,
        cpu,
        redis_cpu: redis_cpu.map(|(after, before)| after - before),
    })
}

fn redis_cpu(server: &mut Server) -> Result<Option<Duration>> {
    server.redis().map(Redis::cpu).transpose()
}

pub(crate) async fn arrive(server: SocketAddr, count: usize) -> io::Result<Vec<Visitor>> {
    let mut visitors = Vec::with_capacity(count);
    for _ in 0..count {
        visitors.push(Visitor::arrive(server).await?);
    }
    Ok(visitors)
}

/// Each goes to `path` so many times: `pace` apart, the visitors spread over it, or without a pause.
pub(crate) async fn visit(
    visitors: Vec<Visitor>,
    path: &'static str,
    times: usize,
    pace: Option<Duration>,
) -> Result<(Vec<Visitor>, Latencies)> {
    let count = visitors.len();
    let mut tasks = JoinSet::new();
    for (place, mut visitor) in visitors.into_iter().enumerate() {
        let mut ticks = pace.map(|pace| ticks(pace, place, count));
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(times);
            for _ in 0..times {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let begin = Instant::now();
                visitor.visit(path).await?;
                latencies.push(begin.elapsed());
            }
            Ok::<_, io::Error>((visitor, latencies))
        });
    }
    let mut back = Vec::with_capacity(count);
    let mut all = Latencies::default();
    while let Some(visited) = tasks.join_next().await {
        let (visitor, latencies) = visited??;
        back.push(visitor);
        all.0.extend(latencies);
    }
    Ok((back, all))
}

/// Every `pace`, for the one in `place` of `count`.
pub(crate) fn ticks(pace: Duration, place: usize, count: usize) -> Interval {
    let first = tokio::time::Instant::now() + pace.mul_f64(place as f64 / count as f64);
    let mut ticks = interval_at(first, pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Latencies;

    #[test]
    fn one_in_a_hundred_is_above_the_percentile() {
        let latencies = Latencies((1..=200).rev().map(Duration::from_micros).collect());
        assert!((latencies.p99_micros() - 198.0).abs() < 1e-6);
        assert!((latencies.micros(50) - 100.0).abs() < 1e-6);
        assert!(Latencies::default().p99_micros().abs() < 1e-6);
    }
}
