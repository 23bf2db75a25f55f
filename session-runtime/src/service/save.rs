//! Saving: turns the changes of a request into a record that is created, written, renewed or removed.

use std::pin::pin;
use std::sync::Arc;

use super::codec::Rewrite;
use super::cookies::{CookieChange, Presented};
use super::service::Service;
use super::standing::{Live, Standing};
use super::write::WriteResult;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::random;
use crate::record::{Handle, Head, Revision};
use crate::secret;
use crate::store::StoreError;

/// The number of ids that a new session tries. A second one is needed only if the random generator is broken.
const TRIES: usize = 4;

/// The state of the request after a save.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) standing: Standing,
    pub(crate) cookie: Option<CookieChange>,
    /// The id for a session that is created or renewed, if an id was made before. Nobody but this visitor can
    /// have seen it, and it is used once.
    pub(crate) next_id: Option<Id>,
    /// True if the request is no visit: its changes leave the expiry and the cookie as they are.
    pub(crate) quiet: bool,
}

impl Outcome {
    /// The state before a save.
    pub(crate) fn of(standing: Standing) -> Self {
        Self {
            standing,
            cookie: None,
            next_id: None,
            quiet: false,
        }
    }

    /// The revision that the last save which failed tried to write.
    pub(crate) fn tried(&self) -> Option<Revision> {
        self.standing.live()?.tried.last().copied()
    }

    fn new_id(&mut self) -> Result<Id> {
        self.next_id.take().map_or_else(secret::new_id, Ok)
    }
}

impl Service {
    /// Saves the changes of a request, applied one after the other.
    pub(crate) async fn save(
        &self,
        presented: &Presented,
        outcome: &mut Outcome,
        mut changes: &[Changes],
    ) -> Result<()> {
        if let Some(last) = changes.iter().rposition(|changes| changes.purge) {
            changes = &changes[last..];
            self.begin_anew(presented, outcome, changes).await?;
        }
        let login = changes.iter().any(|changes| changes.login);
        let renew = login || changes.iter().any(|changes| changes.renew);
        let edits = changes.iter().any(Changes::edits);
        match &outcome.standing {
            Standing::NoSession if changes.iter().any(Changes::begins) => {
                // The browser would put the new cookie in the place of the one that it did not send.
                if let Some(why) = presented.withheld
                    && !login
                {
                    self.withheld(why);
                    return Ok(());
                }
                self.create(outcome, changes).await
            }
            // Of two logins with one cookie, as after a double click, the later one counts. It ends the session that the
            // other one has begun, and takes nothing from it. Of two live sessions both end: otherwise the next request
            // would show two again.
            Standing::Ended | Standing::Ambiguous if login => {
                self.begin_anew(presented, outcome, changes).await?;
                self.create(outcome, changes).await
            }
            // An anonymous visitor loses both, but can use the site again.
            Standing::Ambiguous if edits && self.end_anonymous_rivals(presented).await? => {
                self.create(outcome, changes).await
            }
            Standing::Live(live) if edits || renew => {
                let (key, head) = (live.key, live.head);
                if self.commit(outcome, changes, renew).await? {
                    return Ok(());
                }
                // The session has ended. A login begins another one. All other changes come too late.
                outcome.standing = Standing::Ended;
                if login {
                    self.create(outcome, changes).await?;
                    // If another login was first, its session is not ended: both requests are under way, and nobody knows
                    // which of the two cookies the browser will keep.
                    Box::pin(self.expect_a_visit(key)).await;
                    return Ok(());
                }
                self.late(Some(&head));
                Ok(())
            }
            Standing::Live(live) => {
                if live.due && !outcome.quiet {
                    self.keep(outcome).await;
                }
                Ok(())
            }
            Standing::Ended | Standing::Ambiguous if edits => {
                self.late(None);
                Ok(())
            }
            Standing::NoSession | Standing::Ended | Standing::Ambiguous => Ok(()),
        }
    }

    /// Creates a session under an id that was never used before.
    pub(crate) async fn create(&self, outcome: &mut Outcome, changes: &[Changes]) -> Result<()> {
        let storage = &self.storage;
        let mut deadline = storage.deadline();
        let now = storage.now();
        let login = self.admit(changes, None, &[], now, &mut deadline).await?;
        let login_at = login.as_ref().map_or(now, |login| login.at);
        let mut contents = self.apply(changes, contents::empty(), login_at);
        {
            let contents = Arc::make_mut(&mut contents);
            contents.created = now;
            contents.cookie_sent = now;
            contents.deadline = self.lifetime.deadline_from(now);
        }
        self.check(&contents)?;
        let handle = Handle(random::bytes().map_err(Error::Random)?);
        let mut head = Head {
            revision: Revision::first(),
            expires: self.lifetime.expiry(&contents, now),
            seen: now,
            created: contents.created,
            handle,
            user: self.codec.user_of(&contents),
        };
        let summary = self.codec.summary(&head, &contents)?;
        for _ in 0..TRIES {
            let id = outcome.new_id()?;
            head.revision = Revision::first();
            let live = Live {
                key: self.codec.key(&id),
                id,
                head,
                contents: Arc::clone(&contents),
                ends: head.expires,
                summary: summary.clone(),
                previous: false,
                due: false,
                looked: now,
                tried: Box::default(),
            };
            let record = self.codec.record(&live)?;
            let created = storage.ledger.create(live.key, record, now);
            if deadline.wait(pin!(created)).await? {
                storage.counters.creates.count();
                tracing::debug!(target: "bsession", %handle, user = head.user.map(tracing::field::display), "created");
                if let Some(login) = &login
                    && let Some(refusal) = Box::pin(self.enforce_limit(login, &mut deadline)).await
                    && Box::pin(self.take_back_new(&live, &mut deadline)).await
                {
                    return Err(refusal);
                }
                outcome.cookie = Some(self.cookies.of_session(&live, now));
                outcome.standing = Standing::Live(live);
                return Ok(());
            }
        }
        let text = "the store has something under every new id";
        Err(StoreError::Other(text.into()).into())
    }

    /// Saves the changes of an existing session; false if it has ended meanwhile.
    async fn commit(
        &self,
        outcome: &mut Outcome,
        changes: &[Changes],
        renew: bool,
    ) -> Result<bool> {
        let mut deadline = self.storage.deadline();
        let now = self.storage.now();
        let new_id = if renew { Some(outcome.new_id()?) } else { None };
        let quiet = outcome.quiet;
        let Standing::Live(live) = &mut outcome.standing else {
            return Ok(false);
        };
        let own = Some(live.head.handle);
        let login = self.admit(changes, own, &[], now, &mut deadline).await?;
        let login_at = login.as_ref().map_or(now, |login| login.at);
        let mut tell = false;
        let mut before = None;
        let mut seen = Arc::clone(&live.contents);
        let change = |live: &Live| {
            if !Arc::ptr_eq(&seen, &live.contents) {
                tell_overwritten(changes, &seen, live);
                seen = Arc::clone(&live.contents);
            }
            before = login.is_some().then(|| Arc::clone(&live.contents));
            let mut contents = self.apply(changes, Arc::clone(&live.contents), login_at);
            let is_due = live.previous || self.lifetime.is_cookie_due(&contents, now);
            tell = renew || contents.idle != live.contents.idle || (is_due && !quiet);
            if tell {
                Arc::make_mut(&mut contents).cookie_sent = now;
            }
            self.check(&contents)?;
            Ok(Some(contents))
        };
        let rewrite = Rewrite {
            renewal: new_id.as_ref(),
            now,
            quiet,
        };
        let written = self.write(live, rewrite, &mut deadline, change);
        if !matches!(written.await?, WriteResult::Saved) {
            // A login then begins another session under this id, because a page may have CSRF tokens for it.
            outcome.next_id = new_id.or(outcome.next_id.take());
            return Ok(false);
        }
        if tell || !quiet {
            live.was_kept();
        }
        let mut refusal = None;
        if let (Some(login), Some(before)) = (&login, &before)
            && let Some(reason) = Box::pin(self.enforce_limit(login, &mut deadline)).await
            && Box::pin(self.take_back(live, before, &mut deadline)).await
        {
            refusal = Some(reason);
        }
        // Not before: a login that is taken back ends no watch.
        if renew {
            self.watches.learn(live, &self.codec);
        }
        outcome.cookie = tell.then(|| self.cookies.of_session(live, now));
        refusal.map_or(Ok(true), Err)
    }

    /// Takes something out of the contents at once. Returns it to one request only: the one whose removal is committed.
    pub(crate) async fn claim<T>(
        &self,
        outcome: &mut Outcome,
        take: impl Fn(&mut Contents) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut deadline = self.storage.deadline();
        let rewrite = Rewrite {
            renewal: None,
            now: self.storage.now(),
            quiet: outcome.quiet,
        };
        let Standing::Live(live) = &mut outcome.standing else {
            return Ok(None);
        };
        let mut value = None;
        let change = |live: &Live| {
            let mut contents = Contents::clone(&live.contents);
            value = take(&mut contents);
            Ok(value.is_some().then(|| Arc::new(contents)))
        };
        match self.write(live, rewrite, &mut deadline, change).await? {
            WriteResult::Saved | WriteResult::Unchanged => Ok(value),
            WriteResult::Gone => {
                outcome.standing = Standing::Ended;
                Ok(None)
            }
        }
    }

    /// Applies changes to contents, one after the other.
    pub(crate) fn apply(
        &self,
        changes: &[Changes],
        base: Arc<Contents>,
        now: Timestamp,
    ) -> Arc<Contents> {
        changes.iter().fold(base, |contents, changes| {
            changes.apply(&contents, now, &self.lifetime)
        })
    }

    /// Refuses contents that are too large or too deep.
    fn check(&self, contents: &Contents) -> Result<()> {
        if !contents.data.is_shallow() {
            return Err(Error::TooDeep);
        }
        contents.check_size(self.config.max_size)
    }

    /// Counts and logs changes that came after the session had ended. Its head is known if it ended during the request.
    pub(crate) fn late(&self, head: Option<&Head>) {
        self.storage.counters.late.count();
        // Not an error: a page was open, or a request on its way, when the session ended.
        tracing::info!(
            target: "bsession",
            handle = head.map(|head| tracing::field::display(head.handle)),
            user = head.and_then(|head| head.user).map(tracing::field::display),
            hint = "the session ended while the request ran: elsewhere, or by `revoke_user(user, None)` in the handler itself; \
                    there, call `session.purge()` after it, and what is set then begins a new session",
            "late_save_dropped"
        );
    }
}

/// Logs the keys that another request has set since `seen`, and that these changes set once more. The visitor may have
/// chosen a key, so it is escaped.
#[cold]
fn tell_overwritten(changes: &[Changes], seen: &Contents, live: &Live) {
    let changes = changes.iter().filter(|changes| !changes.empties());
    for key in changes.flat_map(|changes| changes.overwritten(seen, &live.contents)) {
        tracing::debug!(target: "bsession", handle = %live.head.handle, ?key, "key_overwritten");
    }
}
