//! Writes that are answered when a replica has them.

use std::time::Duration;

use bsession::RedisStore;
use bsession_redis_servers::{Cluster, Server};

use super::site::{MASTERS, on_each_master, replicated, site_with};
use crate::support::{Site, redis_is_there};

const TIMEOUT: Duration = Duration::from_millis(400);

fn site(url: String) -> Site {
    site_with(RedisStore::at(url).replicas(1), |builder| {
        builder.store_timeout(TIMEOUT)
    })
}

/// How often a server was asked to wait.
fn waits(server: &Server) -> usize {
    let stats = server.text(&["INFO", "commandstats"]);
    let calls = stats.split("cmdstat_wait:calls=").nth(1);
    let calls = calls.and_then(|calls| calls.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

#[test]
fn without_a_replica_a_write_is_refused_though_done_and_reads_go_on() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    bsession_redis_servers::wait_until("it follows", || {
        server
            .text(&["INFO", "replication"])
            .contains("state=online")
    });
    replicated(&server);
    let site = site(server.url());
    let visitor = site.visitor();
    // A replica that has just come may take its time to say so.
    crate::support::eventually("it is written", || {
        let reply = visitor.post("/add/n");
        let is_written = reply.status == 200;
        assert_eq!(reply.set_cookies().len(), usize::from(is_written));
        is_written
    });
    let before = waits(&server);
    assert_eq!(visitor.get("/all").status, 200);
    assert_eq!(waits(&server), before, "a read waits for nobody");
    drop(replica);
    let tabs: Vec<_> = (0..4)
        .map(|_| visitor.meanwhile(|tab| tab.post("/add/n")))
        .collect();
    bsession_redis_servers::wait_until("they wait", || {
        server
            .text(&["INFO", "clients"])
            .contains("blocked_clients:1")
            || server
                .text(&["INFO", "clients"])
                .contains("blocked_clients:2")
    });
    let begin = std::time::Instant::now();
    assert_eq!(visitor.get("/get/n").status, 200);
    assert!(
        begin.elapsed() < TIMEOUT / 2,
        "a read does not queue behind them"
    );
    for tab in tabs {
        let reply = tab.join().expect("an answer");
        assert_eq!((reply.status, reply.set_cookies().len()), (503, 0));
    }
    let n = visitor.session()["data"]["n"].as_u64().expect("a number");
    assert!(n >= 1, "what was there is there: {n}");
    let port = server.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    bsession_redis_servers::wait_until("it goes on by itself", || {
        visitor.post("/add/n").status == 200
    });
    replicated(&server);
    drop(replica);
}

#[test]
fn in_a_cluster_the_node_that_wrote_is_the_one_that_waits() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 1);
    let site = site_with(RedisStore::at(cluster.url()).replicas(1), |builder| builder);
    let visitors = on_each_master(&cluster, &site, 1);
    for (number, visitor) in visitors.iter().enumerate() {
        // By now it knows the script, and the replica has come.
        crate::support::eventually("it is written", || visitor.post("/add/n").status == 200);
        let all = || cluster.nodes()[..MASTERS].iter().map(waits);
        let before: Vec<_> = all().collect();
        for _ in 0..5 {
            assert_eq!(visitor.post("/add/n").status, 200);
        }
        let more: Vec<_> = all()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let mut expected = [0; MASTERS];
        expected[number] = 5;
        assert_eq!(more, expected);
    }
}
