//! tower-sessions with its defaults, but for the signed cookie, on axum with one thread.

#[cfg(feature = "redis")]
pub(super) mod redis;
mod routes;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use std::net::Ipv4Addr;

use ::tower_sessions::{self, MemoryStore};
use axum::Router;
use tokio::net::TcpListener;

use self::routes::router;
use super::Route;
use crate::{Result, control};

pub(super) fn serve(route: Route) -> Result<()> {
    on_axum(async { Ok(router(route, MemoryStore::default())) })
}

fn on_axum(router: impl Future<Output = Result<Router>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let router = router.await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        control::answer(listener.local_addr()?);
        Ok(axum::serve(listener, router).await?)
    })
}
