//! Renewals in a cluster, where the two keys are on two servers: a renewal that stops between its steps, and a removal
//! between them. And work that outlives the request that began it.
#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::sync::Arc;
use std::time::Duration;

use bsession_redis_servers::{Cluster, Proxy, is_installed};
use redis::Cmd;

use super::RedisStore;
use super::backend::Backend;
use super::lists::listed_until;
use super::open_redis::OpenRedis;
use crate::clock::Timestamp;
use crate::record::{Body, Handle, Head, Key, Record, Revision, UserKey};
use crate::store::asked::Asked;
use crate::store::{Commit, Loaded, StoreError, Which};

const OLD: Key = Key([1; 16]);
const NEW: Key = Key([5; 16]);
const USER: UserKey = UserKey([3; 16]);
const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn record(number: u64) -> Record {
    Record {
        head: Head {
            revision: Revision {
                number,
                tag: number,
            },
            expires: NOW + Duration::from_secs(3600),
            seen: NOW,
            created: NOW,
            handle: Handle([4; 12]),
            user: Some(USER),
        },
        summary: None,
        body: Body::from_bytes(*b"sealed"),
    }
}

fn anonymous(number: u64) -> Record {
    let mut record = record(number);
    record.head.user = None;
    record
}

fn redis_is_there() -> bool {
    let is_there = is_installed();
    if !is_there {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to have redis-server"
        );
        eprintln!("SKIPPED: there is no redis-server, which Debian has as a package");
    }
    is_there
}

/// A cluster, with a session under the old key.
struct ClusterSite {
    _cluster: Cluster,
    store: OpenRedis,
    asked: Asked,
}

impl ClusterSite {
    async fn begin() -> Option<Self> {
        if !redis_is_there() {
            return None;
        }
        let cluster = Cluster::start(3, 0);
        let store = RedisStore::at(cluster.url()).prefix("");
        let store = store.open(Duration::from_secs(2)).unwrap();
        let asked = Asked::new(Arc::new(store.clone()));
        let site = Self {
            _cluster: cluster,
            store,
            asked,
        };
        let nodes = [OLD, NEW].map(|key| site._cluster.node_of(&site.backend().names.record(key)));
        assert_ne!(nodes[0], nodes[1]);
        site.create(OLD, record(1)).await;
        Some(site)
    }

    fn backend(&self) -> &Arc<Backend> {
        self.store.backend()
    }

    async fn create(&self, key: Key, record: Record) {
        assert!(self.asked.create(key, record, NOW).await.unwrap());
    }

    /// Deletes everything.
    async fn clear(&self) {
        let names = &self.backend().names;
        for name in [names.record(OLD), names.record(NEW), names.user(USER)] {
            let mut del = Cmd::new();
            self.backend().ask(del.arg("DEL").arg(name)).await.unwrap();
        }
    }

    async fn is_live(&self, key: Key) -> bool {
        matches!(self.asked.load(key, NOW).await.unwrap(), Loaded::Live(_))
    }

    async fn live(&self) -> [bool; 2] {
        [self.is_live(OLD).await, self.is_live(NEW).await]
    }

    async fn listed(&self) -> Vec<Key> {
        let list = self.asked.of_user(USER, NOW).await.unwrap();
        list.into_iter().map(|listing| listing.key).collect()
    }

    /// Does the first step of a renewal.
    async fn put_on_list(&self, record: &Record) {
        let until = listed_until(&record.head, NOW);
        let put = self.backend().put_on_list(USER, NEW, until, NOW);
        put.await.unwrap();
    }

    async fn commit(&self, over: &Record, record: Record) -> Commit {
        let commit = self.asked.commit(OLD, over.head.revision, record, NOW);
        commit.await.unwrap()
    }

    async fn renew(&self, over: &Record, record: Record) -> Commit {
        let renewal = self.asked.renew(OLD, over.head.revision, NEW, record, NOW);
        renewal.await.unwrap()
    }

    async fn remove_user(&self, which: Which) -> usize {
        self.asked.remove_user(USER, which, NOW).await.unwrap()
    }
}

fn run(test: impl AsyncFnOnce(ClusterSite)) {
    actix_web::rt::System::new().block_on(async {
        if let Some(site) = ClusterSite::begin().await {
            test(site).await;
        }
    });
}

#[test]
fn a_renewal_that_stops_when_it_is_listed_has_changed_nothing() {
    run(async |site| {
        site.put_on_list(&record(2)).await;
        assert_eq!(site.live().await, [true, false]);
        assert_eq!(site.listed().await, [OLD]);
        // Nothing is in the way of another attempt.
        let renewed = site.renew(&record(1), record(2)).await;
        assert!(matches!(renewed, Commit::Saved));
        assert_eq!(site.live().await, [false, true]);
        assert_eq!(site.listed().await, [NEW]);
    });
}

#[test]
fn a_renewal_that_stops_when_the_new_key_is_written_leaves_the_session_under_the_old_key() {
    run(async |site| {
        site.create(NEW, record(2)).await;
        assert_eq!(site.live().await, [true, true]);
        assert_eq!(site.listed().await.len(), 1, "it is one session");
        // The session goes on under the old key. When it ends, both keys end.
        let saved = site.commit(&record(1), record(3)).await;
        assert!(matches!(saved, Commit::Saved));
        assert_eq!(site.listed().await.len(), 1);
        let one = Which::One(record(1).head.handle);
        assert_eq!(site.remove_user(one).await, 2);
        assert_eq!(site.live().await, [false, false]);
        assert_eq!(site.listed().await, []);
    });
}

/// Nobody has the cookie of the new key, which must not appear on the list of devices when the old key ends.
#[test]
fn a_logout_ends_the_twin_that_a_renewal_left_half_way() {
    run(async |site| {
        site.create(NEW, record(2)).await;
        assert!(site.asked.remove(OLD, NOW).await.unwrap());
        assert_eq!(site.live().await, [false, false]);
        assert_eq!(site.listed().await, []);
    });
}

#[test]
fn a_renewal_that_is_late_takes_its_first_half_back() {
    run(async |site| {
        let saved = site.commit(&record(1), record(3)).await;
        assert!(matches!(saved, Commit::Saved));
        let renewed = site.renew(&record(1), record(2)).await;
        assert!(matches!(renewed, Commit::Conflict(_)));
        assert_eq!(site.live().await, [true, false]);
        assert_eq!(site.listed().await, [OLD]);
    });
}

/// Tries each kind of removal between each two steps.
#[test]
fn a_removal_between_its_steps_leaves_no_session() {
    run(async |site| {
        for everywhere in [false, true] {
            for step in 0..4_u8 {
                site.clear().await;
                site.create(OLD, record(1)).await;
                let remove = async |at: u8| {
                    if at == step && everywhere {
                        site.remove_user(Which::All).await;
                    } else if at == step {
                        site.asked.remove(OLD, NOW).await.unwrap();
                    }
                };
                // These are the steps of `renew`, each with the removal before or after it.
                remove(0).await;
                site.put_on_list(&record(2)).await;
                remove(1).await;
                if step == 2 {
                    site.create(NEW, record(2)).await;
                    remove(2).await;
                }
                // Otherwise `renew` writes the new key now, and takes it back if the removal came first.
                let (over, next) = (record(1).head.revision, record(2));
                let renewal = site.asked.renew(OLD, over, NEW, next, NOW).await;
                match step {
                    // The new key was ended, which says nothing about the old one.
                    2 => assert!(matches!(renewal, Err(StoreError::Taken))),
                    3 => assert!(matches!(renewal, Ok(Commit::Saved))),
                    _ => assert!(matches!(renewal, Ok(Commit::Gone))),
                }
                remove(3).await;
                let which = if everywhere { "everywhere" } else { "one" };
                assert_eq!(site.live().await, [false, false], "{which} at {step}");
                assert_eq!(site.listed().await, [], "{which} at {step}");
                let old = site.asked.load(OLD, NOW).await.unwrap();
                assert!(matches!(old, Loaded::Retired), "{which} at {step}");
            }
        }
    });
}

/// A login meets a save, and is tried again with the same new key, as `service/save.rs` does it.
#[test]
fn a_renewal_that_is_tried_again_is_listed_and_ends_with_its_user() {
    run(async |site| {
        for round in 0..40_u64 {
            site.clear().await;
            let number = round * 10 + 10;
            let (first, saved) = (anonymous(number), anonymous(number + 1));
            site.create(OLD, first.clone()).await;
            let commit = site.commit(&first, saved.clone()).await;
            assert!(matches!(commit, Commit::Saved));
            let login = site.renew(&first, record(number + 2)).await;
            assert!(matches!(login, Commit::Conflict(_)));
            let again = site.renew(&saved, record(number + 3)).await;
            assert!(matches!(again, Commit::Saved));
            // When this is answered, the commands that nobody waits for have arrived, too.
            assert_eq!(site.live().await, [false, true]);
            tokio::task::yield_now().await;
            assert_eq!(site.listed().await, [NEW], "round {round}");
            let ended = site.remove_user(Which::All).await;
            assert_eq!(
                (ended, site.is_live(NEW).await),
                (1, false),
                "round {round}"
            );
        }
    });
}

/// No request waits long enough to reach the cluster. Once the worker has the slot map, requests are served.
#[test]
fn those_who_hang_up_early_do_not_keep_a_worker_from_knowing_its_cluster() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(1, 0);
    let proxy = Proxy::before(cluster.nodes()[0].port());
    proxy.delay(Duration::from_millis(100));
    let url = format!("redis-cluster://127.0.0.1:{}", proxy.port());
    let store = RedisStore::at(url).open(Duration::from_secs(10)).unwrap();
    actix_web::rt::System::new().block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        let wait = Duration::from_millis(50);
        let loaded = loop {
            if let Ok(loaded) = tokio::time::timeout(wait, store.backend().load(NEW)).await {
                break loaded;
            }
            assert!(tokio::time::Instant::now() < end, "nobody is ever served");
        };
        assert!(matches!(loaded, Ok(None)), "{loaded:?}");
    });
}
