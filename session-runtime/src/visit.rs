//! The visit: the part of one request that all its connections share. They load the session once. Each keeps its
//! own changes, and one save commits them all.

mod claim;
mod long;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError, Weak};

use tokio::sync::Mutex;

use self::long::Doubt;

use crate::background::finish;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::one_line::OneLine;
use crate::record::Head;
use crate::service::{CookieChange, Outcome, Presented, Sessions, Standing, Turn, Watcher};
use crate::session::{Backing, Baseline, Session};

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

/// The cookie change of a request, if there is one.
pub(crate) type Told = Option<CookieChange>;

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
    last_cookie_change: Told,
    /// The saves in the middle of the request that failed, and of which one may have been done all the same.
    doubt: Option<Box<Doubt>>,
    /// The watches that this request has made.
    watcher: Option<Weak<Watcher>>,
    /// True once the visit is counted, or if it must not count.
    is_counted: bool,
    /// True if the request is no visit.
    is_quiet: bool,
    /// True while the session could not be loaded.
    is_unloadable: bool,
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
            doubt: None,
            watcher: None,
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
        let state = self.state();
        if state.loaded {
            return (!self.is_outdated(&state)).then_some(Ok(()));
        }
        drop(state);
        let loaded = self.sessions.0.load_now(&self.presented)?;
        Some(self.state().begin(loaded))
    }

    /// Loads the session. Later calls do not load it again, unless the request has been running for long.
    pub(crate) async fn load(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        if self.state().loaded {
            let looked = self.look_again().await;
            self.state().is_unloadable = looked.is_err();
            return looked;
        }
        let loaded = self.sessions.0.load(&self.presented).await;
        self.state().begin(loaded)
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
        let (standing, written) = self.look_at(&live).await?;
        let is_there = standing.live().is_some();
        self.adopt(Outcome::of(standing), written);
        Ok(is_there)
    }

    /// Takes the result of a save, a claim or another load as the new state. Returns its cookie change. The first
    /// `saved` of the pending changes are no longer pending.
    fn adopt(&self, outcome: Outcome, saved: usize) -> Option<CookieChange> {
        let mut state = self.state();
        state.view = match &state.pending[saved..] {
            [] => None,
            pending => Some(self.apply(pending, outcome.standing.contents())),
        };
        state.pending.drain(..saved);
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
    pub(crate) fn open(self: &Arc<Self>) -> Session {
        let state = self.state();
        let backing: Arc<dyn Backing> = Arc::clone(self) as _;
        Session::connected(state.view(), Some(backing), state.baseline())
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
            self.sessions
                .0
                .late(state.standing.live().map(|live| &live.head));
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

    /// Keeps the lock if there is something to save: a save in the middle of the request may have failed, or is still under
    /// way.
    pub(crate) fn keep_lock(&self, held: Option<Held>) {
        let mut state = self.state();
        if !state.pending.is_empty() {
            state.held = held.or(state.held.take());
        }
    }

    /// True if a save would write nothing.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled_in(&self.state())
    }

    /// Returns the cookie change that the response has to send, if a save would write nothing.
    pub(crate) fn told_if_settled(&self) -> Option<Told> {
        let state = self.state();
        let is_settled = self.is_settled_in(&state);
        is_settled.then(|| self.told_in(&state))
    }

    fn is_settled_in(&self, state: &VisitState) -> bool {
        let is_due =
            !state.is_counted && matches!(&state.standing, Standing::Live(live) if live.due);
        // A save in the middle of the request leaves the lock until the response.
        let is_free = state.held.is_none();
        let is_watch_over = state.watcher.is_none() || state.standing.live().is_some();
        state.pending.is_empty()
            && !state.clash
            && !is_due
            && is_free
            && is_watch_over
            && !self.owes_an_id(state)
    }

    /// True if a CSRF token was made for a visitor who has no session and no id to present with the token. A browser that
    /// withholds the cookie says where requests come from, and needs no token.
    fn owes_an_id(&self, state: &VisitState) -> bool {
        let has_none = self.presented.tokens.is_empty() || state.purges > 0;
        let is_free =
            self.presented.withheld.is_none() && matches!(state.standing, Standing::NoSession);
        state.next_id.is_some() && has_none && is_free
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

    /// The head of the session as it is stored.
    pub(crate) fn head(&self) -> Option<Head> {
        Some(self.state().standing.live()?.head)
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

    /// True if the request shows a cookie with our name.
    pub(crate) fn shows_cookie(&self) -> bool {
        self.presented.any
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
        // Assigned one by one, and not as a tuple: an outcome is large to be moved.
        let (mut outcome, mut pending, doubt, watcher, _held);
        {
            let mut state = self.state();
            state.is_counted = true;
            pending = std::mem::take(&mut state.pending);
            _held = state.held.take();
            state.view = None;
            if std::mem::take(&mut state.clash) && failed.is_none() {
                if pending.iter().any(|changes| changes.purge) {
                    // The logout still counts: dropping the visit at the end of the request does the purge.
                    state.pending.push(Changes::purge());
                    state.view = Some(contents::empty());
                }
                return Err(Error::TwoLogins);
            }
            outcome = state.start();
            // A save that fails does not put the id back, because it may have stored something under it.
            outcome.next_id = state.next_id.take();
            doubt = state.doubt.take().filter(|_| failed.is_none());
            watcher = state.watcher();
        }
        if let Some(status) = failed {
            if pending.iter().any(Changes::edits) {
                service.storage.counters.dropped.count();
                let head = outcome.standing.live().map(|live| live.head);
                tracing::warn!(
                    target: "bsession",
                    status,
                    handle = head.map(|head| tracing::field::display(head.handle)),
                    user = head.and_then(|head| head.user).map(tracing::field::display),
                    hint = "with a status of 500 or above only a purge and a renewal are saved: answer below it to keep the rest",
                    "changes_dropped"
                );
            }
            pending = pending.into_iter().map(Changes::without_edits).collect();
        }
        if let Some(watcher) = &watcher {
            watcher.pause();
        }
        let saved = self.save_pending(doubt, &mut outcome, pending).await;
        // A save that failed may have changed the cookie: by a purge before the failure, or by a login that was taken back.
        if saved.is_ok() || outcome.cookie.is_some() {
            let next = outcome.next_id.take();
            let cookie = self.adopt(outcome, 0);
            let change = self.tell_an_id(next).or(cookie);
            if change.is_some() {
                self.state().last_cookie_change = change;
            }
        }
        if let Some(watcher) = &watcher {
            self.state().settle(watcher);
        }
        saved
    }

    /// Saves changes that are pending no longer.
    async fn save_pending(
        &self,
        doubt: Option<Box<Doubt>>,
        outcome: &mut Outcome,
        mut pending: Vec<Changes>,
    ) -> Result<()> {
        if let Standing::Live(live) = &outcome.standing
            && let Some(doubt) = Doubt::about(&pending, doubt.as_deref())
        {
            let (standing, written) = Box::pin(self.end_doubt(Some(doubt), live)).await?;
            pending.drain(..written);
            outcome.standing = standing;
        }
        self.sessions
            .0
            .save(&self.presented, outcome, &pending)
            .await
    }

    /// The last cookie change of this request. Each response is given it, because any of them may be the one that leaves.
    pub(crate) fn told(&self) -> Told {
        self.told_in(&self.state())
    }

    /// Returns nothing if the browser withholds its cookie, which the change would replace or remove. Only a login may do that.
    fn told_in(&self, state: &VisitState) -> Told {
        let may_tell = self.presented.withheld.is_none() || state.logins > 0;
        state.last_cookie_change.clone().filter(|_| may_tell)
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

    fn baseline(&self) -> Baseline {
        Baseline {
            purges: self.purges,
            logins: self.logins,
        }
    }

    fn view(&self) -> Arc<Contents> {
        self.view
            .as_ref()
            .map_or_else(|| self.standing.contents(), Arc::clone)
    }
}

/// The request is over. Unsaved changes are lost, except for a purge: a logout counts, whatever happened to its
/// handler.
impl Drop for Visit {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = state.watcher() {
            state.settle(&watcher);
        }
        let pending = std::mem::take(&mut state.pending);
        if pending.iter().any(Changes::edits) {
            self.sessions.0.storage.counters.dropped.count();
            let head = state.standing.live().map(|live| live.head);
            tracing::warn!(
                target: "bsession",
                handle = head.map(|head| tracing::field::display(head.handle)),
                user = head.and_then(|head| head.user).map(tracing::field::display),
                hint = "unless the client hung up: return `connection.respond(&req, response).await`, or wrap the app in `bsession::Hooks`",
                "unsaved_changes_dropped"
            );
        }
        if pending.iter().any(|changes| changes.purge) {
            let (sessions, presented) =
                (self.sessions.clone(), std::mem::take(&mut self.presented));
            let mut outcome = state.start();
            let head = outcome.standing.live().map(|live| live.head);
            let held = state.held.take();
            finish(Box::pin(async move {
                let _held = held;
                let purge = [Changes::purge()];
                if let Err(error) = sessions.0.save(&presented, &mut outcome, &purge).await {
                    tracing::error!(
                        target: "bsession",
                        handle = head.map(|head| tracing::field::display(head.handle)),
                        user = head.and_then(|head| head.user).map(tracing::field::display),
                        error = %OneLine(&error),
                        "purge_failed"
                    );
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
