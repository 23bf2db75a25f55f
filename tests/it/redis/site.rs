//! A site whose sessions are in Redis, and visitors with sessions where a test wants them.

use bsession::{Builder, RedisStore};
use bsession_redis_servers::{Cluster, Server};

use super::reach::on;
use super::traffic::routes;
use crate::support::{Site, Visitor};

/// How many masters a cluster has.
pub const MASTERS: usize = 3;

pub fn site(url: String) -> Site {
    site_with(RedisStore::at(url), |builder| builder)
}

pub fn site_with(settings: RedisStore, build: impl FnOnce(Builder) -> Builder) -> Site {
    let service = build(on(settings)).build();
    Site::open_with(service.expect("a service"), routes)
}

/// As many visitors with a session on each master, those of the first master first; and every
/// session is on the replicas, too.
pub fn on_each_master(cluster: &Cluster, site: &Site, count: usize) -> Vec<Visitor> {
    let masters = &cluster.nodes()[..MASTERS];
    let sizes = || masters.iter().map(|node| node.command(&["DBSIZE"]));
    let mut visitors = vec![Vec::new(); MASTERS];
    while visitors.iter().any(|on_one| on_one.len() < count) {
        let before: Vec<_> = sizes().collect();
        let visitor = site.visitor();
        assert_eq!(visitor.post("/add/n").status, 200);
        let grown = before.iter().zip(sizes());
        let node = grown
            .map(|(before, after)| *before != after)
            .position(|it| it);
        let on_one = &mut visitors[node.expect("it is somewhere")];
        if on_one.len() < count {
            on_one.push(visitor);
        }
    }
    masters.iter().for_each(replicated);
    visitors.concat()
}

/// Waits until a replica has what a master has.
pub fn replicated(master: &Server) {
    bsession_redis_servers::wait_until("a replica is up to date", || {
        let info = master.text(&["INFO", "replication"]);
        let offset = |name: &str| {
            info.split(name)
                .nth(1)?
                .split([',', '\r'])
                .next()?
                .parse::<u64>()
                .ok()
        };
        offset("slave0:").is_none() && !info.contains("slave0:")
            || offset(",offset=") == offset("master_repl_offset:")
    });
}
