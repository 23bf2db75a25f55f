//! TLS: spoken to a server with a certificate of somebody who is trusted, and to no other.

use std::process::Command;

use bsession_redis_servers::TlsServer;

use super::reach::site;
use crate::support::redis_is_there;

/// What the process below is told: the address.
const ADDRESS: &str = "BSESSION_TEST_TLS";

/// What a service whose process trusts the authority of `trusted` is answered by `server`.
fn status(server: &TlsServer, trusted: &TlsServer) -> String {
    // Whom a process trusts is asked once; so each has one of its own.
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args([
            "--exact",
            "redis::tls::in_a_process_of_its_own",
            "--nocapture",
        ])
        .env(ADDRESS, server.url())
        .env("SSL_CERT_FILE", trusted.authority())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.lines().find_map(|line| line.split_once("status: "));
    status
        .unwrap_or_else(|| panic!("no answer in {text}"))
        .1
        .to_owned()
}

#[test]
fn in_a_process_of_its_own() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return; // the tests below begin it
    };
    let site = site(&address);
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    println!("status: {}", reply.status);
}

#[test]
fn a_certificate_is_believed_if_its_authority_is() {
    if !redis_is_there() {
        return;
    }
    let [server, other] = [(); 2].map(|()| TlsServer::start());
    assert_eq!(status(&server, &server), "200");
    assert_eq!(status(&server, &other), "503");
    let keys = |server: &TlsServer| server.server.command(&["DBSIZE"]);
    assert_eq!(
        [&server, &other].map(keys),
        [redis::Value::Int(1), redis::Value::Int(0)]
    );
}
