//! The cookie, as the browser has stored it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use thirtyfour::common::cookie::SameSite;

use crate::story;

const DAY: i64 = 24 * 60 * 60;

#[test]
fn the_browser_keeps_the_cookie_as_promised() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        let cookie = ann.cookie().await.expect("a cookie");
        assert_eq!(cookie.http_only, Some(true));
        assert_eq!(cookie.same_site, Some(SameSite::Lax));
        assert_eq!(cookie.path.as_deref(), Some("/"));
        // Of this host alone: one for a domain begins with a dot.
        assert_eq!(cookie.domain.as_deref(), Some("127.0.0.1"));
        // A debug build leaves it out on loopback, and no other does.
        assert_eq!(cookie.secure, Some(!cfg!(debug_assertions)));

        // 30 days, and a tenth.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
        let now = i64::try_from(now.as_secs()).expect("not so late");
        let left = cookie.expiry.expect("an end") - now;
        assert!((33 * DAY - 60..=33 * DAY).contains(&left), "{left} s");
    });
}

#[test]
fn a_script_does_not_see_the_cookie() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        assert!(ann.cookie().await.is_some());
        assert_eq!(ann.script("return document.cookie").await, json!(""));
        let seen = "return (async () => (await cookieStore.getAll()).length)()";
        assert_eq!(ann.script(seen).await, json!(0));
        // Nor can it put another one in its place.
        ann.script("document.cookie = 'bsession=planted; path=/'")
            .await;
        ann.reload().await;
        ann.shows("Good to see you, Ann.").await;
    });
}
