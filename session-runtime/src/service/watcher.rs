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
    over: watch::Sender<bool>,
}

impl Watcher {
    pub(crate) fn new(service: &Arc<Service>) -> Arc<Self> {
        Arc::new(Self {
            service: Arc::downgrade(service),
            session: Mutex::default(),
            over: watch::Sender::new(false),
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
        self.over.send_replace(false);
        service.watches.follow(&service, self, live);
    }

    /// Follows no session during a save. A session that the save itself ends does not end the watches: the response may
    /// still leave another one.
    pub(crate) fn pause(&self) {
        let session = self.session().take();
        if let (Some(handle), Some(service)) = (session, self.service.upgrade()) {
            service.watches.leave(handle, self);
        }
    }

    /// Ends all watches of the request.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    async fn ask(&self) -> Result<bool> {
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
        let mut over = self.over.subscribe();
        Box::pin(async move { drop(over.wait_for(|over| *over).await) })
    }
}
