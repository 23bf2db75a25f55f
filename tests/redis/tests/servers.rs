//! The servers do what tests believe of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bsession_redis_servers::{
    Cluster, Over, Proxy, Sentinels, Server, TlsSentinels, is_installed, wait_until,
};
use redis::{ErrorKind, ServerErrorKind, Value};

/// In slot 12182, which the last of three masters has.
const KEY: &str = "foo";
const SLOT: u16 = 12_182;

macro_rules! needs_redis {
    () => {
        if !is_installed() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to have redis-server"
            );
            eprintln!("SKIPPED: there is no redis-server, which Debian has as a package");
            return;
        }
    };
}

fn kind(result: redis::RedisResult<Value>) -> ErrorKind {
    result.expect_err("the node refuses").kind()
}

#[test]
fn a_server_is_empty_after_a_restart_and_gone_when_it_is_dropped() {
    needs_redis!();
    let mut server = Server::start();
    server.command(&["SET", "key", "value"]);
    assert_eq!(server.text(&["GET", "key"]), "value");
    server.kill();
    assert!(server.try_command(&["PING"]).is_err(), "it was killed");
    server.restart();
    assert_eq!(server.command(&["DBSIZE"]), Value::Int(0));
    let port = server.port();
    drop(server);
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "it is gone"
    );
}

#[test]
fn somebody_elses_at_its_port_is_not_taken_for_it() {
    needs_redis!();
    let mut server = Server::start();
    let port = server.port();
    server.kill();
    let others = Server::start();
    others.command(&["CONFIG", "SET", "port", &port.to_string()]);
    let restart = std::panic::AssertUnwindSafe(|| server.restart());
    assert!(std::panic::catch_unwind(restart).is_err());
}

#[cfg(unix)]
#[test]
fn one_that_is_paused_takes_connections_and_answers_later() {
    needs_redis!();
    let server = Server::start();
    let mut waits = server.connect().expect("a connection");
    let limit = Some(Duration::from_millis(100));
    waits.set_read_timeout(limit).expect("a limit");
    server.pause();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).is_ok());
    let late = redis::cmd("PING").query::<String>(&mut waits);
    assert!(late.expect_err("it is paused").is_timeout());
    server.resume();
    assert_eq!(server.text(&["PING"]), "PONG");
}

#[test]
fn what_it_keeps_on_disk_is_there_after_a_restart() {
    needs_redis!();
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = Server::start_with(&args);
    server.command(&["SET", "key", "value"]);
    server.kill();
    server.restart();
    assert_eq!(server.text(&["GET", "key"]), "value");
}

#[test]
fn a_replica_of_a_master_that_was_killed_takes_over() {
    needs_redis!();
    let mut cluster = Cluster::start(3, 1);
    assert_eq!(cluster.masters(), [0, 1, 2]);
    assert_eq!(cluster.node_of(KEY), 2);
    cluster.nodes()[2].command(&["SET", KEY, "value"]);
    assert_eq!(
        cluster.nodes()[2].command(&["WAIT", "1", "5000"]),
        Value::Int(1)
    );
    cluster.node(2).kill();
    wait_until("the replica takes over", || cluster.masters() == [0, 1, 5]);
    assert_eq!(cluster.nodes()[5].text(&["GET", KEY]), "value");
    cluster.node(2).restart();
    wait_until("it comes back as a replica", || {
        cluster.masters() == [0, 1, 5]
    });
    cluster.wait_until_ok();
}

#[test]
fn a_slot_on_its_way_says_ask_and_then_moved() {
    needs_redis!();
    let cluster = Cluster::start(3, 0);
    let [here, there] = [2, 0].map(|number| &cluster.nodes()[number]);
    let get = |node: &Server| node.try_command(&["GET", KEY]);
    here.command(&["SET", KEY, "value"]);
    cluster.begin_move(SLOT, 2, 0);
    assert!(get(here).is_ok(), "what is there is served");
    assert_eq!(cluster.move_keys(SLOT, 2, 0), 1);
    assert_eq!(kind(get(here)), ErrorKind::Server(ServerErrorKind::Ask));
    assert_eq!(
        kind(get(there)),
        ErrorKind::Server(ServerErrorKind::Moved),
        "it was not asked"
    );
    cluster.end_move(SLOT, 0);
    assert_eq!(kind(get(here)), ErrorKind::Server(ServerErrorKind::Moved));
    assert_eq!(there.text(&["GET", KEY]), "value");
    assert_eq!(cluster.node_of(KEY), 0);
}

#[test]
fn a_proxy_that_holds_answers_nothing_and_goes_on() {
    needs_redis!();
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let mut through = TcpStream::connect(("127.0.0.1", proxy.port())).expect("a connection");
    let mut answer = [0; 7];
    through.write_all(b"PING\r\n").expect("it is sent");
    through.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"+PONG\r\n");
    proxy.hold();
    through.write_all(b"PING\r\n").expect("it is sent");
    through
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a limit");
    assert!(through.read(&mut answer).is_err(), "nothing is answered");
    proxy.go_on();
    through.set_read_timeout(None).expect("no limit");
    through
        .read_exact(&mut answer)
        .expect("what was asked is answered");
    proxy.cut();
    assert_eq!(
        through.read(&mut answer).unwrap_or_default(),
        0,
        "it is closed"
    );
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn sentinels_make_a_replica_the_master() {
    needs_redis!();
    let mut sentinels = Sentinels::start(1);
    assert_eq!(sentinels.master(), Some(0));
    sentinels.node(0).kill();
    wait_until("the replica is the master", || {
        sentinels.master() == Some(1)
    });
    sentinels.node(0).restart();
    sentinels.wait_until_ok();
    assert_eq!(sentinels.master(), Some(1), "the old one follows");
    assert!(
        sentinels.nodes()[0]
            .text(&["INFO", "replication"])
            .contains("role:slave")
    );
}

#[test]
fn a_password_is_asked_for_also_after_a_restart() {
    needs_redis!();
    let mut server = Server::start();
    server.require_password("a password");
    let is_asked = |server: &Server| {
        let client = redis::Client::open(server.url()).expect("an address");
        let mut stranger = client.get_connection().expect("a connection");
        let error = redis::cmd("PING")
            .exec(&mut stranger)
            .expect_err("a refusal");
        assert_eq!(error.code(), Some("NOAUTH"));
        server.text(&["PING"]) == "PONG"
    };
    assert!(is_asked(&server));
    server.kill();
    server.restart();
    assert!(is_asked(&server));
}

#[test]
fn one_that_loads_slowly_says_so_until_it_may_load_quickly() {
    needs_redis!();
    let mut server = Server::start();
    server.command(&["SET", "key", "value"]);
    server.kill_and_load_slowly();
    let loading = ErrorKind::Server(ServerErrorKind::BusyLoading);
    assert_eq!(kind(server.try_command(&["GET", "key"])), loading);
    server.load_quickly();
    assert_eq!(server.text(&["GET", "key"]), "value");
}

#[test]
fn sentinels_and_servers_with_passwords_make_a_replica_the_master() {
    needs_redis!();
    let mut sentinels = Sentinels::start(1);
    sentinels.require_password("the servers'");
    sentinels.require_password_of_sentinels("theirs");
    sentinels.node(0).kill();
    wait_until("the replica is the master", || {
        sentinels.master() == Some(1)
    });
    sentinels.node(0).restart();
    sentinels.wait_until_ok();
}

#[test]
fn those_who_speak_tls_are_those_who_are_said_to() {
    needs_redis!();
    for (over, sentinels_speak, servers_speak) in [
        (Over::Sentinels, true, false),
        (Over::Servers, false, true),
        (Over::Both, true, true),
    ] {
        let servers = TlsSentinels::start(over);
        let master = servers.sentinels.nodes()[0].port().to_string();
        for sentinel in servers.sentinels.sentinels() {
            let named = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]);
            let named: Vec<String> = redis::from_redis_value(named).expect("an address");
            assert_eq!(named[1] != master, servers_speak, "{over:?}");
            let plain = format!("127.0.0.1:{}", sentinel.port());
            let is_plain = servers.sentinels.url().contains(&plain);
            assert_eq!(is_plain, !sentinels_speak, "{over:?}");
        }
    }
}
