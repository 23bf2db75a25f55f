//! The order of measuring: counts first, which repeat, then seconds.

use crate::{Result, beside, counts, library::Library, machine, report, times};

/// What the command line chooses.
pub(crate) struct Options {
    pub(crate) libraries: Vec<Library>,
    pub(crate) rounds: usize,
    pub(crate) requests: usize,
    pub(crate) counted: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            libraries: Library::ALL.to_vec(),
            rounds: 5,
            requests: 20_000,
            counted: 2_000,
        }
    }
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix("bsession-bench-")
        .tempdir()?;
    let scratch = scratch.path();
    println!("{}", machine::describe(scratch).await);

    if options.counted > 0 {
        let counted = counts::count(&options.libraries, options.counted, scratch).await?;
        print!("{}", report::counts(&counted, options.counted));
    }
    if options.rounds > 0 {
        let timed = times::time(options, scratch).await?;
        print!("{}", report::times(&timed, options));
        let beside = beside::measure(options, scratch).await?;
        print!("{}", report::beside(&beside, options));
    }
    Ok(())
}
