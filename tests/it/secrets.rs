//! Secrets: refused when they are none, rotated without logging anybody out.

use actix_web::test::TestRequest;
use bsession::{InitError, Mode, Secret, Sessions, connect};
use serde_json::json;

use crate::support::{Kind, SECRET, Setup, Site, Visitor, for_each_store, secret};

fn refused(secret: impl Into<Secret>) -> String {
    let error = Sessions::builder(secret)
        .mode(Mode::Memory)
        .build()
        .expect_err("no secret");
    assert!(matches!(error, InitError::Secret { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("openssl rand -base64 48") && text.contains("Secret::load_or_create"),
        "{text}"
    );
    text
}

#[test]
fn what_is_no_secret_is_refused() {
    assert!(refused("").contains("is empty"));
    assert!(refused("short").contains("has 5 bytes and needs 32"));
    assert!(refused([7; 31]).contains("has 31 bytes"));
    assert!(refused([0; 64]).contains("one byte again and again"));
    let previous = Sessions::builder(SECRET).previous_secret("short").build();
    assert!(matches!(previous, Err(InitError::Secret { .. })));
    let twice = Sessions::builder(SECRET)
        .previous_secret(SECRET)
        .build()
        .expect_err("one secret twice");
    assert!(twice.to_string().contains("given twice"), "{twice}");
}

/// `main` shows the error that it returns by `Debug`.
#[test]
fn an_error_that_main_returns_says_what_to_do() {
    let errors: [Box<dyn std::error::Error>; 3] = [
        Box::new(Sessions::builder("short").build().expect_err("too short")),
        Box::new(Secret::from_env("BSESSION_TEST_UNSET").expect_err("not set")),
        Box::new(Secret::load_or_create("/nowhere/at/all").expect_err("no directory")),
    ];
    for error in errors {
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.to_string().contains(": "), "{error}");
    }
    let unset = Secret::from_env("BSESSION_TEST_UNSET")
        .expect_err("not set")
        .to_string();
    assert!(
        unset.contains("`BSESSION_TEST_UNSET` is not set") && unset.contains("openssl"),
        "{unset}"
    );
}

#[test]
fn a_random_secret_is_one_and_never_the_same() {
    let [one, other] = [(); 2].map(|()| Secret::random().expect("random bytes"));
    Sessions::builder(one)
        .previous_secret(other)
        .build()
        .expect("two secrets");
}

#[test]
fn a_secret_is_never_shown() {
    let secret = Secret::from(SECRET);
    let shown = format!("{secret:?} {:?}", Sessions::builder(secret.clone()));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn a_secret_is_made_once_and_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("secret");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || drop(Secret::load_or_create(path).expect("a secret")))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("no panic"));
    let text = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(text.trim().len(), 64);
    drop(Secret::load_or_create(&path).expect("the same"));
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
    assert_eq!(
        std::fs::read_dir(dir.path())
            .expect("the directory")
            .count(),
        1,
        "no draft is left"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&path)
                .expect("the file")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    std::fs::write(&path, "short\n").expect("the file");
    assert!(matches!(
        Secret::load_or_create(&path),
        Err(InitError::Secret { .. })
    ));
    let nowhere = Secret::load_or_create(dir.path().join("missing/secret"));
    assert!(matches!(nowhere, Err(InitError::SecretFile { .. })));
}

/// A server with these secrets, the current one first, on the store of the test.
fn server(setup: &Setup, secrets: &[usize]) -> Site {
    let builder = setup.builder_with(&secret(secrets[0]));
    let builder = secrets[1..].iter().fold(builder, |builder, &number| {
        builder.previous_secret(secret(number))
    });
    Site::open(builder.build().expect("a service"))
}

#[test]
fn a_rolling_rotation_logs_nobody_out() {
    let setup = Setup::new(Kind::File);
    let old = server(&setup, &[1]);
    let visitor = old.visitor();
    visitor.post("/login/joe");
    visitor.post("/set/name/joe");
    // First everywhere as a previous one: servers with and without it understand each other.
    let prepared = server(&setup, &[1, 2]);
    let there = visitor.at(prepared.address);
    assert_eq!(there.session()["user"], json!("joe"));
    assert_eq!(visitor.session()["user"], json!("joe"));
    drop(old);
    // Then as the first one: a server that is still prepared understands what this one signs.
    let rotated = server(&setup, &[2, 1]);
    let here = visitor.at(rotated.address);
    let before = here.token();
    let moved = here.get("/all");
    assert_eq!(moved.json()["user"], json!("joe"));
    assert_eq!(
        moved.set_cookies().len(),
        1,
        "the cookie moves over at the next visit"
    );
    assert_ne!(here.token(), before);
    assert_eq!(here.get("/all").set_cookies(), Vec::<&str>::new(), "once");
    assert_eq!(there.session()["data"], json!({"name": "joe"}));
    // A server that does not know yet that the other secret is the newer one took it back.
    assert_eq!(here.get("/all").set_cookies().len(), 1);
    drop(prepared);
    // The old one is gone; who came by meanwhile is still there.
    let finished = server(&setup, &[2]);
    assert_eq!(visitor.at(finished.address).session()["user"], json!("joe"));
}

#[test]
fn a_save_moves_a_visitor_over_as_well() {
    let setup = Setup::new(Kind::File);
    let old = server(&setup, &[1]);
    let visitor = old.visitor();
    visitor.post("/set/name/joe");
    let rotated = server(&setup, &[2, 1]);
    let saved = visitor.at(rotated.address).post("/set/name/eve");
    assert_eq!(
        saved.set_cookies().len(),
        1,
        "the cookie goes with the save"
    );
    let finished = server(&setup, &[2]);
    assert_eq!(
        visitor.at(finished.address).session()["data"],
        json!({"name": "eve"})
    );
}

#[test]
fn a_claim_that_meets_another_save_moves_a_visitor_over_as_well() {
    let setup = Setup::new(Kind::File);
    let old = server(&setup, &[1]);
    let visitor = old.visitor();
    visitor.post("/set/code/once");
    let cookie = format!("bsession={}", visitor.token().expect("a cookie"));
    let rotated = server(&setup, &[2, 1]);
    let request = TestRequest::default()
        .app_data(rotated.sessions.clone())
        .insert_header(("cookie", cookie))
        .to_http_request();
    actix_web::rt::System::new().block_on(async {
        let mut connection = connect(&request).await.expect("a session");
        visitor.post("/set/name/joe");
        let code = connection.session().claim::<String>("code").await;
        assert_eq!(code.expect("a claim").as_deref(), Some("once"));
        assert_eq!(rotated.sessions.stats().conflicts, 1);
        let response = connection
            .respond(&request, "claimed")
            .await
            .into_response();
        assert_eq!(response.cookies().count(), 1, "the cookie goes with it");
    });
}

/// A browser may keep the cookie of before beside the new one, under another path.
#[test]
fn one_id_under_two_secrets_has_moved_over_already() {
    let setup = Setup::new(Kind::File);
    let old = server(&setup, &[1]);
    let visitor = old.visitor();
    visitor.post("/set/name/joe");
    let before = visitor.token().expect("a cookie");
    let rotated = server(&setup, &[2, 1]);
    let here = visitor.at(rotated.address);
    here.get("/all");
    let after = here.token().expect("a cookie");
    assert_ne!(before, after);
    for both in [
        format!("bsession={before}; bsession={after}"),
        format!("bsession={after}; bsession={before}"),
    ] {
        let reply = rotated.with_cookies("GET", "/get/name", &[both.as_bytes()]);
        assert_eq!((&*reply.body, reply.set_cookies()), ("\"joe\"", vec![]));
    }
}

#[test]
fn a_retired_secret_ends_its_own_cookies_only() {
    let setup = Setup::new(Kind::File);
    let (old, new) = (server(&setup, &[1]), server(&setup, &[2]));
    let (early, late) = (old.visitor(), new.visitor());
    early.post("/set/name/early");
    late.post("/set/name/late");
    assert_eq!(early.at(new.address).session()["data"], json!({}));
    assert_eq!(late.session()["data"], json!({"name": "late"}));
    assert_eq!(
        early.session()["data"],
        json!({"name": "early"}),
        "the files of another secret are left alone"
    );
    assert_eq!(new.sessions.sweep().expect("a sweep"), 0);
    assert_eq!(early.session()["data"], json!({"name": "early"}));
}

for_each_store! {
    fn twenty_previous_secrets_cost_what_one_costs(setup) {
        let site = server(setup, &(1..=21).collect::<Vec<_>>());
        let visitor: Visitor = site.visitor();
        visitor.post("/set/name/joe");
        assert_eq!(visitor.session()["data"], json!({"name": "joe"}));
    }

    fn realms_are_worlds_apart_unless_shared_on_purpose(setup) {
        let first = Site::open(setup.builder().build().expect("a service"));
        let token = first.with_cookies("POST", "/set/name/joe", &[]).token().expect("a cookie").to_owned();
        let apart = Site::open(setup.builder().realm("apart").build().expect("a service"));
        assert_eq!(apart.with_token("GET", "/get/name", &token).body, "null");
        assert_eq!(apart.sessions.stats().bad_cookies, 1);
        if setup.kind == Kind::File {
            let shared = Site::open(setup.builder().cookie_name("other").realm("bsession").build().expect("a service"));
            let cookie = format!("other={token}");
            assert_eq!(shared.with_cookies("GET", "/get/name", &[cookie.as_bytes()]).body, "\"joe\"");
        }
    }
}
