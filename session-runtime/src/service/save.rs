//! From changes to a record: created, committed, renewed or removed.

use std::sync::Arc;

use serde_json::Value;

use super::{CookieChange, Live, Presented, Service, Standing};
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::random;
use crate::record::{Body, Handle, Inner, Key, Record, Revision, UserKey};
use crate::seal;
use crate::secret;
use crate::store::Commit;

/// How often a new session tries another id: a second time is a broken generator already.
const TRIES: usize = 4;

/// Where a save leaves the request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) standing: Standing,
    pub(crate) contents: Arc<Contents>,
    pub(crate) cookie: Option<CookieChange>,
}

impl Service {
    /// Saves the changes of a request, each put on the one before.
    pub(crate) async fn save(
        &self,
        presented: &Presented,
        standing: Standing,
        contents: Arc<Contents>,
        mut changes: Vec<Changes>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome {
            standing,
            contents,
            cookie: None,
        };
        if let Some(last) = changes.iter().rposition(|changes| changes.purge) {
            changes.drain(..last);
            outcome = self.purge(presented, &outcome.standing).await?;
        }
        let login = changes.iter().any(|changes| changes.login);
        let renew = login || changes.iter().any(|changes| changes.renew);
        let edits = changes.iter().any(Changes::edits);
        match outcome.standing {
            Standing::Nothing if edits => self.create(&changes).await,
            Standing::Unkept if login => self.create(&changes).await,
            // Both go, as the one would: else they would be two again at the next request.
            Standing::Ambiguous if login => {
                self.purge(presented, &outcome.standing).await?;
                self.create(&changes).await
            }
            Standing::Live(live) if edits || renew => {
                self.commit(live, outcome.contents, &changes, renew).await
            }
            Standing::Live(live) => Ok(self.keep(live, outcome.contents).await),
            Standing::Unkept | Standing::Ambiguous if edits => {
                self.late();
                Ok(outcome)
            }
            Standing::Nothing | Standing::Unkept | Standing::Ambiguous => Ok(outcome),
        }
    }

    /// Removes every session whose cookie was shown.
    async fn purge(&self, presented: &Presented, standing: &Standing) -> Result<Outcome> {
        let mut deadline = self.deadline();
        let mut keys: Vec<Key> = presented
            .tokens
            .iter()
            .map(|token| self.ring.store_key(&token.id))
            .collect();
        let mut shown = presented.any;
        if let Standing::Live(live) = standing {
            // A save earlier in the request may have given it another id.
            shown = true;
            if !keys.contains(&live.key) {
                keys.push(live.key);
            }
        }
        for key in keys {
            if deadline.wait(self.store.remove(key, self.now())).await? {
                self.counters.removals.count();
                tracing::debug!(target: "bsession", "purged");
            }
        }
        let cookie = shown.then_some(CookieChange::Remove);
        Ok(Outcome {
            standing: Standing::Nothing,
            contents: contents::empty(),
            cookie,
        })
    }

    /// Makes a session, under an id that nobody had before.
    pub(crate) async fn create(&self, changes: &[Changes]) -> Result<Outcome> {
        let mut deadline = self.deadline();
        let now = self.now();
        let mut contents = self.apply(changes, contents::empty(), now);
        {
            let contents = Arc::make_mut(&mut contents);
            contents.created = now;
            contents.cookie_sent = now;
            contents.deadline = self.config.lifetime.map(|span| now + span);
        }
        self.check(&contents)?;
        let handle = Handle(random::bytes().map_err(Error::Random)?);
        let user = contents
            .user
            .as_deref()
            .map(|name| self.ring.current().user_key(name));
        for _ in 0..TRIES {
            let id = secret::new_id()?;
            let key = self.ring.store_key(&id);
            let live = self.live(id, key, Revision::first(), &contents, handle, user, now);
            let record = self.record(&live, &contents)?;
            if deadline.wait(self.store.create(key, record, now)).await? {
                self.counters.creates.count();
                tracing::debug!(target: "bsession", %handle, "created");
                let cookie = Some(self.set_cookie(&live.id, &contents, now));
                return Ok(Outcome {
                    standing: Standing::Live(live),
                    contents,
                    cookie,
                });
            }
        }
        Err(Error::Random(std::io::Error::other(
            "every new id is taken",
        )))
    }

    /// Saves a session that is there, put on top of whatever others saved meanwhile.
    async fn commit(
        &self,
        mut live: Live,
        mut base: Arc<Contents>,
        changes: &[Changes],
        renew: bool,
    ) -> Result<Outcome> {
        let mut deadline = self.deadline();
        let now = self.now();
        let new_id = if renew { Some(secret::new_id()?) } else { None };
        loop {
            let mut contents = self.apply(changes, Arc::clone(&base), now);
            let tell = renew
                || live.previous
                || contents.idle != base.idle
                || self.is_cookie_due(&contents, now);
            if tell {
                Arc::make_mut(&mut contents).cookie_sent = now;
            }
            self.check(&contents)?;
            let user = if contents.user == base.user && !live.previous {
                live.user
            } else {
                contents
                    .user
                    .as_deref()
                    .map(|name| self.ring.current().user_key(name))
            };
            let id = new_id.clone().unwrap_or_else(|| live.id.clone());
            let key = if renew {
                self.ring.store_key(&id)
            } else {
                live.key
            };
            let next = self.live(
                id,
                key,
                live.revision.next(),
                &contents,
                live.handle,
                user,
                now,
            );
            let record = self.record(&next, &contents)?;
            let answer = if renew {
                self.store.renew(live.key, live.revision, key, record, now)
            } else {
                self.store.commit(key, live.revision, record, now)
            };
            match deadline.wait(answer).await? {
                Commit::Saved => {
                    self.counters.commits.count();
                    if renew {
                        self.counters.renewals.count();
                        tracing::debug!(target: "bsession", handle = %next.handle, "renewed");
                    }
                    let cookie = tell.then(|| self.set_cookie(&next.id, &contents, now));
                    return Ok(Outcome {
                        standing: Standing::Live(next),
                        contents,
                        cookie,
                    });
                }
                Commit::Conflict(latest) => match self.reopen(&live, latest) {
                    Some(latest) => (live, base) = latest,
                    None => return self.gone(changes).await,
                },
                Commit::Gone => return self.gone(changes).await,
            }
            deadline.check()?;
        }
    }

    /// What becomes of changes whose session has ended: a login begins another one, all else is
    /// too late.
    async fn gone(&self, changes: &[Changes]) -> Result<Outcome> {
        if changes.iter().any(|changes| changes.login) {
            return self.create(changes).await;
        }
        self.late();
        Ok(Outcome {
            standing: Standing::Unkept,
            contents: contents::empty(),
            cookie: None,
        })
    }

    /// Removes one key for one caller, at once: whoever commits the removal has the value.
    pub(crate) async fn claim(
        &self,
        mut live: Live,
        mut contents: Arc<Contents>,
        key: &str,
    ) -> Result<(Outcome, Option<Value>)> {
        let mut deadline = self.deadline();
        let now = self.now();
        loop {
            let mut claimed = Contents::clone(&contents);
            let Some(value) = claimed.data.remove(key) else {
                return Ok((
                    Outcome {
                        standing: Standing::Live(live),
                        contents,
                        cookie: None,
                    },
                    None,
                ));
            };
            let claimed = Arc::new(claimed);
            let user = live.user;
            let next = Live {
                revision: live.revision.next(),
                expires: self.expiry(&claimed, now),
                user,
                ..live.clone()
            };
            let record = self.record(&next, &claimed)?;
            match deadline
                .wait(self.store.commit(live.key, live.revision, record, now))
                .await?
            {
                Commit::Saved => {
                    self.counters.commits.count();
                    let outcome = Outcome {
                        standing: Standing::Live(next),
                        contents: claimed,
                        cookie: None,
                    };
                    return Ok((outcome, Some(value)));
                }
                Commit::Conflict(latest) => {
                    if let Some(latest) = self.reopen(&live, latest) {
                        (live, contents) = latest;
                        deadline.check()?;
                        continue;
                    }
                }
                Commit::Gone => {}
            }
            let outcome = Outcome {
                standing: Standing::Unkept,
                contents: contents::empty(),
                cookie: None,
            };
            return Ok((outcome, None));
        }
    }

    /// Opens what another request committed over the revision that this one has.
    pub(super) fn reopen(&self, live: &Live, latest: Record) -> Option<(Live, Arc<Contents>)> {
        self.counters.conflicts.count();
        let (mut latest, contents) = self.open(&live.id, live.key, latest)?;
        latest.previous |= live.previous;
        Some((latest, contents))
    }

    pub(crate) fn apply(
        &self,
        changes: &[Changes],
        base: Arc<Contents>,
        now: Timestamp,
    ) -> Arc<Contents> {
        changes.iter().fold(base, |contents, changes| {
            changes.apply(&contents, now, self.config.lifetime)
        })
    }

    fn check(&self, contents: &Contents) -> Result<()> {
        if !contents.data.is_shallow() {
            return Err(Error::TooDeep);
        }
        let user = contents.user.as_deref().map_or(0, str::len);
        let (size, max) = (contents.data.size() + user, self.config.max_size);
        if size > max {
            Err(Error::TooLarge { size, max })
        } else {
            Ok(())
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of a `Live`, one each"
    )]
    fn live(
        &self,
        id: Id,
        key: Key,
        revision: Revision,
        contents: &Contents,
        handle: Handle,
        user: Option<UserKey>,
        now: Timestamp,
    ) -> Live {
        let expires = self.expiry(contents, now);
        Live {
            id,
            key,
            revision,
            expires,
            ends: expires,
            created: contents.created,
            handle,
            user,
            previous: false,
            due: false,
        }
    }

    pub(super) fn record(&self, live: &Live, contents: &Arc<Contents>) -> Result<Record> {
        let &Live {
            key,
            revision,
            expires,
            created,
            handle,
            user,
            ..
        } = live;
        let body = if self.store.in_process() {
            Inner::Plain(Arc::clone(contents))
        } else {
            let place = seal::Place {
                key,
                revision,
                created,
                handle,
                user,
            };
            Inner::Sealed(seal::seal(&self.ring, &live.id, &place, contents)?)
        };
        Ok(Record {
            revision,
            expires,
            created,
            handle,
            user,
            body: Body(body),
        })
    }

    pub(crate) fn late(&self) {
        self.counters.late.count();
        // Nothing is wrong: a page was open, or on its way, when its session ended.
        tracing::info!(target: "bsession", "late_save_dropped");
    }
}
