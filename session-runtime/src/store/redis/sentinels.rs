//! Sentinels: servers that know which server is the master.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{Client, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::connection::{Peer, RedisConnection};
use super::servers::at_host;

/// A master, and the sentinels that watch it.
///
/// They are asked again for every connection, as the guidelines for clients want it
/// (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).
pub(super) struct Sentinels {
    sentinels: Vec<Client>,
    /// The name that the sentinels have for the master.
    name: String,
    /// The settings for connections to the master. Their host is not used.
    node: ConnectionInfo,
}

/// The host and the port of a server.
type Place = (String, u16);

impl Sentinels {
    pub(super) fn new(
        sentinels: Vec<ConnectionInfo>,
        name: String,
        node: ConnectionInfo,
    ) -> RedisResult<Self> {
        Ok(Self {
            sentinels: sentinels
                .into_iter()
                .map(Client::open)
                .collect::<RedisResult<_>>()?,
            name,
            node,
        })
    }

    /// Connects to the master. Asks all sentinels at once and takes the first answer that holds.
    ///
    /// # Errors
    /// The error of a server that a sentinel named, else the one of a sentinel.
    pub(super) async fn connect(&self, limit: Duration) -> RedisResult<RedisConnection> {
        let end = Instant::now() + limit;
        // Half of the time is left for the master.
        let ask = |sentinel| self.ask(sentinel, limit / 2);
        let mut answers: FuturesUnordered<_> = self.sentinels.iter().map(ask).collect();
        let mut tried: Vec<Place> = Vec::new();
        // The best error so far, and how much it says.
        let mut failure: Option<(u8, RedisError)> = None;
        while let Some(answer) = answers.next().await {
            let (error, says) = match answer {
                Ok(place) if tried.contains(&place) => continue,
                Ok(place) => match self.connect_to(&place, end - Instant::now()).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => {
                        tried.push(place);
                        (error, 2)
                    }
                },
                Err(error) => {
                    let says = u8::from(error.kind() != ErrorKind::Io);
                    (error, says)
                }
            };
            if failure.as_ref().is_none_or(|(most, _)| says > *most) {
                failure = Some((says, error));
            }
        }
        Err(failure.map_or_else(|| unknown(&self.name), |(_, error)| error))
    }

    /// Asks a sentinel where the master is.
    async fn ask(&self, sentinel: &Client, limit: Duration) -> RedisResult<Place> {
        let mut ask = redis::pipe();
        ask.cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name);
        let opened = RedisConnection::open(sentinel, Peer::Sentinel, &ask, limit);
        let (_, answers) = opened.await?;
        let answer = answers.into_iter().next().unwrap_or(Value::Nil);
        let place: Option<Place> = redis::from_redis_value(answer)?;
        place.ok_or_else(|| unknown(&self.name))
    }

    /// Connects to a server that says itself that it is the master.
    async fn connect_to(
        &self,
        (host, port): &Place,
        limit: Duration,
    ) -> RedisResult<RedisConnection> {
        let client = Client::open(at_host(&self.node, host, *port))?;
        let mut first = redis::pipe();
        // A server that is still loading answers the first of them, but not the second.
        first.cmd("ROLE").cmd("PING");
        let opened = RedisConnection::open(&client, Peer::Server, &first, limit);
        let (connection, answers) = opened.await?;
        let is_master = matches!(answers.first(), Some(Value::Array(role))
            if matches!(role.first(), Some(Value::BulkString(role)) if role == b"master"));
        if is_master {
            return Ok(connection);
        }
        let text = "the sentinels name a server that is not the master any more, or not yet";
        Err((
            ErrorKind::MasterNameNotFoundBySentinel,
            text,
            format!("{host}:{port}"),
        )
            .into())
    }
}

fn unknown(name: &str) -> RedisError {
    let text = "the sentinels know no master of this name";
    (
        ErrorKind::MasterNameNotFoundBySentinel,
        text,
        name.to_owned(),
    )
        .into()
}
