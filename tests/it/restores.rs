//! Stored sessions that come back from a backup: those that were logged out since then, too. The page Operations says what
//! to do, and this is what it does.

use std::path::Path;
use std::process::Command;

use actix_web::rt::System;
use bsession::{Builder, RedisStore, Secure, Sessions};
use bsession_redis_servers::Server;
use serde_json::{Value, json};

use crate::support::{Kind, Setup, Site, redis_is_there, secret};

fn site(builder: Builder) -> Site {
    Site::open(builder.build().expect("a service"))
}

/// The user whom the cookie of before belongs to, by a service with these settings.
fn user(builder: Builder, token: &str) -> Value {
    let reply = site(builder).with_token("GET", "/all", token);
    assert_eq!(reply.status, 200, "nobody meets an error");
    reply.json()["user"].clone()
}

/// Logs joe in, makes a backup, and logs him out. Returns the cookie of before.
fn logged_out_after(builder: Builder, back_up: impl FnOnce()) -> String {
    let site = site(builder);
    let visitor = site.visitor();
    visitor.post("/login/joe");
    let token = visitor.token().expect("a session");
    back_up();
    visitor.post("/logout");
    assert_eq!(
        site.with_token("GET", "/all", &token).json()["user"],
        json!(null)
    );
    token
}

/// Ends all that joe has, by a service with these settings.
fn revoke(builder: Builder) -> usize {
    let sessions = builder.build().expect("a service");
    let ended = System::new().block_on(sessions.revoke_user("joe", None));
    ended.expect("an end")
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.expect("cp runs").success());
}

#[test]
fn restored_files_log_nobody_in_if_the_secret_or_the_realm_is_new() {
    let setup = Setup::new(Kind::File);
    let (dir, backup) = (
        setup.dir.path().join("sessions"),
        setup.dir.path().join("backup"),
    );
    let with = |number: usize| setup.builder_with(&secret(number));
    let token = logged_out_after(with(1), || copy(&dir, &backup));
    std::fs::remove_dir_all(&dir).expect("it is there");
    copy(&backup, &dir);
    assert_eq!(
        user(with(1), &token),
        "joe",
        "this is what is to be remedied"
    );
    let both = with(2).previous_secret(secret(1));
    assert_eq!(user(both.realm("new"), &token), json!(null), "a new realm");
    assert_eq!(user(with(2), &token), json!(null), "a new secret");

    // Who logs in again with the cookie of before is logged in.
    let rotated = site(with(2));
    let login = rotated.with_token("POST", "/login/joe", &token);
    let again = login.token().expect("another cookie");
    assert_eq!(
        rotated.with_token("GET", "/all", again).json()["user"],
        "joe"
    );
    // What is no remedy: the old secret, alone or as a previous one.
    assert_eq!(user(with(1), &token), "joe");
    let both = with(2).previous_secret(secret(1));
    assert_eq!(user(both, &token), "joe");
}

#[test]
fn restored_files_that_are_deleted_log_nobody_in() {
    let setup = Setup::new(Kind::File);
    let (dir, backup) = (
        setup.dir.path().join("sessions"),
        setup.dir.path().join("backup"),
    );
    let token = logged_out_after(setup.builder(), || copy(&dir, &backup));
    std::fs::remove_dir_all(&dir).expect("it is there");
    copy(&backup, &dir);
    std::fs::remove_dir_all(&dir).expect("it is there");
    assert_eq!(user(setup.builder(), &token), json!(null));
}

/// Also those that are on no list, because the backup was made while lists changed.
#[test]
fn restored_sessions_of_a_user_end_with_all_of_that_user() {
    let setup = Setup::new(Kind::File);
    let (dir, backup) = (
        setup.dir.path().join("sessions"),
        setup.dir.path().join("backup"),
    );
    let token = logged_out_after(setup.builder(), || copy(&dir, &backup));
    std::fs::remove_dir_all(&dir).expect("it is there");
    copy(&backup, &dir);
    std::fs::remove_dir_all(dir.join("users")).expect("it is there");
    assert_eq!(revoke(setup.builder()), 1);
    assert_eq!(user(setup.builder(), &token), json!(null));
}

#[test]
fn a_restored_redis_logs_nobody_in_if_the_secret_or_the_prefix_is_new() {
    if !redis_is_there() {
        return;
    }
    let mut redis = Server::start();
    let url = redis.url();
    let with = |number: usize, prefix: &str| {
        let store = RedisStore::at(&url).prefix(prefix);
        let builder = Sessions::builder(secret(number)).mode(store);
        builder.secure(Secure::Never)
    };
    let token = logged_out_after(with(1, "bsession:"), || {
        redis.command(&["SAVE"]);
    });
    redis.kill();
    redis.restart();
    assert_eq!(
        user(with(1, "bsession:"), &token),
        "joe",
        "this is what is to be remedied"
    );
    assert_eq!(
        user(with(2, "bsession:"), &token),
        json!(null),
        "a new secret"
    );
    assert_eq!(
        user(with(1, "bsession2:"), &token),
        json!(null),
        "a new prefix"
    );
    assert_eq!(revoke(with(1, "bsession:")), 1);
    assert_eq!(
        user(with(1, "bsession:"), &token),
        json!(null),
        "his are ended"
    );
}
