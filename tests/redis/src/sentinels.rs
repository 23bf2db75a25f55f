//! A master with replicas, and three sentinels that watch it.

use redis::from_redis_value;

use crate::{Server, wait_until};

/// What they call the master.
const NAME: &str = "mymaster";

/// Servers and sentinels that end with this.
pub struct Sentinels {
    nodes: Vec<Server>,
    sentinels: Vec<Server>,
}

impl Sentinels {
    /// Starts a master with as many replicas, and waits until three sentinels know them and each other.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        let master = Server::start();
        let port = master.port().to_string();
        let replica = |_| Server::start_with(&["--replicaof", "127.0.0.1", &port]);
        let nodes: Vec<_> = [master]
            .into_iter()
            .chain((0..replicas).map(replica))
            .collect();
        let conf = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 3000\n\
             sentinel parallel-syncs {NAME} 1\n"
        );
        let sentinels: Vec<_> = (0..3).map(|_| Server::start_sentinel(&conf)).collect();
        for sentinel in &sentinels {
            // They look around every few seconds, unless a newer one is told to hurry.
            let hurry = [
                "INFO-PERIOD",
                "100",
                "PUBLISH-PERIOD",
                "500",
                "ASK-PERIOD",
                "100",
            ];
            drop(sentinel.try_command(&[&["SENTINEL", "DEBUG"], &hurry[..]].concat()));
        }
        let all = Self { nodes, sentinels };
        all.wait_until_ok();
        all
    }

    /// Waits until every sentinel knows all others and all servers, and every replica is up to date.
    ///
    /// # Panics
    /// That does not come to be.
    pub fn wait_until_ok(&self) {
        let replicas = self.nodes.len() - 1;
        let ok = format!("name={NAME},status=ok");
        let known = format!("slaves={replicas},sentinels={}", self.sentinels.len());
        wait_until("the sentinels know all", || {
            self.sentinels.iter().all(|sentinel| {
                let info = sentinel.try_text(&["INFO", "sentinel"]);
                info.is_ok_and(|info| info.contains(&ok) && info.contains(&known))
            })
        });
        wait_until("the replicas follow", || {
            let following = self.nodes.iter().filter(|node| {
                let info = node.try_text(&["INFO", "replication"]);
                info.is_ok_and(|info| info.contains("master_link_status:up"))
            });
            following.count() == replicas
        });
    }

    /// The address of the master, by the sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("redis-sentinel://{}/{NAME}", hosts.join(","))
    }

    /// The number of the server that all sentinels name as the master; nothing while they do not agree.
    ///
    /// # Panics
    /// A sentinel is down.
    #[must_use]
    pub fn master(&self) -> Option<usize> {
        let mut named = self.sentinels.iter().map(|sentinel| {
            // Not `GET-MASTER-ADDR-BY-NAME`, which names the next one while this one is still the master.
            let master = sentinel.command(&["SENTINEL", "MASTER", NAME]);
            let fields: Vec<String> =
                from_redis_value(master).unwrap_or_else(|error| panic!("fields: {error}"));
            let mut pairs = fields.as_chunks::<2>().0.iter();
            let port = pairs.find(|[name, _]| name == "port").map(|[_, port]| port);
            let is_there = |node: &Server| Some(&node.port().to_string()) == port;
            self.nodes.iter().position(is_there)
        });
        let first = named.next().flatten()?;
        named.all(|other| other == Some(first)).then_some(first)
    }

    /// Has a replica made the master, while the master is well.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn fail_over(&self) {
        let before = self.master();
        wait_until("another one is the master", || {
            // It says no while it is at it, and gives up if it finds no replica fit for it.
            drop(self.sentinels[0].try_command(&["SENTINEL", "FAILOVER", NAME]));
            self.master().is_some_and(|now| Some(now) != before)
        });
    }

    /// The servers: the master first, as it was at the start.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// A server, to be killed and started again.
    #[must_use]
    pub fn node(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number]
    }
}
