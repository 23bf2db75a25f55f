//! What repeats: instructions and allocations of one request at a time, server after server.

use std::{collections::BTreeSet, path::Path};

use crate::{
    Result,
    allocations::Allocations,
    callgrind::{self, Instructions},
    commands::{Commands, Watch},
    compare::Options,
    library::{Library, PAGE, Route},
    redis::Traffic,
    server::Server,
    visitor::Visitor,
};

/// One request at a time is enough for counts, but what a hash map costs depends on its keys: this many
/// sessions even that out.
const VISITORS: usize = 20;

/// What one route of a library spent over all the requests that were counted.
pub(crate) struct Counts {
    /// `None` without valgrind, or where they were not wanted.
    pub(crate) instructions: Option<Instructions>,
    pub(crate) allocations: Allocations,
    /// System calls that the server could not use under valgrind.
    pub(crate) refused_calls: BTreeSet<u32>,
    /// `None` without a Redis.
    pub(crate) redis: Option<Asked>,
}

/// What was asked of Redis over all the requests.
pub(crate) struct Asked {
    pub(crate) commands: Commands,
    pub(crate) traffic: Traffic,
}

/// What was counted of one library.
pub(crate) struct Counted {
    pub(crate) library: Library,
    /// By [`Route::ALL`].
    pub(crate) routes: Vec<Counts>,
}

pub(crate) async fn count(options: &Options, scratch: &Path) -> Result<Vec<Counted>> {
    let requests = options.counted;
    let with_instructions = options.instructions && callgrind::is_installed().await;
    let mut counted = Vec::new();
    for &library in &options.libraries {
        eprintln!("counting {}", library.name());
        let mut routes = Vec::new();
        for route in Route::ALL {
            let mut counts = Counts {
                instructions: None,
                allocations: allocations(library, route, requests, scratch).await?,
                refused_calls: BTreeSet::new(),
                redis: None,
            };
            if library.uses_redis() {
                counts.redis = Some(asked(library, route, requests, scratch).await?);
            }
            if with_instructions {
                instructions(library, route, requests, scratch, &mut counts).await?;
            }
            routes.push(counts);
        }
        counted.push(Counted { library, routes });
    }
    Ok(counted)
}

async fn allocations(
    library: Library,
    route: Route,
    requests: u32,
    scratch: &Path,
) -> Result<Allocations> {
    let mut server = Server::start(library, route, scratch).await?;
    let mut visitors = warm(&server, requests).await?;
    let before = server.allocations().await?;
    repeat(&mut visitors, requests).await?;
    let spent = server.allocations().await? - before;
    server.stop().await?;
    Ok(spent)
}

async fn asked(library: Library, route: Route, requests: u32, scratch: &Path) -> Result<Asked> {
    let mut server = Server::start(library, route, scratch).await?;
    let mut visitors = warm(&server, requests).await?;
    let redis = server.redis().ok_or("the server has no Redis")?;
    let before = redis.traffic()?;
    repeat(&mut visitors, requests).await?;
    let traffic = redis.traffic()? - before;
    // Not at once, since Redis writes to who watches it.
    let watch = Watch::begin(redis)?;
    repeat(&mut visitors, requests).await?;
    let commands = watch.end(redis)?;
    server.stop().await?;
    Ok(Asked { commands, traffic })
}

async fn instructions(
    library: Library,
    route: Route,
    requests: u32,
    scratch: &Path,
    counts: &mut Counts,
) -> Result<()> {
    let out = scratch.join(format!("{}-{}", library.name(), route.name()));
    let mut server = Server::start_counted(library, route, scratch, &out).await?;
    let mut visitors = warm(&server, requests).await?;
    server.mark().await?;
    repeat(&mut visitors, requests).await?;
    server.mark().await?;
    server.stop().await?;
    // The first file is of what came before the first mark.
    counts.instructions = Some(callgrind::read(&out, 2)?);
    counts.refused_calls = callgrind::refused_calls(&out)?;
    Ok(())
}

/// Visitors who have used the route often enough for buffers and maps to have grown.
async fn warm(server: &Server, requests: u32) -> Result<Vec<Visitor>> {
    let mut visitors = Vec::with_capacity(VISITORS);
    for _ in 0..VISITORS {
        visitors.push(Visitor::arrive(server.address).await?);
    }
    repeat(&mut visitors, requests.div_ceil(4)).await?;
    Ok(visitors)
}

/// One request after the other, the visitors taking turns.
async fn repeat(visitors: &mut [Visitor], times: u32) -> Result<()> {
    for turn in 0..times as usize {
        let visitor = turn % visitors.len();
        visitors[visitor].visit(PAGE).await?;
    }
    Ok(())
}
