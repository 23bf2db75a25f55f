//! A cluster: masters, each with replicas.

use std::time::{Duration, Instant};

use redis::Value;

use crate::tls::Authority;
use crate::{Server, ports, wait_until};

const SLOTS: usize = 16_384;

/// A cluster that ends with this.
pub struct Cluster {
    nodes: Vec<Server>,
    /// Where they are spoken to by those who speak as they do among themselves.
    ports: Vec<u16>,
}

impl Cluster {
    /// Starts as many masters, and as many replicas for each, and waits until they agree.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(masters: usize, replicas: usize) -> Self {
        Self::start_in(masters, replicas, None)
    }

    /// The same, of nodes that speak TLS to each other, if they have an authority.
    pub(crate) fn start_in(masters: usize, replicas: usize, tls: Option<&Authority>) -> Self {
        // Down for a second is down. While one master is, the slots of the others are served.
        let args = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
            "--cluster-replica-validity-factor",
            "0",
        ];
        let node = |_| {
            let tls_port = ports::free();
            let more = tls.map(|tls| tls.args(tls_port)).unwrap_or_default();
            let more = more.iter().map(String::as_str);
            let node = Server::start_with(&args.into_iter().chain(more).collect::<Vec<_>>());
            let port = tls.map_or(node.port(), |_| tls_port);
            (node, port)
        };
        let (nodes, ports) = (0..masters * (1 + replicas)).map(node).unzip();
        let cluster = Self { nodes, ports };
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for node in &cluster.nodes[1..] {
            node.command(&[
                "CLUSTER",
                "MEET",
                "127.0.0.1",
                &cluster.ports[0].to_string(),
            ]);
        }
        for (number, node) in cluster.nodes[..masters].iter().enumerate() {
            let from = SLOTS * number / masters;
            let to = SLOTS * (number + 1) / masters - 1;
            let [from, to] = [from, to].map(|slot| slot.to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
        }
        let size = cluster.nodes.len();
        wait_until("the nodes know each other", || {
            let known = format!("cluster_known_nodes:{size}");
            cluster.all_say(&["CLUSTER", "INFO"], |text| text.contains(&known))
        });
        for (number, node) in cluster.nodes.iter().enumerate().skip(masters) {
            let master = cluster.id(number % masters);
            wait_until("a replica knows its master", || {
                node.try_command(&["CLUSTER", "REPLICATE", &master]).is_ok()
            });
        }
        cluster.wait_until_ok();
        cluster
    }

    fn all_say(&self, words: &[&str], says: impl Fn(&str) -> bool) -> bool {
        self.nodes
            .iter()
            .all(|node| node.try_text(words).is_ok_and(|text| says(&text)))
    }

    /// Waits until every slot is served, and every replica is up to date.
    ///
    /// # Panics
    /// That does not come to be.
    pub fn wait_until_ok(&self) {
        wait_until("the cluster is whole", || {
            let slots = format!("cluster_slots_ok:{SLOTS}");
            self.all_say(&["CLUSTER", "INFO"], |text| {
                text.contains("cluster_state:ok") && text.contains(&slots)
            }) && self.all_say(&["INFO", "replication"], |text| {
                text.contains("role:master") || text.contains("master_link_status:up")
            })
        });
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].text(&["CLUSTER", "MYID"])
    }

    /// Its address: that of every node.
    #[must_use]
    pub fn url(&self) -> String {
        let host = |port| format!("127.0.0.1:{port}");
        let hosts: Vec<_> = self.ports.iter().map(host).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// The port at which its first node is spoken to.
    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The nodes: the masters first, as they were at the start.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// A node, to be killed and started again.
    #[must_use]
    pub fn node(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number]
    }

    /// The numbers of the nodes that are masters now.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |&number: &usize| {
            let info = self.nodes[number].try_text(&["INFO", "replication"]);
            info.is_ok_and(|text| text.contains("role:master"))
        };
        (0..self.nodes.len()).filter(is_master).collect()
    }

    /// The slot of a key.
    ///
    /// # Panics
    /// The first node is down.
    #[must_use]
    pub fn slot_of(&self, key: &str) -> u16 {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]);
        redis::from_redis_value(slot).unwrap_or_else(|error| panic!("a slot: {error}"))
    }

    /// The number of the master that serves a key, as the masters have it.
    ///
    /// # Panics
    /// None of those that are up does.
    #[must_use]
    pub fn node_of(&self, key: &str) -> usize {
        self.node_of_slot(self.slot_of(key))
    }

    /// The same for a slot.
    ///
    /// # Panics
    /// None of the masters that are up has it.
    #[must_use]
    pub fn node_of_slot(&self, slot: u16) -> usize {
        let slot = i64::from(slot);
        let has = |&number: &usize| {
            let shown = self.nodes[number].text(&["CLUSTER", "NODES"]);
            let own = shown.lines().find(|line| line.contains("myself"));
            // Behind the eighth word, `1`, `3-5`, and what is in brackets is on its way.
            own.is_some_and(|own| {
                own.split(' ').skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let ends = [first, last].map(str::parse::<i64>);
                    matches!(ends, [Ok(first), Ok(last)] if (first..=last).contains(&slot))
                })
            })
        };
        let node = self.masters().into_iter().find(has);
        node.unwrap_or_else(|| panic!("nobody has slot {slot}"))
    }

    /// The number of a replica of a master.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn replica_of(&self, master: usize) -> usize {
        let port = format!("master_port:{}\r", self.nodes[master].port());
        let follows = |node: &Server| {
            let info = node.try_text(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains(&port))
        };
        let replica = self.nodes.iter().position(follows);
        replica.unwrap_or_else(|| panic!("no replica of {master}"))
    }

    /// Has a master hand over to this replica.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn hand_over(&self, replica: usize) {
        // It is given up after five seconds, as when the others have just voted for another.
        let mut asked: Option<Instant> = None;
        wait_until("the replica takes over", || {
            if asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(6)) {
                self.nodes[replica].command(&["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            self.masters().contains(&replica)
        });
    }

    /// Begins to move a slot: keys that are there are still served by `from`, new ones by `to`.
    ///
    /// # Panics
    /// A node refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|node| self.id(node));
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    }

    /// Moves the keys of a slot; answers how many.
    ///
    /// # Panics
    /// A node refuses.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) -> usize {
        let port = self.nodes[to].port().to_string();
        let slot = slot.to_string();
        let mut moved = 0;
        loop {
            let keys = self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            let Value::Array(keys) = keys else {
                return moved;
            };
            if keys.is_empty() {
                return moved;
            }
            for key in keys {
                let key: String =
                    redis::from_redis_value(key).unwrap_or_else(|error| panic!("a key: {error}"));
                self.nodes[from].command(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
                moved += 1;
            }
        }
    }

    /// Ends a move: the slot is another node's.
    ///
    /// # Panics
    /// A node refuses.
    pub fn end_move(&self, slot: u16, to: usize) {
        let target = self.id(to);
        for number in self.masters() {
            self.nodes[number].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &target]);
        }
    }
}
