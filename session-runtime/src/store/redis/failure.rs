//! The errors of the store.

use std::io;

use redis::{ConnectionAddr, ErrorKind, RedisError, ServerErrorKind};

use super::connection::Peer;
use crate::store::StoreError;

/// An error of a server, or of the connection to it.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {error}{hint}")]
struct Failure {
    #[source]
    error: RedisError,
    /// The text behind the error that says what to change.
    hint: &'static str,
}

/// Makes a store error of a client error. A `From` would make the client's error type part of the public interface.
pub(super) fn failed(error: RedisError) -> StoreError {
    let hint = match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved) => {
            ": the server is one of a cluster: write `redis-cluster://` before its address"
        }
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            ": the server is a replica: give the address of the master, or of sentinels"
        }
        _ if lacks_a_right(&error) => {
            ": give this user the rights that the page Operations of the documentation lists"
        }
        _ => "",
    };
    StoreError::Other(Box::new(Failure { error, hint }))
}

/// True if the access rules of the server forbid it.
///
/// The error of a command inside a script, and that of `SELECT`, is of a general kind and says it in words, which differ
/// from version to version.
fn lacks_a_right(error: &RedisError) -> bool {
    const WORDS: [&str; 3] = ["permission", "ACL failure", "executing the script can't"];
    let says = |detail: &str| WORDS.iter().any(|words| detail.contains(words));
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) || error.detail().is_some_and(says)
}

/// The error for a reply that the script or command never gives.
pub(super) fn unexpected() -> StoreError {
    StoreError::Other(
        "Redis: the server answered what was not asked: do others write under this prefix?".into(),
    )
}

/// Makes the error of an attempt to connect, of the same kind as `error`: it says where and, if that is likely, what to
/// change.
pub(super) fn no_connection(error: RedisError, peer: Peer, at: &ConnectionAddr) -> RedisError {
    if error.is_io_error() {
        let (kind, text) = io_cause(&error);
        let hint = io_hint(kind, &text, peer, at);
        return io::Error::new(kind, format!("no connection to {at}: {text}{hint}")).into();
    }
    let text = error.detail().unwrap_or_else(|| error.category());
    let hint = match (error.kind(), error.code(), peer) {
        (ErrorKind::AuthenticationFailed, _, Peer::Server) => {
            ": the user name or password in the address is wrong, or the server asks for none; a `%` in it is written `%25`"
        }
        (ErrorKind::AuthenticationFailed, _, Peer::Sentinel) => {
            ": `RedisStore::sentinel_user` or `sentinel_password` is wrong, or the sentinel asks for none"
        }
        (_, Some("NOAUTH"), Peer::Server) => {
            ": write `redis://:password@host` or `redis://user:password@host`"
        }
        (_, Some("NOAUTH"), Peer::Sentinel) => ": set `RedisStore::sentinel_password`",
        _ => "",
    };
    let text = format!("{at}: {text}{hint}");
    (error.kind(), "no connection", text).into()
}

fn io_cause(error: &RedisError) -> (io::ErrorKind, String) {
    let kind = if error.is_timeout() {
        // The timers of several crates say it in different words.
        return (io::ErrorKind::TimedOut, "it did not answer".to_owned());
    } else if error.is_connection_refusal() {
        io::ErrorKind::ConnectionRefused
    } else if error.is_connection_dropped() {
        io::ErrorKind::ConnectionAborted
    } else {
        io::ErrorKind::Other
    };
    (kind, error.to_string())
}

/// Returns the hint for a connection that may speak TLS to a port without, or the other way round.
///
/// Neither is certain. A server without TLS waits for the rest of what it takes for a command, or closes the connection;
/// so does one that is silent, or that ends.
fn io_hint(kind: io::ErrorKind, text: &str, peer: Peer, at: &ConnectionAddr) -> &'static str {
    let is_tls = matches!(at, ConnectionAddr::TcpTls { .. });
    if is_tls && text.contains("certificate") {
        return ": if it is of an authority of your own, set `SSL_CERT_FILE` to a file with that authority's certificate";
    }
    let is_likely = match kind {
        io::ErrorKind::ConnectionAborted => true,
        io::ErrorKind::TimedOut => is_tls,
        // What it answers to a greeting in TLS is no TLS.
        _ => is_tls && text.contains("corrupt message"),
    };
    match peer {
        _ if !is_likely => "",
        Peer::Server if is_tls => {
            "; if this port speaks no TLS, write `redis` in place of `rediss`"
        }
        Peer::Sentinel if is_tls => {
            "; if the sentinels speak no TLS, set `RedisStore::sentinel_tls(false)`"
        }
        Peer::Server => "; if this port speaks TLS, write `rediss` in place of `redis`",
        Peer::Sentinel => "; if the sentinels speak TLS, set `RedisStore::sentinel_tls(true)`",
    }
}
