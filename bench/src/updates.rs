//! What becomes of updates of one session at the same time.

use std::{path::Path, time::Duration};

use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    Result,
    library::{Library, PAGE, Route, VISITS_AT_START},
    server::Server,
    visitor::Visitor,
};

/// Between reading and writing: longer than it takes all of them to have read.
pub(crate) const SLEEP: Duration = Duration::from_millis(200);

/// How many of so many updates were kept.
pub(crate) struct Kept {
    pub(crate) library: Library,
    pub(crate) route: Route,
    pub(crate) updates: u64,
}

pub(crate) async fn measure(
    libraries: &[Library],
    updates: usize,
    scratch: &Path,
) -> Result<Vec<Kept>> {
    let mut measured = Vec::new();
    for &library in libraries {
        eprintln!("updates of {}", library.name());
        for &route in library.increments() {
            let server = Server::start(library, route, scratch).await?;
            measured.push(Kept {
                library,
                route,
                updates: kept(&server, updates).await?,
            });
            server.stop().await?;
        }
    }
    Ok(measured)
}

/// All at once, as one browser with one cookie.
async fn kept(server: &Server, updates: usize) -> Result<u64> {
    let mut browser = Visitor::arrive(server.address).await?;
    let start = std::sync::Arc::new(Barrier::new(updates));
    let mut tasks = JoinSet::new();
    for _ in 0..updates {
        let mut tab = browser.tab(server.address).await?;
        let start = start.clone();
        tasks.spawn(async move {
            start.wait().await;
            tab.visit(PAGE).await?;
            Ok::<_, std::io::Error>(tab)
        });
    }
    // The answer that comes last leaves its cookie.
    while let Some(done) = tasks.join_next().await {
        browser = done??;
    }
    // One more, to be told the sum.
    let body = browser.visit(PAGE).await?;
    let (_, visits) = body.split_once(' ').ok_or("an answer without a number")?;
    Ok(visits.parse::<u64>()? - VISITS_AT_START - 1)
}
