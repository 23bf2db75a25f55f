//! The Redis store: one value a session, and what has to be one step is a script.
//!
//! `layout` says what is under a key, `scripts` what a server does with it, `operations` what the
//! store does and how often it has to ask, `listing` who has which sessions, `lease` how requests go
//! one after the other, `servers` and `url` which servers there are, `route`, with `cluster` and
//! `slots`, which of them has a key, `node` and `link` how a runtime talks to it, and `attempt` how
//! those who wait for the same share it.
//!
//! | key, behind the prefix | what |
//! |---|---|
//! | `{KEY}` | a record, or the tombstone that it left; `KEY` in base64url |
//! | `{KEY}:lock` | the lock of that session, while somebody has it |
//! | `user:USER` | the sessions of a user: a sorted set of keys, by until when they are listed |
//!
//! A server expires them all by itself. The braces keep what is of one session in one slot of a
//! cluster.
//!
//! # What it costs
//!
//! Commands, each of them a round trip:
//!
//! | | one server | cluster |
//! |---|---|---|
//! | load | `GET` | the same |
//! | create, commit, touch | a script | the same |
//! | the same, if the list of the user changes | a script | two, or three where nobody knew it |
//! | renew | a script | three, two without a user |
//! | remove | a script, and for a user's session `ZREM`, which nobody waits for | the same |
//! | list | `ZRANGE`, and `GET` for each, 128 at once | the same |
//! | lock | a script; given back, another one that nobody waits for | the same |
//!
//! # The list of a user
//!
//! In a cluster it is in another slot than the records, so the two cannot be written in one step. A
//! session is put on the list before its record says whose it is; what a list says is looked up in
//! the record, and what is not so is not shown. To be on it for twice as long as it would last
//! without a visit costs one score, and no visit has to move it until that time is half over.

mod attempt;
mod cluster;
mod keys;
mod layout;
mod lease;
mod link;
mod listing;
mod node;
mod operations;
mod route;
mod scripts;
mod servers;
mod settings;
mod slots;
#[cfg(test)]
mod tests;
mod url;

pub use self::settings::RedisStore;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::runtime;

use self::keys::Keys;
use self::route::Route;
use self::scripts::{Scripted, Scripts};
use self::servers::{Replies, Request, Servers};
use self::url::Address;
use super::{
    Answer, Cursor, Ending, Entry, Expected, Lease, Listed, Scanned, Store, StoreError, Swap,
    Swept, Whose, renew_by_swaps,
};
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};

/// What the keys begin with unless the settings say otherwise.
pub(crate) const PREFIX: &str = "bsession:";

/// The route of a runtime that has not asked for so long may be dropped, lest those of runtimes that
/// have ended pile up. One that has not ended makes another one.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Keeps sessions in Redis, alone, with replicas or as a cluster.
#[derive(Clone)]
pub(crate) struct OpenRedis(Arc<Shared>);

struct Shared {
    servers: Servers,
    routes: RwLock<HashMap<runtime::Id, Arc<Route>, RandomState>>,
    scripts: Scripts,
    keys: Keys,
    /// How many replicas must have a write before it is answered.
    replicas: u32,
    /// How long a request waits.
    patience: Duration,
}

impl OpenRedis {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The address is none; the text says why, and does not repeat it.
    pub(crate) fn new(
        url: &str,
        prefix: &str,
        replicas: u32,
        patience: Duration,
    ) -> Result<Self, String> {
        let address = Address::parse(url)?;
        let servers = Servers::new(address).map_err(|error| format!("is none: {error}"))?;
        Ok(Self(Arc::new(Shared {
            servers,
            routes: RwLock::default(),
            scripts: Scripts::new(),
            keys: Keys::new(prefix),
            replicas,
            patience,
        })))
    }
}

/// What a server, or the way to it, says against an operation.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {error}{hint}")]
struct Refused {
    error: RedisError,
    hint: &'static str,
}

/// A function and no `From`, which would make the client a part of the public interface.
fn refused(error: RedisError) -> StoreError {
    let hint = match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::Moved) => {
            ": the server is one of a cluster: write `redis-cluster://` before its address"
        }
        redis::ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            ": the server is a replica: give the address of the master, or of sentinels"
        }
        _ => "",
    };
    StoreError::Other(Box::new(Refused { error, hint }))
}

/// Not what a script or command answers.
fn unexpected() -> StoreError {
    StoreError::Other(
        "Redis: the server answered what was not asked: do others write under this prefix?".into(),
    )
}

impl Shared {
    /// The route of the runtime that this is called on.
    fn route(&self) -> Result<Arc<Route>, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|_| StoreError::Stopped)?;
        let id = runtime.id();
        // A map is whole whatever panics.
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

    async fn ask(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        let (value, _) = self
            .send(cmd, None, &AtomicBool::new(false))
            .await?
            .map_err(refused)?;
        Ok(value)
    }

    async fn send(
        &self,
        cmd: &Cmd,
        wait: Option<&Cmd>,
        again: &AtomicBool,
    ) -> Result<RedisResult<Replies>, StoreError> {
        let request = Request {
            asking: false,
            cmd,
            wait,
            again,
        };
        Ok(self.route()?.ask(request).await)
    }

    /// Runs a script whose loss is no loss.
    async fn run(&self, script: &Scripted, by_hash: Cmd) -> Result<Value, StoreError> {
        let again = AtomicBool::new(false);
        let (value, _) = self.run_then(script, by_hash, None, &again).await?;
        Ok(value)
    }

    /// Runs a script that writes, and waits until as many replicas as were asked for have it. Tells, too,
    /// whether it was sent a second time though it may have been done.
    async fn write(&self, script: &Scripted, by_hash: Cmd) -> Result<(Value, bool), StoreError> {
        let again = AtomicBool::new(false);
        if self.replicas == 0 {
            let (value, _) = self.run_then(script, by_hash, None, &again).await?;
            return Ok((value, again.into_inner()));
        }
        let mut wait = Cmd::new();
        wait.arg("WAIT")
            .arg(self.replicas)
            .arg((self.patience / 2).as_millis() as u64);
        match self.run_then(script, by_hash, Some(&wait), &again).await? {
            (value, Some(Value::Int(count))) if count >= i64::from(self.replicas) => {
                Ok((value, again.into_inner()))
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

    async fn run_then(
        &self,
        script: &Scripted,
        by_hash: Cmd,
        wait: Option<&Cmd>,
        again: &AtomicBool,
    ) -> Result<Replies, StoreError> {
        match self.send(&by_hash, wait, again).await? {
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                let in_full = script.in_full(&by_hash);
                Box::pin(self.send(&in_full, wait, again))
                    .await?
                    .map_err(refused)
            }
            result => result.map_err(refused),
        }
    }

    /// Waits no longer than a request does: what no request waits for has no other end where a server is silent.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = tokio::time::timeout(self.patience, work);
        limit.await.unwrap_or(Err(StoreError::TimedOut))
    }

    /// Does what nobody waits for. What comes of it is seen to by an expiry.
    fn later(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

impl Store for OpenRedis {
    fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
        Answer::later(self.0.load(key))
    }

    fn swap(
        &self,
        key: Key,
        expected: Expected,
        entry: Option<Entry>,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::later(self.0.swap(key, expected, entry, now))
    }

    fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
        Answer::later(Arc::clone(&self.0).list(users.to_vec()))
    }

    fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
        Answer::later(Arc::clone(&self.0).scan(cursor, budget))
    }

    fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
        Answer::later(async move { self.0.touch(key, &head, now).await })
    }

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        if self.0.servers.is_one() {
            return Answer::later(self.0.renew(old, over, new, record, now));
        }
        Answer::later(renew_by_swaps(self, old, over, new, record, now))
    }

    fn renews_at_once(&self) -> bool {
        self.0.servers.is_one()
    }

    fn end<'a>(&'a self, key: Key, whose: Option<Whose<'a>>, now: Timestamp) -> Answer<'a, Ending> {
        Answer::later(async move {
            let ending = self.0.end(key, whose, now).await?;
            if let Ending::Ended(Head {
                user: Some(user), ..
            }) = ending
            {
                self.0.unlist(user, key);
            }
            Ok(ending)
        })
    }

    fn lock(&self, key: Key) -> Option<Answer<'_, Option<Lease>>> {
        Some(Answer::later(lease::take(Arc::clone(&self.0), key)))
    }

    /// The servers expire what is over; this sees to the lists.
    fn sweep(&self, from: Cursor, _now: Timestamp, _budget: usize) -> Answer<'_, Swept> {
        Answer::later(async move { self.0.heal(from).await })
    }
}
