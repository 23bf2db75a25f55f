//! Over Redis, by a pool as its documentation shows it, and with the version of tower-sessions that this
//! store is for.

use tower_sessions_0_14 as tower_sessions;
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike, Config, Pool},
};

use super::on_axum;
use crate::{Result, library::Route};

#[path = "routes.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "the same routes, on types of another version"
)]
mod routes;

/// As many connections as in the example of the store.
const CONNECTIONS: usize = 6;

pub(in crate::library) fn serve(url: &str, route: Route) -> Result<()> {
    on_axum(async move {
        let pool = Pool::new(Config::from_url(url)?, None, None, None, CONNECTIONS)?;
        // Its task ends with the process.
        pool.connect();
        pool.wait_for_connect().await?;
        Ok(routes::router(route, RedisStore::new(pool)))
    })
}
