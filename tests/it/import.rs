//! Sessions that move from files to another store.

use std::path::Path;

use actix_web::rt::System;
use bsession::{Mode, RedisStore, Sessions};
use serde_json::json;

use crate::support::{Kind, SECRET, Setup, Site};

fn import(sessions: &Sessions, directory: &Path) -> Result<usize, bsession::Error> {
    System::new().block_on(sessions.import_files(directory))
}

#[test]
fn nobody_is_logged_out_by_a_move_from_files_to_redis() {
    let Some(redis) = Setup::redis() else { return };
    let files = Setup::new(Kind::File);
    let directory = files.dir.path().join("sessions");
    let old = files.site();
    let [joe, eve, gone, guest] = [(); 4].map(|()| old.visitor());
    for (visitor, name) in [(&joe, "joe"), (&eve, "eve"), (&gone, "joe")] {
        visitor.post(&format!("/login/{name}"));
        visitor.post("/add/n");
    }
    guest.post("/set/cart/full");
    joe.post("/renew");
    gone.post("/logout");
    let new = redis.site();
    assert_eq!(import(&new.sessions, &directory).expect("a move"), 3);
    for (visitor, user) in [(&joe, "joe"), (&eve, "eve")] {
        visitor.at(new.address).post("/add/n");
        let session = visitor.at(new.address).session();
        assert_eq!(
            (&session["user"], &session["data"]["n"]),
            (&json!(user), &json!(2))
        );
    }
    assert_eq!(
        guest.at(new.address).session()["data"],
        json!({"cart": "full"})
    );
    assert_eq!(gone.at(new.address).session()["user"], json!(null));
    let listed = System::new()
        .block_on(new.sessions.of_user("joe"))
        .expect("a list");
    assert_eq!(listed.len(), 1, "a user's list moves too");
    // What was moved is there no more: a second call brings back nobody who has logged out since.
    joe.at(new.address).post("/logout");
    assert_eq!(import(&new.sessions, &directory).expect("a move"), 0);
    assert_eq!(joe.at(new.address).session()["user"], json!(null));
    assert_eq!(old.visitor().at(old.address).session()["data"], json!({}));
    assert_eq!(
        eve.at(old.address).session()["user"],
        json!(null),
        "an old server has them no more"
    );
}

#[test]
fn what_has_expired_or_belongs_to_another_secret_does_not_come_to_life() {
    let Some(redis) = Setup::redis() else { return };
    let files = Setup::new(Kind::File);
    let old = files.site();
    let visitor = old.visitor();
    visitor.post("/login/joe");
    files.clock.advance(bsession::testing::days(20));
    let later = old.visitor();
    later.post("/login/eve");
    redis.clock.advance(bsession::testing::days(31));
    let other = redis.builder_with(&crate::support::secret(1)).build();
    let other = Site::open(other.expect("a service"));
    let directory = files.dir.path().join("sessions");
    assert_eq!(import(&other.sessions, &directory).expect("a move"), 1);
    for visitor in [&visitor, &later] {
        assert_eq!(visitor.at(other.address).session()["user"], json!(null));
    }
}

#[test]
fn a_move_that_cannot_be_says_why() {
    let files = Setup::new(Kind::File);
    let directory = files.dir.path().join("sessions");
    let error = |mode| {
        let sessions = Sessions::builder(SECRET)
            .mode(mode)
            .build()
            .expect("a service");
        import(&sessions, &directory)
            .expect_err("no move")
            .to_string()
    };
    let memory = error(Mode::Memory);
    assert!(memory.contains("give the builder another mode"), "{memory}");
    let missing = error(RedisStore::at("redis://127.0.0.1:1").into());
    assert!(missing.contains("No such file"), "{missing}");
    assert!(!directory.exists(), "and nothing is made");
}

#[test]
fn files_are_not_moved_to_where_they_are() {
    let files = Setup::new(Kind::File);
    let site = files.site();
    let visitor = site.visitor();
    visitor.post("/login/joe");
    let directory = files
        .dir
        .path()
        .join("sessions")
        .join("..")
        .join("sessions");
    let error = import(&site.sessions, &directory).expect_err("no move");
    assert!(
        error.to_string().contains("leave out `import_files`"),
        "{error}"
    );
    assert_eq!(
        visitor.session()["user"],
        json!("joe"),
        "nobody is logged out"
    );
}
