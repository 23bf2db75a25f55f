//! What becomes of a request's changes when another one saved meanwhile: they are put on top.

use actix_web::test::TestRequest;
use actix_web::{FromRequest, HttpRequest};
use bsession::{Connection, Session, Sessions};
use serde_json::{Value, json};

use crate::events::events_of;
use crate::support::{Setup, for_each_store};

async fn connected(
    sessions: &Sessions,
    cookie: &actix_web::cookie::Cookie<'static>,
) -> (HttpRequest, Connection) {
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .cookie(cookie.clone())
        .to_http_request();
    let connection = Connection::extract(&request)
        .await
        .expect("the store works");
    (request, connection)
}

/// Both load the session that `begin` made; theirs is saved, then mine. Gives my status and what is
/// stored in the end.
fn meet(
    setup: &Setup,
    begin: impl FnOnce(&mut Session),
    mine: impl FnOnce(&mut Session),
    theirs: impl FnOnce(&mut Session),
) -> (u16, Value) {
    let sessions = setup.sessions();
    actix_web::rt::System::new().block_on(async {
        let cookie = sessions.cookie_for(begin).await.expect("a session");
        let (my_request, mut my_connection) = connected(&sessions, &cookie).await;
        let (their_request, mut their_connection) = connected(&sessions, &cookie).await;
        mine(my_connection.session());
        theirs(their_connection.session());
        let response = their_connection
            .respond(&their_request, "theirs")
            .await
            .into_response();
        assert_eq!(response.status(), 200);
        let response = my_connection
            .respond(&my_request, "mine")
            .await
            .into_response();
        let (_request, mut connection) = connected(&sessions, &cookie).await;
        (
            response.status().as_u16(),
            json!(connection.session().data()),
        )
    })
}

fn add(session: &mut Session) {
    session.update("n", |n: u64| n + 1).expect("a number");
}

fn one(session: &mut Session) {
    session["n"] = 1.into();
}

fn fifty(session: &mut Session) {
    session["n"] = 50.into();
}

for_each_store! {
    fn an_update_runs_again_on_the_latest_value(setup) {
        assert_eq!(meet(setup, one, add, fifty), (200, json!({"n": 51})));
        let twice = |session: &mut Session| {
            add(session);
            session.update("n", |n: u64| n * 2).expect("a number");
        };
        assert_eq!(meet(setup, one, twice, fifty), (200, json!({"n": 102})), "each of them, in their order");
        let removed = |session: &mut Session| drop(session.remove("n"));
        assert_eq!(meet(setup, one, add, removed), (200, json!({"n": 1})), "of nothing it makes the first");
    }

    fn an_update_after_a_set_starts_from_that(setup) {
        let set_first = |session: &mut Session| {
            session["n"] = 10.into();
            add(session);
        };
        assert_eq!(meet(setup, one, set_first, fifty), (200, json!({"n": 11})));
        let removed_first = |session: &mut Session| {
            session.remove("n");
            add(session);
            add(session);
        };
        assert_eq!(meet(setup, |session| session["n"] = 7.into(), removed_first, fifty), (200, json!({"n": 2})));
    }

    fn a_set_after_an_update_is_a_plain_set(setup) {
        let sets: [fn(&mut Session); 4] = [
            |session| session["n"] = 7.into(),
            |session| session.insert("n", 7).expect("a number"),
            |session| drop(session.data_mut().insert("n", 7)),
            |session| *session.data_mut().get_mut("n").expect("a value") = 7.into(),
        ];
        for set in sets {
            let mine = |session: &mut Session| {
                add(session);
                set(session);
            };
            assert_eq!(meet(setup, one, mine, fifty), (200, json!({"n": 7})));
            let and_again = |session: &mut Session| {
                mine(session);
                add(session);
            };
            assert_eq!(meet(setup, one, and_again, fifty), (200, json!({"n": 8})), "and the next starts from it");
        }
        let removed = |session: &mut Session| {
            add(session);
            session.remove("n");
        };
        assert_eq!(meet(setup, one, removed, fifty), (200, json!({})));
    }

    fn a_set_to_what_an_update_came_to_is_a_plain_set(setup) {
        let sets: [fn(&mut Session); 3] = [
            |session| session["n"] = 2.into(),
            |session| session.insert("n", 2).expect("a number"),
            |session| {
                session.remove("n");
                session.data_mut().insert("n", 2);
            },
        ];
        for set in sets {
            let mine = |session: &mut Session| {
                add(session);
                set(session);
            };
            assert_eq!(meet(setup, one, mine, fifty), (200, json!({"n": 2})));
        }
    }

    fn an_update_after_a_key_was_set_back_starts_from_the_latest(setup) {
        let sets_back: [fn(&mut Session); 3] = [
            |session| session["n"] = 1.into(),
            |session| drop(session.data_mut().insert("n", 1)),
            |session| *session.data_mut().get_mut("n").expect("a value") = 1.into(),
        ];
        for set_back in sets_back {
            let mine = |session: &mut Session| {
                add(session);
                set_back(session);
                add(session);
            };
            assert_eq!(meet(setup, one, mine, fifty), (200, json!({"n": 51})));
        }
        let of_nothing = |session: &mut Session| {
            add(session);
            session.data_mut().clear();
            add(session);
        };
        assert_eq!(meet(setup, |_| {}, of_nothing, fifty), (200, json!({"n": 51})));
    }

    fn a_value_of_another_type_stays(setup) {
        let mine = |session: &mut Session| {
            add(session);
            session["k"] = true.into();
        };
        let theirs = |session: &mut Session| session["n"] = "text".into();
        assert_eq!(meet(setup, one, mine, theirs), (200, json!({"n": "text", "k": true})));
    }

    fn sets_and_removals_stand(setup) {
        let begin = |session: &mut Session| {
            session["a"] = 1.into();
            session["b"] = 1.into();
        };
        let mine = |session: &mut Session| {
            session.remove("a");
            session["b"] = Value::Null;
            session["c"] = "mine".into();
        };
        let theirs = |session: &mut Session| {
            session["a"] = 2.into();
            session["d"] = "theirs".into();
        };
        assert_eq!(meet(setup, begin, mine, theirs), (200, json!({"c": "mine", "d": "theirs"})));
    }

    fn an_update_to_null_removes_and_one_of_a_removed_key_is_replayed(setup) {
        let below_three = |n: Option<u64>| n.map(|n| n + 1).filter(|n| *n < 3);
        let mine = |session: &mut Session| {
            session["k"] = true.into();
            session.update("n", below_three).expect("a number or none");
        };
        for (theirs, left) in [(0, json!(1)), (1, json!(2)), (2, json!(null))] {
            // Here the update removes the key. It is replayed on what the other request has stored.
            let begin = |session: &mut Session| session["n"] = 2.into();
            let theirs = move |session: &mut Session| session["n"] = theirs.into();
            let (status, data) = meet(setup, begin, mine, theirs);
            assert_eq!((status, &data["n"], &data["k"]), (200, &left, &json!(true)));
            assert_eq!(data.get("n").is_some(), !left.is_null());
        }
        // And here it left none.
        let (_, data) = meet(setup, |session| session["a"] = 1.into(), mine, |session| session["n"] = 1.into());
        assert_eq!(data, json!({"a": 1, "n": 2, "k": true}));
    }

    fn one_key_set_by_two_requests_is_told_at_debug_with_its_key_escaped(setup) {
        let told = |mine: fn(&mut Session), theirs: fn(&mut Session)| {
            let begin = |session: &mut Session| session["old"] = 1.into();
            let lines = events_of(|| drop(meet(setup, begin, mine, theirs)));
            lines.into_iter().filter(|line| line.contains("key_overwritten")).collect::<Vec<_>>()
        };
        let lines = told(
            |session| {
                session["evil\nkey"] = "mine".into();
                session["a"] = "mine".into();
                session["same"] = 7.into();
                session.remove("old");
                session.update("n", |n: u64| n + 1).expect("a number");
            },
            |session| {
                session["evil\nkey"] = "theirs".into();
                session["b"] = "theirs".into();
                session["same"] = 7.into();
                session["old"] = 2.into();
                session.update("n", |n: u64| n + 1).expect("a number");
            },
        );
        assert_eq!(lines.len(), 2, "{lines:#?}");
        for (line, key) in lines.iter().zip([r#"key="evil\nkey""#, r#"key="old""#]) {
            assert!(line.starts_with("DEBUG message=key_overwritten handle="), "{line}");
            assert!(line.contains(key) && !line.contains('\n'), "{line}");
            assert!(!line.contains("theirs") && !line.contains("mine"), "no value: {line}");
        }
        let others: [fn(&mut Session); 3] = [
            |session| session["b"] = 2.into(),
            |session| session.set_days(3),
            |_| {},
        ];
        for other in others {
            assert!(told(|session| session["a"] = 1.into(), other).is_empty());
        }
    }

    fn a_replay_that_is_too_large_fails_whole(setup) {
        let mine = |session: &mut Session| {
            session.update("text", |text: String| text + &"x".repeat(40_000)).expect("text");
            session["k"] = true.into();
        };
        let theirs = |session: &mut Session| session["text"] = "y".repeat(40_000).into();
        let (status, data) = meet(setup, one, mine, theirs);
        assert_eq!((status, &data["k"], &data["n"]), (500, &json!(null), &json!(1)));
        assert_eq!(data["text"].as_str().map(str::len), Some(40_000), "theirs stands");
    }

    fn an_expiry_of_its_own_stands_beside_what_others_set(setup) {
        let mine = |session: &mut Session| session.set_days(100);
        assert_eq!(meet(setup, one, mine, fifty), (200, json!({"n": 50})));
    }
}
