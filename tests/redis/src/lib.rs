//! Real Redis servers for tests, on free ports of this machine, each stopped by its own handle.
//!
//! ```
//! # if !bsession_redis_servers::is_installed() { return }
//! let mut server = bsession_redis_servers::Server::start();
//! server.command(&["SET", "key", "value"]);
//! server.kill();
//! server.restart(); // at the same port, with what it had on disk, which is nothing
//! assert_eq!(server.command(&["DBSIZE"]), redis::Value::Int(0));
//! ```

mod cluster;
mod ports;
mod proxy;
mod sentinels;
mod server;
mod tls;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use cluster::Cluster;
pub use proxy::Proxy;
pub use sentinels::Sentinels;
pub use server::Server;
pub use tls::{Over, TlsCluster, TlsSentinels, TlsServer};

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether there is a `redis-server` to start.
#[must_use]
pub fn is_installed() -> bool {
    let asked = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Waits until something is so.
///
/// # Panics
/// It does not come to be so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
