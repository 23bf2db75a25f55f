//! Which servers: one, those that sentinels name, or a cluster; and a connection to them.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, RedisResult, Value};

use super::url::Address;

/// How a store comes to its servers.
pub(super) enum Servers {
    One(Client),
    /// Asked anew for every connection, since what it remembers belongs to one runtime.
    Sentinel {
        sentinels: Vec<String>,
        master: String,
        node: SentinelNodeConnectionInfo,
    },
    Cluster(Box<ClusterClient>),
}

/// A connection. Clones are the same one; whoever asks it does not wait for those before.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Servers {
    /// Without a connection: all that may be wrong is the address.
    pub(super) fn new(address: Address) -> RedisResult<Self> {
        Ok(match address {
            Address::One(url) => Self::One(Client::open(url)?),
            Address::Cluster(urls) => Self::Cluster(Box::new(ClusterClient::new(urls)?)),
            Address::Sentinel {
                sentinels,
                master,
                node,
            } => {
                let node = node.into_connection_info()?;
                let tls = match node.addr() {
                    redis::ConnectionAddr::TcpTls { .. } => Some(redis::TlsMode::Secure),
                    _ => None,
                };
                let mut info = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone());
                if let Some(mode) = tls {
                    info = info.set_tls_mode(mode);
                }
                let servers = Self::Sentinel {
                    sentinels,
                    master,
                    node: info,
                };
                servers.sentinel()?;
                servers
            }
        })
    }

    /// Whether all keys are within reach of one script.
    pub(super) fn is_one(&self) -> bool {
        !matches!(self, Self::Cluster(_))
    }

    fn sentinel(&self) -> RedisResult<Option<SentinelClient>> {
        let Self::Sentinel {
            sentinels,
            master,
            node,
        } = self
        else {
            return Ok(None);
        };
        let client = SentinelClient::build(
            sentinels.clone(),
            master.clone(),
            Some(node.clone()),
            SentinelServerType::Master,
        );
        client.map(Some)
    }

    /// A connection that has answered, driven by the runtime that this is called on.
    pub(super) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        // Time-outs of replies are seen to by whoever waits for them.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None);
        let mut connection = match self {
            Self::One(client) => client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map(Connection::One)?,
            Self::Sentinel { .. } => {
                let Some(mut client) = self.sentinel()? else {
                    unreachable!("there are sentinels")
                };
                client
                    .get_async_connection_with_config(&config)
                    .await
                    .map(Connection::One)?
            }
            // In a cluster it is each node's: one that is silent is asked no more.
            Self::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(timeout)
                    .set_response_timeout(timeout);
                return client
                    .get_async_connection_with_config(config)
                    .await
                    .map(Connection::Cluster);
            }
        };
        connection.ask(&redis::cmd("PING"), None).await?;
        Ok(connection)
    }
}

impl Connection {
    pub(super) async fn ask(
        &mut self,
        cmd: &Cmd,
        then: Option<&Cmd>,
    ) -> RedisResult<(Value, Option<Value>)> {
        if let Some(then) = then {
            return Box::pin(self.ask_both(cmd, then)).await;
        }
        let reply = match self {
            Self::One(connection) => connection.send_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        };
        Ok((reply?.extract_error()?, None))
    }

    async fn ask_both(&mut self, cmd: &Cmd, then: &Cmd) -> RedisResult<(Value, Option<Value>)> {
        let mut both = Pipeline::with_capacity(2);
        both.add_command(cmd.clone()).add_command(then.clone());
        let replies = match self {
            Self::One(connection) => connection.send_packed_commands(&both, 0, 2).await,
            Self::Cluster(connection) => connection.req_packed_commands(&both, 0, 2).await,
        };
        let mut replies = replies?.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil).extract_error();
        Ok((next()?, Some(next()?)))
    }
}
