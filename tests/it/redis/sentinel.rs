//! A master that sentinels watch.

use std::time::Instant;

use bsession::RedisStore;
use bsession_redis_servers::{Over, Sentinels, Server, TlsSentinels, wait_until};
use serde_json::json;

use super::causes::assert_cause;
use super::reach::{TIMEOUT, on};
use super::site::site_with;
use super::tls::status_with;
use super::traffic::{PER_MASTER, Traffic, report};
use crate::support::{Site, redis_is_there};

/// With every write on the replica before it is answered: a master that is no longer one, and does not
/// know it yet, takes writes for as long as that lasts, and loses them.
#[test]
fn the_master_that_sentinels_name_is_found_again_when_it_is_another() {
    if !redis_is_there() {
        return;
    }
    let mut servers = Sentinels::start(1);
    let site = site_with(RedisStore::at(servers.url()).replicas(1), |builder| builder);
    let visitors = [(); PER_MASTER].map(|()| {
        let visitor = site.visitor();
        assert_eq!(visitor.post("/add/n").status, 200);
        visitor
    });
    let user = site.visitor();
    user.post("/login/joe");
    let traffic = Traffic::begin(visitors);
    traffic.all_go_on(10);
    let moment = Instant::now();
    servers.node(0).kill();
    wait_until("a replica is the master", || {
        servers.master().is_some_and(|it| it != 0)
    });
    let taken = moment.elapsed();
    servers.node(0).restart();
    servers.wait_until_ok();
    traffic.all_go_on(10);

    // And on, in good order: the master of before lives, and takes no more writes.
    servers.fail_over();
    servers.wait_until_ok();
    traffic.all_go_on(10);
    let writers = traffic.end();
    report("sentinels", taken, moment, &writers);
    assert!(writers.iter().all(|writer| writer.missing() == 0));
    assert_eq!(user.session()["user"], json!("joe"));
    let master = servers.master().expect("a master");
    assert!(
        servers.nodes()[master]
            .text(&["INFO", "replication"])
            .contains("role:master")
    );
}

const READ: (&str, &str) = ("GET", "/all");

/// Begins a session within these servers.
#[track_caller]
fn assert_served(settings: RedisStore) {
    let service = on(settings).store_timeout(TIMEOUT).build();
    let site = Site::open(service.expect("a service"));
    assert_eq!(site.with_cookies("POST", "/set/a/b", &[]).status, 200);
}

#[test]
fn sentinels_have_a_password_that_is_theirs_alone() {
    if !redis_is_there() {
        return;
    }
    let mut servers = Sentinels::start(1);
    servers.require_password_of_sentinels("theirs");
    let at = |login: &str| RedisStore::at(servers.url_with("redis", login));
    assert_served(at("").sentinel_password("theirs"));
    assert_cause(at(""), READ, "set `RedisStore::sentinel_password`");
    let wrong = at("").sentinel_password("whisper");
    assert_cause(wrong, READ, "`sentinel_password` is wrong");

    // And another one for the servers.
    servers.require_password("the/servers'");
    let at = |login: &str| RedisStore::at(servers.url_with("redis", login));
    let encoded = ":the%2Fservers'@";
    assert_served(at(encoded).sentinel_password("theirs"));
    assert_cause(at(encoded), READ, "set `RedisStore::sentinel_password`");
    let wrong = at(":theirs@").sentinel_password("theirs");
    assert_cause(
        wrong,
        READ,
        "the user name or password in the address is wrong",
    );
    let missing = at("").sentinel_password("theirs");
    assert_cause(missing, READ, "redis://:password@host");
}

#[test]
fn sentinels_are_asked_as_a_user_with_one_right() {
    if !redis_is_there() {
        return;
    }
    let mut servers = Sentinels::start(1);
    servers.require_password_of_sentinels("theirs");
    for sentinel in servers.sentinels() {
        let right = "+sentinel|get-master-addr-by-name";
        let user = ["watcher", "on", ">whisper", "-@all", right];
        sentinel.command(&[&["ACL", "SETUSER"], &user[..]].concat());
        let user = ["nobody", "on", ">whisper", "-@all"];
        sentinel.command(&[&["ACL", "SETUSER"], &user[..]].concat());
    }
    let at = |user: &str| {
        let settings = RedisStore::at(servers.url()).sentinel_user(user);
        settings.sentinel_password("whisper")
    };
    assert_served(at("watcher"));
    assert_cause(at("watchman"), READ, "`RedisStore::sentinel_user`");
    assert_cause(at("nobody"), READ, "the rights that the page Operations");
}

#[test]
fn the_password_of_servers_is_not_told_to_sentinels_that_ask_for_none() {
    if !redis_is_there() {
        return;
    }
    let mut servers = Sentinels::start(1);
    servers.require_password("theirs");
    let at = |login: &str| RedisStore::at(servers.url_with("redis", login));
    // A sentinel without a password refuses one.
    assert_served(at(":theirs@"));
    let one_too_many = at(":theirs@").sentinel_password("whisper");
    assert_cause(one_too_many, READ, "the sentinel asks for none");
}

#[test]
fn sentinels_speak_tls_or_not_whatever_the_servers_do() {
    if !redis_is_there() {
        return;
    }
    for (over, scheme, other_scheme, sentinels, hint) in [
        (
            Over::Sentinels,
            "redis",
            "rediss",
            true,
            "`RedisStore::sentinel_tls(true)`",
        ),
        (
            Over::Servers,
            "rediss",
            "redis",
            false,
            "`RedisStore::sentinel_tls(false)`",
        ),
    ] {
        let servers = TlsSentinels::start(over);
        let url = |scheme| servers.sentinels.url_with(scheme, "");
        let status = |scheme, tls| status_with(&url(scheme), Some(tls), servers.authority());
        assert_eq!(status(scheme, sentinels), "200", "{over:?}");
        assert_eq!(status(other_scheme, sentinels), "503", "{over:?}");
        assert_cause(RedisStore::at(url(scheme)), READ, hint);
    }
    let servers = TlsSentinels::start(Over::Both);
    let url = servers.sentinels.url_with("rediss", "");
    assert_eq!(status_with(&url, None, servers.authority()), "200");
}

#[test]
fn sentinels_that_are_silent_or_gone_keep_nobody_from_the_others() {
    if !redis_is_there() {
        return;
    }
    let servers = Sentinels::start(1);
    servers.sentinels()[..2].iter().for_each(Server::pause);
    let url = servers.url();
    assert_served(RedisStore::at(&url));
    // A port at which nobody is, and a server that is no sentinel.
    let mut gone = Server::start();
    gone.kill();
    let server = Server::start();
    let more = format!("127.0.0.1:{},127.0.0.1:{},", gone.port(), server.port());
    assert_served(RedisStore::at(url.replace("://", &format!("://{more}"))));
    let none = format!("redis-sentinel://{}/mymaster", more.trim_end_matches(','));
    assert_cause(RedisStore::at(none), READ, "unknown command");
    servers.sentinels()[..2].iter().for_each(Server::resume);
    let other = servers.url().replace("mymaster", "othermaster");
    assert_cause(RedisStore::at(other), READ, "no master of this name");
}
