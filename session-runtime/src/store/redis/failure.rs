//! The errors of the store.

use redis::{RedisError, ServerErrorKind};

use crate::store::StoreError;

/// An error of a server, or of the connection to it.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {error}{hint}")]
struct Failure {
    error: RedisError,
    /// The text behind the error that says what to change.
    hint: &'static str,
}

/// Makes a store error of a client error. A `From` would make the client's error type part of the public interface.
pub(super) fn failed(error: RedisError) -> StoreError {
    let hint = match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::Moved) => {
            ": the server is one of a cluster: write `redis-cluster://` before its address"
        }
        redis::ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            ": the server is a replica: give the address of the master, or of sentinels"
        }
        _ => "",
    };
    StoreError::Other(Box::new(Failure { error, hint }))
}

/// The error for a reply that the script or command never gives.
pub(super) fn unexpected() -> StoreError {
    StoreError::Other(
        "Redis: the server answered what was not asked: do others write under this prefix?".into(),
    )
}
