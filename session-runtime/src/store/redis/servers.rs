//! The servers of a store: one, one that sentinels name, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};

use super::address::Address;
use super::connection::{Peer, RedisConnection};
use super::sentinels::Sentinels;

/// The servers that a store is given.
pub(super) enum Servers {
    One(Arc<Server>),
    /// Some nodes of a cluster, which know the others.
    Cluster(Arc<[ConnectionInfo]>),
}

/// The way to connect to a server.
pub(super) enum Server {
    At(Client),
    /// The master that sentinels name.
    Watched(Sentinels),
}

impl Servers {
    /// Reads an address, without a connection: the only possible error is an invalid address. `login` is the user and
    /// the password for sentinels.
    pub(super) fn new(
        address: Address,
        (user, password): (Option<&str>, Option<&str>),
    ) -> RedisResult<Self> {
        Ok(match address {
            Address::One(url) => Self::One(Arc::new(Server::At(Client::open(url)?))),
            Address::Cluster(urls) => {
                let nodes = urls.iter().map(|url| url.as_str().into_connection_info());
                Self::Cluster(nodes.collect::<RedisResult<_>>()?)
            }
            Address::Sentinel {
                sentinels,
                master,
                node,
            } => {
                let with_login = |url: String| {
                    let info = url.into_connection_info()?;
                    let mut settings = info.redis_settings().clone();
                    if let Some(user) = user {
                        settings = settings.set_username(user);
                    }
                    if let Some(password) = password {
                        settings = settings.set_password(password);
                    }
                    Ok(info.set_redis_settings(settings))
                };
                let sentinels = sentinels.into_iter().map(with_login);
                let sentinels = sentinels.collect::<RedisResult<_>>()?;
                let node = node.into_connection_info()?;
                let watched = Sentinels::new(sentinels, master, node)?;
                Self::One(Arc::new(Server::Watched(watched)))
            }
        })
    }

    /// True if one script reaches all keys.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

/// Returns the settings of a connection to another host that is spoken to in the same way, with the same login.
pub(super) fn at_host(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
    let addr = match info.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(addr)
}

impl Server {
    /// Opens a connection and waits until the server has answered on it.
    ///
    /// The runtime that this is called on drives the connection.
    pub(super) async fn connect(&self, limit: Duration) -> RedisResult<RedisConnection> {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        match self {
            Self::At(client) => {
                let mut first = redis::pipe();
                first.cmd("PING");
                let opened = RedisConnection::open(client, Peer::Server, &first, limit);
                Ok(opened.await?.0)
            }
            Self::Watched(sentinels) => sentinels.connect(limit).await,
        }
    }
}

/// Installs ring as the cryptography of rustls, unless the application has installed one before.
///
/// Rustls keeps this choice once for the whole process.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // This fails if another thread has just installed one, which is as good.
        drop(ring::default_provider().install_default());
    }
}
