//! A master with replicas, and three sentinels that watch it.

use redis::from_redis_value;

use crate::tls::{Authority, Over};
use crate::{Server, ports, wait_until};

/// What they call the master.
const NAME: &str = "mymaster";

/// Servers and sentinels that end with this.
pub struct Sentinels {
    nodes: Vec<Server>,
    sentinels: Vec<Server>,
    /// The ports of the sentinels by which [`url`](Self::url) names them.
    ports: Vec<u16>,
}

impl Sentinels {
    /// Starts a master with as many replicas, and waits until three sentinels know them and each other.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_in(replicas, None)
    }

    /// The same, with TLS where `tls` says so. Whoever speaks TLS understands plain text, too.
    pub(crate) fn start_in(replicas: usize, tls: Option<(&Authority, Over)>) -> Self {
        let of_servers = tls.filter(|(_, over)| *over != Over::Sentinels);
        let node = |args: &[&str]| {
            let tls_port = ports::free();
            let tls = tls_args(of_servers, tls_port);
            let tls: Vec<_> = tls.iter().map(String::as_str).collect();
            let node = Server::start_with(&[&tls, args].concat());
            let port = of_servers.map_or(node.port(), |_| tls_port);
            (node, port)
        };
        let (master, port) = node(&[]);
        let port = port.to_string();
        let replica = |_| node(&["--replicaof", "127.0.0.1", &port]).0;
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
        let is_asked_by_tls = tls.is_some_and(|(_, over)| over != Over::Servers);
        let sentinel = |_| {
            let tls_port = ports::free();
            let args = tls_args(tls, tls_port);
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let sentinel = Server::start_sentinel(&args, &conf);
            let plain = sentinel.port();
            (sentinel, if is_asked_by_tls { tls_port } else { plain })
        };
        let (sentinels, ports): (Vec<_>, Vec<_>) = (0..3).map(sentinel).unzip();
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
        let all = Self {
            nodes,
            sentinels,
            ports,
        };
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
        self.url_with("redis", "")
    }

    /// The same with this in place of `redis`, and with a login, as in `":password@"`.
    #[must_use]
    pub fn url_with(&self, scheme: &str, login: &str) -> String {
        let hosts = self.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let hosts: Vec<_> = hosts.collect();
        format!("{scheme}-sentinel://{login}{}/{NAME}", hosts.join(","))
    }

    /// Has the servers ask for this password, and tells it to whom they know.
    ///
    /// # Panics
    /// They refuse.
    pub fn require_password(&mut self, password: &str) {
        for sentinel in &self.sentinels {
            sentinel.command(&["SENTINEL", "SET", NAME, "auth-pass", password]);
        }
        for node in &mut self.nodes {
            node.command(&["CONFIG", "SET", "masterauth", password]);
            node.restarts_with(["--masterauth", password]);
        }
        for node in &mut self.nodes {
            node.require_password(password);
        }
        self.wait_until_ok();
    }

    /// Has the sentinels ask for this password, and tells it to each of them.
    ///
    /// # Panics
    /// They refuse.
    pub fn require_password_of_sentinels(&mut self, password: &str) {
        for sentinel in &mut self.sentinels {
            sentinel.command(&["SENTINEL", "CONFIG", "SET", "sentinel-pass", password]);
            sentinel.require_password(password);
        }
        self.wait_until_ok();
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
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

/// What a server or a sentinel with TLS is started with. If the servers speak TLS, all connect to them by it.
fn tls_args(tls: Option<(&Authority, Over)>, port: u16) -> Vec<String> {
    let Some((authority, over)) = tls else {
        return Vec::new();
    };
    let connects = if over == Over::Sentinels { "no" } else { "yes" };
    let connects = ["--tls-replication", connects].map(str::to_owned);
    [authority.args(port), connects.into()].concat()
}
