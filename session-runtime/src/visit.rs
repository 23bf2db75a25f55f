//! The visit: the part of one request that all its connections share. They load the session once. Each keeps its
//! own changes, and one save commits them all.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError, Weak};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::background::finish;
use crate::changes::{Changes, Update};
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::secret;
use crate::service::{CookieChange, Outcome, Presented, Sessions, Standing, Turn};
use crate::session::{Backing, Facts, Session};

/// The shared state of a request's connections. There is one for each service that the request connects to.
pub(crate) struct Visit {
    pub(crate) sessions: Sessions,
    presented: Presented,
    /// Held during a load, save or claim. Those of one request run one after the other, because each starts from
    /// the result of the one before.
    turn: Mutex<()>,
    /// The session's lock while a connection has it. The connections share it, so that a request does not wait for
    /// itself.
    lock: Mutex<Weak<Turn>>,
    state: sync::Mutex<VisitState>,
    /// True if the response passes through the library, which can send the cookie then.
    is_answered: AtomicBool,
}

/// A connection's hold on the session's lock. The connections of one request share it.
#[derive(Clone)]
pub(crate) struct Held {
    _turn: Arc<Turn>,
}

struct VisitState {
    loaded: bool,
    /// The session as it is stored, as far as this request knows.
    standing: Standing,
    /// The changes that connections have handed over and that are not saved yet.
    pending: Vec<Changes>,
    /// The stored contents with the pending changes applied; `None` if nothing is pending. The next connection
    /// starts from this.
    view: Option<Arc<Contents>>,
    /// The lock under which the pending changes were made. It is kept until they are saved or dropped.
    held: Option<Held>,
    /// The number of purges so far. A connection whose baseline has another number began before the last one.
    purges: u32,
    /// The number of logins so far, for the same comparison.
    logins: u32,
    /// True if two connections logged in two different users, and neither knew of the other's login.
    clash: bool,
    /// The id that the session gets if this request creates or renews it. It is made together with the first CSRF
    /// token: each token is valid for this id and for the presented one.
    next_id: Option<Id>,
    /// The last cookie change of this request.
    last_cookie_change: Option<CookieChange>,
    /// True once the visit is counted, or if it must not count.
    is_counted: bool,
    /// True if the request is no visit.
    is_quiet: bool,
    /// True while the session could not be loaded.
    is_unloadable: bool,
}

/// The purges and logins by other connections that had happened when a connection began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Baseline {
    purges: u32,
    logins: u32,
}

impl Visit {
    pub(crate) fn new(sessions: Sessions, presented: Presented) -> Self {
        let state = VisitState {
            loaded: false,
            standing: Standing::default(),
            pending: Vec::new(),
            view: None,
            held: None,
            purges: 0,
            logins: 0,
            clash: false,
            next_id: None,
            last_cookie_change: None,
            is_counted: false,
            is_quiet: false,
            is_unloadable: false,
        };
        Self {
            sessions,
            presented,
            turn: Mutex::new(()),
            lock: Mutex::default(),
            state: sync::Mutex::new(state),
            is_answered: AtomicBool::new(false),
        }
    }

    /// Locks the state. A poisoned lock may be used, because nothing that can panic runs between two changes of the
    /// state.
    fn state(&self) -> MutexGuard<'_, VisitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the session if that needs no waiting; `None` if it needs [`load`](Self::load).
    pub(crate) fn load_now(&self) -> Option<Result<()>> {
        if self.state().loaded {
            return Some(Ok(()));
        }
        let loaded = self.sessions.0.load_now(&self.presented)?;
        Some(self.state().begin(loaded))
    }

    /// Loads the session. Later calls do not load it again.
    pub(crate) async fn load(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        if !self.state().loaded {
            let loaded = self.sessions.0.load(&self.presented).await;
            return self.state().begin(loaded);
        }
        Ok(())
    }

    /// Waits until no other request has the session's lock. Then loads the session again and applies the pending
    /// changes to it.
    ///
    /// Returns `None`, and holds no lock, if there is no session. A session that begins in this request needs no
    /// lock, because no other request can know of it.
    pub(crate) async fn lock(&self) -> Result<Option<Held>> {
        let service = &self.sessions.0;
        let held = tokio::time::timeout(service.config.lock_timeout, async {
            let mut lock = self.lock.lock().await;
            if let Some(turn) = lock.upgrade() {
                return Ok(Some(Held { _turn: turn }));
            }
            let key = match &self.state().standing {
                Standing::Live(live) => live.key,
                _ => return Ok(None),
            };
            let turn = Arc::new(service.lock(key).await?);
            *lock = Arc::downgrade(&turn);
            Ok(Some(Held { _turn: turn }))
        });
        let held = held.await.unwrap_or(Err(Error::Locked))?;
        let is_there = held.is_some() && self.reload().await?;
        Ok(held.filter(|_| is_there))
    }

    /// Loads the session as it is now; true if it still exists.
    async fn reload(&self) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let Standing::Live(live) = self.state().standing.clone() else {
            return Ok(false);
        };
        let standing = self.sessions.0.reload(&live).await?;
        let is_there = standing.live().is_some();
        self.adopt(Outcome::of(standing));
        Ok(is_there)
    }

    /// Takes the result of a save, a claim or another load as the new state. Returns its cookie change.
    fn adopt(&self, outcome: Outcome) -> Option<CookieChange> {
        let mut state = self.state();
        state.view = match &state.pending[..] {
            [] => None,
            pending => Some(self.apply(pending, outcome.standing.contents())),
        };
        state.standing = outcome.standing;
        outcome.cookie
    }

    /// Applies changes to the contents of the session.
    fn apply(&self, changes: &[Changes], contents: Arc<Contents>) -> Arc<Contents> {
        let service = &self.sessions.0;
        // Only a login needs the time.
        let login = changes.iter().any(|changes| changes.login);
        let now = if login {
            service.storage.now()
        } else {
            Timestamp::default()
        };
        service.apply(changes, contents, now)
    }

    /// Opens a session that includes the changes of earlier connections.
    pub(crate) fn open(self: &Arc<Self>) -> (Session, Baseline) {
        let state = self.state();
        let baseline = Baseline {
            purges: state.purges,
            logins: state.logins,
        };
        let backing: Arc<dyn Backing> = Arc::clone(self) as _;
        (Session::connected(state.view(), Some(backing)), baseline)
    }

    /// Merges a connection's changes by the rules for two requests: changes begun before a purge, or as another
    /// user, are dropped. The lock is kept together with the changes.
    pub(crate) fn add(&self, changes: Changes, baseline: Baseline, held: Option<Held>) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.state();
        let before = &changes.before.user;
        let of_another = before.is_some() && *before != state.view().user && !changes.login;
        if !changes.purge && (baseline.purges != state.purges || of_another) {
            self.sessions.0.late();
            return;
        }
        // This may run a closure of the application, and that may panic. Change the fields only after it.
        let view = self.apply(std::slice::from_ref(&changes), state.view());
        if changes.login {
            state.clash |=
                baseline.logins != state.logins && state.view().user != changes.after.user;
            state.logins += 1;
        }
        if changes.purge {
            state.clash = false;
            state.purges += 1;
        }
        state.view = Some(view);
        state.pending.push(changes);
        // All connections of a request share one lock, so either value is right.
        state.held = held.or(state.held.take());
    }

    /// True if a save would write nothing and send no cookie.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state();
        let is_due =
            !state.is_counted && matches!(&state.standing, Standing::Live(live) if live.due);
        state.pending.is_empty() && !state.clash && !is_due && !self.owes_an_id(&state)
    }

    /// True if a CSRF token was made for a visitor who has no session and no id to present with the token.
    fn owes_an_id(&self, state: &VisitState) -> bool {
        let has_none = self.presented.tokens.is_empty() || state.purges > 0;
        state.next_id.is_some() && has_none && matches!(state.standing, Standing::NoSession)
    }

    /// The id that a CSRF token must fit: the id of the session, else the first presented one. The presented id need
    /// not belong to a session.
    fn shown_id<'s>(&'s self, state: &'s VisitState) -> Option<&'s Id> {
        match &state.standing {
            Standing::Live(live) => Some(&live.id),
            _ => self.presented.tokens.first().map(|token| &token.id),
        }
    }

    /// The contents of the session, with all changes of this request that are handed over.
    pub(crate) fn contents(&self) -> Arc<Contents> {
        self.state().view()
    }

    /// The user who is logged in, as the contents have it.
    pub(crate) fn user(&self) -> Option<Box<str>> {
        self.contents().user.clone()
    }

    /// Notes that the response passes through the library.
    pub(crate) fn will_be_answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// Makes the request no visit: the expiry and the cookie stay as they are, also if changes are saved.
    pub(crate) fn is_no_visit(&self) {
        let mut state = self.state();
        (state.is_counted, state.is_quiet) = (true, true);
    }

    /// True if the session could not be loaded, so that nobody knows who the visitor is.
    pub(crate) fn is_unloadable(&self) -> bool {
        self.state().is_unloadable
    }

    /// True if the request shows an id, for which a CSRF token can have been made.
    pub(crate) fn shows_id(&self) -> bool {
        self.shown_id(&self.state()).is_some()
    }

    /// True if this CSRF token was made for the visitor who sent the request.
    pub(crate) fn fits_csrf(&self, token: &[u8]) -> bool {
        let state = self.state();
        let id = self.shown_id(&state);
        id.is_some_and(|id| self.sessions.0.cookies.fits_csrf(token, id))
    }

    /// Saves the pending changes. Afterwards [`told`](Self::told) is the cookie change that the response has to send.
    ///
    /// `failed` is the status of a request that failed. Then only a purge or a renewal is saved.
    ///
    /// A connection that begins during the save does not see the changes that are being saved. They are lost if the
    /// save fails.
    pub(crate) async fn save(&self, failed: Option<u16>) -> Result<()> {
        let service = &self.sessions.0;
        let _turn = self.turn.lock().await;
        let (mut outcome, mut pending, _held) = {
            let mut state = self.state();
            state.is_counted = true;
            let pending = std::mem::take(&mut state.pending);
            let held = state.held.take();
            state.view = None;
            if std::mem::take(&mut state.clash) && failed.is_none() {
                if pending.iter().any(|changes| changes.purge) {
                    // The logout still counts: dropping the visit at the end of the request does the purge.
                    state.pending.push(Changes::purge());
                    state.view = Some(contents::empty());
                }
                return Err(Error::TwoLogins);
            }
            let mut outcome = state.start();
            // A save that fails does not put the id back, because it may have stored something under it.
            outcome.next_id = state.next_id.take();
            (outcome, pending, held)
        };
        if let Some(status) = failed {
            if pending.iter().any(Changes::edits) {
                service.storage.counters.dropped.count();
                tracing::warn!(
                    target: "bsession",
                    status,
                    hint = "with a status of 500 or above only a purge and a renewal are saved: answer below it to keep the rest",
                    "changes_dropped"
                );
            }
            pending = pending.into_iter().map(Changes::without_edits).collect();
        }
        service
            .save(&self.presented, &mut outcome, &pending)
            .await?;
        let next = outcome.next_id.take();
        let cookie = self.adopt(outcome);
        let change = self.tell_an_id(next).or(cookie);
        if change.is_some() {
            self.state().last_cookie_change = change;
        }
        Ok(())
    }

    /// The last cookie change of this request. Each response is given it, because any of them may be the one that leaves.
    pub(crate) fn told(&self) -> Option<CookieChange> {
        self.state().last_cookie_change.clone()
    }

    /// If a CSRF token was made and the visitor has no id to present with it, returns the cookie of such an id. No
    /// record is stored. This cookie change replaces a removal.
    fn tell_an_id(&self, next: Option<Id>) -> Option<CookieChange> {
        let mut state = self.state();
        state.next_id = next.or(state.next_id.take());
        let id = state.next_id.as_ref().filter(|_| self.owes_an_id(&state))?;
        Some(self.sessions.0.cookies.without_session(id))
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

    fn claim<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let mut outcome = {
                let mut state = self.state();
                let stored = state.standing.contents();
                let mut pending = state.pending.clone();
                take_updates(&mut pending, key);
                let rest = self.apply(&pending, Arc::clone(&stored));
                let is_set =
                    |changes: &Changes| changes.before.data.get(key) != changes.after.data.get(key);
                if pending.iter().any(is_set) || rest.data.get(key) != stored.data.get(key) {
                    // Another connection of this request has set or removed the key, perhaps back to the stored
                    // value. No other request can claim this value, so no commit is needed.
                    return Ok(state.take_pending(key));
                }
                state.start()
            };
            let value = self.sessions.0.claim(&mut outcome, key).await?;
            // Pending `update`s of other connections are applied to the claimed value.
            let updates = take_updates(&mut self.state().pending, key);
            self.adopt(outcome);
            let replay =
                |value: Option<Value>, update: &Update| update.replay(value.as_ref()).map(Some);
            updates.iter().try_fold(value, replay)
        })
    }
}

fn take_updates(pending: &mut [Changes], key: &str) -> Vec<Update> {
    let take = |changes: &mut Changes| changes.take_update(key);
    pending.iter_mut().filter_map(take).collect()
}

impl VisitState {
    /// Takes the loaded session as the state, unless another load of this request was faster.
    fn begin(&mut self, loaded: Result<Standing>) -> Result<()> {
        if self.loaded {
            return Ok(());
        }
        self.is_unloadable = loaded.is_err();
        self.standing = loaded?;
        self.loaded = true;
        Ok(())
    }

    /// The state from which a save or a claim starts.
    fn start(&self) -> Outcome {
        Outcome {
            quiet: self.is_quiet,
            ..Outcome::of(self.standing.clone())
        }
    }

    fn view(&self) -> Arc<Contents> {
        self.view
            .as_ref()
            .map_or_else(|| self.standing.contents(), Arc::clone)
    }

    fn take_pending(&mut self, key: &str) -> Option<Value> {
        let before = self.view();
        let mut after = Arc::clone(&before);
        let value = Arc::make_mut(&mut after).data.remove(key)?;
        self.pending
            .push(Changes::between(before, Arc::clone(&after)));
        self.view = Some(after);
        Some(value)
    }
}

/// The request is over. Unsaved changes are lost, except for a purge: a logout counts, whatever happened to its
/// handler.
impl Drop for Visit {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut state.pending);
        if pending.iter().any(Changes::edits) {
            self.sessions.0.storage.counters.dropped.count();
            tracing::warn!(
                target: "bsession",
                hint = "unless the client hung up: return `connection.respond(&req, response).await`, or wrap the app in `bsession::Hooks`",
                "unsaved_changes_dropped"
            );
        }
        if pending.iter().any(|changes| changes.purge) {
            let (sessions, presented) =
                (self.sessions.clone(), std::mem::take(&mut self.presented));
            let mut outcome = state.start();
            let held = state.held.take();
            finish(Box::pin(async move {
                let _held = held;
                let purge = [Changes::purge()];
                if let Err(error) = sessions.0.save(&presented, &mut outcome, &purge).await {
                    tracing::error!(target: "bsession", %error, "purge_failed");
                }
            }));
            return;
        }
        // A visit counts even if only an extractor or a middleware function connected.
        if !state.is_counted
            && let Standing::Live(live) = &state.standing
            && live.due
        {
            let (sessions, live) = (self.sessions.clone(), live.clone());
            if !*self.is_answered.get_mut() {
                sessions.0.warn_of_unanswered_visits(&live);
            }
            finish(Box::pin(async move { sessions.0.touch(&live).await }));
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held(..)")
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}
