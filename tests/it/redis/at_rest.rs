//! What lies in Redis: nothing to be read, nothing that stays for ever, and what it costs to get at it.

use std::collections::BTreeMap;
use std::time::Duration;

use bsession::RedisStore;
use bsession::Sessions;
use bsession_redis_servers::Server;
use redis::Value;

use super::reach::{builder, read, site, with_joe};
use crate::support::{SECRET, Site, eventually, redis_is_there};

/// All that the store needs, and nothing else: what the page on operations names.
const RIGHTS: &str = "+ping +select +get +getrange +set +setrange +exists +del +pexpire +pttl +zadd +zrem \
                      +zrange +zremrangebyscore +scan +info +evalsha +eval";

fn keys(redis: &Server) -> Vec<String> {
    redis::from_redis_value(redis.command(&["KEYS", "*"])).expect("names")
}

/// The bytes under a key, whatever it is.
fn bytes(redis: &Server, key: &str) -> Vec<u8> {
    let value = redis.try_command(&["GET", key]);
    let value = value.unwrap_or_else(|_| redis.command(&["ZRANGE", key, "0", "-1", "WITHSCORES"]));
    format!("{value:?}")
        .into_bytes()
        .into_iter()
        .chain(raw(&value))
        .collect()
}

fn raw(value: &Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes.clone(),
        Value::Array(values) => values.iter().flat_map(raw).collect(),
        _ => vec![],
    }
}

#[test]
fn neither_ids_nor_values_nor_users_nor_secrets_are_in_redis_and_all_of_it_expires() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let sessions = builder(&redis.url())
        .mode(RedisStore::at(redis.url()).prefix("shop:"))
        .build()
        .expect("a service");
    let site = Site::open(sessions);
    let visitor = site.visitor();
    visitor.post("/set/key-of-a-value/whisper");
    visitor.post("/login/somebody");
    visitor.post("/note/kitchen-table");
    visitor.post("/renew");
    visitor.post("/add/n");
    let token = visitor.token().expect("a session");
    let other = site.visitor();
    other.post("/login/somebody");
    other.post("/logout");
    let keys = keys(&redis);
    // One that lives, its list, two that were renewed and one that has ended.
    assert_eq!(keys.len(), 5, "{keys:?}");
    let id = &token[2..34];
    for key in keys {
        assert!(key.starts_with("shop:"), "{key}");
        let Value::Int(ttl) = redis.command(&["PTTL", &key]) else {
            panic!("a time")
        };
        assert!(ttl > 0, "{key} never expires");
        let held = [key.as_bytes(), &bytes(&redis, &key)].concat();
        for secret in [
            "whisper",
            "key-of-a-value",
            "somebody",
            "kitchen-table",
            SECRET,
            id,
        ] {
            let found = held
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is under {key}");
        }
    }
}

#[test]
fn what_has_expired_goes_by_itself() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let sessions = builder(&redis.url()).idle(Duration::from_secs(1)).build();
    let site = Site::open(sessions.expect("a service"));
    let visitor = site.visitor();
    visitor.post("/login/joe");
    assert_eq!(keys(&redis).len(), 2);
    // Nobody asks for it any more. The list of the user lasts twice as long.
    eventually("all of it is gone", || {
        redis.command(&["DBSIZE"]) == Value::Int(0)
    });
    assert_eq!(visitor.session()["user"], serde_json::json!(null));
}

/// How often each command was called, those within scripts, too.
fn calls(redis: &Server) -> BTreeMap<String, u64> {
    let text = redis.text(&["INFO", "commandstats"]);
    let line = |line: &str| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn a_read_is_one_round_trip_and_a_write_one_more() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let (site, mut token) = with_joe(&redis.url());
    for path in ["/login/joe", "/renew", "/add/n", "/logout"] {
        // So that scripts are known.
        token = site
            .with_token("POST", path, &token)
            .token()
            .map_or(token, str::to_owned);
    }
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    let mut token = reply.token().expect("a session").to_owned();
    let cases = [
        ("GET", "/get/name", [1, 0, 0]),
        ("POST", "/set/name/joe", [1, 0, 0]),
        ("POST", "/add/n", [1, 1, 0]),
        ("POST", "/login/joe", [1, 1, 0]),
        ("POST", "/add/n", [1, 1, 0]),
        ("POST", "/renew", [1, 1, 0]),
        ("POST", "/logout", [1, 1, 1]),
    ];
    for (method, path, expected) in cases {
        redis.command(&["CONFIG", "RESETSTAT"]);
        let reply = site.with_token(method, path, &token);
        token = reply.token().map_or(token, str::to_owned);
        // The last one is not waited for; a renewal has one of its own in its script.
        eventually(path, || {
            let calls = calls(&redis);
            let of = |name: &str| calls.get(name).copied().unwrap_or(0);
            let asked = [
                of("get"),
                of("evalsha"),
                if path == "/logout" { of("zrem") } else { 0 },
            ];
            asked == expected
        });
        assert_eq!(calls(&redis).get("eval"), None, "{path}");
    }
}

#[test]
fn the_rights_that_are_named_are_enough_and_each_is_needed() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let grant = |rights: &[&str]| {
        let user = [
            "ACL",
            "SETUSER",
            "shop",
            "reset",
            "on",
            ">pw",
            "~bsession:*",
            "-@all",
        ];
        redis.command(&[&user[..], rights].concat());
    };
    let all: Vec<_> = RIGHTS.split_whitespace().collect();
    let url = format!("redis://shop:pw@127.0.0.1:{}/1", redis.port());
    grant(&all);
    assert!(works(&url));
    for left_out in &all {
        redis.command(&["SCRIPT", "FLUSH"]);
        redis.command(&["FLUSHALL"]);
        let others: Vec<_> = all
            .iter()
            .copied()
            .filter(|right| right != left_out)
            .collect();
        grant(&others);
        assert!(!works(&url), "{left_out} is not needed");
    }
}

/// Whether a lock that is taken can be taken again.
fn is_given_back(url: &str) -> bool {
    let store = bsession::testing::store(RedisStore::at(url));
    let key = bsession::store::Key([1; 16]);
    let take = async || store.lock(key).expect("it has locks").await.ok().flatten();
    actix_web::rt::System::new().block_on(async {
        let lease = take().await;
        let is_taken = lease.is_some();
        drop(lease);
        // A lease that nobody gives back lasts for longer.
        let again = async {
            while take().await.is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        is_taken
            && tokio::time::timeout(Duration::from_secs(1), again)
                .await
                .is_ok()
    })
}

/// Whether all that a service does works.
fn works(url: &str) -> bool {
    let site = site(url);
    let visitor = site.visitor();
    let clock = bsession::Clock::default();
    let in_a_while = builder(url)
        .clock(clock.clone())
        .store_timeout(Duration::from_millis(300))
        .build();
    let later = Site::open(in_a_while.expect("a service"));
    let visits = ["/set/name/joe", "/login/joe", "/add/n", "/renew"];
    let mut all = visits.iter().all(|path| visitor.post(path).status == 200);
    clock.advance(bsession::testing::days(1));
    all &= visitor.at(later.address).get("/all").status == 200
        && later.sessions.stats().touches + later.sessions.stats().commits > 0;
    let block = |sessions: &Sessions| {
        let sessions = sessions.clone();
        actix_web::rt::System::new().block_on(async move {
            let listed = sessions.of_user("joe").await;
            let ended = sessions.revoke_user("joe", None).await;
            listed.is_ok_and(|list| list.len() == 1) && ended.is_ok_and(|count| count == 1)
        })
    };
    // The sweeper puts sessions back on lists from which they were lost.
    all &= later.sessions.sweep().is_ok();
    all &= is_given_back(url);
    all && block(&site.sessions) && read(&site, &visitor.token().expect("a cookie"), "name").is_ok()
}

/// As a server meets it that was not brought up to the newer version yet.
#[test]
fn a_session_of_a_newer_format_is_nobodys_and_is_listed_and_ended() {
    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let site = site(&redis.url());
    let newer = |redis: &Server| {
        for key in keys(redis).iter().filter(|key| key.ends_with('}')) {
            redis.command(&["SETRANGE", key, "1", "\u{7f}"]);
        }
    };
    let stored = || {
        let keys = keys(&redis).into_iter().filter(|key| key.ends_with('}'));
        keys.map(|key| bytes(&redis, &key)).collect::<Vec<_>>()
    };
    for everywhere in [false, true] {
        redis.command(&["FLUSHALL"]);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        newer(&redis);
        let before = stored();
        assert_eq!(visitor.session()["user"], serde_json::json!(null));
        assert_eq!(stored(), before, "it is never written over");
        let block = |sessions: &Sessions| {
            let sessions = sessions.clone();
            actix_web::rt::System::new().block_on(async move {
                let listed = sessions.of_user("joe").await.expect("the list");
                assert_eq!(listed.len(), 1);
                match everywhere {
                    true => sessions.revoke_user("joe", None).await.expect("it ends"),
                    false => 1,
                }
            })
        };
        assert_eq!(block(&site.sessions), 1);
        if !everywhere {
            assert!(visitor.post("/logout").removes_cookie());
        }
        let tombstone = stored().into_iter().all(|bytes| bytes.contains(&2));
        assert!(tombstone && stored() != before, "its logout is one");
        let left = actix_web::rt::System::new().block_on(site.sessions.of_user("joe"));
        assert!(left.expect("the list").is_empty());
    }
}

#[test]
fn no_operation_writes_over_a_newer_format() {
    use bsession::store::{Body, Entry, Expected, Head, Key, Record, Revision, Swap};
    use bsession::{Handle, Timestamp};

    if !redis_is_there() {
        return;
    }
    let redis = Server::start();
    let store = bsession::testing::store(RedisStore::at(redis.url()).prefix(""));
    let now = Timestamp::from_millis(1_750_000_000_000);
    let record = |revision: Revision| Record {
        head: Head {
            revision,
            expires: now + Duration::from_secs(60),
            seen: now,
            created: now,
            handle: Handle([2; 12]),
            user: None,
        },
        summary: None,
        body: Body::from_bytes(*b"body"),
    };
    let (key, first) = (Key([1; 16]), Revision::first());
    actix_web::rt::System::new().block_on(async {
        let entry = |revision| Some(Entry::Live(record(revision)));
        let made = store.swap(key, Expected::Nothing, entry(first), now).await;
        assert!(matches!(made, Ok(Swap::Done)));
        let [name] = &keys(&redis)[..] else {
            panic!("one session")
        };
        redis.command(&["SETRANGE", name, "1", "\u{7f}"]);
        let before = bytes(&redis, name);
        let mut visited = record(first).head;
        visited.expires = now + Duration::from_secs(90);
        store
            .touch(key, visited, now)
            .await
            .expect("it is left alone");
        let at = Expected::At(first);
        let commit = store.swap(key, at, entry(first.next()), now).await;
        assert!(matches!(commit, Ok(Swap::Found(Some(Entry::Live(_))))));
        let renewal = store.renew(key, first, Key([2; 16]), record(first.next()), now);
        assert!(matches!(
            renewal.await,
            Ok(Swap::Found(Some(Entry::Live(_))))
        ));
        assert_eq!(bytes(&redis, name), before);
        assert_eq!(keys(&redis).len(), 1);
    });
}
