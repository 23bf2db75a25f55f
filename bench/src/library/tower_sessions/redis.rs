//! Over Redis, with the version of tower-sessions that its store is for.

use tower_sessions_0_14 as tower_sessions;
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{Client, ClientLike, Config},
};

use super::on_axum;
use crate::{Result, library::Route};

#[path = "routes.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "the same routes, on types of another version"
)]
mod routes;

/// By one connection, where the example of the store has a pool of six: with one thread that saves the
/// server a fifth of its CPU time, and Redis more, since more commands go in one go.
pub(in crate::library) fn serve(url: &str, route: Route) -> Result<()> {
    on_axum(async move {
        let client = Client::new(Config::from_url(url)?, None, None, None);
        // Its task ends with the process.
        client.init().await?;
        Ok(routes::router(route, RedisStore::new(client)))
    })
}
