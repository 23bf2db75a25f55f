//! The order of measuring: counts first, which repeat, then seconds.

use crate::{
    Result, beside, builds, counts, library::Library, machine, memory, redis::Redis, report, times,
    updates,
};

/// What the command line chooses.
pub(crate) struct Options {
    pub(crate) libraries: Vec<Library>,
    pub(crate) rounds: usize,
    pub(crate) requests: usize,
    pub(crate) counted: u32,
    /// Whether instructions are counted too, where there is valgrind.
    pub(crate) instructions: bool,
    pub(crate) updates: usize,
    pub(crate) sessions: usize,
    pub(crate) builds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            libraries: Library::ALL.to_vec(),
            rounds: 5,
            requests: 20_000,
            counted: 2_000,
            instructions: true,
            updates: 200,
            sessions: 100_000,
            builds: 0,
        }
    }
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix("bsession-bench-")
        .tempdir()?;
    let scratch = scratch.path();
    let mut libraries = options.libraries.iter();
    // Where there is none, better now than after minutes.
    let redis = libraries.any(|library| library.uses_redis());
    let redis = redis.then(|| Redis::start()?.version()).transpose()?;
    println!("{}", machine::describe(scratch).await);
    if let Some(version) = redis {
        println!("Redis {version} on the same machine, which saves nothing to disk.");
    }

    if options.counted > 0 {
        let counted = counts::count(options, scratch).await?;
        print!("{}", report::counts(&counted, options.counted));
        print!("{}", report::redis(&counted, options.counted));
    }
    if options.updates > 0 {
        let kept = updates::measure(&options.libraries, options.updates, scratch).await?;
        print!("{}", report::updates(&kept, options.updates));
    }
    if options.sessions > 0 {
        let stored = memory::measure(&options.libraries, options.sessions, scratch).await?;
        print!("{}", report::memory(&stored, options.sessions));
    }
    if options.rounds > 0 {
        let timed = times::time(options, scratch).await?;
        print!("{}", report::times(&timed, options));
        print!("{}", report::redis_times(&timed, options));
        let beside = beside::measure(options, scratch).await?;
        print!("{}", report::beside(&beside, options));
    }
    if options.builds > 0 {
        let built = builds::measure(options.builds, scratch).await?;
        print!("{}", report::builds(&built));
    }
    Ok(())
}
