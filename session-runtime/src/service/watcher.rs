//! A watcher: all watches of one request, which follow the same session.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::service::Service;
use super::standing::Live;
use crate::error::Result;
use crate::record::Handle;
use crate::session::Watched;

/// All watches of one request. They end together.
pub(crate) struct Watcher {
    /// A weak reference: an open socket does not keep a service alive that nobody else uses.
    service: Weak<Service>,
    /// The session that is followed; `None` before the first one, and during a save of the request.
    session: Mutex<Option<Handle>>,
    phase: watch::Sender<Phase>,
}

/// The phases of a watcher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The watches go on.
    On,
    /// A save of the request is under way. It decides which session they follow, or if they end.
    Saving,
    Over,
}

impl Watcher {
    pub(crate) fn new(service: &Arc<Service>) -> Arc<Self> {
        Arc::new(Self {
            service: Arc::downgrade(service),
            session: Mutex::default(),
            phase: watch::Sender::new(Phase::On),
        })
    }

    fn session(&self) -> MutexGuard<'_, Option<Handle>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a session from here on. Does nothing if it follows this session already: it may know a later
    /// revision than the request does.
    pub(crate) fn follow(self: &Arc<Self>, live: &Live) {
        let Some(service) = self.service.upgrade() else {
            return self.end();
        };
        let handle = Some(live.head.handle);
        if std::mem::replace(&mut *self.session(), handle) == handle {
            return;
        }
        self.phase.send_replace(Phase::On);
        service.watches.follow(&service, self, live);
    }

    /// Follows no session during a save. A session that the save itself ends does not end the watches: the response may
    /// still leave another one.
    pub(crate) fn pause(&self) {
        self.go_on(Phase::On, Phase::Saving);
        let session = self.session().take();
        if let (Some(handle), Some(service)) = (session, self.service.upgrade()) {
            service.watches.leave(handle, self);
        }
    }

    /// Goes on after a save that has left no session.
    pub(crate) fn resume(&self) {
        self.go_on(Phase::Saving, Phase::On);
    }

    fn go_on(&self, from: Phase, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let goes_on = *phase == from;
            if goes_on {
                *phase = to;
            }
            goes_on
        });
    }

    /// Ends all watches of the request.
    pub(crate) fn end(&self) {
        self.phase.send_replace(Phase::Over);
    }

    fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::Over
    }

    /// Waits until no save of the request is under way.
    async fn settled(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is in `self`, so that this ends with no error.
        drop(phase.wait_for(|phase| *phase != Phase::Saving).await);
    }

    async fn ask(&self) -> Result<bool> {
        self.settled().await;
        if self.is_over() {
            return Ok(false);
        }
        let handle = *self.session();
        let (Some(handle), Some(service)) = (handle, self.service.upgrade()) else {
            return Ok(false);
        };
        service.look_at(service.watches.place_of(handle)).await?;
        Ok(!self.is_over())
    }
}

impl Watched for Watcher {
    fn is_live(&self) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + '_>> {
        Box::pin(self.ask())
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut phase = self.phase.subscribe();
        Box::pin(async move { drop(phase.wait_for(|phase| *phase == Phase::Over).await) })
    }
}
