//! The way of a runtime to the server that has a key.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;

use super::cluster::Cluster;
use super::node::Node;
use super::servers::{Replies, Request, Servers};

pub(super) enum Route {
    One(Arc<Node>),
    Cluster(Arc<Cluster>),
}

impl Route {
    pub(super) fn to(servers: &Servers, patience: Duration) -> Self {
        match servers {
            Servers::One(server) => Self::One(Arc::new(Node::new(Arc::clone(server), patience))),
            Servers::Cluster(seeds) => Self::Cluster(Cluster::new(Arc::clone(seeds), patience)),
        }
    }

    /// Asks the server that has the key, for as long as it is polled. All that is sent is safe to be
    /// sent twice.
    pub(super) async fn ask(&self, request: Request<'_>) -> RedisResult<Replies> {
        match self {
            Self::One(node) => node.ask(request).await,
            Self::Cluster(cluster) => Box::pin(cluster.ask(request)).await,
        }
    }

    /// All servers that have records, in the order of what they have.
    pub(super) async fn nodes(&self) -> RedisResult<Vec<Arc<Node>>> {
        match self {
            Self::One(node) => Ok(vec![Arc::clone(node)]),
            Self::Cluster(cluster) => cluster.masters().await,
        }
    }

    /// Whether anybody asked within that time.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        match self {
            Self::One(node) => node.is_in_use(span),
            Self::Cluster(cluster) => cluster.is_in_use(span),
        }
    }
}
