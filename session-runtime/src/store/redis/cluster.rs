//! A cluster, as one runtime reaches it. Each node has separate links, so that a node that is down or silent
//! delays only the sessions on that node.
//!
//! The slot map says which node has which hash slot. It is asked for when it is needed, and then remembered. A
//! node that has lost a slot says so. While a silent node is waited for, the other nodes are asked for the map.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind,
};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::connection::{Command, Replies};
use super::node::Node;
use super::servers::{Server, at_host};
use super::slots::{self, NodeAddress, SlotRange};
use crate::backoff::Backoff;

/// The time for which the slot map counts as new and is not asked for again.
const FRESH: Duration = Duration::from_millis(50);

/// The pauses before a node that cannot answer yet is asked again. Each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The number of redirections that a command follows. Two nodes that redirect to each other are a fault of the
/// cluster.
const HOPS: usize = 16;

/// The links of one runtime to a cluster, and its slot map.
pub(super) struct Cluster {
    /// The nodes that the address names.
    seeds: Arc<[ConnectionInfo]>,
    /// The time that a request waits.
    patience: Duration,
    map: sync::Mutex<SlotMap>,
    looking: Attempt<RedisResult<()>>,
}

/// The node of each hash slot.
#[derive(Default)]
struct SlotMap {
    ranges: Vec<SlotRange>,
    /// The nodes that have slots, the seeds, and nodes to which others redirected.
    nodes: HashMap<NodeAddress, Arc<Node>>,
    /// The time at which a node answered this.
    since: Option<Instant>,
}

impl Cluster {
    pub(super) fn new(seeds: Arc<[ConnectionInfo]>, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            seeds,
            patience,
            map: sync::Mutex::default(),
            looking: Attempt::none(),
        })
    }

    /// Locks the map. A poisoned lock does no harm: no panic leaves the map half changed.
    fn map(&self) -> MutexGuard<'_, SlotMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a command was sent within the last `span`.
    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        let map = self.map();
        map.nodes.values().any(|node| node.is_in_use(span))
    }

    /// Returns the error of the last attempt to connect to a node, if there is an outage.
    pub(super) fn outage(&self) -> Option<RedisError> {
        let map = self.map();
        map.nodes.values().find_map(|node| node.outage())
    }

    /// Returns the address of the node that has a slot, if it is known.
    fn address(&self, slot: u16) -> Option<NodeAddress> {
        let map = self.map();
        let has = |(first, last, _): &&SlotRange| (*first..=*last).contains(&slot);
        map.ranges
            .iter()
            .find(has)
            .map(|(_, _, address)| address.clone())
    }

    /// Returns the nodes that have slots, sorted by their first slot.
    pub(super) async fn masters(self: &Arc<Self>) -> RedisResult<Vec<Arc<Node>>> {
        self.look(None).await?;
        let mut ranges = self.map().ranges.clone();
        ranges.sort_unstable_by_key(|&(first, ..)| first);
        let mut addresses: Vec<NodeAddress> = Vec::new();
        for (_, _, address) in ranges {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.iter().map(|address| self.node(address)).collect()
    }

    /// Sends a command to the node that has the slot of its key.
    pub(super) async fn ask(self: &Arc<Self>, command: Command<'_>) -> RedisResult<Replies> {
        let slot = slots::slot_of(command.cmd);
        let begin = Instant::now();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut hops = 0;
        // The node that the last redirection named, and true if it needs `ASKING`.
        let mut redirected: Option<(NodeAddress, bool)> = None;
        loop {
            if redirected.is_none() && self.address(slot).is_none() {
                self.look(None).await?;
            }
            let by_map = || self.address(slot).map(|address| (address, false));
            let (address, asking) = redirected.take().or_else(by_map).ok_or_else(no_node)?;
            let node = self.node(&address)?;
            let asked = node.ask(Command { asking, ..command });
            let moved = self.wait_for_move(slot, &address);
            let result = match select(pin!(asked), pin!(moved)).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => {
                    command.resent.store(true, Ordering::Relaxed);
                    continue;
                }
            };
            let Err(error) = result else {
                return result;
            };
            match error.kind() {
                ErrorKind::Server(kind @ (ServerErrorKind::Ask | ServerErrorKind::Moved))
                    if hops < HOPS =>
                {
                    hops += 1;
                    let is_moved = kind == ServerErrorKind::Moved;
                    if is_moved {
                        // Many slots may have moved, so this updates the whole map. But few nodes may know
                        // of the last move, so the command goes where the redirection says, not the map.
                        drop(self.look(Some(&address)).await);
                    }
                    redirected =
                        slots::redirection(&error, &address.0).map(|address| (address, !is_moved));
                }
                ErrorKind::Server(
                    ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading,
                ) if begin.elapsed() + backoff.pause() < self.patience => {
                    backoff.wait().await;
                    drop(self.look(Some(&address)).await);
                }
                _ if error.is_unrecoverable_error() && begin.elapsed() < self.patience => {
                    // If nobody knows of another node, the error of this one says more.
                    let is_known = self.look(Some(&address)).await.is_ok();
                    let now = self.address(slot).filter(|_| is_known);
                    if now.is_none_or(|now| now == address) {
                        return Err(error);
                    }
                    command.resent.store(true, Ordering::Relaxed);
                }
                _ => return Err(error),
            }
        }
    }

    /// Waits until a slot is no longer at this address.
    async fn wait_for_move(self: &Arc<Self>, slot: u16, asked: &NodeAddress) {
        loop {
            tokio::time::sleep(self.patience / 8).await;
            if self.look(Some(asked)).await.is_ok()
                && self.address(slot).is_some_and(|address| address != *asked)
            {
                return;
            }
        }
    }

    /// Returns the node at an address, and adds it to the map if it is new.
    fn node(&self, address: &NodeAddress) -> RedisResult<Arc<Node>> {
        let mut map = self.map();
        if let Some(node) = map.nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        let node = self.new_node(address)?;
        map.nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    fn new_node(&self, (host, port): &NodeAddress) -> RedisResult<Arc<Node>> {
        // Every node takes the same login and the same TLS settings as the seeds.
        let info = self.seeds.first().ok_or_else(no_node)?;
        let client = Client::open(at_host(info, host, *port))?;
        Ok(Arc::new(Node::new(
            Arc::new(Server::At(client)),
            self.patience,
        )))
    }

    /// Updates the slot map, unless it is new; joins an update that is under way.
    ///
    /// A node that is in doubt is not asked.
    async fn look(self: &Arc<Self>, doubted: Option<&NodeAddress>) -> RedisResult<()> {
        let since = self.map().since;
        if since.is_some_and(|since| since.elapsed() < FRESH) {
            return Ok(());
        }
        let (cluster, doubted) = (Arc::clone(self), doubted.cloned());
        let ask = || async move { cluster.ask_for_map(doubted).await };
        let asked = self.looking.join(ask).await;
        asked.unwrap_or_else(|| Err(no_node()))
    }

    /// Asks for the slot map: all known nodes at once, but not the one in doubt. Takes the first answer. If there is
    /// no answer, asks the seeds.
    async fn ask_for_map(&self, doubted: Option<NodeAddress>) -> RedisResult<()> {
        let mut known: Vec<_> = self.map().nodes.keys().cloned().collect();
        known.retain(|address| Some(address) != doubted.as_ref());
        let ranges = match self.first_answer(known).await {
            Ok(ranges) => ranges,
            Err(_) => {
                let seeds = self.seeds.iter().filter_map(|info| match info.addr() {
                    ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                        Some((host.clone(), *port))
                    }
                    _ => None,
                });
                self.first_answer(seeds.collect()).await?
            }
        };
        for (_, _, address) in &ranges {
            self.node(address)?;
        }
        let mut map = self.map();
        let has_slots = |address: &NodeAddress| ranges.iter().any(|(_, _, other)| other == address);
        map.nodes.retain(|address, _| has_slots(address));
        map.ranges = ranges;
        map.since = Some(Instant::now());
        Ok(())
    }

    /// Asks some nodes for the slot map, and returns the first answer.
    async fn first_answer(&self, addresses: Vec<NodeAddress>) -> RedisResult<Vec<SlotRange>> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let command = Command {
            asking: false,
            cmd: &slots,
            wait: None,
            resent: &AtomicBool::new(false),
        };
        let ask = async |address: NodeAddress| {
            let (reply, _) = self.node(&address)?.ask(command).await?;
            slots::read(reply, &address.0).ok_or_else(no_node)
        };
        let mut answers: FuturesUnordered<_> = addresses.into_iter().map(ask).collect();
        let first = async {
            let mut result = Err(no_node());
            while let Some(answer) = answers.next().await {
                result = answer;
                if result.is_ok() {
                    break;
                }
            }
            result
        };
        let limit = tokio::time::timeout(self.patience / 4 * 3, first);
        let timed_out = |elapsed| {
            let silence = || std::io::Error::from(elapsed).into();
            Err(self.outage().unwrap_or_else(silence))
        };
        limit.await.unwrap_or_else(timed_out)
    }
}

/// The error while no node is known to have a slot.
fn no_node() -> RedisError {
    let kind = ErrorKind::Server(ServerErrorKind::ClusterDown);
    (kind, "no node of the cluster is known that has the slot").into()
}
