//! The comparison: the same routes on bsession and on other session libraries.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --features sqlite,redis` starts a server for every library
//! and route, each a child of its own (one worker, loopback, a port the system picks), measures them
//! in turn and prints Markdown. A library's zero is the server that has a route without a session in
//! the place of the measured one, so that what is compared is the session and not the framework.

mod allocations;
mod beside;
mod builds;
mod callgrind;
mod commands;
mod compare;
mod control;
mod counts;
mod library;
mod load;
mod machine;
mod memory;
mod number;
mod redis;
mod report;
mod server;
mod spread;
mod times;
mod updates;
mod visitor;

use std::{process::ExitCode, time::Duration};

use compare::Options;
use library::{Library, Route};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// No comparison takes longer: what still runs then is stopped, children included.
const LIMIT: Duration = Duration::from_secs(90 * 60);

const USAGE: &str = "\
usage: bsession-bench [compare] [--only NAME[,NAME…]] [--rounds N] [--requests N] [--counted N]
                                [--instructions 0] [--updates N] [--sessions N] [--builds N]
       bsession-bench serve NAME ROUTE [REDIS]

  --only      the servers to compare (default: all)
  --rounds    rounds of the timed part (default 5, 0 leaves it out)
  --requests  timed requests per server, route and round (default 20000)
  --counted   requests per server and route while counting (default 2000, 0 leaves it out)
  --instructions
              0 leaves out what needs valgrind, under which a server takes seconds to start
  --updates   increments of one session at once (default 200, 0 leaves it out)
  --sessions  sessions whose memory is measured (default 100000, 0 leaves it out)
  --builds    rounds of clean builds, some minutes each (default 0)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["serve", library, route] => serve(library, route, None),
        ["serve", library, route, redis] => serve(library, route, Some(redis)),
        ["compare", rest @ ..] => options(rest).and_then(compare),
        rest => options(rest).and_then(compare),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bsession-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(library: &str, route: &str, redis: Option<&str>) -> Result<()> {
    Library::named(library)?.serve(Route::named(route)?, redis)
}

fn options(mut args: &[&str]) -> Result<Options> {
    let mut options = Options::default();
    while let [name, value, rest @ ..] = args {
        match *name {
            "--only" => {
                let names = value.split(',').map(Library::named);
                options.libraries = names.collect::<Result<_>>()?;
            }
            "--rounds" => options.rounds = value.parse()?,
            "--requests" => options.requests = value.parse()?,
            "--counted" => options.counted = value.parse()?,
            "--instructions" => options.instructions = value.parse::<u8>()? > 0,
            "--updates" => options.updates = value.parse()?,
            "--builds" => options.builds = value.parse()?,
            "--sessions" => options.sessions = value.parse()?,
            _ => return Err(USAGE.into()),
        }
        args = rest;
    }
    if args.is_empty() {
        Ok(options)
    } else {
        Err(USAGE.into())
    }
}

fn compare(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Whichever way it ends, what the comparison holds is dropped: children and scratch files.
        tokio::select! {
            outcome = compare::run(&options) => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            () = tokio::time::sleep(LIMIT) => {
                Err(format!("not done after {} minutes", LIMIT.as_secs() / 60).into())
            }
        }
    })
}
