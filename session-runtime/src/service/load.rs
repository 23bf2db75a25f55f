//! Loading: from the tokens of a request to its session.

use std::pin::pin;

use futures_util::future::try_join_all;

use super::cookies::Presented;
use super::service::Service;
use super::standing::{Live, Standing};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::Key;
use crate::secret::Carries;
use crate::store::Loaded;
use crate::token::Token;

/// The number of tokens of one request whose sessions are loaded. A browser has two after a change of `domain` or
/// `path`, and hardly ever three. Everything beyond costs the store more than it helps anybody.
pub(super) const MAX_LOADED: usize = 4;

impl Service {
    /// Loads the session if that is possible without waiting; `None` if it takes [`load`](Self::load).
    pub(crate) fn load_now(&self, presented: &Presented) -> Option<Result<Standing>> {
        let mut tokens = presented.of_sessions();
        let Some(token) = tokens.next() else {
            return Some(Ok(Standing::NoSession));
        };
        if tokens.next().is_some() {
            return None;
        }
        let storage = &self.storage;
        if storage.ledger.waits() {
            return None;
        }
        let now = storage.now();
        let key = self.codec.key(&token.id);
        let answer = storage.ledger.load_now(key, now)?;
        storage.counters.loads.count();
        Some(match answer {
            Ok(loaded) => Ok(self.loaded(token, key, loaded, now)),
            Err(error) => {
                storage.failed(&error);
                Err(error.into())
            }
        })
    }

    /// Loads the session of a request. If it has several tokens, the one with a live session counts.
    pub(crate) async fn load(&self, presented: &Presented) -> Result<Standing> {
        let mut tokens = presented.of_sessions();
        match (tokens.next(), tokens.next()) {
            (None, _) => Ok(Standing::NoSession),
            (Some(token), None) => self.load_one(token).await,
            // Boxed, because it is rare and large.
            _ => Box::pin(self.load_the_live_one(presented)).await,
        }
    }

    /// Loads the first of several sessions, at once.
    pub(super) async fn load_each(&self, presented: &Presented) -> Result<Vec<Standing>> {
        let tokens = presented.of_sessions().take(MAX_LOADED);
        try_join_all(tokens.map(|token| self.load_one(token))).await
    }

    async fn load_the_live_one(&self, presented: &Presented) -> Result<Standing> {
        let mut found = Standing::NoSession;
        for standing in self.load_each(presented).await? {
            found = match (standing, found) {
                (Standing::Live(rival), Standing::Live(live)) => {
                    self.warn_of_rivals([&live.head, &rival.head]);
                    return Ok(Standing::Ambiguous);
                }
                (Standing::NoSession, before) => before,
                (_, before @ Standing::Live(_)) => before,
                (standing, _) => standing,
            };
        }
        Ok(found)
    }

    /// Loads the session of a request again, in its present state.
    pub(crate) async fn reload(&self, live: &Live) -> Result<Standing> {
        let token = Token {
            id: live.id.clone(),
            previous: live.previous,
            carries: Carries::Session,
        };
        self.load_one(&token).await
    }

    /// Looks at the session of a request that has been running for a while. A session that is gone has ended: changes
    /// that this request made to it begin no other one.
    pub(crate) async fn look_again(&self, live: &Live) -> Result<Standing> {
        Ok(match self.reload(live).await? {
            Standing::NoSession => Standing::Ended,
            standing => standing,
        })
    }

    async fn load_one(&self, token: &Token) -> Result<Standing> {
        let storage = &self.storage;
        let mut deadline = storage.deadline();
        let now = storage.now();
        let key = self.codec.key(&token.id);
        storage.counters.loads.count();
        let loaded = deadline.wait(pin!(storage.ledger.load(key, now))).await?;
        Ok(self.loaded(token, key, loaded, now))
    }

    fn loaded(&self, token: &Token, key: Key, loaded: Loaded, now: Timestamp) -> Standing {
        let record = match loaded {
            Loaded::Live(record) => record,
            Loaded::Retired => return Standing::Ended,
            Loaded::Nothing => {
                self.neighbours.look_for(key, now);
                tracing::debug!(
                    target: "bsession",
                    hint = "it is over; or another process made it, or a service that was built in the closure of \
                            `HttpServer::new`, and they share no store",
                    "unknown_session"
                );
                return Standing::NoSession;
            }
        };
        let Some(mut live) = self.codec.open(&token.id, key, record) else {
            return Standing::NoSession;
        };
        live.looked = now;
        live.ends = self.lifetime.end(live.head.expires, &live.contents, now);
        if live.ends <= now {
            return Standing::NoSession;
        }
        live.previous |= token.previous;
        live.due = self.is_keeping_due(&live, now);
        Standing::Live(live)
    }
}
