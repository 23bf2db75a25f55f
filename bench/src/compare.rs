//! The order of measuring: counts first, one server after the other; then times, the servers
//! taking turns, so that what else the machine does meets them all alike.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    allocations::Allocations,
    callgrind::{self, Instructions},
    library::{Library, Route},
    load::{self, Cost},
    machine, report,
    server::Server,
    visitor::Visitor,
};

/// One request at a time is enough for counts, but what a hash map costs depends on its keys: this many
/// sessions even that out.
const COUNTED_VISITORS: usize = 20;

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
            requests: 60_000,
            counted: 2_000,
        }
    }
}

/// What one server spent on one route, over all the requests that were counted.
pub(crate) struct Counts {
    /// `None` without valgrind.
    pub(crate) instructions: Option<Instructions>,
    pub(crate) allocations: Allocations,
}

/// What was counted of one library.
#[derive(Default)]
pub(crate) struct Counted {
    /// By [`Route::ALL`]; empty if nothing was counted.
    pub(crate) routes: Vec<Counts>,
    /// System calls that the server could not use under valgrind.
    pub(crate) refused_calls: BTreeSet<u32>,
}

/// All that was measured of one library.
pub(crate) struct Measured {
    pub(crate) library: Library,
    pub(crate) counted: Counted,
    /// One entry a round, by [`Route::ALL`].
    pub(crate) costs: Vec<[Cost; Route::ALL.len()]>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let scratch = Scratch::new()?;
    let has_callgrind = callgrind::is_installed().await;
    println!("{}", machine::describe(&scratch.0).await);

    let mut measured = Vec::new();
    for &library in &options.libraries {
        let counted = if options.counted == 0 {
            Counted::default()
        } else {
            eprintln!("counting {}", library.name());
            count(library, options.counted, has_callgrind, &scratch.0).await?
        };
        measured.push(Measured {
            library,
            counted,
            costs: Vec::new(),
        });
    }
    if options.counted > 0 {
        print!("{}", report::counts(&measured, options));
    }

    if options.rounds > 0 {
        time(&mut measured, options, &scratch.0).await?;
        print!("{}", report::times(&measured, options));
    }
    Ok(())
}

async fn count(
    library: Library,
    requests: u32,
    has_callgrind: bool,
    scratch: &Path,
) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut server = Server::start(library, scratch).await?;
    for route in Route::ALL {
        let mut visitors = warm(&server, route, requests).await?;
        let before = server.allocations().await?;
        repeat(&mut visitors, route, requests).await?;
        counted.routes.push(Counts {
            instructions: None,
            allocations: server.allocations().await? - before,
        });
    }
    server.stop().await?;
    if has_callgrind {
        count_instructions(library, requests, scratch, &mut counted).await?;
    }
    Ok(counted)
}

async fn count_instructions(
    library: Library,
    requests: u32,
    scratch: &Path,
    counted: &mut Counted,
) -> Result<()> {
    let out = scratch.join(library.name());
    let mut server = Server::start_counted(library, scratch, &out).await?;
    for route in Route::ALL {
        let mut visitors = warm(&server, route, requests).await?;
        server.mark().await?;
        repeat(&mut visitors, route, requests).await?;
        server.mark().await?;
    }
    server.stop().await?;
    for (index, counts) in counted.routes.iter_mut().enumerate() {
        // Two files a route: what came before the first mark, and what lies between the two.
        counts.instructions = Some(callgrind::read(&out, 2 * index + 2)?);
    }
    counted.refused_calls = callgrind::refused_calls(&out)?;
    Ok(())
}

/// Visitors who have used the route often enough for buffers and maps to have grown.
async fn warm(server: &Server, route: Route, requests: u32) -> Result<Vec<Visitor>> {
    let mut visitors = Vec::with_capacity(COUNTED_VISITORS);
    for _ in 0..COUNTED_VISITORS {
        visitors.push(Visitor::arrive(server.address).await?);
    }
    repeat(&mut visitors, route, requests.div_ceil(4)).await?;
    Ok(visitors)
}

/// One request after the other, the visitors taking turns.
async fn repeat(visitors: &mut [Visitor], route: Route, times: u32) -> Result<()> {
    for turn in 0..times as usize {
        let visitor = turn % visitors.len();
        visitors[visitor].visit(route.path()).await?;
    }
    Ok(())
}

async fn time(measured: &mut [Measured], options: &Options, scratch: &Path) -> Result<()> {
    let mut servers = Vec::new();
    for one in &*measured {
        servers.push(Server::start(one.library, scratch).await?);
    }
    for round in 0..options.rounds {
        eprintln!("timing, round {} of {}", round + 1, options.rounds);
        let mut costs: Vec<Vec<Cost>> = servers.iter().map(|_| Vec::new()).collect();
        for route in Route::ALL {
            for (server, costs) in servers.iter_mut().zip(&mut costs) {
                costs.push(load::run(server, route, options.requests).await?);
            }
        }
        for (one, costs) in measured.iter_mut().zip(costs) {
            one.costs.extend(<[Cost; _]>::try_from(costs));
        }
    }
    for server in servers {
        server.stop().await?;
    }
    Ok(())
}

/// A directory for session files and profiles, gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let name = format!("bsession-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it harms nobody, and there is nothing else to be done about it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
