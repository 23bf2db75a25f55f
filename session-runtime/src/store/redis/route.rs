//! The route of a runtime to the server that has a key.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, RedisResult};

use super::cluster::Cluster;
use super::connection::{Command, Replies};
use super::node::Node;
use super::servers::Servers;

/// The connections of one runtime to all servers.
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

    /// Sends a command to the server that has its key, and waits for as long as the caller polls.
    ///
    /// The command may be sent twice, so it must be safe to do it twice.
    pub(super) async fn ask(&self, command: Command<'_>) -> RedisResult<Replies> {
        match self {
            Self::One(node) => node.ask(command).await,
            Self::Cluster(cluster) => Box::pin(cluster.ask(command)).await,
        }
    }

    /// Returns all servers that have records, sorted by the hash slots that they have.
    pub(super) async fn nodes(&self) -> RedisResult<Vec<Arc<Node>>> {
        match self {
            Self::One(node) => Ok(vec![Arc::clone(node)]),
            Self::Cluster(cluster) => cluster.masters().await,
        }
    }

    /// Returns the error of the last attempt to connect, if there is an outage.
    pub(super) fn outage(&self) -> Option<RedisError> {
        match self {
            Self::One(node) => node.outage(),
            Self::Cluster(cluster) => cluster.outage(),
        }
    }

    /// True if a command was sent within the last `span`.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        match self {
            Self::One(node) => node.is_in_use(span),
            Self::Cluster(cluster) => cluster.is_in_use(span),
        }
    }
}
