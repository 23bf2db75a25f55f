//! A long request: it saves in its middle, looks at its session again, and watches it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;

use super::{Visit, VisitState};
use crate::background::Lasting;
use crate::changes::Changes;
use crate::contents::Contents;
use crate::error::{Error, Result};
use crate::flash::Waiting;
use crate::record::Revision;
use crate::secret;
use crate::service::{Live, Outcome, Standing, Watcher};
use crate::session::{Backing, Baseline, Facts, Watched};
use crate::store::StoreError;

/// The time after which a request that connects once more looks at its session again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The saves in the middle of a request that failed. One of them may have been done all the same, or may still be done.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    /// The number of the revision that they would have replaced.
    over: u64,
    tries: Vec<Try>,
}

/// A save that failed.
#[derive(Clone, Copy, Debug)]
struct Try {
    /// The revision that it would have written.
    revision: Revision,
    /// The number of pending changes in it, the first ones.
    changes: usize,
}

impl Visit {
    /// True if the session was looked at so long ago that it must be looked at again.
    pub(super) fn is_outdated(&self, state: &VisitState) -> bool {
        let now = || self.sessions.0.storage.now();
        matches!(&state.standing, Standing::Live(live) if now().apart(live.looked) > LOOK_AGAIN)
    }

    /// Looks at the session again, if the request has been running for long. Changes to a session that has ended are
    /// dropped. A login is not: it begins a new session.
    pub(super) async fn look_again(&self) -> Result<()> {
        let live = {
            let state = self.state();
            match &state.standing {
                Standing::Live(live) if self.is_outdated(&state) => live.clone(),
                _ => return Ok(()),
            }
        };
        let (standing, written) = self.look_at(&live).await?;
        let dropped = {
            let state = self.state();
            let stays = |changes: &Changes| changes.login || changes.purge;
            let is_gone = standing.live().is_none() && !state.pending.iter().any(stays);
            if is_gone { state.pending.len() } else { 0 }
        };
        if dropped > 0 {
            self.sessions.0.late(Some(&live.head));
        }
        self.adopt(Outcome::of(standing), written.max(dropped));
        Ok(())
    }

    /// Looks at the session as it is now. Also returns the number of pending changes that are in it, because a save that
    /// failed was done all the same. They must not be applied once more.
    ///
    /// # Errors
    /// The store fails; or others have saved since that save, so that it cannot be known if it was done.
    pub(super) async fn look_at(&self, live: &Live) -> Result<(Standing, usize)> {
        let doubt = {
            let state = self.state();
            Doubt::about(&state.pending, state.doubt.as_deref())
        };
        let (standing, written) = self.end_doubt(doubt, live).await?;
        if written > 0 {
            self.state().doubt = None;
        }
        Ok((standing, written))
    }

    /// Saves the pending changes in the middle of the request. They stay pending until that has succeeded.
    async fn save_now(&self) -> Result<()> {
        let service = &self.sessions.0;
        let _turn = self.turn.lock().await;
        let (mut outcome, mut pending, is_doubtful, watcher) = {
            let state = self.state();
            if state.clash {
                return Err(Error::TwoLogins);
            }
            if state.pending.is_empty() {
                return Ok(());
            }
            let pending = state.pending.clone();
            (
                state.start(),
                pending,
                state.doubt.is_some(),
                state.watcher(),
            )
        };
        if let Standing::Live(live) = &outcome.standing
            && is_doubtful
        {
            let (standing, written) = self.look_at(live).await?;
            pending.drain(..written);
            self.adopt(Outcome::of(standing.clone()), written);
            outcome.standing = standing;
        }
        if let Some(watcher) = &watcher {
            watcher.pause();
        }
        // A save that fails does not put the id back, because it may have stored something under it.
        outcome.next_id = self.state().next_id.take();
        let before = outcome.tried();
        let saved = service.save(&self.presented, &mut outcome, &pending).await;
        match &saved {
            Ok(()) => self.saved_now(outcome, pending.len()),
            Err(_) => {
                // Only a failed write leaves a new doubt.
                if outcome.tried() != before {
                    let mut state = self.state();
                    let earlier = state.doubt.take();
                    state.doubt = Doubt::after(earlier, &outcome, pending.len()).map(Box::new);
                }
                // By a purge before the failure, or by a login that was taken back.
                if let Some(cookie) = outcome.cookie.clone() {
                    self.adopt(outcome, 0);
                    self.state().last_cookie_change = Some(cookie);
                }
            }
        }
        if let Some(watcher) = &watcher {
            match &self.state().standing {
                Standing::Live(live) => watcher.follow(live),
                // The watches wait: the response may still begin a session.
                _ => watcher.resume(),
            }
        }
        saved
    }

    fn saved_now(&self, mut outcome: Outcome, saved: usize) {
        let next = outcome.next_id.take();
        let cookie = self.adopt(outcome, saved);
        let mut state = self.state();
        state.doubt = None;
        state.next_id = next.or(state.next_id.take());
        state.last_cookie_change = cookie.or(state.last_cookie_change.take());
    }

    /// Finds out if a save that failed was done all the same, if there was one.
    pub(super) async fn end_doubts(&self) -> Result<()> {
        let live = {
            let state = self.state();
            match &state.standing {
                Standing::Live(live) if state.doubt.is_some() => live.clone(),
                _ => return Ok(()),
            }
        };
        let (standing, written) = self.look_at(&live).await?;
        self.adopt(Outcome::of(standing), written);
        Ok(())
    }

    /// The same as [`look_at`](Self::look_at) for a given doubt.
    pub(super) async fn end_doubt(
        &self,
        doubt: Option<Doubt>,
        live: &Live,
    ) -> Result<(Standing, usize)> {
        let mut standing = self.sessions.0.look_again(live).await?;
        let written = match (doubt, &mut standing) {
            (Some(doubt), Standing::Live(found)) => doubt.end(found)?,
            _ => 0,
        };
        Ok((standing, written))
    }
}

impl Doubt {
    /// The doubt that counts for these changes. A purge removes everything that was saved before it, done or not.
    pub(super) fn about(pending: &[Changes], doubt: Option<&Self>) -> Option<Self> {
        let purges = || pending.iter().any(|changes| changes.purge);
        doubt.filter(|_| !purges()).cloned()
    }

    /// The doubt that a save leaves which tried to write and failed.
    fn after(earlier: Option<Box<Self>>, outcome: &Outcome, changes: usize) -> Option<Self> {
        let over = outcome.standing.live()?.head.revision.number;
        let revision = outcome.tried()?;
        // What was tried over an earlier revision can no longer be done.
        let earlier = earlier.filter(|earlier| earlier.over == over);
        let mut tries = earlier.map_or_else(Vec::new, |earlier| earlier.tries);
        tries.push(Try { revision, changes });
        Some(Self { over, tries })
    }

    /// Returns the number of pending changes that are in the session as it was found.
    fn end(self, found: &mut Live) -> Result<usize> {
        let revision = found.head.revision;
        if let Some(done) = self.tries.iter().find(|it| it.revision == revision) {
            return Ok(done.changes);
        }
        if revision.number > self.over.wrapping_add(1) {
            let text =
                "a save failed, others have saved since, and it cannot be known if it was done";
            return Err(StoreError::Other(text.into()).into());
        }
        // None of them was done, and each may still be.
        found.tried = self.tries.iter().map(|it| it.revision).collect();
        Ok(0)
    }
}

impl VisitState {
    pub(super) fn watcher(&self) -> Option<Arc<Watcher>> {
        self.watcher.as_ref().and_then(Weak::upgrade)
    }

    /// Lets the watches of the request follow the session that the response leaves. Without one they are over.
    pub(super) fn settle(&mut self, watcher: &Arc<Watcher>) {
        match &self.standing {
            Standing::Live(live) => watcher.follow(live),
            _ => {
                watcher.end();
                self.watcher = None;
            }
        }
    }
}

impl Backing for Visit {
    fn facts(&self) -> Facts {
        let state = self.state();
        match &state.standing {
            Standing::Live(live) if state.pending.iter().all(|changes| !changes.purge) => Facts {
                handle: Some(live.head.handle),
                user: live.head.user,
                created: Some(live.head.created),
                expires: Some(live.ends),
            },
            _ => Facts::default(),
        }
    }

    fn max_size(&self) -> usize {
        self.sessions.0.config.max_size
    }

    fn csrf_token(&self) -> Result<String> {
        let mut state = self.state();
        let next = match state.next_id.take() {
            Some(id) => id,
            None => secret::new_id()?,
        };
        state.next_id = Some(next.clone());
        let now = self.shown_id(&state).unwrap_or(&next);
        self.sessions.0.cookies.csrf_token(now, &next)
    }

    fn take(&self, changes: Changes, baseline: Baseline) {
        self.add(changes, baseline, None);
    }

    fn present(&self) -> (Arc<Contents>, Baseline) {
        let state = self.state();
        (state.view(), state.baseline())
    }

    fn save(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(Lasting::new(async move { self.save_now().await }))
    }

    fn watch(self: Arc<Self>) -> Arc<dyn Watched> {
        let mut state = self.state();
        if let Some(watcher) = state.watcher() {
            return watcher;
        }
        let watcher = Watcher::new(&self.sessions.0);
        state.watcher = Some(Arc::downgrade(&watcher));
        if let Standing::Live(live) = &state.standing {
            watcher.follow(live);
        }
        watcher
    }

    fn claim<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>> {
        Box::pin(self.claim_key(key))
    }

    fn claim_flashes(&self) -> Pin<Box<dyn Future<Output = Result<Waiting>> + Send + '_>> {
        Box::pin(self.claim_waiting())
    }
}
