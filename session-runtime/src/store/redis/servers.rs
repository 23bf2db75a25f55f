//! Which servers: one, those that sentinels name, or a cluster; and a connection to one of them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, RedisResult, TlsMode, Value,
};

use super::url::Address;

/// What a store is told of its servers.
pub(super) enum Servers {
    One(Arc<Server>),
    /// Some nodes of a cluster.
    Cluster(Arc<[ConnectionInfo]>),
}

/// How one comes to a server.
pub(super) enum Server {
    At(Client),
    /// The master. Sentinels are asked anew for every connection, since what their client remembers
    /// belongs to one runtime.
    Watched {
        sentinels: Vec<String>,
        master: String,
        node: SentinelNodeConnectionInfo,
    },
}

/// A connection. Clones are the same one; whoever asks it does not wait for those before.
#[derive(Clone)]
pub(super) struct Connection(MultiplexedConnection);

/// What a server is asked at once.
#[derive(Clone, Copy)]
pub(super) struct Request<'c> {
    /// Whether the server is to answer for a slot that is still on its way to it.
    pub(super) asking: bool,
    pub(super) cmd: &'c Cmd,
    /// To wait for replicas.
    pub(super) wait: Option<&'c Cmd>,
    /// Set by whoever sends it again though it may have been done.
    pub(super) again: &'c AtomicBool,
}

/// The replies to the command, and to what waits.
pub(super) type Replies = (Value, Option<Value>);

impl Servers {
    /// Without a connection: all that may be wrong is the address.
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

    /// Whether all keys are within reach of one script.
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
        // Which type it takes hangs on whether there is TLS.
        #[allow(clippy::unnecessary_to_owned)]
        master.to_owned(),
        Some(node.clone()),
        SentinelServerType::Master,
    )
}

impl Server {
    /// A connection that has answered, driven by the runtime that this is called on.
    pub(super) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        // Time-outs of replies are seen to by whoever waits for them.
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
        Ok(Connection(connection))
    }
}

/// Rustls asks the process which cryptography it is to use. Where the application has not said that
/// by its first connection, it is ring.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster.
        drop(ring::default_provider().install_default());
    }
}

impl Connection {
    pub(super) async fn ask(&mut self, request: Request<'_>) -> RedisResult<Replies> {
        if request.asking || request.wait.is_some() {
            return Box::pin(self.ask_at_once(request)).await;
        }
        let reply = self.0.send_packed_command(request.cmd).await?;
        Ok((reply.extract_error()?, None))
    }

    /// In one piece, so that what others ask over the connection does not come in between.
    async fn ask_at_once(&mut self, request: Request<'_>) -> RedisResult<Replies> {
        let mut all = Pipeline::with_capacity(3);
        if request.asking {
            all.cmd("ASKING").ignore();
        }
        all.add_command(request.cmd.clone());
        if let Some(wait) = request.wait {
            all.add_command(wait.clone());
        }
        let replies = self.0.req_packed_commands(&all, 0, all.len()).await?;
        let mut replies = replies.into_iter().skip(usize::from(request.asking));
        let mut next = || replies.next().unwrap_or(Value::Nil).extract_error();
        let reply = next()?;
        let waited = request.wait.map(|_| next()).transpose()?;
        Ok((reply, waited))
    }
}
