//! The servers of a store: one, one that sentinels name, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult,
    TlsMode,
};

use super::address::Address;
use super::connection::RedisConnection;

/// The servers that a store is given.
pub(super) enum Servers {
    One(Arc<Server>),
    /// Some nodes of a cluster, which know the others.
    Cluster(Arc<[ConnectionInfo]>),
}

/// The way to connect to a server.
pub(super) enum Server {
    At(Client),
    /// A master that sentinels name. They are asked again for every connection, because their client
    /// remembers a connection that only one runtime can use.
    Watched {
        sentinels: Vec<String>,
        master: String,
        node: SentinelNodeConnectionInfo,
    },
}

impl Servers {
    /// Reads an address, without a connection: the only possible error is an invalid address.
    pub(super) fn new(address: Address) -> RedisResult<Self> {
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
                let node = node.into_connection_info()?;
                let mut info = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone());
                if let ConnectionAddr::TcpTls { .. } = node.addr() {
                    info = info.set_tls_mode(TlsMode::Secure);
                }
                sentinel(&sentinels, &master, &info)?;
                Self::One(Arc::new(Server::Watched {
                    sentinels,
                    master,
                    node: info,
                }))
            }
        })
    }

    /// True if one script reaches all keys.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

fn sentinel(
    sentinels: &[String],
    master: &str,
    node: &SentinelNodeConnectionInfo,
) -> RedisResult<SentinelClient> {
    SentinelClient::build(
        sentinels.to_vec(),
        // With TLS the parameter has another type, which needs this.
        #[allow(clippy::unnecessary_to_owned)]
        master.to_owned(),
        Some(node.clone()),
        SentinelServerType::Master,
    )
}

impl Server {
    /// Opens a connection and waits until the server has answered on it.
    ///
    /// The runtime that this is called on drives the connection.
    pub(super) async fn connect(&self, timeout: Duration) -> RedisResult<RedisConnection> {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        // Callers limit how long they wait for replies.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None);
        let mut connection = match self {
            Self::At(client) => {
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?
            }
            Self::Watched {
                sentinels,
                master,
                node,
            } => {
                let mut client = sentinel(sentinels, master, node)?;
                client.get_async_connection_with_config(&config).await?
            }
        };
        let ping = connection.send_packed_command(&redis::cmd("PING")).await?;
        ping.extract_error()?;
        Ok(RedisConnection::new(connection))
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
