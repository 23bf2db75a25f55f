//! A cluster, as a runtime reaches it: each node by links of its own, so that one that is down or
//! silent delays nobody whose session is on another.
//!
//! Which node has which slot is asked when it is needed and remembered. A node that has lost a slot
//! says so; of one that says nothing, the others are asked while it is waited for.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisResult, ServerErrorKind};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::node::Node;
use super::servers::{Replies, Request, Server};
use super::slots::{self, Place, Range};

/// How long an answer to who has which slot is not asked for again.
const FRESH: Duration = Duration::from_millis(50);

/// The pauses before a node is asked again that cannot answer yet: doubled from the one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// To how many other nodes a command follows its slot. Two that send it to each other are a cluster
/// that is out of order.
const HOPS: usize = 16;

/// A cluster, as far as it is known to one runtime.
pub(super) struct Cluster {
    seeds: Arc<[ConnectionInfo]>,
    /// How long a request waits.
    patience: Duration,
    map: sync::Mutex<Map>,
    looking: Attempt<RedisResult<()>>,
}

/// Who has which slot.
#[derive(Default)]
struct Map {
    ranges: Vec<Range>,
    /// Those that have slots, and others that were spoken of or are seeds.
    nodes: HashMap<Place, Arc<Node>>,
    /// When this was answered.
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

    /// Nothing that can panic comes between two changes of the map.
    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_in_use(&self, span: Duration) -> bool {
        let map = self.map();
        map.nodes.values().any(|node| node.is_in_use(span))
    }

    /// Where a slot is, as far as is known.
    fn place(&self, slot: u16) -> Option<Place> {
        let map = self.map();
        let has = |(first, last, _): &&Range| (*first..=*last).contains(&slot);
        map.ranges
            .iter()
            .find(has)
            .map(|(_, _, place)| place.clone())
    }

    /// The nodes that have slots, in the order of these.
    pub(super) async fn masters(self: &Arc<Self>) -> RedisResult<Vec<Arc<Node>>> {
        self.look(None).await?;
        let mut ranges = self.map().ranges.clone();
        ranges.sort_unstable_by_key(|&(first, ..)| first);
        let mut places: Vec<Place> = Vec::new();
        for (_, _, place) in ranges {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.iter().map(|place| self.node(place)).collect()
    }

    /// Asks the node that has the slot.
    pub(super) async fn ask(self: &Arc<Self>, request: Request<'_>) -> RedisResult<Replies> {
        let slot = slots::slot_of(request.cmd);
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut hops = 0;
        let mut sent: Option<(Place, bool)> = None;
        loop {
            if sent.is_none() && self.place(slot).is_none() {
                self.look(None).await?;
            }
            let by_map = || self.place(slot).map(|place| (place, false));
            let (place, asking) = sent.take().or_else(by_map).ok_or_else(nobody)?;
            let node = self.node(&place)?;
            let asked = node.ask(Request { asking, ..request });
            let moved = self.watch(slot, &place);
            let result = match select(pin!(asked), pin!(moved)).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => {
                    request.again.store(true, Ordering::Relaxed);
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
                        // Of all slots at once. Whoever moved last may be known to few.
                        drop(self.look(Some(&place)).await);
                    }
                    sent = slots::named(&error, &place.0).map(|place| (place, !is_moved));
                }
                ErrorKind::Server(
                    ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading,
                ) if begin.elapsed() + pause < self.patience => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    drop(self.look(Some(&place)).await);
                }
                _ if error.is_unrecoverable_error() && begin.elapsed() < self.patience => {
                    self.look(Some(&place)).await?;
                    if self.place(slot).is_none_or(|now| now == place) {
                        return Err(error);
                    }
                    request.again.store(true, Ordering::Relaxed);
                }
                _ => return Err(error),
            }
        }
    }

    /// Comes to an end when a slot is no longer where it was asked for.
    async fn watch(self: &Arc<Self>, slot: u16, asked: &Place) {
        loop {
            tokio::time::sleep(self.patience / 8).await;
            if self.look(Some(asked)).await.is_ok()
                && self.place(slot).is_some_and(|place| place != *asked)
            {
                return;
            }
        }
    }

    /// The node at a place, which is made known if it is not.
    fn node(&self, place: &Place) -> RedisResult<Arc<Node>> {
        let mut map = self.map();
        if let Some(node) = map.nodes.get(place) {
            return Ok(Arc::clone(node));
        }
        let node = self.new_node(place)?;
        map.nodes.insert(place.clone(), Arc::clone(&node));
        Ok(node)
    }

    fn new_node(&self, (host, port): &Place) -> RedisResult<Arc<Node>> {
        // All are reached as those in the address are.
        let info = self.seeds.first().ok_or_else(nobody)?.clone();
        let (host, port) = (host.clone(), *port);
        let addr = match info.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        let client = Client::open(info.set_addr(addr))?;
        Ok(Arc::new(Node::new(
            Arc::new(Server::At(client)),
            self.patience,
        )))
    }

    /// Waits for a look at who has which slot: the one that is under way, or a new one.
    async fn look(self: &Arc<Self>, doubted: Option<&Place>) -> RedisResult<()> {
        let since = self.map().since;
        if since.is_some_and(|since| since.elapsed() < FRESH) {
            return Ok(());
        }
        let (cluster, doubted) = (Arc::clone(self), doubted.cloned());
        let ask = || async move { cluster.ask_for_map(doubted).await };
        let asked = self.looking.join(ask).await;
        asked.unwrap_or_else(|| Err(nobody()))
    }

    /// Asks who has which slot: all but the one in doubt at once, and believes the first.
    async fn ask_for_map(&self, doubted: Option<Place>) -> RedisResult<()> {
        let mut known: Vec<_> = self.map().nodes.keys().cloned().collect();
        known.retain(|place| Some(place) != doubted.as_ref());
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
        for (_, _, place) in &ranges {
            self.node(place)?;
        }
        let mut map = self.map();
        let has_slots = |place: &Place| ranges.iter().any(|(_, _, of)| of == place);
        map.nodes.retain(|place, _| has_slots(place));
        map.ranges = ranges;
        map.since = Some(Instant::now());
        Ok(())
    }

    /// The first answer of some nodes to who has which slot.
    async fn first_answer(&self, places: Vec<Place>) -> RedisResult<Vec<Range>> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let request = Request {
            asking: false,
            cmd: &slots,
            wait: None,
            again: &AtomicBool::new(false),
        };
        let ask = async |place: Place| {
            let (reply, _) = self.node(&place)?.ask(request).await?;
            slots::read(reply, &place.0).ok_or_else(nobody)
        };
        let mut answers: FuturesUnordered<_> = places.into_iter().map(ask).collect();
        let first = async {
            let mut result = Err(nobody());
            while let Some(answer) = answers.next().await {
                result = answer;
                if result.is_ok() {
                    break;
                }
            }
            result
        };
        let limit = tokio::time::timeout(self.patience / 4 * 3, first);
        limit.await.map_err(std::io::Error::from)?
    }
}

fn nobody() -> redis::RedisError {
    let kind = ErrorKind::Server(ServerErrorKind::ClusterDown);
    (kind, "no node of the cluster is known that has the slot").into()
}
