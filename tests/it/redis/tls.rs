//! TLS: spoken to a server with a certificate of somebody who is trusted, and to no other.

use std::path::PathBuf;
use std::process::Command;

use bsession::RedisStore;
use bsession_redis_servers::{TlsCluster, TlsServer};
use redis::Value;

use super::reach::{TIMEOUT, on, read};
use crate::support::{Site, redis_is_there};

/// What the process below is told: the address.
const ADDRESS: &str = "BSESSION_TEST_TLS";
/// And, if they are to be spoken to in another way, if the sentinels speak TLS.
const SENTINELS: &str = "BSESSION_TEST_TLS_OF_SENTINELS";

/// How many visitors it plays: enough for each of three masters to have some.
const VISITORS: usize = 30;

/// What a visitor is answered, in a process that trusts this authority; of several the worst.
fn status(address: &str, trusted: PathBuf) -> String {
    status_with(address, None, trusted)
}

/// The same, and what to speak with sentinels.
pub(super) fn status_with(address: &str, sentinels: Option<bool>, trusted: PathBuf) -> String {
    // Whom a process trusts is asked once; so each has one of its own.
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args([
            "--exact",
            "redis::tls::in_a_process_of_its_own",
            "--nocapture",
        ])
        .env(ADDRESS, address)
        .envs(sentinels.map(|tls| (SENTINELS, tls.to_string())))
        .env("SSL_CERT_FILE", trusted)
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
    let mut settings = RedisStore::at(address);
    if let Ok(tls) = std::env::var(SENTINELS) {
        settings = settings.sentinel_tls(tls == "true");
    }
    let service = on(settings).store_timeout(TIMEOUT).build();
    let site = Site::open(service.expect("a service"));
    let visit = || {
        let begun = site.with_cookies("POST", "/set/name/joe", &[]);
        let Some(token) = begun.token() else {
            return begun.status;
        };
        let login = site.with_token("POST", "/login/joe", token);
        let token = login.token().unwrap_or_default();
        let name = read(&site, token, "name");
        name.map_or_else(
            |status| status,
            |name| if name == "\"joe\"" { 200 } else { 404 },
        )
    };
    let first = visit();
    let others = (1..VISITORS).map(|_| if first == 200 { visit() } else { first });
    println!("status: {}", others.max().unwrap_or(first));
}

#[test]
fn a_certificate_is_believed_if_its_authority_is() {
    if !redis_is_there() {
        return;
    }
    let [server, other] = [(); 2].map(|()| TlsServer::start());
    assert_eq!(status(&server.url(), other.authority()), "503");
    assert_eq!(server.server.command(&["DBSIZE"]), Value::Int(0));
    assert_eq!(status(&server.url(), server.authority()), "200");
    assert_ne!(server.server.command(&["DBSIZE"]), Value::Int(0));
}

/// Of one node the address is given; the others are those that it names, and are spoken to likewise.
#[test]
fn all_nodes_of_a_cluster_are_spoken_to_in_tls() {
    if !redis_is_there() {
        return;
    }
    let servers = TlsCluster::start(3);
    assert_eq!(status(&servers.url(), servers.authority()), "200");
    for node in servers.cluster.nodes() {
        assert_ne!(node.command(&["DBSIZE"]), Value::Int(0));
    }
}
