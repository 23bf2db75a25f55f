//! A server, as one runtime reaches it.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, RedisResult};

use super::connection::{Command, Replies};
use super::link::Link;
use super::servers::Server;

/// A single server, or a node of a cluster.
pub(super) struct Node {
    link: Arc<Link>,
    /// The link for commands that wait for replicas. While such a command waits, the server answers nothing
    /// else on the same connection.
    waiting: Arc<Link>,
}

impl Node {
    pub(super) fn new(server: Arc<Server>, patience: Duration) -> Self {
        Self {
            link: Link::to(Arc::clone(&server), patience),
            waiting: Link::to(server, patience),
        }
    }

    /// Sends a command to this server, whichever keys it has.
    pub(super) async fn ask(&self, command: Command<'_>) -> RedisResult<Replies> {
        let link = match command.wait {
            Some(_) => &self.waiting,
            None => &self.link,
        };
        link.ask(command).await
    }

    /// Returns the error of the last attempt to connect, if there is an outage.
    pub(super) fn outage(&self) -> Option<RedisError> {
        self.link.outage().or_else(|| self.waiting.outage())
    }

    /// True if a command was sent within the last `span`.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        self.link.is_in_use(span) || self.waiting.is_in_use(span)
    }
}
