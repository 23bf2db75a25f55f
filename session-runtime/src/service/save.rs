//! From changes to a record: created, committed, renewed or removed.

use std::pin::pin;
use std::sync::Arc;

use serde_json::Value;

use super::{CookieChange, Deadline, Live, Presented, Service, Standing, Stored, Turn};
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::random;
use crate::record::{Handle, Head, Key, Record, Revision};
use crate::secret;
use crate::store::{Commit, StoreError};

/// How often a new session tries another id: a second time is a broken generator already.
const TRIES: usize = 4;

/// Where a save leaves the request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stored: Stored,
    pub(crate) cookie: Option<CookieChange>,
    /// The id for a session that is created or renewed, where it must be one that was made before:
    /// new as any other, never shown to anybody, and used once.
    pub(crate) next: Option<Id>,
}

impl Outcome {
    /// Where it begins.
    pub(crate) fn of(stored: Stored) -> Self {
        Self {
            stored,
            cookie: None,
            next: None,
        }
    }

    fn new_id(&mut self) -> Result<Id> {
        self.next.take().map_or_else(secret::new_id, Ok)
    }

    fn end(&mut self, standing: Standing) {
        self.stored = Stored::empty(standing);
    }
}

/// A session as it is about to be written.
struct Next {
    live: Live,
    contents: Arc<Contents>,
    /// Whether the cookie has to be sent.
    tell: bool,
}

impl Service {
    /// Saves the changes of a request, each put on the one before.
    pub(crate) async fn save(
        &self,
        presented: &Presented,
        outcome: &mut Outcome,
        mut changes: &[Changes],
    ) -> Result<()> {
        if let Some(last) = changes.iter().rposition(|changes| changes.purge) {
            changes = &changes[last..];
            self.purge(presented, outcome).await?;
        }
        let login = changes.iter().any(|changes| changes.login);
        let renew = login || changes.iter().any(|changes| changes.renew);
        let edits = changes.iter().any(Changes::edits);
        match &outcome.stored.standing {
            Standing::Nothing if edits => self.create(outcome, changes).await,
            Standing::Unkept if login => self.create(outcome, changes).await,
            // Both go, as the one would: else they would be two again at the next request.
            Standing::Ambiguous if login => {
                self.purge(presented, outcome).await?;
                self.create(outcome, changes).await
            }
            Standing::Live(_) if edits || renew => {
                if self.commit(outcome, changes, renew).await? {
                    return Ok(());
                }
                // The session has ended: a login begins another one, all else is too late.
                outcome.end(Standing::Unkept);
                if login {
                    return self.create(outcome, changes).await;
                }
                self.late();
                Ok(())
            }
            Standing::Live(live) => {
                if live.due {
                    self.keep(outcome).await;
                }
                Ok(())
            }
            Standing::Unkept | Standing::Ambiguous if edits => {
                self.late();
                Ok(())
            }
            Standing::Nothing | Standing::Unkept | Standing::Ambiguous => Ok(()),
        }
    }

    /// Removes every session whose cookie was shown.
    async fn purge(&self, presented: &Presented, outcome: &mut Outcome) -> Result<()> {
        let mut deadline = self.deadline();
        let tokens = presented.tokens.iter();
        let mut keys: Vec<Key> = tokens.map(|token| self.ring.store_key(&token.id)).collect();
        let mut shown = presented.any;
        if let Standing::Live(live) = &outcome.stored.standing {
            // A save earlier in the request may have given it another id.
            shown = true;
            if !keys.contains(&live.key) {
                keys.push(live.key);
            }
        }
        for key in keys {
            if deadline
                .wait(pin!(self.ledger.remove(key, self.now())))
                .await?
            {
                self.counters.removals.count();
                tracing::debug!(target: "bsession", "purged");
            }
        }
        outcome.end(Standing::Nothing);
        outcome.cookie = shown.then_some(CookieChange::Remove);
        Ok(())
    }

    /// Makes a session, under an id that nobody had before.
    pub(crate) async fn create(&self, outcome: &mut Outcome, changes: &[Changes]) -> Result<()> {
        let mut deadline = self.deadline();
        let now = self.now();
        let login = self.admit(changes, None, now, &mut deadline).await?;
        let login_at = login.as_ref().map_or(now, |login| login.at);
        let mut contents = self.apply(changes, contents::empty(), login_at);
        {
            let contents = Arc::make_mut(&mut contents);
            contents.created = now;
            contents.cookie_sent = now;
            contents.deadline = self.config.lifetime.deadline_from(now);
        }
        self.check(&contents)?;
        let handle = Handle(random::bytes().map_err(Error::Random)?);
        let user = self.user_key(&contents);
        let mut head = Head {
            revision: Revision::first(),
            expires: self.config.lifetime.expiry(&contents, now),
            seen: now,
            created: contents.created,
            handle,
            user,
        };
        let summary = self.summary(None, &head, &contents)?;
        for _ in 0..TRIES {
            let id = outcome.new_id()?;
            head.revision = Revision::first();
            let live = Live {
                key: self.ring.store_key(&id),
                id,
                head,
                ends: head.expires,
                summary: summary.clone(),
                previous: false,
                due: false,
            };
            let record = self.record(&live, &contents)?;
            if deadline
                .wait(pin!(self.ledger.create(live.key, record, now)))
                .await?
            {
                self.counters.creates.count();
                tracing::debug!(target: "bsession", %handle, "created");
                if let Some(login) = &login {
                    Box::pin(self.settle(login, &live, &mut deadline)).await?;
                }
                outcome.cookie = Some(self.set_cookie(&live.id, &contents, now));
                outcome.stored.standing = Standing::Live(live);
                outcome.stored.contents = contents;
                return Ok(());
            }
        }
        let text = "the store has something under every new id";
        Err(StoreError::Other(text.into()).into())
    }

    /// Saves a session that is there, put on top of whatever others saved meanwhile; answers whether
    /// it still was there.
    async fn commit(
        &self,
        outcome: &mut Outcome,
        changes: &[Changes],
        renew: bool,
    ) -> Result<bool> {
        let mut deadline = self.deadline();
        let now = self.now();
        let new_id = if renew { Some(outcome.new_id()?) } else { None };
        let own = match &outcome.stored.standing {
            Standing::Live(live) => Some(live.head.handle),
            _ => None,
        };
        let login = self.admit(changes, own, now, &mut deadline).await?;
        let login_at = login.as_ref().map_or(now, |login| login.at);
        let mut turn = None;
        while let Standing::Live(live) = &outcome.stored.standing {
            let next = self.next(
                live,
                &outcome.stored.contents,
                changes,
                new_id.as_ref(),
                login_at,
                now,
            )?;
            let record = self.record(&next.live, &next.contents)?;
            let (key, over) = (live.key, live.head.revision);
            let written = if renew {
                let renewal = self.ledger.renew(key, over, next.live.key, record, now);
                deadline.wait(pin!(renewal)).await?
            } else {
                deadline
                    .wait(pin!(self.ledger.commit(key, over, record, now)))
                    .await?
            };
            match written {
                Commit::Saved => {
                    self.counters.commits.count();
                    let Next {
                        live,
                        contents,
                        tell,
                    } = next;
                    if renew {
                        self.counters.renewals.count();
                        tracing::debug!(target: "bsession", handle = %live.head.handle, "renewed");
                    }
                    if let Some(login) = &login {
                        Box::pin(self.settle(login, &live, &mut deadline)).await?;
                    }
                    outcome.cookie = tell.then(|| self.set_cookie(&live.id, &contents, now));
                    outcome.stored.standing = Standing::Live(live);
                    outcome.stored.contents = contents;
                    return Ok(true);
                }
                Commit::Conflict(latest) => {
                    self.take_turn(&mut turn, live.key, &mut deadline).await?;
                    self.reopen(outcome, latest);
                }
                Commit::Gone => break,
            }
            deadline.check()?;
        }
        // Nobody has it: a login begins another session under it, for which a page may have CSRF tokens.
        outcome.next = new_id.or(outcome.next.take());
        Ok(false)
    }

    /// The session after these changes, under a new id or its own.
    fn next(
        &self,
        live: &Live,
        base: &Arc<Contents>,
        changes: &[Changes],
        new_id: Option<&Id>,
        login_at: Timestamp,
        now: Timestamp,
    ) -> Result<Next> {
        let mut contents = self.apply(changes, Arc::clone(base), login_at);
        let tell = new_id.is_some()
            || live.previous
            || contents.idle != base.idle
            || self.config.lifetime.is_cookie_due(&contents, now);
        if tell {
            Arc::make_mut(&mut contents).cookie_sent = now;
        }
        self.check(&contents)?;
        let (id, key) = match new_id {
            Some(id) => (id.clone(), self.ring.store_key(id)),
            None => (live.id.clone(), live.key),
        };
        let live = Live {
            id,
            key,
            previous: false,
            due: false,
            ..self.rewritten(live, base, &contents, now)?
        };
        Ok(Next {
            live,
            contents,
            tell,
        })
    }

    /// Removes one key for one caller, at once: whoever commits the removal has the value.
    pub(crate) async fn claim(&self, outcome: &mut Outcome, key: &str) -> Result<Option<Value>> {
        let mut deadline = self.deadline();
        let now = self.now();
        let mut turn = None;
        while let Standing::Live(live) = &outcome.stored.standing {
            let mut claimed = Contents::clone(&outcome.stored.contents);
            let Some(value) = claimed.data.remove(key) else {
                return Ok(None);
            };
            let claimed = Arc::new(claimed);
            let next = self.rewritten(live, &outcome.stored.contents, &claimed, now)?;
            let record = self.record(&next, &claimed)?;
            let answer = self
                .ledger
                .commit(live.key, live.head.revision, record, now);
            match deadline.wait(pin!(answer)).await? {
                Commit::Saved => {
                    self.counters.commits.count();
                    outcome.stored.standing = Standing::Live(next);
                    outcome.stored.contents = claimed;
                    return Ok(Some(value));
                }
                Commit::Conflict(latest) => {
                    self.take_turn(&mut turn, live.key, &mut deadline).await?;
                    self.reopen(outcome, latest);
                }
                Commit::Gone => outcome.end(Standing::Unkept),
            }
            deadline.check()?;
        }
        Ok(None)
    }

    /// Waits, at the first conflict, for one's turn among the requests of this process that have had one.
    /// A store in this process answers at once, and needs no turns.
    async fn take_turn(
        &self,
        turn: &mut Option<Turn>,
        key: Key,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        if turn.is_none() && !self.ledger.in_process() {
            *turn = Some(deadline.turn(key).await?);
        }
        Ok(())
    }

    /// Goes on from what another request committed over the revision that this one has; it does not
    /// open if it is not ours.
    fn reopen(&self, outcome: &mut Outcome, latest: Record) {
        self.counters.conflicts.count();
        let Standing::Live(live) = &mut outcome.stored.standing else {
            return;
        };
        match self.open(&live.id, live.key, latest) {
            Some((mut latest, contents)) => {
                latest.previous |= live.previous;
                latest.due = self.is_keeping_due(&latest, &contents, self.now());
                *live = latest;
                outcome.stored.contents = contents;
            }
            None => outcome.end(Standing::Unkept),
        }
    }

    pub(crate) fn apply(
        &self,
        changes: &[Changes],
        base: Arc<Contents>,
        now: Timestamp,
    ) -> Arc<Contents> {
        changes.iter().fold(base, |contents, changes| {
            changes.apply(&contents, now, &self.config.lifetime)
        })
    }

    fn check(&self, contents: &Contents) -> Result<()> {
        if !contents.data.is_shallow() {
            return Err(Error::TooDeep);
        }
        let user = contents.user.as_deref().map_or(0, str::len);
        let max = self.config.max_size;
        // Only what may be too large is written down to be measured.
        if contents.data.size_bound() + user <= max {
            return Ok(());
        }
        let size = contents.data.size() + user;
        if size > max {
            Err(Error::TooLarge { size, max })
        } else {
            Ok(())
        }
    }

    pub(crate) fn late(&self) {
        self.counters.late.count();
        // Nothing is wrong: a page was open, or on its way, when its session ended.
        tracing::info!(target: "bsession", "late_save_dropped");
    }
}
