//! What is asked of Redis, and what it costs there.

use super::{BARE, over_rounds, row};
use crate::{
    commands::Giver,
    compare::Options,
    counts::{Asked, Counted},
    library::Route,
    number::plain,
    times::Timed,
};

/// Nothing where no library has a Redis.
pub(crate) fn counts(counted: &[Counted], requests: u32) -> String {
    let mut rows = String::new();
    for one in counted {
        for (route, counts) in Route::ALL.into_iter().zip(&one.routes).skip(BARE + 1) {
            if let Some(asked) = &counts.redis {
                rows += &row(one.library, &asked_in(route, asked, f64::from(requests)));
            }
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n### What Redis is asked per request ({requests} requests, one at a time)\n\n\
         Commands as Redis tells them to who watches, those of scripts apart; a round trip is a time that Redis \
         found something to read, be it one command or several.\n\n\
         | server | route | commands | in scripts | round trips | bytes to Redis | bytes from Redis | which |\n\
         |---|---|---:|---:|---:|---:|---:|---|\n{rows}"
    )
}

fn asked_in(route: Route, asked: &Asked, requests: f64) -> [String; 7] {
    let commands = |giver| asked.commands.of(giver).map(|(_, count)| count).sum();
    let each = |count: u64, places| plain(count as f64 / requests, places);
    [
        route.name().to_owned(),
        each(commands(Giver::Client), 2),
        each(commands(Giver::Script), 2),
        each(asked.traffic.round_trips, 2),
        each(asked.traffic.bytes_in, 0),
        each(asked.traffic.bytes_out, 0),
        which(asked, requests),
    ]
}

/// What is given at least once in a hundred requests.
fn which(asked: &Asked, requests: f64) -> String {
    let of = |giver| {
        let often = asked.commands.of(giver);
        let often = often.filter(|(_, count)| 100.0 * *count as f64 >= requests);
        let names: Vec<String> = often.map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    };
    match (of(Giver::Client), of(Giver::Script)) {
        (clients, scripts) if scripts.is_empty() => clients,
        (clients, scripts) => format!("{clients}; in scripts {scripts}"),
    }
}

/// The other side of the times.
pub(crate) fn times(timed: &[Timed], options: &Options) -> String {
    let mut rows = String::new();
    for one in timed {
        for (index, route) in Route::ALL.into_iter().enumerate().skip(BARE + 1) {
            let micros = one.costs.iter();
            let micros = micros.filter_map(|costs| costs[index].redis_cpu_micros());
            let micros: Vec<f64> = micros.collect();
            if !micros.is_empty() {
                let cpu = over_rounds(micros.into_iter(), |micros| plain(micros, 2));
                rows += &row(one.library, &[route.name().to_owned(), cpu]);
            }
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n### CPU time of Redis (median of {} rounds, lowest to highest)\n\n\
         In the same rounds, by a Redis that serves nobody else; the load sets how many commands it finds at once.\n\n\
         | server | route | CPU µs of Redis per request |\n\
         |---|---|---:|\n{rows}",
        options.rounds,
    )
}
