//! A renewal in a cluster, where the two keys are on two servers: what is there if it stops between its
//! steps, and what a removal in between comes to; and what outlives the request that it began with.
#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

use std::time::Duration;

use bsession_redis_servers::{Cluster, Proxy, is_installed};

use super::*;
use crate::record::{Body, Handle};

const OLD: Key = Key([1; 16]);
const NEW: Key = Key([5; 16]);
const USER: UserKey = UserKey([3; 16]);
const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn record(number: u64) -> Record {
    Record {
        revision: Revision {
            number,
            tag: number,
        },
        expires: NOW + Duration::from_secs(3600),
        seen: NOW,
        created: NOW,
        handle: Handle([4; 12]),
        user: Some(USER),
        summary: None,
        body: Body::from_bytes(*b"sealed"),
    }
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
async fn begun() -> Option<(Cluster, Arc<Shared>)> {
    if !redis_is_there() {
        return None;
    }
    let cluster = Cluster::start(3, 0);
    let RedisStore(shared) =
        RedisStore::new(&cluster.url(), "", 0, Duration::from_secs(2)).unwrap();
    let nodes = [OLD, NEW].map(|key| cluster.node_of(&shared.keys.record(key)));
    assert_ne!(nodes[0], nodes[1]);
    assert!(shared.create(OLD, record(1), NOW).await.unwrap());
    Some((cluster, shared))
}

impl Shared {
    async fn is_live(&self, key: Key) -> bool {
        matches!(self.load(key, NOW).await.unwrap(), Loaded::Live(_))
    }

    async fn live(&self) -> [bool; 2] {
        [self.is_live(OLD).await, self.is_live(NEW).await]
    }

    async fn is_retired(&self, old: Key) -> bool {
        matches!(self.load(old, NOW).await.unwrap(), Loaded::Retired)
    }

    async fn listed(self: &Arc<Self>) -> Vec<Key> {
        let list = self.of_user(USER, NOW).await.unwrap();
        list.into_iter().map(|listing| listing.key).collect()
    }

    fn retired(&self) -> impl Future<Output = Result<Commit, StoreError>> {
        self.retire(OLD, record(1).revision, NEW, NOW)
    }
}

fn run(test: impl AsyncFnOnce(Arc<Shared>)) {
    actix_web::rt::System::new().block_on(async {
        if let Some((_cluster, shared)) = begun().await {
            test(shared).await;
        }
    });
}

#[test]
fn one_that_stops_when_it_is_listed_has_changed_nothing() {
    run(async |shared| {
        shared.listed_before(NEW, &record(2), NOW).await.unwrap();
        assert_eq!(shared.live().await, [true, false]);
        assert_eq!(shared.listed().await, [OLD]);
        // And whoever tries again finds nothing in the way.
        let renewed = shared
            .renew(OLD, record(1).revision, NEW, record(2), NOW)
            .await;
        assert!(matches!(renewed, Ok(Commit::Saved)));
        assert_eq!(shared.live().await, [false, true]);
        assert_eq!(shared.listed().await, [NEW]);
    });
}

#[test]
fn one_that_stops_when_the_new_key_is_written_leaves_the_old_one_its_session() {
    run(async |shared| {
        assert!(shared.create(NEW, record(2), NOW).await.unwrap());
        assert_eq!(shared.live().await, [true, true]);
        assert_eq!(shared.listed().await.len(), 1, "it is one session");
        // The session goes on under the old key, to its end: then nothing is left of either.
        let saved = shared.commit(OLD, record(1).revision, record(3), NOW).await;
        assert!(matches!(saved, Ok(Commit::Saved)));
        assert_eq!(shared.listed().await.len(), 1);
        let one = Which::One(record(1).handle);
        assert_eq!(shared.remove_user(USER, one, NOW).await.unwrap(), 2);
        assert_eq!(shared.live().await, [false, false]);
        assert_eq!(shared.listed().await, []);
    });
}

#[test]
fn one_that_is_late_takes_its_first_half_back() {
    run(async |shared| {
        let saved = shared.commit(OLD, record(1).revision, record(3), NOW).await;
        assert!(matches!(saved, Ok(Commit::Saved)));
        let renewed = shared
            .renew(OLD, record(1).revision, NEW, record(2), NOW)
            .await;
        assert!(matches!(renewed, Ok(Commit::Conflict(_))));
        assert_eq!(shared.live().await, [true, false]);
        assert_eq!(shared.listed().await, [OLD]);
    });
}

/// Whatever removes it, and between whichever two steps.
#[test]
fn a_removal_between_its_steps_leaves_no_session() {
    run(async |shared| {
        for everywhere in [false, true] {
            for step in 0..4_u8 {
                for key in [
                    shared.keys.record(OLD),
                    shared.keys.record(NEW),
                    shared.keys.user(USER),
                ] {
                    let mut del = Cmd::new();
                    shared.ask(del.arg("DEL").arg(key)).await.unwrap();
                }
                assert!(shared.create(OLD, record(1), NOW).await.unwrap());
                let remove = async |at: u8| {
                    if at == step && everywhere {
                        shared.remove_user(USER, Which::All, NOW).await.unwrap();
                    } else if at == step {
                        shared.remove(OLD, None, NOW).await.unwrap();
                    }
                };
                // As `renew` goes, from one request to the next.
                remove(0).await;
                shared.listed_before(NEW, &record(2), NOW).await.unwrap();
                remove(1).await;
                // Created at last, as by `renew`, which undoes it if it comes too late.
                let over = record(1).revision;
                if step == 2 {
                    assert!(shared.create(NEW, record(2), NOW).await.unwrap());
                    remove(2).await;
                    assert!(matches!(shared.retired().await, Ok(Commit::Gone)));
                    assert!(shared.undo(NEW, record(2).revision).await.is_ok());
                } else {
                    drop(shared.renew(OLD, over, NEW, record(2), NOW).await);
                    remove(3).await;
                }
                let which = if everywhere { "everywhere" } else { "one" };
                assert_eq!(shared.live().await, [false, false], "{which} at {step}");
                assert_eq!(shared.listed().await, [], "{which} at {step}");
                assert!(shared.is_retired(OLD).await, "{which} at {step}");
            }
        }
    });
}

/// None of whom waits for as long as the way to it takes; once it is known who has which slot, they
/// are served.
#[test]
fn those_who_hang_up_early_do_not_keep_a_worker_from_knowing_its_cluster() {
    if !redis_is_there() {
        return;
    }
    let cluster = Cluster::start(1, 0);
    let proxy = Proxy::before(cluster.nodes()[0].port());
    proxy.delay(Duration::from_millis(100));
    let url = format!("redis-cluster://127.0.0.1:{}", proxy.port());
    let store = RedisStore::new(&url, PREFIX, 0, Duration::from_secs(10)).unwrap();
    actix_web::rt::System::new().block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        let wait = Duration::from_millis(50);
        let loaded = loop {
            if let Ok(loaded) = tokio::time::timeout(wait, store.0.load(NEW, NOW)).await {
                break loaded;
            }
            assert!(tokio::time::Instant::now() < end, "nobody is ever served");
        };
        assert!(matches!(loaded, Ok(Loaded::Nothing)), "{loaded:?}");
    });
}

/// As `service/save.rs` does it: a login meets a save, and is tried again with the same new key.
#[test]
fn one_that_is_tried_again_is_listed_and_ends_with_its_user() {
    run(async |shared| {
        for round in 0..40_u64 {
            for key in [
                shared.keys.record(OLD),
                shared.keys.record(NEW),
                shared.keys.user(USER),
            ] {
                let mut del = Cmd::new();
                shared.ask(del.arg("DEL").arg(key)).await.unwrap();
            }
            let number = round * 10 + 10;
            let anonymous = |number| Record {
                user: None,
                ..record(number)
            };
            let (first, saved) = (anonymous(number), anonymous(number + 1));
            assert!(shared.create(OLD, first.clone(), NOW).await.unwrap());
            let commit = shared.commit(OLD, first.revision, saved.clone(), NOW);
            assert!(matches!(commit.await, Ok(Commit::Saved)));
            let login = shared.renew(OLD, first.revision, NEW, record(number + 2), NOW);
            assert!(matches!(login.await, Ok(Commit::Conflict(_))));
            let again = shared.renew(OLD, saved.revision, NEW, record(number + 3), NOW);
            assert!(matches!(again.await, Ok(Commit::Saved)));
            // What was sent without being waited for has arrived when this is answered.
            for node in [OLD, NEW].map(|key| shared.keys.record(key)) {
                let mut get = Cmd::new();
                shared.ask(get.arg("GET").arg(node)).await.unwrap();
            }
            tokio::task::yield_now().await;
            assert_eq!(shared.listed().await, [NEW], "round {round}");
            let ended = shared.remove_user(USER, Which::All, NOW).await.unwrap();
            assert_eq!(
                (ended, shared.is_live(NEW).await),
                (1, false),
                "round {round}"
            );
        }
    });
}
