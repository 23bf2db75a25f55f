//! The dictionary by itself: what each method does, and what of it is saved.

use bsession::{Error, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::for_each_store;

#[test]
fn missing_keys_read_as_null_and_are_none() {
    let session = Session::default();
    assert_eq!(session["a"], Value::Null);
    assert_eq!(session.get::<String>("a").expect("no error"), None);
    assert!(session.is_new() && session.is_empty() && !session.contains_key("a"));
    assert_eq!(
        (
            session.user(),
            session.handle(),
            session.created_at(),
            session.expires_at()
        ),
        (None, None, None, None)
    );
}

#[test]
fn values_come_back_as_what_they_were() {
    #[derive(Serialize, Deserialize, PartialEq, Debug, Default)]
    struct Cart {
        items: Vec<(String, u32)>,
        total: f64,
    }
    let mut session = Session::default();
    let cart = Cart {
        items: vec![("book".into(), 2)],
        total: 0.1 + 0.2,
    };
    session.insert("cart", &cart).expect("a cart is JSON");
    assert_eq!(session.get::<Cart>("cart").expect("a cart"), Some(cart));
    session["name"] = "joe".into();
    assert_eq!(
        session.get::<&str>("name").expect("text"),
        Some("joe"),
        "borrowed from the session"
    );
    assert_eq!(
        session
            .get::<u8>("name")
            .expect_err("text is no number")
            .to_string(),
        "session key `name` holds no `u8`: get it as what was inserted, or remove it"
    );
    assert_eq!(session.take::<u8>("name").map_err(|_| ()), Err(()));
    assert!(session.contains_key("name"), "a failed take takes nothing");
    assert_eq!(
        session.take::<String>("name").expect("text").as_deref(),
        Some("joe")
    );
    assert!(!session.contains_key("name"));
    assert_eq!(
        session.remove("cart").expect("a value")["items"],
        json!([["book", 2]])
    );
    assert_eq!(session.remove("cart"), None);
}

#[test]
fn keys_stand_in_order() {
    let mut session = Session::default();
    for key in ["c", "a", "b"] {
        session.insert(key, key).expect("text");
    }
    session.data_mut().insert("aa", 1);
    assert_eq!(
        session.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        ["a", "aa", "b", "c"]
    );
    assert_eq!((session.len(), session.data().len()), (4, 4));
    assert_eq!(serde_json::to_value(session.data()).expect("JSON")["aa"], 1);
}

#[test]
fn update_starts_from_the_default_and_refuses_another_type() {
    let mut session = Session::default();
    assert_eq!(session.update("n", |n: u64| n + 1).expect("a number"), 1);
    assert_eq!(session.update("n", |n: u64| n + 1).expect("a number"), 2);
    session["n"] = "text".into();
    assert!(
        matches!(session.update("n", |n: u64| n + 1), Err(Error::Type { key, .. }) if key == "n")
    );
    assert_eq!(session["n"], "text");
    session["n"] = Value::Null;
    assert_eq!(
        session
            .update("n", |n: u64| n + 1)
            .expect("Null is nothing"),
        1
    );
}

/// Null is no value: a key is in the dictionary if, and only if, `get` finds something.
#[test]
fn a_key_set_to_null_is_removed_however_it_is_set() {
    let nulled: [fn(&mut Session); 8] = [
        |session| session["k"] = Value::Null,
        |session| session["k"] = f64::NAN.into(),
        |session| session.insert("k", None::<u8>).expect("JSON"),
        |session| drop(session["k"].take()),
        |session| {
            drop(
                session
                    .update("k", |_: Option<Value>| None::<Value>)
                    .expect("any"),
            )
        },
        |session| drop(session.data_mut().insert("k", Value::Null)),
        |session| session.data_mut()["k"] = Value::Null,
        |session| session.data_mut().extend([("k", Value::Null)]),
    ];
    for null in nulled {
        for begins in [None, Some(1)] {
            let mut session = Session::default();
            session.insert("k", begins).expect("JSON");
            session["other"] = 1.into();
            null(&mut session);
            assert!(!session.contains_key("k") && !session.data().contains_key("k"));
            assert_eq!(
                (session.len(), session.get::<Value>("k").expect("any")),
                (1, None)
            );
            assert_eq!(session.remove("k"), None);
            assert_eq!(session.iter().collect::<Vec<_>>(), [("other", &1.into())]);
        }
    }
    let mut session = Session::default();
    session["list"] = vec![None, Some(1)].into();
    assert_eq!(
        session["list"][0],
        Value::Null,
        "a Null inside a value is part of it"
    );
    assert_eq!(session["missing"].as_array_mut(), None);
    assert_eq!(session.len(), 1, "nothing is made by a look");
}

#[test]
fn a_number_that_json_does_not_have_is_refused_and_changes_nothing() {
    #[derive(Serialize, Deserialize, Default)]
    struct Place {
        name: String,
        at: Vec<(f32, f32)>,
    }
    let refused = |result: bsession::Result<()>| {
        let error = result.expect_err("not finite");
        assert!(matches!(&error, Error::Json { key, .. } if key == "n"));
        assert_eq!(
            error.to_string(),
            "the value for session key `n` cannot be written as JSON, which has no NaN, no infinity and no integer \
             beyond 64 bits, and where the keys of a map are text or numbers: insert it in another shape"
        );
    };
    let mut session = Session::default();
    refused(session.insert("n", i128::from(u64::MAX) + 1));
    refused(session.insert("n", [i128::MIN]));
    session.insert("n", i128::from(u64::MAX)).expect("64 bits");
    assert_eq!(session["n"], u64::MAX);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut session = Session::default();
        session.insert("n", 1.5).expect("a number");
        refused(session.insert("n", bad));
        refused(session.insert("n", vec![Some(0.5), Some(bad)]));
        refused(session.insert("n", std::collections::BTreeMap::from([("a", [bad])])));
        refused(session.update("n", move |_: f64| bad).map(drop));
        assert_eq!(session["n"], 1.5);
        let place = Place {
            name: "here".into(),
            at: vec![(0.5, f32::NAN)],
        };
        refused(session.insert("n", place));
        assert_eq!(session["n"], 1.5);
        let mut session = Session::default();
        refused(session.insert("n", bad));
        refused(session.update("n", move |_: f64| bad).map(drop));
        assert!(session.is_empty());
    }
}

#[test]
fn nested_values_are_set_in_place() {
    let mut session = Session::default();
    session["a"]["b"] = 1.into();
    assert_eq!(session["a"], json!({"b": 1}));
}

#[test]
fn a_session_shows_no_value_and_no_user() {
    let mut session = Session::default();
    session.login("secret-joe");
    session["password"] = "secret-123".into();
    let shown = format!("{session:?} {:?}", session.data());
    assert!(
        shown.contains("password") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn claim_without_a_request_says_what_it_needs() {
    let mut session = Session::default();
    session["own"] = 1.into();
    actix_web::rt::System::new().block_on(async {
        assert_eq!(
            session.claim::<u8>("own").await.expect("its own value"),
            Some(1)
        );
        assert_eq!(session.claim::<u8>("own").await.expect("nothing"), None);
    });
}

#[test]
fn a_default_session_is_purged_by_either_name() {
    for purge in [Session::purge, Session::clear, Session::logout] {
        let mut session = Session::default();
        session.login("joe");
        session["a"] = 1.into();
        purge(&mut session);
        assert_eq!((session.user(), session.len()), (None, 0));
    }
}

/// Sets a key to Null.
mod null {
    use actix_web::web::ServiceConfig;
    use actix_web::{Responder, post};
    use bsession::session;

    #[post("/null/{what}")]
    #[session]
    async fn null() -> bsession::Result<impl Responder> {
        session["k"] = serde_json::Value::Null;
        let got: Option<String> = session.get("k")?;
        Ok(format!(
            "{} {} {got:?}",
            session.contains_key("k"),
            session.len()
        ))
    }

    #[post("/staff")]
    #[session(require = "k")]
    async fn staff() -> impl Responder {
        "let in"
    }

    pub fn routes(config: &mut ServiceConfig) {
        config.service(null).service(staff);
    }
}

/// One handler for each mutator, to see that each alone is enough to be saved.
mod alone {
    use actix_web::web::{Data, Path, ServiceConfig};
    use actix_web::{Responder, post};
    use bsession::session;
    use serde_json::Value;

    use crate::support::Gate;

    #[post("/alone/{what}")]
    #[session]
    async fn alone(what: Path<String>) -> bsession::Result<impl Responder> {
        match &**what {
            "index" => session["key"] = "new".into(),
            "nested" => session["map"]["inner"] = 2.into(),
            "insert" => session.insert("key", "new")?,
            "update" => drop(session.update("number", |n: u64| n + 1)?),
            "remove" => drop(session.remove("key")),
            "take" => drop(session.take::<Value>("key")?),
            "claim" => drop(session.claim::<Value>("key").await?),
            "data_mut" => drop(session.data_mut().insert("key", "new")),
            "data_clear" => session.data_mut().clear(),
            "login" => session.login("joe"),
            "set_days" => session.set_days(3),
            "set_idle" => session.set_idle(std::time::Duration::from_secs(5)),
            "set_note" => session.set_note("new"),
            "same_note" => session.set_note(""),
            "renew" => session.renew(),
            "purge" => session.purge(),
            "clear" => session.clear(),
            "logout" => session.logout(),
            "read" => drop((
                session["key"].clone(),
                session.get::<Value>("key")?,
                session.len(),
            )),
            "equal" => session["key"] = "old".into(),
            "back_and_forth" => {
                session["key"] = "new".into();
                session["key"] = "old".into();
            }
            "zero" => session["number"] = 0.into(),
            "left_null" => drop(session.data_mut()["missing"].take()),
            "mutable_look" => drop(session["key"].as_str().map(str::to_owned)),
            "failed_insert" => {
                drop(session.insert("key", std::collections::HashMap::from([((1, 2), 3)])))
            }
            "update_to_equal" => drop(session.update("number", |n: u64| n)?),
            other => panic!("no such thing: {other}"),
        }
        Ok("done")
    }

    pub fn routes(config: &mut ServiceConfig) {
        config.service(alone).service(begin).service(invert);
    }

    /// Divides one by the number, and waits before that is saved.
    #[post("/invert")]
    #[session]
    async fn invert(gate: Data<Gate>) -> bsession::Result<impl Responder> {
        let inverse = session.update("number", |n: f64| 1.0 / n)?;
        gate.pass().await;
        Ok(inverse.to_string())
    }

    #[post("/begin")]
    #[session]
    async fn begin() -> impl Responder {
        session["key"] = "old".into();
        session["number"] = 1.into();
        session["map"] = serde_json::json!({"inner": 1});
        "begun"
    }
}

for_each_store! {
    fn a_key_set_to_null_is_gone_in_this_request_and_the_next(setup) {
        let site = crate::support::Site::open_with(setup.sessions(), null::routes);
        let visitor = site.visitor();
        assert_eq!(visitor.post("/null/new").body, "false 0 None");
        assert_eq!(visitor.token(), None, "there is nothing to keep");
        visitor.post("/set/k/value");
        assert_eq!((visitor.post("/staff").status, visitor.session()["data"]["k"].as_str()), (200, Some("value")));
        assert_eq!(visitor.post("/null/old").body, "false 0 None");
        assert_eq!(visitor.session()["data"], serde_json::json!({}));
        assert_eq!((visitor.post("/claim/k").body, visitor.post("/staff").status), ("null".into(), 401));
    }

    fn every_mutator_alone_is_saved_and_nothing_else_is(setup) {
        let site = crate::support::Site::open_with(setup.sessions(), alone::routes);
        let writes = |stats: bsession::Stats| stats.creates + stats.commits + stats.removals;
        for (what, expected) in [
            ("index", 1), ("nested", 1), ("insert", 1), ("update", 1), ("remove", 1), ("take", 1), ("claim", 1),
            ("data_mut", 1), ("data_clear", 1), ("login", 1), ("set_days", 1), ("set_idle", 1), ("set_note", 1),
            ("renew", 1),
            ("purge", 1), ("clear", 1), ("logout", 1),
            ("read", 0), ("equal", 0), ("back_and_forth", 0), ("left_null", 0), ("mutable_look", 0),
            ("failed_insert", 0), ("update_to_equal", 0), ("same_note", 0),
        ] {
            let visitor = site.visitor();
            visitor.post("/begin");
            let (session, before) = (visitor.session(), writes(site.sessions.stats()));
            assert_eq!(visitor.post(&format!("/alone/{what}")).status, 200, "{what}");
            assert_eq!(writes(site.sessions.stats()) - before, expected, "{what}");
            let same = visitor.session() == session;
            let invisible = ["set_days", "set_idle", "set_note", "renew"].contains(&what);
            assert_eq!(same, expected == 0 || invisible, "{what}");
        }
    }

    fn an_update_that_no_longer_makes_a_number_leaves_the_later_value(setup) {
        let site = crate::support::Site::open_with(setup.sessions(), alone::routes);
        let visitor = site.visitor();
        visitor.post("/begin");
        let slow = visitor.meanwhile(|visitor| visitor.post("/invert"));
        site.gate.await_arrivals(1);
        assert_eq!(visitor.post("/alone/zero").status, 200);
        site.gate.open(1);
        let reply = slow.join().expect("an answer");
        assert_eq!((reply.status, &*reply.body), (200, "1"));
        assert_eq!(visitor.session()["data"]["number"], 0);
    }

    fn numbers_come_back_exactly(setup) {
        let sessions = setup.sessions();
        let numbers = [0.1, 1.0 / 3.0, 5e-324, 1.797_693_134_862_315_7e308, 123_456_789.123_456_79];
        actix_web::rt::System::new().block_on(async {
            use actix_web::FromRequest;
            let cookie = sessions.cookie_for(|session| session.insert("numbers", numbers).expect("numbers")).await.expect("a session");
            let request = actix_web::test::TestRequest::default().app_data(sessions.clone()).cookie(cookie).to_http_request();
            let mut connection = bsession::Connection::extract(&request).await.expect("a session");
            assert_eq!(connection.session().get::<[f64; 5]>("numbers").expect("numbers"), Some(numbers));
        });
    }
}
