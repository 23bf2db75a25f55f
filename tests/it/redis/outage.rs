//! Redis down, killed, out of reach, slow, emptied, full, or not the master.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bsession_redis_servers::{Proxy, Server, wait_until};
use serde_json::json;

use super::reach::{
    TIMEOUT, assert_out_of_reach, assert_refused, await_joe, builder, eventually_all, read, site,
    with_joe,
};
use crate::support::{Kind, Reply, SECRET, Setup, Site, Visitor, eventually, redis_is_there};

/// A server that has everything again after a restart.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn a_service_that_starts_without_its_redis_is_well_when_there_is_one() {
    if !redis_is_there() {
        return;
    }
    let mut redis = Server::start();
    redis.kill();
    let site = site(&redis.url());
    let elsewhere = Setup::new(Kind::Memory).site();
    let reply = elsewhere.with_cookies("POST", "/set/a/b", &[]);
    assert_out_of_reach(&site, reply.token().expect("a token under this secret"));
    redis.restart();
    eventually("it recovers by itself", || {
        site.with_cookies("POST", "/set/a/b", &[]).token().is_some()
    });
}

#[test]
fn a_redis_that_is_killed_in_traffic_loses_nothing_that_was_answered() {
    const VISITORS: usize = 4;
    const TABS: usize = 3;
    const KILLS: usize = 3;
    if !redis_is_there() {
        return;
    }
    let mut redis = Server::start_with(&DURABLE);
    let site = site(&redis.url());
    let visitors: Vec<_> = (0..VISITORS)
        .map(|number| {
            let visitor = site.visitor();
            assert_eq!(visitor.post(&format!("/login/user{number}")).status, 200);
            visitor
        })
        .collect();
    let over = AtomicBool::new(false);
    let served = AtomicU64::new(0);
    let counts: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let tabs = visitors.iter().flat_map(|visitor| [visitor; TABS]);
        let threads: Vec<_> = tabs
            .map(|visitor| {
                scope.spawn(|| {
                    let (mut answered, mut doubtful) = (0, 0);
                    while !over.load(Ordering::Relaxed) {
                        let reply = visitor.post("/add/n");
                        assert_eq!(
                            reply.set_cookies(),
                            Vec::<&str>::new(),
                            "the same session all along"
                        );
                        match reply.status {
                            200 => answered += 1,
                            503 => doubtful += 1,
                            other => panic!("an answer of {other}"),
                        }
                        served.fetch_add(u64::from(reply.status == 200), Ordering::Relaxed);
                    }
                    (answered, doubtful)
                })
            })
            .collect();
        let progress = || {
            let before = served.load(Ordering::Relaxed);
            wait_until("requests are served", || {
                served.load(Ordering::Relaxed) > before + 20
            });
        };
        for _ in 0..KILLS {
            progress();
            redis.kill();
            redis.restart();
        }
        progress();
        over.store(true, Ordering::Relaxed);
        let counts: Vec<(u64, u64)> = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        let of_each = counts.chunks(TABS).map(|tabs| {
            let sum = |sum: (u64, u64), tab: &(u64, u64)| (sum.0 + tab.0, sum.1 + tab.1);
            tabs.iter().fold((0, 0), sum)
        });
        of_each.collect()
    });
    for (number, (visitor, (answered, doubtful))) in visitors.iter().zip(counts).enumerate() {
        let session = visitor.session();
        assert_eq!(session["user"], json!(format!("user{number}")));
        let stored = session["data"]["n"].as_u64().expect("a count");
        assert!(
            (answered..=answered + doubtful).contains(&stored),
            "{stored} are stored, {answered} were answered, and of {doubtful} it is not known"
        );
    }
}

#[test]
fn a_short_restart_is_waited_through() {
    if !redis_is_there() {
        return;
    }
    let mut redis = Server::start_with(&DURABLE);
    let url = redis.url();
    let site = Site::open(
        builder(&url)
            .store_timeout(Duration::from_secs(10))
            .build()
            .expect("a service"),
    );
    let visitors: Vec<_> = (0..8).map(|_| site.visitor()).collect();
    for visitor in &visitors {
        visitor.post("/set/name/joe");
    }
    let all = |run: fn(&Visitor) -> Reply| {
        let requests = visitors.iter().map(|visitor| visitor.meanwhile(run));
        requests.collect::<Vec<_>>()
    };
    let held = all(|tab| tab.post("/held/add/n"));
    site.gate.await_arrivals(8);
    redis.kill();
    let late = all(|tab| tab.post("/add/n"));
    site.gate.open(8);
    redis.restart();
    for request in held.into_iter().chain(late) {
        assert_eq!(request.join().expect("an answer").status, 200);
    }
    for visitor in visitors {
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "n": 2}));
    }
}

#[test]
fn a_network_that_swallows_everything_is_a_503_until_it_does_not() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe(&proxy.url());
    proxy.hold();
    assert_out_of_reach(&site, &joe);
    proxy.go_on();
    await_joe(&site, &joe);
    // And one that never brings back what it has swallowed: only new connections pass.
    proxy.hold_open_ones();
    await_joe(&site, &joe);
}

#[test]
fn an_outage_is_no_storm_of_connections() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe(&proxy.url());
    proxy.refuse(true);
    proxy.cut();
    // The first ones wait for the end of what may be short.
    assert_refused("the first", || site.with_token("GET", "/all", &joe));
    let before = proxy.connections();
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        assert_refused("at once", || site.with_token("GET", "/all", &joe));
    }
    let tries = proxy.connections() - before;
    // Two workers, each at most once every half second, after a few that come faster.
    let most = 20 + 4 * begun.elapsed().as_secs() as usize;
    assert!(
        tries <= most,
        "{tries} connections in {:?}",
        begun.elapsed()
    );
    proxy.refuse(false);
    await_joe(&site, &joe);
}

#[test]
fn a_slow_redis_answers_late_or_not_at_all_and_nobody_elses_question() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let proxy = Proxy::before(redis.port());
    let (site, joe) = with_joe(&proxy.url());
    let eve = site.with_cookies("POST", "/set/name/eve", &[]);
    let eve = eve.token().expect("a session").to_owned();
    proxy.delay(TIMEOUT / 10);
    for _ in 0..3 {
        assert_eq!(read(&site, &joe, "name").as_deref(), Ok("\"joe\""));
        assert_eq!(read(&site, &eve, "name").as_deref(), Ok("\"eve\""));
    }
    proxy.delay(TIMEOUT * 2);
    assert_refused("too slow", || site.with_token("GET", "/all", &joe));
    assert_refused("too slow", || site.with_token("POST", "/add/n", &eve));
    proxy.delay(Duration::ZERO);
    // What comes late is answered to nobody.
    for _ in 0..20 {
        for (token, name) in [(&joe, "\"joe\""), (&eve, "\"eve\"")] {
            match read(&site, token, "name") {
                Ok(read) => assert_eq!(read, name),
                Err(status) => assert_eq!(status, 503),
            }
        }
    }
    await_joe(&site, &joe);
}

#[test]
fn a_redis_that_comes_back_empty_has_lost_its_sessions_and_makes_new_ones() {
    if !redis_is_there() {
        return;
    }
    let mut redis = Server::start();
    let (site, joe) = with_joe(&redis.url());
    redis.kill();
    redis.restart();
    eventually("it recovers by itself", || {
        read(&site, &joe, "name").is_ok()
    });
    assert_eq!(read(&site, &joe, "name").as_deref(), Ok("null"));
    // The scripts are gone, too.
    let new = site.with_token("POST", "/set/name/joe", &joe);
    assert!(new.token().is_some_and(|token| token != joe));
    redis.command(&["FLUSHALL"]);
    let new = new.token().expect("a session");
    assert_eq!(read(&site, new, "name").as_deref(), Ok("null"));
    let again = site.with_token("POST", "/login/joe", new);
    assert_eq!(again.status, 200);
    assert!(again.token().is_some());
}

#[test]
fn scripts_that_are_forgotten_are_taught_again() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let (site, mut token) = with_joe(&redis.url());
    for path in [
        "/add/n",
        "/login/joe",
        "/add/n",
        "/renew",
        "/add/n",
        "/logout",
    ] {
        redis.command(&["SCRIPT", "FLUSH"]);
        let reply = site.with_token("POST", path, &token);
        assert_eq!(reply.status, 200, "{path}");
        token = reply.token().map_or(token, str::to_owned);
        if path == "/renew" {
            assert_eq!(read(&site, &token, "n").as_deref(), Ok("2"));
        }
    }
    assert_eq!(read(&site, &token, "n").as_deref(), Ok("null"));
}

#[test]
fn a_redis_that_is_full_serves_what_there_is_and_lets_go() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let (site, joe) = with_joe(&redis.url());
    let eve = site.with_cookies("POST", "/login/eve", &[]);
    let eve = eve.token().expect("a session");
    // As much as there is: not a byte more.
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(read(&site, &joe, "name").as_deref(), Ok("\"joe\""));
    assert_refused("a change", || site.with_token("POST", "/add/n", &joe));
    assert_refused("a login", || site.with_token("POST", "/login/joe", &joe));
    assert_refused("a first write", || {
        site.with_cookies("POST", "/set/a/b", &[])
    });
    let logout = site.with_token("POST", "/logout", eve);
    assert_eq!(logout.status, 200, "a logout is one all the same");
    assert!(logout.removes_cookie());
    assert_eq!(
        site.with_token("GET", "/all", eve).json()["user"],
        json!(null)
    );
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(site.with_token("POST", "/add/n", &joe).status, 200);
    assert_eq!(read(&site, &joe, "n").as_deref(), Ok("1"));
}

#[test]
fn a_replica_is_read_and_not_written_until_it_is_the_master() {
    if !redis_is_there() {
        return;
    }
    let master = Server::start();
    let port = master.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let (_master_site, joe) = with_joe(&master.url());
    wait_until("the replica follows", || {
        replica
            .try_command(&["DBSIZE"])
            .is_ok_and(|size| size == redis::Value::Int(1))
    });
    let site = site(&replica.url());
    assert_eq!(read(&site, &joe, "name").as_deref(), Ok("\"joe\""));
    assert_refused("a change", || site.with_token("POST", "/add/n", &joe));
    assert_eq!(read(&site, &joe, "name").as_deref(), Ok("\"joe\""));
    let lines = crate::events::events_of(|| {
        let sessions = builder(&replica.url()).build().expect("a service");
        let made = sessions.cookie_for(|session| session["a"] = 1.into());
        let made = actix_web::rt::System::new().block_on(made);
        made.expect_err("nothing is written");
    });
    let says_what_to_do = |line: &String| line.contains("give the address of the master");
    assert!(lines.iter().any(says_what_to_do), "{lines:#?}");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    eventually("it is the master", || {
        site.with_token("POST", "/add/n", &joe).status == 200
    });
}

#[test]
fn whoever_meets_a_master_that_is_none_any_more_looks_for_the_new_one() {
    if !redis_is_there() {
        return;
    }
    let servers = [Server::start(), Server::start()];
    let [old, new] = &servers;
    let [old_port, new_port] = servers.each_ref().map(|server| server.port().to_string());
    new.command(&["REPLICAOF", "127.0.0.1", &old_port]);
    let proxy = Proxy::before(old.port());
    let (site, joe) = with_joe(&proxy.url());
    wait_until("the replica follows", || {
        new.try_command(&["DBSIZE"])
            .is_ok_and(|size| size == redis::Value::Int(1))
    });
    new.command(&["REPLICAOF", "NO", "ONE"]);
    old.command(&["REPLICAOF", "127.0.0.1", &new_port]);
    proxy.lead_to(new.port());
    eventually_all("the new master is written to", || {
        site.with_token("POST", "/add/n", &joe).status == 200
    });
}

#[test]
fn connections_that_the_server_closed_are_opened_again_before_anybody_notices() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let (site, joe) = with_joe(&redis.url());
    for _ in 0..5 {
        for path in ["/add/n", "/renew"] {
            redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
            // Whichever of the workers takes it.
            assert_eq!(
                site.with_token("GET", "/get/name", &joe).body,
                "\"joe\"",
                "{path}"
            );
            assert_eq!(
                site.with_token("GET", "/get/name", &joe).body,
                "\"joe\"",
                "{path}"
            );
        }
    }
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(site.with_token("POST", "/add/n", &joe).body, "1");
}

#[test]
fn a_worker_has_one_connection_and_takes_it_with_it() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let clients = || redis.figure("clients", "connected_clients") - 1; // but for who asks
    let (site, joe) = with_joe(&redis.url());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(site.with_token("POST", "/add/n", &joe).status, 200);
                }
            });
        }
    });
    assert_eq!(read(&site, &joe, "n").as_deref(), Ok("200"));
    assert!(
        (1..=2).contains(&clients()),
        "{} connections of two workers",
        clients()
    );
    drop(site);
    eventually("nothing stays", || clients() == 0);
}

#[test]
fn a_wrong_password_is_told_to_the_log_and_not_to_the_visitor() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    redis.command(&[
        "ACL",
        "SETUSER",
        "shop",
        "on",
        ">right",
        "~bsession:*",
        "+@all",
    ]);
    let url = |password: &str| format!("redis://shop:{password}@127.0.0.1:{}", redis.port());
    let (_site, joe) = with_joe(&url("right"));
    let lines = crate::events::events_of(|| {
        let sessions = builder(&url("whisper")).build().expect("a service");
        actix_web::rt::System::new().block_on(async {
            for _ in 0..3 {
                let request = actix_web::test::TestRequest::default()
                    .app_data(sessions.clone())
                    .insert_header(("cookie", format!("bsession={joe}")))
                    .to_http_request();
                bsession::connect(&request).await.expect_err("no session");
            }
        });
    });
    assert!(
        lines.iter().any(
            |line| line.contains("store_unreachable") && line.contains("authentication failed")
        ),
        "{lines:#?}"
    );
    for secret in ["whisper", SECRET, &*joe] {
        assert!(
            !lines.iter().any(|line| line.contains(secret)),
            "{secret}: {lines:#?}"
        );
    }
}
