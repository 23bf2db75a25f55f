//! A full store in memory: nobody is refused, and who has to go is chosen fairly and told.

use std::time::Duration;

use bsession::{Builder, Clock, Handle, MemoryStore, Secure, Sessions};
use serde_json::json;

use crate::events::events_of;
use crate::support::{SECRET, Site};

fn limited(max_sessions: usize) -> Builder {
    Sessions::builder(SECRET)
        .mode(MemoryStore::new().max_sessions(max_sessions))
        .secure(Secure::Never)
}

/// Logs `user` in as a new visitor, on the thread of the test.
async fn login(sessions: &Sessions, user: &str) {
    let cookie = sessions.cookie_for(|session| session.login(user)).await;
    cookie.expect("nobody is refused");
}

/// The handles of a user's sessions, the oldest first.
async fn handles(sessions: &Sessions, user: &str) -> Vec<Handle> {
    let listed = sessions.of_user(user).await.expect("a list");
    listed.iter().map(|session| session.handle).collect()
}

#[test]
fn a_full_store_refuses_nobody_and_drops_who_would_expire_first() {
    let clock = Clock::default();
    let site = Site::open(limited(3).clock(clock.clone()).build().expect("a service"));
    let step = || clock.advance(Duration::from_secs(120));
    let (oldest, visited, user) = (site.visitor(), site.visitor(), site.visitor());
    oldest.post("/set/me/oldest");
    step();
    visited.post("/set/me/visited");
    step();
    user.post("/login/joe");
    step();
    oldest.get("/get/me");
    step();
    site.visitor().post("/set/me/newcomer");
    assert_eq!(
        visited.get("/get/me").body,
        "null",
        "the longest idle one went"
    );
    assert_eq!(oldest.get("/get/me").body, "\"oldest\"");
    step();
    let users: Vec<_> = (0..2)
        .map(|number| {
            let user = site.visitor();
            assert_eq!(user.post(&format!("/login/user{number}")).status, 200);
            user
        })
        .collect();
    assert_eq!(oldest.get("/get/me").body, "null");
    for user in users.iter().chain([&user]) {
        assert_ne!(user.session()["user"], json!(null));
    }
    assert_eq!(site.sessions.stats().evicted, 0);
    step();
    users.iter().for_each(|user| drop(user.get("/get/me")));
    let newcomer = site.visitor();
    assert_eq!(newcomer.post("/set/me/newcomer").status, 200);
    assert_eq!(newcomer.get("/get/me").body, "\"newcomer\"");
    assert_eq!(
        user.session()["user"],
        json!(null),
        "of those who are logged in the longest idle one went"
    );
    assert_eq!(site.sessions.stats().evicted, 1);
    assert_eq!(site.visitor().post("/set/me/another").status, 200);
    assert_eq!(newcomer.get("/get/me").body, "null");
    for user in &users {
        assert_ne!(user.session()["user"], json!(null));
    }
}

/// One account that logs in again and again must neither lock others out nor push them out.
#[actix_web::test]
async fn an_account_with_a_thousand_sessions_harms_nobody_else() {
    let clock = Clock::default();
    let sessions = limited(100).clock(clock.clone()).build();
    let sessions = sessions.expect("a service");
    for number in 0..90 {
        login(&sessions, &format!("user{number}")).await;
    }
    for _ in 0..1000 {
        clock.advance(Duration::from_millis(1));
        login(&sessions, "mallory").await;
    }
    for number in 0..90 {
        let user = format!("user{number}");
        assert_eq!(handles(&sessions, &user).await.len(), 1, "{user}");
    }
    let own = sessions.of_user("mallory").await.expect("a list");
    assert_eq!(own.len(), 10);
    let newest = own.last().expect("ten").created;
    let age = |session: &bsession::SessionInfo| {
        newest
            .duration_since(session.created)
            .expect("the newest is the last")
    };
    assert!(
        own.iter().map(age).max() < Some(Duration::from_secs(1)),
        "its newest ones"
    );
    assert_eq!(sessions.stats().evicted, 990);
}

#[test]
fn each_eviction_of_a_login_is_counted_and_told_and_one_a_minute_warned_of() {
    let clock = Clock::default();
    let sessions = limited(20).clock(clock.clone()).build();
    let sessions = sessions.expect("a service");
    let mut first_to_go = Vec::new();
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            for number in 0..50 {
                clock.advance(Duration::from_millis(100));
                let user = format!("user{number}");
                login(&sessions, &user).await;
                if number < 30 {
                    let key = sessions.user_key(&user);
                    let handles = handles(&sessions, &user).await;
                    first_to_go.extend(handles.into_iter().map(|handle| (handle, key)));
                }
            }
            for number in 0..50 {
                let count = handles(&sessions, &format!("user{number}")).await.len();
                assert_eq!(count, usize::from(number >= 30));
            }
        });
    });
    assert_eq!(sessions.stats().evicted, 30);
    let evicted: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("INFO message=evicted"))
        .cloned()
        .collect();
    let expected: Vec<_> = first_to_go
        .iter()
        .map(|(handle, user)| format!("INFO message=evicted handle={handle} user={user}"))
        .collect();
    assert_eq!(evicted, expected);
    let warnings = |lines: &[String]| -> Vec<_> {
        let warnings = lines.iter().filter(|line| line.starts_with("WARN"));
        warnings.cloned().collect()
    };
    let [warning] = &warnings(&lines)[..] else {
        panic!("{lines:#?}");
    };
    assert!(warning.contains("store_full"), "{warning}");
    assert!(warning.contains("`max_per_user`"), "{warning}");
    clock.advance(Duration::from_secs(60));
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            login(&sessions, "joe").await;
            login(&sessions, "ann").await;
        });
    });
    assert_eq!(warnings(&lines).len(), 1, "{lines:#?}");
    assert_eq!(sessions.stats().evicted, 32);
    let lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            for _ in 0..3 {
                let cookie = sessions.cookie_for(|session| session["a"] = 1.into());
                cookie.await.expect("nobody is refused");
            }
        });
    });
    assert_eq!(
        sessions.stats().evicted,
        33,
        "the second and the third replace anonymous ones, which are not told of"
    );
    assert_eq!(
        lines.iter().filter(|line| line.contains("evicted")).count(),
        1,
        "{lines:#?}"
    );
}
