//! The way of a runtime to the server that has a key.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;

use super::cluster::Nodes;
use super::link::Link;
use super::servers::{Errand, Replies, Server, Servers};

pub(super) enum Route {
    One(Box<Node>),
    Cluster(Arc<Nodes>),
}

/// A server, as a runtime reaches it.
pub(super) struct Node {
    link: Arc<Link>,
    /// One of its own: behind a command that waits for replicas a server answers nothing else.
    waiting: Arc<Link>,
}

impl Route {
    pub(super) fn to(servers: &Servers, patience: Duration) -> Self {
        match servers {
            Servers::One(server) => Self::One(Box::new(Node::new(Arc::clone(server), patience))),
            Servers::Cluster(seeds) => Self::Cluster(Nodes::new(Arc::clone(seeds), patience)),
        }
    }

    /// Asks the server that has the key, for as long as it is polled. All that is sent is safe to be
    /// sent twice.
    pub(super) async fn ask(&self, errand: Errand<'_>) -> RedisResult<Replies> {
        match self {
            Self::One(node) => node.ask(errand).await,
            Self::Cluster(nodes) => Box::pin(nodes.ask(errand)).await,
        }
    }

    /// Whether anybody asked within that time.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        match self {
            Self::One(node) => node.is_in_use(span),
            Self::Cluster(nodes) => nodes.are_in_use(span),
        }
    }
}

impl Node {
    pub(super) fn new(server: Arc<Server>, patience: Duration) -> Self {
        Self {
            link: Link::to(Arc::clone(&server), patience),
            waiting: Link::to(server, patience),
        }
    }

    pub(super) async fn ask(&self, errand: Errand<'_>) -> RedisResult<Replies> {
        let link = match errand.wait {
            Some(_) => &self.waiting,
            None => &self.link,
        };
        link.ask(errand).await
    }

    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        self.link.is_in_use(span) || self.waiting.is_in_use(span)
    }
}
