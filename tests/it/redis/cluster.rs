//! A cluster: sessions in all its slots, slots that move, masters that go.

use std::time::{Duration, Instant};

use actix_web::rt::System;
use bsession::store::{Answer, Key};
use bsession::{RedisStore, testing};
use bsession_redis_servers::{Cluster, wait_until};
use serde_json::json;

use super::site::{MASTERS, on_each_master, site, site_with};
use super::traffic::{PER_MASTER, Traffic, Writer, report};
use crate::support::{Visitor, redis_is_there};

/// As long as anybody waits, and what a busy machine adds.
const LIMIT: Duration = Duration::from_millis(2500);

/// How long the new master may be there before its sessions are served again.
const SOON: Duration = Duration::from_secs(1);

fn begin(cluster: &Cluster, url: String) -> (crate::support::Site, Traffic) {
    let site = site(url);
    let traffic = Traffic::begin(on_each_master(cluster, &site, PER_MASTER));
    traffic.all_go_on(10);
    (site, traffic)
}

/// Waits until a replica has become a master.
fn taken_over(cluster: &Cluster) {
    wait_until("a replica takes over", || {
        let mut replicas = cluster.nodes()[MASTERS..].iter();
        replicas.any(|node| {
            let info = node.try_text(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("role:master"))
        })
    });
}

/// What is promised of writers one of whose masters went at that moment, and was replaced so much later.
fn kept(writers: &[Writer], moment: Instant, taken: Duration) {
    for (number, writer) in writers.iter().enumerate() {
        assert!(writer.longest() < LIMIT, "{number}: {:?}", writer.longest());
        let gap = writer.gap(moment);
        assert!(
            gap < taken + SOON,
            "{number}: {gap:?}, and taken over after {taken:?}"
        );
        if number >= PER_MASTER {
            assert_eq!(
                (writer.refused(), writer.missing()),
                (0, 0),
                "{number} was on another master"
            );
        }
    }
}

#[test]
fn sessions_are_in_all_slots_and_none_is_missed() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 0);
    let site = site(cluster.url());
    let devices: Vec<_> = (0..12)
        .map(|number| {
            let device = site.visitor();
            device.post(&format!("/set/number/{number}"));
            assert_eq!(device.post("/login/joe").status, 200);
            device
        })
        .collect();
    for node in cluster.nodes() {
        assert_ne!(
            node.command(&["DBSIZE"]),
            redis::Value::Int(0),
            "all have some"
        );
    }
    let listed = || {
        System::new()
            .block_on(site.sessions.of_user("joe"))
            .expect("the list")
    };
    assert_eq!(listed().len(), devices.len());
    let user = |device: &Visitor| device.session()["user"].clone();
    for (number, device) in devices.iter().enumerate() {
        assert_eq!(
            device.session()["data"]["number"],
            json!(number.to_string())
        );
        assert_eq!(device.post("/renew").status, 200);
        assert_eq!(user(device), "joe");
    }
    assert_eq!(listed().len(), devices.len(), "under their new keys");
    assert!(devices[0].post("/logout").removes_cookie());
    assert_eq!(user(&devices[0]), json!(null));
    let one = listed().remove(0).handle;
    let revoked = System::new()
        .block_on(site.sessions.revoke("joe", one))
        .expect("revoked");
    assert!(revoked);
    assert_eq!(
        devices
            .iter()
            .filter(|device| user(device) == "joe")
            .count(),
        10
    );
    let all = System::new()
        .block_on(site.sessions.revoke_user("joe", None))
        .expect("revoked");
    assert_eq!((all, listed().len()), (10, 0));
    assert!(devices.iter().all(|device| user(device) == json!(null)));
}

#[test]
fn two_hundred_updates_are_two_hundred_and_locks_lock() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 0);
    let site = site(cluster.url());
    for path in ["/add/n", "/plain-add"] {
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let tabs: Vec<_> = (0..20)
            .map(|_| {
                visitor.meanwhile(move |tab| {
                    (0..9).for_each(|_| assert_eq!(tab.post(path).status, 200));
                    tab.post(path)
                })
            })
            .collect();
        for tab in tabs {
            assert_eq!(tab.join().expect("an answer").status, 200);
        }
        assert_eq!(visitor.session()["data"]["n"], 200, "{path}");
    }
}

/// The slots of all sessions, one after the other, to the next master and on.
#[test]
fn a_slot_that_moves_under_traffic_loses_nothing() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 0);
    let (_site, traffic) = begin(&cluster, cluster.url());
    for node in 0..MASTERS {
        let keys = cluster.nodes()[node].command(&["KEYS", "*"]);
        let keys: Vec<String> = redis::from_redis_value(keys).expect("keys");
        for slot in keys.iter().map(|key| cluster.slot_of(key)) {
            let [from, to] = [node, (node + 1) % MASTERS];
            if cluster.node_of_slot(slot) != from {
                continue;
            }
            cluster.begin_move(slot, from, to);
            traffic.all_go_on(2);
            cluster.move_keys(slot, from, to);
            traffic.all_go_on(2);
            cluster.end_move(slot, to);
        }
        traffic.all_go_on(2);
    }
    for writer in traffic.end() {
        assert_eq!((writer.refused(), writer.missing()), (0, 0));
    }
}

#[test]
fn a_master_that_dies_delays_its_own_sessions_alone() {
    if !redis_is_there() {
        return;
    }
    let mut cluster = Cluster::start(MASTERS, 1);
    let (_site, traffic) = begin(&cluster, cluster.url());
    let moment = Instant::now();
    cluster.node(0).kill();
    taken_over(&cluster);
    let taken = moment.elapsed();
    traffic.all_go_on(10);
    cluster.node(0).restart();
    cluster.wait_until_ok();
    traffic.all_go_on(10);
    let writers = traffic.end();
    report("killed", taken, moment, &writers);
    kept(&writers, moment, taken);
}

/// A black hole in the place of a master, which comes back when another has taken over.
#[test]
fn a_master_that_says_nothing_delays_its_own_sessions_alone() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 1);
    let (_site, traffic) = begin(&cluster, cluster.url());
    let moment = Instant::now();
    cluster.nodes()[0].pause();
    // Whoever starts meanwhile is not kept waiting by the one that is silent, neither.
    let newcomer = site(cluster.url());
    let other = traffic.writers[PER_MASTER].visitor.at(newcomer.address);
    assert_eq!(other.post("/add/other").status, 200);
    taken_over(&cluster);
    let taken = moment.elapsed();
    traffic.all_go_on(10);
    cluster.nodes()[0].resume();
    cluster.wait_until_ok();
    traffic.all_go_on(10);
    let writers = traffic.end();
    report("paused", taken, moment, &writers);
    kept(&writers, moment, taken);
}

/// As before the restart of a master: it hands over when the replica has everything.
#[test]
fn a_master_that_hands_over_loses_nothing() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 1);
    let (_site, traffic) = begin(&cluster, cluster.url());
    cluster.hand_over(cluster.replica_of(0));
    traffic.all_go_on(10);
    // Nobody is refused, either, on a machine that has the time.
    for writer in traffic.end() {
        assert_eq!(writer.missing(), 0);
    }
}

/// Replication is asynchronous: what the replica did not have when its master died is lost, and that
/// is what `replicas` is for.
#[test]
fn what_no_replica_has_dies_with_its_master_unless_it_was_waited_for() {
    if !redis_is_there() {
        return;
    }
    for replicas in [0, 1] {
        let mut cluster = Cluster::start(MASTERS, 1);
        let settings = RedisStore::at(cluster.url()).replicas(replicas);
        let site = site_with(settings, |builder| {
            builder.store_timeout(Duration::from_millis(200))
        });
        let visitor = on_each_master(&cluster, &site, 1).remove(0);
        let replica = cluster.replica_of(0);
        cluster.nodes()[replica].pause();
        // What a master has sent arrives even if it is killed, unless the network goes with it.
        cluster.nodes()[0].command(&["CLIENT", "KILL", "TYPE", "replica"]);
        let acknowledged = (0..3)
            .filter(|_| visitor.post("/add/n").status == 200)
            .count();
        assert_eq!(acknowledged, if replicas == 0 { 3 } else { 0 });
        cluster.node(0).kill();
        cluster.nodes()[replica].resume();
        taken_over(&cluster);
        wait_until("it is served again", || visitor.get("/get/n").status == 200);
        assert_eq!(
            visitor.session()["data"]["n"],
            1,
            "the last that a replica had"
        );
    }
}

#[test]
fn the_address_of_one_node_is_told_to_be_that_of_a_cluster() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(MASTERS, 0);
    let store = testing::store(RedisStore::at(cluster.nodes()[0].url()).prefix(""));
    let load = async |number| match store.load(Key([number; 16])) {
        Answer::Later(loaded) => loaded.await,
        Answer::Now(loaded) => loaded,
    };
    let errors: Vec<_> = System::new().block_on(async {
        let mut errors = Vec::new();
        for number in 0..20 {
            errors.extend(load(number).await.err());
        }
        errors
    });
    assert!(!errors.is_empty(), "not every slot is there");
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains("write `redis-cluster://` before its address"),
            "{text}"
        );
    }
}
