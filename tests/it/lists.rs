//! The lists of users' sessions, when somebody has deleted them: they are made whole again, and until then an end of
//! all sessions ends them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::rt::System;
use actix_web::web::{Path as Segment, ServiceConfig};
use actix_web::{Responder, post};
use bsession::{AtLimit, Sessions, session};
use serde_json::json;

use crate::support::{Kind, Setup, Site, Visitor, eventually};

/// The button "log out everywhere else".
#[post("/elsewhere/{user}")]
#[session]
async fn elsewhere(sessions: Sessions, user: Segment<String>) -> bsession::Result<impl Responder> {
    let ended = sessions.revoke_user(&user, Some(session)).await?;
    Ok(ended.to_string())
}

fn routes(config: &mut ServiceConfig) {
    config.service(elsewhere);
}

/// A way in which the lists of a store can be lost.
struct Loss {
    name: &'static str,
    kind: Kind,
    lose: fn(&Setup),
    /// True if the store knows at once that something was lost; else when a session misses its entry.
    is_known: bool,
}

fn sessions_dir(setup: &Setup) -> PathBuf {
    setup.dir.path().join("sessions")
}

/// As an age in systemd-tmpfiles does: what is old goes, and the directories with it.
fn a_cleaner(setup: &Setup) {
    fs::remove_dir_all(sessions_dir(setup).join("users")).expect("it is there");
}

/// As a backup that leaves out empty files.
fn a_restore(setup: &Setup) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let (path, name) = entry
                .map(|it| (it.path(), it.file_name()))
                .expect("an entry");
            match path.is_dir() {
                true if name == "users" => {}
                true => copy(&path, &to.join(name)),
                false => drop(fs::copy(&path, to.join(name)).expect("a copy")),
            }
        }
    }
    let (there, aside) = (sessions_dir(setup), setup.dir.path().join("backup"));
    copy(&there, &aside);
    fs::remove_dir_all(&there).expect("it is there");
    fs::rename(&aside, &there).expect("a restore");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&there, mode).expect("a mode");
}

fn one_list(setup: &Setup) {
    let redis = setup.server();
    let keys = ::redis::from_redis_value::<Vec<String>>(redis.command(&["KEYS", "*user:*"]));
    for key in keys.expect("names") {
        redis.command(&["DEL", &key]);
    }
}

/// A server that comes back without the last writes, or evicts keys, is another run or says so.
fn lists_and_mark(setup: &Setup) {
    one_list(setup);
    setup.server().command(&["DEL", "bsession:whole"]);
}

fn each_loss(check: impl Fn(&Setup, &Loss)) {
    let losses = [
        Loss {
            name: "a cleaner",
            kind: Kind::File,
            lose: a_cleaner,
            is_known: true,
        },
        Loss {
            name: "a restore",
            kind: Kind::File,
            lose: a_restore,
            is_known: true,
        },
        Loss {
            name: "a deleted list",
            kind: Kind::Redis,
            lose: one_list,
            is_known: false,
        },
        Loss {
            name: "a server that lost it",
            kind: Kind::Redis,
            lose: lists_and_mark,
            is_known: true,
        },
    ];
    for loss in losses {
        let setup = match loss.kind {
            Kind::Redis => Setup::redis(),
            kind => Some(Setup::new(kind)),
        };
        if let Some(setup) = setup {
            check(&setup, &loss);
        }
    }
}

/// Two devices of joe and one of eve, on lists that are known to be whole.
fn devices(site: &Site) -> [Visitor; 3] {
    let devices = ["joe", "joe", "eve"].map(|user| {
        let device = site.visitor();
        assert_eq!(device.post(&format!("/login/{user}")).status, 200);
        device
    });
    assert_eq!(listed(&site.sessions, "joe"), 2);
    devices
}

fn user(device: &Visitor) -> serde_json::Value {
    device.session()["user"].clone()
}

fn listed(sessions: &Sessions, user: &str) -> usize {
    let list = System::new().block_on(sessions.of_user(user));
    list.expect("the list").len()
}

#[test]
fn an_end_everywhere_else_ends_what_is_on_no_list() {
    each_loss(|setup, loss| {
        let site = Site::open_with(setup.sessions(), routes);
        let [first, second, eve] = devices(&site);
        (loss.lose)(setup);
        let reply = first.post("/elsewhere/joe");
        assert_eq!((reply.status, &*reply.body), (200, "1"), "{}", loss.name);
        assert_eq!(user(&second), json!(null), "{}", loss.name);
        assert_eq!(user(&first), json!("joe"), "{}", loss.name);
        assert_eq!(user(&eve), json!("eve"), "{}", loss.name);
    });
}

#[test]
fn an_end_of_all_ends_what_is_on_no_list() {
    each_loss(|setup, loss| {
        let site = Site::open(setup.sessions());
        let [first, second, eve] = devices(&site);
        (loss.lose)(setup);
        if !loss.is_known {
            // Any visit of the minute shows it.
            setup.clock.advance(Duration::from_secs(61));
            assert_eq!(user(&first), json!("joe"));
        }
        let ended = System::new().block_on(site.sessions.revoke_user("joe", None));
        assert_eq!(ended.expect("the store works"), 2, "{}", loss.name);
        assert_eq!(user(&first), json!(null), "{}", loss.name);
        assert_eq!(user(&second), json!(null), "{}", loss.name);
        assert_eq!(user(&eve), json!("eve"), "{}", loss.name);
    });
}

#[test]
fn a_visit_puts_a_session_back_on_its_list() {
    each_loss(|setup, loss| {
        let site = Site::open(setup.sessions());
        let all = devices(&site);
        (loss.lose)(setup);
        setup.clock.advance(Duration::from_secs(61));
        assert_eq!(user(&all[0]), json!("joe"));
        // Redis is looked through at once, as it has little.
        let expected = if setup.kind == Kind::File { 1 } else { 2 };
        assert_eq!(listed(&site.sessions, "joe"), expected, "{}", loss.name);
        assert_eq!(user(&all[1]), json!("joe"));
        assert_eq!(listed(&site.sessions, "joe"), 2, "{}", loss.name);
    });
}

#[test]
fn a_save_puts_a_session_back_on_its_list() {
    let Some(setup) = Setup::redis() else { return };
    let site = Site::open(setup.sessions());
    let all = devices(&site);
    one_list(&setup);
    // Whoever saves all the time is never touched.
    for _ in 0..3 {
        setup.clock.advance(Duration::from_secs(31));
        all[0].post("/add/n");
    }
    assert_eq!(listed(&site.sessions, "joe"), 2);
}

#[test]
fn a_sweep_makes_all_lists_whole() {
    each_loss(|setup, loss| {
        let site = Site::open_with(setup.sessions(), routes);
        let [first, second, eve] = devices(&site);
        (loss.lose)(setup);
        if !loss.is_known {
            setup.clock.advance(Duration::from_secs(61));
            assert_eq!(user(&first), json!("joe"));
        }
        site.sessions.sweep().expect("a sweep");
        assert_eq!(listed(&site.sessions, "joe"), 2, "{}", loss.name);
        assert_eq!(listed(&site.sessions, "eve"), 1, "{}", loss.name);
        if setup.kind == Kind::File {
            assert!(sessions_dir(setup).join("users/.whole").exists());
        }
        let reply = first.post("/elsewhere/joe");
        assert_eq!((reply.status, &*reply.body), (200, "1"), "{}", loss.name);
        assert_eq!(user(&second), json!(null));
        assert_eq!(user(&eve), json!("eve"));
    });
}

#[test]
fn a_limit_lets_a_login_in_on_a_list_that_is_incomplete_and_holds_when_it_is_whole() {
    each_loss(|setup, loss| {
        let builder = setup.builder().max_per_user(2, AtLimit::EndOldest);
        let site = Site::open(builder.build().expect("a service"));
        let [first, second, _] = devices(&site);
        (loss.lose)(setup);
        setup.clock.advance(Duration::from_secs(61));
        assert_eq!(user(&first), json!("joe"));
        let third = site.visitor();
        assert_eq!(third.post("/login/joe").status, 200, "{}", loss.name);
        site.sessions.sweep().expect("a sweep");
        setup.clock.advance(Duration::from_secs(1));
        let fourth = site.visitor();
        assert_eq!(fourth.post("/login/joe").status, 200, "{}", loss.name);
        let left: Vec<_> = [&first, &second, &third, &fourth].map(user).into();
        let (out, joe) = (json!(null), json!("joe"));
        assert_eq!(
            left,
            [&out, &out, &joe, &joe].map(Clone::clone),
            "{}",
            loss.name
        );
    });
}

/// Else the rounds of many processes would end each other's, and none would come to its end.
#[test]
fn one_process_at_a_time_makes_lists_whole() {
    let Some(setup) = Setup::redis() else { return };
    let site = Site::open(setup.sessions());
    let [first, ..] = devices(&site);
    let mark = || {
        let mark = setup.server().command(&["GET", "bsession:whole"]);
        ::redis::from_redis_value::<Option<String>>(mark).expect("a text")
    };
    lists_and_mark(&setup);
    let others = "healing 12345678";
    setup
        .server()
        .command(&["SET", "bsession:whole", others, "PX", "60000"]);
    assert_eq!(listed(&site.sessions, "joe"), 0);
    site.sessions.sweep().expect("a sweep");
    assert_eq!(
        mark().as_deref(),
        Some(others),
        "it is left to whoever began it"
    );
    setup.clock.advance(Duration::from_secs(61));
    assert_eq!(user(&first), json!("joe"));
    assert_eq!(
        mark(),
        None,
        "a session was not on its list: their round is worth nothing"
    );
    site.sessions.sweep().expect("a sweep");
    assert!(mark().is_some_and(|mark| mark.starts_with("whole ")));
    assert_eq!(listed(&site.sessions, "joe"), 2);
    // Evicted keys and another run of the server are seen by the sweeper.
    setup
        .server()
        .command(&["SET", "bsession:whole", "whole run_id:another "]);
    one_list(&setup);
    site.sessions.sweep().expect("a sweep");
    assert_eq!(listed(&site.sessions, "joe"), 2);
}

/// The entries of all lists in a store that can be looked into.
fn entries(setup: &Setup) -> usize {
    fn files(directory: &Path) -> usize {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
        // But for the mark that the lists are whole.
        let entries = entries.filter(|entry| entry.file_name() != ".whole");
        entries.map(|entry| count(entry.path())).sum()
    }
    if setup.kind == Kind::File {
        return files(&sessions_dir(setup).join("users"));
    }
    let redis = setup.server();
    let keys = ::redis::from_redis_value::<Vec<String>>(redis.command(&["KEYS", "*user:*"]));
    let count = |key: String| {
        let members = redis.command(&["ZCARD", &key]);
        ::redis::from_redis_value::<usize>(members).expect("a number")
    };
    keys.expect("names").into_iter().map(count).sum()
}

/// A list that grew with every renewal and logout would be read to its end at each look.
#[test]
fn a_list_is_as_long_as_there_are_sessions() {
    let kinds = [Some(Setup::new(Kind::File)), Setup::redis()];
    for setup in kinds.into_iter().flatten() {
        let site = setup.site();
        let kept = site.visitor();
        kept.post("/login/joe");
        for _ in 0..20 {
            let device = site.visitor();
            device.post("/login/joe");
            device.post("/renew");
            device.post("/login/eve");
            device.post("/login/joe");
            device.post("/renew");
            device.post("/logout");
            kept.post("/renew");
            site.visitor().post("/login/ann");
        }
        assert_eq!(
            [listed(&site.sessions, "joe"), listed(&site.sessions, "eve")],
            [1, 0]
        );
        setup.clock.advance(Duration::from_secs(11 * 60));
        site.sessions.sweep().expect("the store works");
        // In Redis nobody waits until an ended session is off its list.
        eventually("one of joe's, and ann's", || entries(&setup) <= 1 + 20);
        assert_eq!(
            entries(&setup),
            1 + 20,
            "{:?}: one of joe's, and ann's",
            setup.kind
        );
        if setup.kind == Kind::Redis {
            continue; // What has expired the server forgets, by a clock that no test turns.
        }
        setup.clock.advance(Duration::from_secs(25 * 86_400));
        assert_eq!(user(&kept), "joe");
        setup.clock.advance(Duration::from_secs(6 * 86_400));
        assert_eq!(listed(&site.sessions, "ann"), 0);
        site.sessions.sweep().expect("the store works");
        assert_eq!(
            entries(&setup),
            1,
            "{:?}: what has expired is on no list",
            setup.kind
        );
        assert_eq!(
            (user(&kept), listed(&site.sessions, "joe")),
            (json!("joe"), 1)
        );
    }
}
