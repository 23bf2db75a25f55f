//! Ports for servers that have to come back where they were.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below what systems give to connections and to whoever takes any port, by default 32768 and above, so
/// that nobody gets the port of a server while it is down; also that of its part in a cluster, 10,000 further up.
const PORTS: Range<u16> = 10_000..22_000;

pub(crate) fn free() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
