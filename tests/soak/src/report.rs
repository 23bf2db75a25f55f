//! The report at the end, in Markdown.

use std::time::Duration;

use crate::args::{Args, Kind};
use crate::tally::{Counts, Tally};
use crate::watch::{Figures, Health};

pub(crate) fn line(figures: &Figures) -> String {
    let join = |of: &dyn Fn(&Health) -> String| {
        figures
            .servers
            .iter()
            .map(of)
            .collect::<Vec<_>>()
            .join(" / ")
    };
    format!(
        "| {:.0} s | {} | {} | {} | {} | {} |",
        figures.at.as_secs_f64(),
        figures.requests,
        figures.entries,
        figures.entries_expected,
        join(&|health| format!("{:.1}", health.resident as f64 / 1024.0)),
        join(&|health| health.descriptors.to_string()),
    )
}

pub(crate) const LINES: &str = "\
| after | requests | files or keys | at most | RSS of each server, MiB | descriptors of each |
|---:|---:|---:|---:|---|---|";

fn counts(title: &str, counts: &Counts) {
    println!("\n| {title} | |\n|---|---:|");
    for (name, number) in counts {
        println!("| {name} | {number} |");
    }
}

/// All but the lines, which were printed as they came.
pub(crate) fn summary(args: &Args, length: Duration, tally: &Tally, stats: &Counts, kills: u64) {
    counts("requests", &tally.requests);
    counts("answers", &tally.answers);
    counts("of all servers", stats);
    let mode = match args.kind {
        Kind::File => "files",
        Kind::Memory => "memory",
        Kind::Redis => "redis",
    };
    println!(
        "\n{} requests in {:.1?} to {} process(es), sessions in {mode}; {} rounds, {} updates answered, \
         {} ids ended, {} left to expire, the last server killed {kills} times",
        tally.total(),
        length,
        args.processes,
        tally.rounds,
        tally.updates,
        tally.ended,
        tally.left,
    );
}
