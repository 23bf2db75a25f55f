//! What does not repeat: seconds, the servers taking turns, so that what else the machine does meets
//! them all alike.

use std::path::Path;

use crate::{
    Result,
    compare::Options,
    library::{Library, Route},
    load::{self, Cost},
    server::Server,
};

/// What was timed of one library.
pub(crate) struct Timed {
    pub(crate) library: Library,
    /// One entry a round, by [`Route::ALL`].
    pub(crate) costs: Vec<[Cost; Route::ALL.len()]>,
}

pub(crate) async fn time(options: &Options, scratch: &Path) -> Result<Vec<Timed>> {
    let mut timed = Vec::new();
    let mut servers = Vec::new();
    for &library in &options.libraries {
        let mut routes = Vec::new();
        for route in Route::ALL {
            routes.push(Server::start(library, route, scratch).await?);
        }
        servers.push(routes);
        timed.push(Timed {
            library,
            costs: Vec::new(),
        });
    }
    for round in 0..options.rounds {
        eprintln!("timing, round {} of {}", round + 1, options.rounds);
        let mut costs: Vec<Vec<Cost>> = servers.iter().map(|_| Vec::new()).collect();
        for route in 0..Route::ALL.len() {
            for (servers, costs) in servers.iter_mut().zip(&mut costs) {
                costs.push(load::run(&mut servers[route], options.requests).await?);
            }
        }
        for (one, costs) in timed.iter_mut().zip(costs) {
            one.costs.extend(<[Cost; _]>::try_from(costs));
        }
    }
    for server in servers.into_iter().flatten() {
        server.stop().await?;
    }
    Ok(timed)
}
