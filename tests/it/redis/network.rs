//! A way to Redis that is silent, loses what was said, or is slow to begin; and a Redis that is busy.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bsession::Sessions;
use bsession_redis_servers::{Proxy, Server, wait_until};

use super::reach::{
    TIMEOUT, assert_out_of_reach, assert_refused, await_joe, builder, on_redis, read, with_joe,
};
use crate::support::{PATIENCE, Reply, Site, redis_is_there};

/// A site, its visitor joe, and a connection of each worker.
fn with_joe_and_all_workers(proxy: &Proxy, timeout: Duration) -> (Site, String) {
    let sessions = builder(&proxy.url()).store_timeout(timeout).build();
    let site = Site::open(sessions.expect("a service"));
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    let joe = reply.token().expect("a session").to_owned();
    // So that the script is known.
    assert_eq!(site.with_token("POST", "/add/before", &joe).status, 200);
    wait_until("both workers are connected", || {
        assert_eq!(read(&site, &joe, "name").as_deref(), Ok("\"joe\""));
        proxy.connections() == 2
    });
    (site, joe)
}

/// Each of them waits for less long than it takes to connect by the time that it is its turn to do so.
#[test]
fn visitors_who_keep_coming_do_not_keep_a_worker_from_connecting() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe_and_all_workers(&proxy, TIMEOUT);
    let over = AtomicBool::new(false);
    let [served, refused] = [(); 2].map(|()| AtomicUsize::new(0));
    let visit = || match read(&site, &joe, "name") {
        Ok(name) => {
            assert_eq!(name, "\"joe\"", "nobody is logged out");
            served.fetch_add(1, Ordering::Relaxed);
        }
        Err(status) => {
            assert_eq!(status, 503);
            refused.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        proxy.hold();
        let (before, begin) = (proxy.connections(), Instant::now());
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                scope.spawn(visit);
                std::thread::sleep(TIMEOUT / 40);
            }
        });
        let end = Instant::now() + PATIENCE;
        let wait = |count: &AtomicUsize, most: usize| {
            while count.load(Ordering::Relaxed) < most && Instant::now() < end {
                std::thread::sleep(TIMEOUT / 40);
            }
            count.load(Ordering::Relaxed) >= most
        };
        let were_refused = wait(&refused, 150);
        let (tries, taken) = (proxy.connections() - before, begin.elapsed());
        // To connect takes a quarter of the time that anybody waits.
        proxy.delay(TIMEOUT / 16);
        proxy.go_on();
        served.store(0, Ordering::Relaxed);
        let were_served = wait(&served, 50);
        over.store(true, Ordering::Relaxed);
        assert!(were_refused, "they wait in vain");
        // Two workers, each with one attempt at a time.
        let most = 2 * (2 + taken.as_millis() / (TIMEOUT.as_millis() / 2)) as usize;
        assert!(tries <= most, "{tries} connections in {taken:?}");
        assert!(were_served, "no worker has connected");
    });
}

/// What becomes of an update that was done, and whose reply was lost: the answer, and the count. What
/// happens `meanwhile` does so beside it, before it is sent again.
fn a_reply_is_lost(meanwhile: impl FnOnce(&Server, &Site, &str)) -> (Reply, String) {
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe_and_all_workers(&proxy, PATIENCE);
    let beside = Site::open(builder(&redis.url()).build().expect("a service"));
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| site.with_token("POST", "/held/add/n", &joe));
        site.gate.await_arrivals(1);
        proxy.mute(true);
        site.gate.open(1);
        wait_until("it is done", || {
            read(&beside, &joe, "n").as_deref() == Ok("1")
        });
        meanwhile(&redis, &beside, &joe);
        proxy.cut();
        proxy.mute(false);
        first.join().expect("an answer")
    });
    await_joe(&site, &joe);
    (first, read(&beside, &joe, "n").expect("a count"))
}

#[test]
fn an_update_whose_reply_was_lost_is_not_done_twice() {
    if !redis_is_there() {
        return;
    }
    // Somebody else writes over it, and so it cannot be seen any more that it was done.
    let (reply, count) = a_reply_is_lost(|_, beside, joe| {
        assert_eq!(beside.with_token("POST", "/add/n", joe).body, "2");
    });
    assert_eq!(count, "2", "{reply:?}");
    assert_eq!((reply.status, reply.set_cookies()), (503, vec![]));
}

#[test]
fn an_update_whose_reply_was_lost_and_that_nobody_wrote_over_is_answered() {
    if !redis_is_there() {
        return;
    }
    let (reply, count) = a_reply_is_lost(|redis, _, _| {
        redis.command(&["SCRIPT", "FLUSH"]);
    });
    assert_eq!((reply.status, &*count), (200, "1"));
}

#[test]
fn a_lock_whose_end_was_not_heard_is_given_back_when_the_way_is_free() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe_and_all_workers(&proxy, TIMEOUT);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| site.with_token("POST", "/locked/read", &joe));
        // Once when it asks for the lock, and once with it.
        site.gate.await_arrivals(2);
        let keys = redis.command(&["KEYS", "*:lock"]);
        let keys: Vec<String> = redis::from_redis_value(keys).expect("names");
        let lasts = redis.command(&["PTTL", &keys[0]]);
        assert!(
            matches!(lasts, redis::Value::Int(20_000..=30_000)),
            "{lasts:?}"
        );
        proxy.hold();
        site.gate.open(1);
        // It has read before, and has nothing to write.
        assert_eq!(first.join().expect("an answer").status, 200);
    });
    assert_refused("a read", || site.with_token("GET", "/all", &joe));
    proxy.hold_open_ones();
    await_joe(&site, &joe);
    // It would have ended by itself after longer than anybody waits for it.
    site.gate.open(1);
    let reply = site.with_token("POST", "/locked/second", &joe);
    assert_eq!((reply.status, &*reply.body), (200, ""));
}

#[test]
fn a_redis_that_stands_still_or_is_busy_is_a_503_until_it_is_not() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let (site, joe) = with_joe(&redis.url());
    redis.pause();
    assert_out_of_reach(&site, &joe);
    redis.resume();
    await_joe(&site, &joe);
    redis.command(&["CONFIG", "SET", "busy-reply-threshold", "10"]);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| redis.try_command(&["EVAL", "while true do end", "0"]));
        wait_until("it is busy", || redis.try_command(&["PING"]).is_err());
        assert_refused("a read", || site.with_token("GET", "/all", &joe));
        assert_refused("a write", || site.with_token("POST", "/add/n", &joe));
        redis.command(&["SCRIPT", "KILL"]);
        busy.join().expect("no panic").expect_err("it was killed");
    });
    await_joe(&site, &joe);
}

#[test]
fn two_services_on_one_worker_have_connections_of_their_own() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxies = [(); 2].map(|()| Proxy::before(redis.port()));
    let [one, other] = proxies
        .each_ref()
        .map(|proxy| on_redis(&proxy.url()).build().expect("a service"));
    actix_web::rt::System::new().block_on(async {
        let make = async |sessions: &Sessions| {
            let made = sessions.cookie_for(|session| session["a"] = 1.into());
            made.await.is_ok()
        };
        assert!(make(&one).await && make(&other).await);
        assert_eq!(proxies.each_ref().map(Proxy::connections), [1, 1]);
        proxies[0].hold();
        assert!(!make(&one).await && make(&other).await);
    });
}
