//! Seconds.

use super::{BARE, row};
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
         machine does, limits the requests per second.\n\n\
         | server | route | CPU µs per request | requests per second | server busy |\n\
         |---|---|---:|---:|---:|\n",
        options.rounds,
        options.requests,
        load::CONNECTIONS,
    );
    for one in timed {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            let over_rounds = |figure: &dyn Fn(&[Cost]) -> f64, text: &dyn Fn(f64) -> String| {
                let spread = Spread::of(one.costs.iter().map(|costs| figure(costs)));
                spread.map_or(MISSING.to_owned(), |Spread { median, min, max }| {
                    format!("{} ({} to {})", text(median), text(min), text(max))
                })
            };
            let cpu = if index == BARE {
                over_rounds(&|costs| costs[BARE].cpu_micros(), &|cpu| plain(cpu, 2))
            } else {
                over_rounds(
                    &|costs| costs[index].cpu_micros() - costs[BARE].cpu_micros(),
                    &|cpu| above(cpu, 2),
                )
            };
            let rate = over_rounds(&|costs| costs[index].per_second(), &|rate| plain(rate, 0));
            let busy = Spread::of(one.costs.iter().map(|costs| costs[index].busy()));
            let busy = busy.map_or(MISSING.to_owned(), |busy| {
                format!("{:.0} %", 100.0 * busy.median)
            });
            page += &row(one.library, route, &[cpu, rate, busy]);
        }
    }
    page
}
