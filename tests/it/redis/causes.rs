//! A Redis that does not serve, for whatever reason: the log and the error say the reason, and the visitor learns nothing of it.

use std::error::Error as _;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::test::{TestRequest, call_service, init_service};
use bsession::RedisStore;
use bsession_redis_servers::{Cluster, Server, TlsServer, wait_until};

use super::reach::{TIMEOUT, on};
use crate::events::events_of;
use crate::support::sentences::UNAVAILABLE;
use crate::support::{Kind, SECRET, Setup, configure, redis_is_there};

/// A password that no line of the log may show.
const PASSWORD: &str = "whisper";

/// A token under the secret of the services here.
fn joe() -> String {
    let site = Setup::new(Kind::Memory).site();
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    reply.token().expect("a session").to_owned()
}

/// Asks a few times with these settings. Each time the visitor is refused in the same words, and the log and the error
/// have the `cause`, also while the request still hoped for better and when it had waited in vain.
#[track_caller]
pub(super) fn assert_cause(settings: RedisStore, (method, path): (&str, &str), cause: &str) {
    let joe = joe();
    let builder = on(settings).store_timeout(TIMEOUT);
    let mut errors = Vec::new();
    let lines = events_of(|| {
        let sessions = builder.build().expect("a service");
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(sessions.clone()).configure(configure);
            let app = init_service(app).await;
            for _ in 0..3 {
                let request = TestRequest::with_uri(path)
                    .method(method.parse().expect("a method"))
                    .insert_header(("cookie", format!("bsession={joe}")));
                let response = call_service(&app, request.to_request()).await;
                let (request, response) = response.into_parts();
                let error = bsession::Error::in_response(&response).expect("an error");
                errors.push(error.source().expect("a source").to_string());
                assert_eq!(response.status(), 503, "{path}");
                assert!(response.cookies().next().is_none(), "{path}");
                let headers = format!("{:?}", response.headers());
                let body = to_bytes(response.into_body()).await.ok();
                assert_eq!(body.as_deref(), Some(UNAVAILABLE.as_bytes()));
                assert!(!headers.contains("127.0.0.1") && !headers.contains(cause));
                drop(request);
            }
        });
    });
    let failed: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("store_failed"))
        .collect();
    assert!(failed.len() >= 3, "{lines:#?}");
    for line in failed.into_iter().chain(&errors) {
        assert!(line.contains(cause), "no {cause:?} in {line:?}\n{lines:#?}");
        assert!(!line.contains("store_timeout"), "{line:?}");
    }
    for secret in [PASSWORD, SECRET, &*joe] {
        let is_told = lines.iter().chain(&errors).any(|it| it.contains(secret));
        assert!(!is_told, "{secret}: {lines:#?} {errors:#?}");
    }
}

/// The address of a server, with something before the host and behind the port.
fn url(server: &Server, login: &str, path: &str) -> RedisStore {
    RedisStore::at(format!("redis://{login}127.0.0.1:{}{path}", server.port()))
}

const READ: (&str, &str) = ("GET", "/all");

#[test]
fn a_redis_that_is_down_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let mut server = Server::start();
    server.kill();
    assert_cause(url(&server, "", ""), READ, "Connection refused");
}

#[test]
fn tls_to_a_plain_port_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    let address = format!("rediss://127.0.0.1:{}", server.port());
    assert_cause(
        RedisStore::at(address),
        READ,
        "`redis` in place of `rediss`",
    );
}

#[test]
fn a_plain_connection_to_a_port_of_tls_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = TlsServer::start();
    let address = format!("redis://127.0.0.1:{}", server.tls_port());
    assert_cause(
        RedisStore::at(address),
        READ,
        "`rediss` in place of `redis`",
    );
}

#[test]
fn a_certificate_of_nobody_who_is_trusted_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = TlsServer::start();
    assert_cause(RedisStore::at(server.url()), READ, "certificate");
}

#[test]
fn a_wrong_password_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let mut server = Server::start();
    server.require_password("right");
    let login = format!(":{PASSWORD}@");
    assert_cause(url(&server, &login, ""), READ, "user name or password");
}

#[test]
fn a_wrong_user_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    server.command(&[
        "ACL",
        "SETUSER",
        "shop",
        "on",
        &format!(">{PASSWORD}"),
        "~*",
        "+@all",
    ]);
    let login = format!("shoop:{PASSWORD}@");
    assert_cause(url(&server, &login, ""), READ, "user name or password");
}

#[test]
fn a_password_that_is_missing_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let mut server = Server::start();
    server.require_password("right");
    assert_cause(url(&server, "", ""), READ, "redis://:password@host");
    assert_cause(url(&server, "right@", ""), READ, "redis://:password@host");
}

#[test]
fn a_password_for_a_server_that_has_none_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    let login = format!(":{PASSWORD}@");
    assert_cause(url(&server, &login, ""), READ, "user name or password");
}

#[test]
fn a_database_that_is_not_there_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    assert_cause(url(&server, "", "/99"), READ, "DB index is out of range");
}

#[test]
fn a_server_with_no_place_for_another_client_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    let login = user(&server, &["+@all"]);
    server.command(&["CONFIG", "SET", "maxclients", "5"]);
    let mut others = Vec::new();
    while let Ok(mut other) = server.connect() {
        if redis::cmd("PING").exec(&mut other).is_err() {
            break;
        }
        others.push(other);
    }
    assert_eq!(others.len(), 5);
    for login in ["", &login] {
        assert_cause(url(&server, login, ""), READ, "max number of clients");
    }
}

/// Makes a user who may do this and nothing else.
fn user(server: &Server, rights: &[&str]) -> String {
    let password = format!(">{PASSWORD}");
    let begin = [
        "ACL",
        "SETUSER",
        "shop",
        "reset",
        "on",
        &password,
        "~bsession:*",
    ];
    server.command(&[&begin, rights].concat());
    format!("shop:{PASSWORD}@")
}

#[test]
fn a_right_that_is_missing_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    for (rights, path) in [
        (&["+select"][..], ""),
        (&["+ping"], ""),
        (&["+ping", "+get", "resetkeys", "~shop:*"], ""),
        (&["+ping", "+get"], "/1"),
    ] {
        let login = user(&server, rights);
        assert_cause(
            url(&server, &login, path),
            READ,
            "the rights that the page Operations",
        );
    }
    // The commands of a script are checked one by one.
    let rights = ["+ping", "+get", "+eval", "+evalsha"];
    let login = user(&server, &rights);
    server.command(&["SET", "before", "so that there is a database"]);
    assert_cause(
        url(&server, &login, ""),
        ("POST", "/set/a/b"),
        "the rights that the page Operations",
    );
}

#[test]
fn a_server_that_is_loading_is_told_as_such_and_serves_when_it_has_loaded() {
    if !redis_is_there() {
        return;
    }
    let mut server = Server::start();
    server.kill_and_load_slowly();
    assert_cause(url(&server, "", ""), READ, "loading the dataset");
    let site = super::reach::site(&server.url());
    let token = joe();
    super::reach::assert_refused("it loads", || site.with_token("GET", "/all", &token));
    server.load_quickly();
    super::reach::eventually_all("it has loaded", || {
        site.with_token("GET", "/all", &token).status == 200
    });
}

#[test]
fn a_replica_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let master = Server::start();
    let site = super::reach::site(&master.url());
    let begun = site.with_cookies("POST", "/set/name/joe", &[]);
    let token = begun.token().expect("a session");
    let port = master.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    wait_until("it follows", || {
        replica.command(&["DBSIZE"]) == master.command(&["DBSIZE"])
    });
    assert_cause_of_write(&replica, token);
    // A replica that lost its master and may not answer in its place.
    replica.command(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    drop(master);
    wait_until("it has lost its master", || {
        replica.try_command(&["GET", "a"]).is_err()
    });
    assert_cause(url(&replica, "", ""), READ, "Link with MASTER is down");
}

/// A write of a session that the replica has.
#[track_caller]
fn assert_cause_of_write(replica: &Server, token: &str) {
    let lines = events_of(|| {
        let sessions = on(url(replica, "", "")).build().expect("a service");
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(sessions).configure(configure);
            let app = init_service(app).await;
            let request = TestRequest::post()
                .uri("/add/n")
                .insert_header(("cookie", format!("bsession={token}")));
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), 503);
            let body = to_bytes(response.into_body()).await.ok();
            assert_eq!(body.as_deref(), Some(UNAVAILABLE.as_bytes()));
        });
    });
    let mut failed = lines.iter().filter(|line| line.contains("store_failed"));
    assert!(
        failed.any(|line| line.contains("the server is a replica")),
        "{lines:#?}"
    );
}

/// In a cluster each node is connected to by itself, and all of them are asked which one has what.
#[test]
fn the_causes_of_a_cluster_are_told_too() {
    if !redis_is_there() {
        return;
    }
    let alone = Server::start();
    let at =
        |login: &str, port: u16| RedisStore::at(format!("redis-cluster://{login}127.0.0.1:{port}"));
    let disabled = "cluster support disabled";
    assert_cause(at("", alone.port()), READ, disabled);
    let mut cluster = Cluster::start(3, 0);
    for node in cluster.nodes() {
        user(node, &["+@all"]);
    }
    let port = cluster.nodes()[0].port();
    let login = format!("shop:{PASSWORD}s@");
    assert_cause(at(&login, port), READ, "user name or password");
    for node in cluster.nodes() {
        user(node, &["+cluster|slots"]);
    }
    let login = format!("shop:{PASSWORD}@");
    assert_cause(
        at(&login, port),
        READ,
        "the rights that the page Operations",
    );
    for number in 0..3 {
        cluster.node(number).kill();
    }
    assert_cause(at("", port), READ, "Connection refused");
}

/// A server that is silent has no other cause than that.
#[cfg(unix)]
#[test]
fn silence_is_told_as_such() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    server.pause();
    assert_cause(url(&server, "", ""), READ, "did not answer");
    server.resume();
}

#[test]
fn a_password_of_any_characters_is_percent_encoded() {
    if !redis_is_there() {
        return;
    }
    let server = Server::start();
    let password = "a/b#c?d@e%f:g h+%41";
    let password_rule = format!(">{password}");
    server.command(&[
        "ACL",
        "SETUSER",
        "sh/p",
        "on",
        &password_rule,
        "~*",
        "+@all",
    ]);
    let raw = format!("redis://sh/p:{password}@127.0.0.1:{}", server.port());
    let error = on(RedisStore::at(raw)).build().expect_err("not encoded");
    assert!(error.to_string().contains("percent-encode it"), "{error}");
    assert!(!error.to_string().contains("a/b"), "{error}");
    let encoded = "sh%2Fp:a%2Fb%23c%3Fd%40e%25f:g%20h+%2541@";
    let service = on(url(&server, encoded, "")).build().expect("a service");
    let site = crate::support::Site::open(service);
    assert_eq!(site.with_cookies("POST", "/set/a/b", &[]).status, 200);
}
