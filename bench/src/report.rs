//! The figures as Markdown.

use std::collections::BTreeSet;

use crate::{
    compare::{Counts, Measured, Options},
    library::{Library, Route},
    load::{self, Cost},
    number::{MISSING, above, plain},
    spread::Spread,
};

/// The versions that were built, not those that were asked for.
const LOCK: &str = include_str!("../Cargo.lock");

/// Where [`Route::Bare`] stands in [`Route::ALL`].
const BARE: usize = 0;

type Figure = fn(&Counts) -> Option<u64>;

/// The columns of what was counted: how many places, and which figure.
const COUNTED: [(usize, Figure); 4] = [
    (0, |counts| {
        Some(counts.instructions.as_ref()?.without_sha256())
    }),
    (0, |counts| Some(counts.instructions.as_ref()?.sha256())),
    (1, |counts| Some(counts.allocations.calls)),
    (0, |counts| Some(counts.allocations.bytes)),
];

/// What repeats: instructions and allocations.
pub(crate) fn counts(measured: &[Measured], options: &Options) -> String {
    let requests = options.counted;
    let mut page = format!(
        "\n### Counts per request ({requests} requests, one at a time)\n\n\
         The bare route in full, the others above it.\n\n\
         | server | route | instructions without SHA-256 | SHA-256 | allocations | bytes allocated |\n\
         |---|---|---:|---:|---:|---:|\n"
    );
    for one in measured {
        for (index, (route, counts)) in Route::ALL.into_iter().zip(&one.counted.routes).enumerate()
        {
            let bare = (index != BARE).then(|| &one.counted.routes[BARE]);
            let figures = COUNTED.map(|(places, of)| {
                let each = |counts| Some(of(counts)? as f64 / f64::from(requests));
                match (each(counts), bare) {
                    (Some(figure), None) => plain(figure, places),
                    (Some(figure), Some(bare)) => above(figure - each(bare).unwrap_or(0.0), places),
                    (None, _) => MISSING.to_owned(),
                }
            });
            page += &row(one.library, route, &figures);
        }
    }
    page += "\nBytes are those asked of the allocator; growing a block counts its new size. ";
    page + &about_instructions(measured)
}

fn about_instructions(measured: &[Measured]) -> String {
    let counts = measured.iter().flat_map(|one| &one.counted.routes);
    let mut found = counts
        .filter_map(|counts| counts.instructions.as_ref())
        .peekable();
    if found.peek().is_none() {
        return "No instructions were counted: valgrind is missing (Debian: apt-get install valgrind).\n"
            .to_owned();
    }
    let functions: BTreeSet<&String> = found.flat_map(|found| &found.sha256_functions).collect();
    let functions: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
    let functions = if functions.is_empty() {
        "none was seen".to_owned()
    } else {
        functions.join(", ")
    };
    let mut about = format!(
        "Instructions are those in user space, by callgrind; SHA-256 stands apart because valgrind hides \
         the CPU's instructions for it, so that portable code runs ({functions}).\n"
    );
    for one in measured
        .iter()
        .filter(|one| !one.counted.refused_calls.is_empty())
    {
        about += &format!(
            "This valgrind does not know the system calls {:?} of {}: its instructions are those of the \
             way around them.\n",
            one.counted.refused_calls,
            one.library.name(),
        );
    }
    about
}

/// What does not repeat: seconds.
pub(crate) fn times(measured: &[Measured], options: &Options) -> String {
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
    for one in measured {
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

fn row(library: Library, route: Route, figures: &[String]) -> String {
    let (package, what) = library.label();
    let version = version(package).unwrap_or_default();
    format!(
        "| {package} {version}, {what} | {} | {} |\n",
        route.name(),
        figures.join(" | ")
    )
}

fn version(package: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_the_one_that_is_built() {
        assert!(version("actix-session").is_some_and(|version| version.starts_with("0.11.")));
    }
}
