//! A master that sentinels watch.

use std::time::Instant;

use bsession::RedisStore;
use bsession_redis_servers::{Sentinels, wait_until};
use serde_json::json;

use super::site::site_with;
use super::traffic::{PER_MASTER, Traffic, report};
use crate::support::redis_is_there;

/// With every write on the replica before it is answered: a master that is no longer one, and does not
/// know it yet, takes writes for as long as that lasts, and loses them.
#[test]
fn the_master_that_sentinels_name_is_found_again_when_it_is_another() {
    if !redis_is_there() {
        return;
    }
    let mut servers = Sentinels::start(1);
    let site = site_with(RedisStore::at(servers.url()).replicas(1), |builder| builder);
    let visitors = [(); PER_MASTER].map(|()| {
        let visitor = site.visitor();
        assert_eq!(visitor.post("/add/n").status, 200);
        visitor
    });
    let user = site.visitor();
    user.post("/login/joe");
    let traffic = Traffic::begin(visitors);
    traffic.all_go_on(10);
    let moment = Instant::now();
    servers.node(0).kill();
    wait_until("a replica is the master", || {
        servers.master().is_some_and(|it| it != 0)
    });
    let taken = moment.elapsed();
    servers.node(0).restart();
    servers.wait_until_ok();
    traffic.all_go_on(10);

    // And on, in good order: the master of before lives, and takes no more writes.
    servers.fail_over();
    servers.wait_until_ok();
    traffic.all_go_on(10);
    let writers = traffic.end();
    report("sentinels", taken, moment, &writers);
    assert!(writers.iter().all(|writer| writer.missing() == 0));
    assert_eq!(user.session()["user"], json!("joe"));
    let master = servers.master().expect("a master");
    assert!(
        servers.nodes()[master]
            .text(&["INFO", "replication"])
            .contains("role:master")
    );
}
