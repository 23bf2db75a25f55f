//! Seconds.

use super::{BARE, over_rounds, row};
use crate::{
    compare::Options,
    library::Route,
    load::{self, Cost},
    number::{MISSING, above, plain},
    spread::Spread,
    times::Timed,
};

pub(crate) fn times(timed: &[Timed], options: &Options) -> String {
    let mut page = format!(
        "\n### Times (median of {} rounds, lowest to highest; {} requests each, {} connections, one worker)\n\n\
         CPU is the server's, kernel included: the bare route in full, the others above it in the same round. \
         The load comes from the same machine: where the server is not busy, the load, or what else the \
         machine does, limits the requests per second. Latencies are those that the load saw.\n\n\
         | server | route | CPU µs per request | requests per second | median µs | p99 µs | server busy |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
        options.rounds,
        options.requests,
        load::CONNECTIONS,
    );
    for one in timed {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            let over = |figure: &dyn Fn(&[Cost]) -> f64, text: &dyn Fn(f64) -> String| {
                over_rounds(one.costs.iter().map(|costs| figure(costs)), text)
            };
            let cpu = if index == BARE {
                over(&|costs| costs[BARE].cpu_micros(), &|cpu| plain(cpu, 2))
            } else {
                over(
                    &|costs| costs[index].cpu_micros() - costs[BARE].cpu_micros(),
                    &|cpu| above(cpu, 2),
                )
            };
            let rate = over(&|costs| costs[index].per_second(), &|rate| plain(rate, 0));
            let median = over(&|costs| costs[index].median_micros(), &|median| {
                plain(median, 0)
            });
            let p99 = over(&|costs| costs[index].p99_micros(), &|p99| plain(p99, 0));
            let busy = Spread::of(one.costs.iter().map(|costs| costs[index].busy()));
            let busy = busy.map_or(MISSING.to_owned(), |busy| {
                format!("{:.0} %", 100.0 * busy.median)
            });
            page += &row(
                one.library,
                &[route.name().to_owned(), cpu, rate, median, p99, busy],
            );
        }
    }
    page
}
