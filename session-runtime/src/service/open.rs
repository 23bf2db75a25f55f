//! From tokens to the session they stand for.

use std::pin::pin;
use std::sync::Arc;

use super::{Deadline, Live, Presented, Service, Standing};
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::Result;
use crate::id::Id;
use crate::record::{Head, Inner, Key, Record, Summary};
use crate::seal;
use crate::store::Loaded;
use crate::token::Token;

/// What is stored for a request: nothing, at first.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) standing: Standing,
    pub(crate) contents: Arc<Contents>,
}

impl Default for Stored {
    fn default() -> Self {
        Self::empty(Standing::Nothing)
    }
}

impl Stored {
    pub(super) fn empty(standing: Standing) -> Self {
        Self {
            standing,
            contents: contents::empty(),
        }
    }
}

impl Service {
    /// Loads what can be loaded without waiting; `None` if it takes [`load`](Self::load).
    pub(crate) fn load_now(&self, presented: &Presented) -> Option<Result<Stored>> {
        let token = match &*presented.tokens {
            [] => return Some(Ok(Stored::default())),
            [token] => token,
            _ => return None,
        };
        if self.ledger.waits() {
            return None;
        }
        let now = self.now();
        let key = self.ring.store_key(&token.id);
        let answer = self.ledger.load_now(key, now)?;
        self.counters.loads.count();
        Some(match answer {
            Ok(loaded) => Ok(self.start(token, key, loaded, now)),
            Err(error) => {
                self.store_failed(&error);
                Err(error.into())
            }
        })
    }

    /// Loads the session of a request: of several tokens the one that is live.
    pub(crate) async fn load(&self, presented: &Presented) -> Result<Stored> {
        let mut deadline = self.deadline();
        let mut found: Option<Stored> = None;
        let mut otherwise = Standing::Nothing;
        for token in &presented.tokens {
            let stored = self.load_one(token, &mut deadline).await?;
            match stored.standing {
                Standing::Live(_) if found.is_none() => found = Some(stored),
                Standing::Live(_) => return Ok(Stored::empty(Standing::Ambiguous)),
                Standing::Unkept | Standing::Ambiguous => otherwise = Standing::Unkept,
                Standing::Nothing => {}
            }
        }
        Ok(found.unwrap_or_else(|| Stored::empty(otherwise)))
    }

    /// Loads the session of a request once more, as it is by now.
    pub(crate) async fn reload(&self, live: &Live) -> Result<Stored> {
        let token = Token {
            id: live.id.clone(),
            previous: live.previous,
        };
        self.load_one(&token, &mut self.deadline()).await
    }

    async fn load_one(&self, token: &Token, deadline: &mut Deadline<'_>) -> Result<Stored> {
        let now = self.now();
        let key = self.ring.store_key(&token.id);
        self.counters.loads.count();
        let loaded = deadline.wait(pin!(self.ledger.load(key, now))).await?;
        Ok(self.start(token, key, loaded, now))
    }

    fn start(&self, token: &Token, key: Key, loaded: Loaded, now: Timestamp) -> Stored {
        let record = match loaded {
            Loaded::Live(record) => record,
            Loaded::Retired => return Stored::empty(Standing::Unkept),
            Loaded::Nothing => {
                tracing::debug!(
                    target: "bsession",
                    hint = "it is over; or another process made it, or a service that was built in the closure of \
                            `HttpServer::new`, and they share no store",
                    "unknown_session"
                );
                return Stored::default();
            }
        };
        match self.open(&token.id, key, record) {
            Some((mut live, contents))
                if self.config.lifetime.end(live.head.expires, &contents, now) > now =>
            {
                live.previous |= token.previous;
                live.ends = self.config.lifetime.end(live.head.expires, &contents, now);
                live.due = self.is_keeping_due(&live, &contents, now);
                Stored {
                    standing: Standing::Live(live),
                    contents,
                }
            }
            _ => Stored::default(),
        }
    }

    /// Opens a record; nothing, with a line in the log, if it does not open.
    pub(super) fn open(&self, id: &Id, key: Key, record: Record) -> Option<(Live, Arc<Contents>)> {
        let Record {
            head,
            summary,
            body,
        } = record;
        let mut live = Live {
            id: id.clone(),
            key,
            head,
            ends: head.expires,
            summary: summary.filter(Summary::is_sealed),
            previous: false,
            due: false,
        };
        let contents = match body.0 {
            Inner::Plain(contents) => contents,
            Inner::Sealed(bytes) => {
                let Some((contents, previous)) = seal::open(&self.ring, id, key, &head, &bytes)
                else {
                    if seal::is_of_newer_format(&bytes) {
                        self.of_newer_version(&head);
                    } else {
                        self.counters.unreadable.count();
                        tracing::warn!(target: "bsession", handle = %head.handle, "record_unreadable");
                    }
                    return None;
                };
                live.previous = previous;
                Arc::new(contents)
            }
            Inner::Absent => {
                self.of_newer_version(&head);
                return None;
            }
        };
        Some((live, contents))
    }

    fn of_newer_version(&self, head: &Head) {
        self.counters.unreadable.count();
        tracing::warn!(
            target: "bsession",
            handle = %head.handle,
            hint = "its visitor has no session here, and it stays as it is; bring this process up to the newer version",
            "record_of_newer_version"
        );
    }
}
