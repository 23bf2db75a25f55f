//! A connection to a server, and a command that is sent over it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError,
    RedisResult, Value,
};

use super::failure::no_connection;

/// The kinds of servers at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    /// A server that has sessions.
    Server,
    Sentinel,
}

/// A command, and the commands that are sent together with it.
#[derive(Clone, Copy)]
pub(super) struct Command<'c> {
    /// True if the server must answer for a hash slot that is just being moved to it (`ASKING`).
    pub(super) asking: bool,
    pub(super) cmd: &'c Cmd,
    /// The `WAIT` that waits for replicas.
    pub(super) wait: Option<&'c Cmd>,
    /// Set when the command is sent a second time although the server may have done it the first time.
    pub(super) resent: &'c AtomicBool,
}

/// The replies to the command, and to its `WAIT`.
pub(super) type Replies = (Value, Option<Value>);

/// An open connection. Clones share it, and commands do not wait for the replies to earlier ones.
#[derive(Clone)]
pub(super) struct RedisConnection(MultiplexedConnection);

impl RedisConnection {
    /// Opens a connection, and waits until the other side has answered these commands on it. Returns their replies.
    ///
    /// The runtime that this is called on drives the connection.
    ///
    /// # Errors
    /// There is no connection within the limit, or one of the commands is refused.
    pub(super) async fn open(
        client: &Client,
        peer: Peer,
        first: &Pipeline,
        limit: Duration,
    ) -> RedisResult<(Self, Vec<Value>)> {
        // Callers limit how long they wait for replies.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(None);
        let opened = async {
            match Self::begin(client, first, &config).await {
                Err(error) if hides_a_cause(&error) => {
                    Err(refusal_of_all(client, &config).await.unwrap_or(error))
                }
                result => result,
            }
        };
        let silence = |elapsed| Err(std::io::Error::from(elapsed).into());
        let opened = tokio::time::timeout(limit, opened).await;
        let at = client.get_connection_info().addr();
        opened
            .unwrap_or_else(silence)
            .map_err(|error| no_connection(error, peer, at))
    }

    async fn begin(
        client: &Client,
        first: &Pipeline,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(Self, Vec<Value>)> {
        let connection = client.get_multiplexed_async_connection_with_config(config);
        let mut connection = connection.await?;
        let replies = connection
            .req_packed_commands(first, 0, first.len())
            .await?;
        let replies = replies.into_iter().map(Value::extract_error);
        Ok((Self(connection), replies.collect::<RedisResult<_>>()?))
    }

    /// Sends a command and waits for the replies.
    pub(super) async fn ask(&mut self, command: Command<'_>) -> RedisResult<Replies> {
        if command.asking || command.wait.is_some() {
            return Box::pin(self.ask_at_once(command)).await;
        }
        let reply = self.0.send_packed_command(command.cmd).await?;
        Ok((reply.extract_error()?, None))
    }

    /// Sends all parts of a command in one piece, so that no command of another request comes in between.
    async fn ask_at_once(&mut self, command: Command<'_>) -> RedisResult<Replies> {
        let mut all = Pipeline::with_capacity(3);
        if command.asking {
            all.cmd("ASKING").ignore();
        }
        all.add_command(command.cmd.clone());
        if let Some(wait) = command.wait {
            all.add_command(wait.clone());
        }
        let replies = self.0.req_packed_commands(&all, 0, all.len()).await?;
        let mut replies = replies.into_iter().skip(usize::from(command.asking));
        let mut next = || replies.next().unwrap_or(Value::Nil).extract_error();
        let reply = next()?;
        let waited = command.wait.map(|_| next()).transpose()?;
        Ok((reply, waited))
    }
}

/// True if the server may have said why it closes a connection or refuses a login, and the client library has not
/// passed it on.
fn hides_a_cause(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
        || error.kind() == ErrorKind::AuthenticationFailed
}

/// Connects once more, to hear if the server refuses everybody, and returns that refusal. It has no place for another
/// client then, or is in protected mode.
///
/// Such a server says so before it is asked anything, and closes the connection. The client library passes on what it
/// reads in place of the answer to `SELECT`.
async fn refusal_of_all(client: &Client, config: &AsyncConnectionConfig) -> Option<RedisError> {
    const REFUSALS: [&str; 2] = ["max number of clients", "protected mode"];
    let settings = RedisConnectionInfo::default()
        .set_db(1)
        .set_skip_set_lib_name();
    let info = client.get_connection_info().clone();
    let client = Client::open(info.set_redis_settings(settings)).ok()?;
    let connected = client.get_multiplexed_async_connection_with_config(config);
    let error = connected.await.err()?;
    let is_refusal = |detail: &str| REFUSALS.iter().any(|words| detail.contains(words));
    error.detail().is_some_and(is_refusal).then_some(error)
}
