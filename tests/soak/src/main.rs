//! Life under load: visitors in several tabs, over several processes of which one is killed again and
//! again, and a model that checks all along what they see.
//!
//! `soak` runs legs of traffic; a `traffic::Player` plays visitors one after the other. A `round` is all
//! tabs of one visitor at once, by a `plan` of dice; the `judge` says whether the answers can be, and
//! whether what is left in the session can. Between the legs `watch` takes the figures that must stay flat.

mod app;
mod args;
mod client;
mod fleet;
mod judge;
mod look;
mod machine;
mod model;
mod op;
mod place;
mod plan;
mod report;
mod round;
mod soak;
mod tabs;
mod tally;
mod traffic;
mod visitor;
mod watch;
mod world;

use std::io::Result;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(place) = std::env::var(fleet::SERVE) {
        return report(app::serve(place).map(|()| true));
    }
    if std::env::args().any(|word| word == "--help") {
        println!("{}", args::USAGE);
        return ExitCode::SUCCESS;
    }
    match args::Args::parse(std::env::args().skip(1)) {
        Ok(args) => report(soak::run(&args)),
        Err(error) => {
            eprintln!("{error}\n{}", args::USAGE);
            ExitCode::from(2)
        }
    }
}

fn report(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
