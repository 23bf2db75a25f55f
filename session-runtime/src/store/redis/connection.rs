//! A connection to a server, and a command that is sent over it.

use std::sync::atomic::AtomicBool;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};

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
    pub(super) fn new(connection: MultiplexedConnection) -> Self {
        Self(connection)
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
