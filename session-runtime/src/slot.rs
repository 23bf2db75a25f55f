//! The slot: what the connections of one request share. They load once, each keeps its own
//! changes, and one save commits them all.

use std::future::Future;
use std::pin::Pin;
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use serde_json::Value;
use smallvec::smallvec;
use tokio::sync::{Mutex, OnceCell};

use crate::changes::{Changes, Few};
use crate::contents::{self, Contents};
use crate::error::{Error, Result};
use crate::service::{CookieChange, Presented, Sessions, Standing};
use crate::session::{Claims, Facts, Session};

/// One for each service that a request connects to.
pub(crate) struct Slot {
    pub(crate) sessions: Sessions,
    presented: Presented,
    /// Connections that come at once wait for one load.
    loaded: OnceCell<()>,
    /// Saves and claims of one request go one after the other: each begins where the last one led.
    saving: Mutex<()>,
    state: sync::Mutex<State>,
}

struct State {
    standing: Standing,
    /// What is stored, as far as this request knows.
    contents: Arc<Contents>,
    /// What connections have changed and nobody has saved.
    pending: Few<Changes>,
    /// What is stored with what is pending on it: what the next connection begins with.
    view: Arc<Contents>,
    /// How many purges and logins there were, to tell a connection that began before one.
    purges: u32,
    logins: u32,
    /// Two connections logged in two users, neither knowing of the other.
    clash: bool,
}

/// What a connection knew of the others when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    purges: u32,
    logins: u32,
}

impl Slot {
    pub(crate) fn new(sessions: Sessions, presented: Presented) -> Self {
        let state = State {
            standing: Standing::Nothing,
            contents: contents::empty(),
            pending: Few::new(),
            view: contents::empty(),
            purges: 0,
            logins: 0,
            clash: false,
        };
        Self {
            sessions,
            presented,
            loaded: OnceCell::new(),
            saving: Mutex::new(()),
            state: sync::Mutex::new(state),
        }
    }

    /// A poisoned lock guards a whole state: nothing that can panic comes between two changes of it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads what can be loaded without waiting; `None` if it takes [`load`](Self::load).
    pub(crate) fn load_now(&self) -> Option<Result<()>> {
        if self.loaded.initialized() {
            return Some(Ok(()));
        }
        let start = match self.sessions.0.load_now(&self.presented)? {
            Ok(start) => start,
            Err(error) => return Some(Err(error)),
        };
        // Somebody else is loading: they go first, and this connection waits for them.
        self.begin(start);
        self.loaded.set(()).ok()?;
        Some(Ok(()))
    }

    /// Loads the session, once however many ask for it.
    pub(crate) async fn load(&self) -> Result<()> {
        self.loaded
            .get_or_try_init(|| async {
                self.begin(self.sessions.0.load(&self.presented).await?);
                Ok(())
            })
            .await
            .copied()
    }

    fn begin(&self, (standing, contents): (Standing, Arc<Contents>)) {
        let mut state = self.state();
        state.view = self.view(&contents, &state.pending);
        (state.standing, state.contents) = (standing, contents);
    }

    /// What is stored, with what is pending put on it.
    fn view(&self, contents: &Arc<Contents>, pending: &[Changes]) -> Arc<Contents> {
        let contents = Arc::clone(contents);
        if pending.is_empty() {
            return contents;
        }
        let service = &self.sessions.0;
        service.apply(pending, contents, service.now())
    }

    /// A session that begins where the others left off.
    pub(crate) fn open(self: &Arc<Self>) -> (Session, Opened) {
        let state = self.state();
        let facts = match &state.standing {
            Standing::Live(live) if state.pending.iter().all(|changes| !changes.purge) => Facts {
                handle: Some(live.handle),
                created: Some(live.created),
                expires: Some(live.ends),
            },
            _ => Facts::default(),
        };
        let opened = Opened {
            purges: state.purges,
            logins: state.logins,
        };
        let claims: Arc<dyn Claims> = Arc::clone(self) as _;
        (
            Session::connected(Arc::clone(&state.view), facts, Some(claims)),
            opened,
        )
    }

    /// Takes over what a connection changed, as another request's changes would be taken over:
    /// what was begun before a purge or as another user comes too late after it.
    pub(crate) fn add(&self, changes: Changes, opened: Opened) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.state();
        let before = &changes.before.user;
        let of_another = before.is_some() && *before != state.view.user && !changes.login;
        if !changes.purge && (opened.purges != state.purges || of_another) {
            self.sessions.0.late();
            return;
        }
        // A closure of the application may run here, and panic: the fields come after it.
        let view = self.view(&state.view, std::slice::from_ref(&changes));
        if changes.login {
            state.clash |= opened.logins != state.logins && state.view.user != changes.after.user;
            state.logins += 1;
        }
        if changes.purge {
            state.clash = false;
            state.purges += 1;
        }
        state.view = view;
        state.pending.push(changes);
    }

    /// Whether a save would write nothing and tell nothing.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state();
        state.pending.is_empty()
            && !state.clash
            && !self
                .sessions
                .0
                .is_keeping_due(&state.standing, &state.contents)
    }

    /// Saves what is pending, and says what the response has to tell. Of a request that failed,
    /// with this status, only a purge and a renewal remain.
    pub(crate) async fn save(&self, failed: Option<u16>) -> Result<Option<CookieChange>> {
        let service = &self.sessions.0;
        let _saving = self.saving.lock().await;
        let (standing, contents, mut pending) = {
            let mut state = self.state();
            let pending = std::mem::take(&mut state.pending);
            state.view = Arc::clone(&state.contents);
            if std::mem::take(&mut state.clash) && failed.is_none() {
                return Err(Error::TwoLogins);
            }
            (state.standing.clone(), Arc::clone(&state.contents), pending)
        };
        if let Some(status) = failed {
            if pending.iter().any(Changes::edits) {
                service.counters.dropped.count();
                tracing::warn!(target: "bsession", status, "changes_dropped");
            }
            pending = pending.into_iter().map(Changes::without_edits).collect();
        }
        let outcome = service
            .save(&self.presented, standing, contents, pending)
            .await?;
        self.begin((outcome.standing, outcome.contents));
        Ok(outcome.cookie)
    }
}

impl Claims for Slot {
    fn claim<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>> {
        Box::pin(async move {
            let _saving = self.saving.lock().await;
            let (standing, contents) = {
                let mut state = self.state();
                if state.view.data.get(key) != state.contents.data.get(key) {
                    // Put there by another connection of this request: nobody else can have it.
                    return Ok(state.take_pending(key));
                }
                (state.standing.clone(), Arc::clone(&state.contents))
            };
            let Standing::Live(live) = standing else {
                return Ok(None);
            };
            let (outcome, value) = self.sessions.0.claim(live, contents, key).await?;
            self.begin((outcome.standing, outcome.contents));
            Ok(value)
        })
    }
}

impl State {
    fn take_pending(&mut self, key: &str) -> Option<Value> {
        let before = Arc::clone(&self.view);
        let value = Arc::make_mut(&mut self.view).data.remove(key);
        self.pending
            .push(Changes::between(before, Arc::clone(&self.view)));
        value
    }
}

/// The request is over. What nobody saved is lost, but for a purge: a logout is one whatever
/// became of its handler.
impl Drop for Slot {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut state.pending);
        if pending.iter().any(Changes::edits) {
            self.sessions.0.counters.dropped.count();
            tracing::warn!(
                target: "bsession",
                hint = "unless the client hung up: return `connection.save(&req, response).await`, or wrap the app in `bsession::Hooks`",
                "unsaved_changes_dropped"
            );
        }
        if pending.iter().any(|changes| changes.purge) {
            let (sessions, presented) =
                (self.sessions.clone(), std::mem::take(&mut self.presented));
            let (standing, contents) = (state.standing.clone(), Arc::clone(&state.contents));
            let purge = smallvec![Changes::purge()];
            finish(Box::pin(async move {
                if let Err(error) = sessions.0.save(&presented, standing, contents, purge).await {
                    tracing::error!(target: "bsession", %error, "purge_failed");
                }
            }));
        }
    }
}

/// Something that must come to its end though nobody waits for it any more.
pub(crate) type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs an errand as far as it goes at once, and the rest as a task.
pub(crate) fn finish(mut errand: Errand) {
    if let Poll::Ready(()) = errand
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return;
    }
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(errand)),
        Err(_) => tracing::error!(target: "bsession", "unfinished_save_without_runtime"),
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}
