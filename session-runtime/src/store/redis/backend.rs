//! The backend: it sends commands and scripts to the server that has the key.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use redis::{Cmd, RedisResult, ServerErrorKind, Value};
use tokio::runtime;

use super::connection::{Command, Replies};
use super::failure::{failed, unexpected};
use super::key_names::KeyNames;
use super::route::Route;
use super::scripts::{LuaScript, Scripts};
use super::servers::Servers;
use crate::store::StoreError;

/// The time without a command after which the route of a runtime may be dropped.
///
/// Otherwise the routes of runtimes that have ended would pile up. A runtime that still runs makes a new route.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The part of an open store that its clones and its background work share.
pub(super) struct Backend {
    servers: Servers,
    routes: RwLock<HashMap<runtime::Id, Arc<Route>, RandomState>>,
    pub(super) scripts: Scripts,
    pub(super) names: KeyNames,
    /// The number of replicas that must have a write before it is answered.
    replicas: u32,
    /// The time that a request waits.
    patience: Duration,
}

impl Backend {
    pub(super) fn new(servers: Servers, prefix: &str, replicas: u32, patience: Duration) -> Self {
        Self {
            servers,
            routes: RwLock::default(),
            scripts: Scripts::new(),
            names: KeyNames::new(prefix),
            replicas,
            patience,
        }
    }

    /// True if one script reaches all keys, which is so without a cluster.
    pub(super) fn is_one_server(&self) -> bool {
        self.servers.is_one()
    }

    /// Returns the route of the runtime that this is called on.
    pub(super) fn route(&self) -> Result<Arc<Route>, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|_| StoreError::Stopped)?;
        let id = runtime.id();
        // A poisoned lock does no harm: no panic leaves the map half changed.
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(&id) {
            return Ok(Arc::clone(route));
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, route| route.is_in_use(FORGET_AFTER));
        let route = routes.entry(id);
        Ok(Arc::clone(route.or_insert_with(|| {
            Arc::new(Route::to(&self.servers, self.patience))
        })))
    }

    /// Sends a command and returns the reply.
    pub(super) async fn ask(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        let (value, _) = self
            .send(cmd, None, &AtomicBool::new(false))
            .await?
            .map_err(failed)?;
        Ok(value)
    }

    async fn send(
        &self,
        cmd: &Cmd,
        wait: Option<&Cmd>,
        resent: &AtomicBool,
    ) -> Result<RedisResult<Replies>, StoreError> {
        let command = Command {
            asking: false,
            cmd,
            wait,
            resent,
        };
        Ok(self.route()?.ask(command).await)
    }

    /// Runs a script without waiting for replicas, because it does no harm if its effect is lost.
    pub(super) async fn run(&self, script: &LuaScript, by_hash: Cmd) -> Result<Value, StoreError> {
        let resent = AtomicBool::new(false);
        let (value, _) = self.run_and_wait(script, by_hash, None, &resent).await?;
        Ok(value)
    }

    /// Runs a script that writes, and waits until enough replicas have the write.
    ///
    /// Returns the reply, and true if the script was sent a second time although the server may have run it the
    /// first time.
    pub(super) async fn write(
        &self,
        script: &LuaScript,
        by_hash: Cmd,
    ) -> Result<(Value, bool), StoreError> {
        let resent = AtomicBool::new(false);
        if self.replicas == 0 {
            let (value, _) = self.run_and_wait(script, by_hash, None, &resent).await?;
            return Ok((value, resent.into_inner()));
        }
        let mut wait = Cmd::new();
        wait.arg("WAIT")
            .arg(self.replicas)
            .arg((self.patience / 2).as_millis() as u64);
        let run = self.run_and_wait(script, by_hash, Some(&wait), &resent);
        match run.await? {
            (value, Some(Value::Int(count))) if count >= i64::from(self.replicas) => {
                Ok((value, resent.into_inner()))
            }
            (_, Some(Value::Int(count))) => Err(StoreError::Other(
                format!(
                    "Redis: {count} replicas have it, and {} were asked for",
                    self.replicas
                )
                .into(),
            )),
            _ => Err(unexpected()),
        }
    }

    async fn run_and_wait(
        &self,
        script: &LuaScript,
        by_hash: Cmd,
        wait: Option<&Cmd>,
        resent: &AtomicBool,
    ) -> Result<Replies, StoreError> {
        match self.send(&by_hash, wait, resent).await? {
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                let in_full = script.in_full(&by_hash);
                Box::pin(self.send(&in_full, wait, resent))
                    .await?
                    .map_err(failed)
            }
            result => result.map_err(failed),
        }
    }

    /// Limits work to the time that a request waits.
    ///
    /// Work that no request waits for needs this: nothing else would end it where a server is silent.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = tokio::time::timeout(self.patience, work);
        let timed_out = |_| Err(self.outage().unwrap_or(StoreError::TimedOut));
        limit.await.unwrap_or_else(timed_out)
    }

    /// Returns the reason why a server cannot be connected to from this runtime, if there is one.
    pub(super) fn outage(&self) -> Option<StoreError> {
        let runtime = runtime::Handle::try_current().ok()?.id();
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(&runtime)?.outage().map(failed)
    }

    /// Spawns work that nobody waits for. If it fails, an expiry cleans up.
    pub(super) fn later(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}
