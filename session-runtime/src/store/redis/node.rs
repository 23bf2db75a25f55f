//! A server, as a runtime reaches it.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;

use super::link::Link;
use super::servers::{Replies, Request, Server};

/// A server by itself, or a node of a cluster.
pub(super) struct Node {
    link: Arc<Link>,
    /// One of its own: behind a command that waits for replicas a server answers nothing else.
    waiting: Arc<Link>,
}

impl Node {
    pub(super) fn new(server: Arc<Server>, patience: Duration) -> Self {
        Self {
            link: Link::to(Arc::clone(&server), patience),
            waiting: Link::to(server, patience),
        }
    }

    pub(super) async fn ask(&self, request: Request<'_>) -> RedisResult<Replies> {
        let link = match request.wait {
            Some(_) => &self.waiting,
            None => &self.link,
        };
        link.ask(request).await
    }

    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        self.link.is_in_use(span) || self.waiting.is_in_use(span)
    }
}
