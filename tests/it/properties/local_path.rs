//! A local path, read by a URL parser as browsers read it.

use std::borrow::Cow;

use actix_web::http::header::HeaderValue;
use bsession::LocalPath;
use proptest::prelude::*;
use url::{Position, Url};

use super::for_all;

const SITE: &str = "https://site.example/some/page?a=b";

/// What browsers strip, correct or take for something else.
const NOISE: [&str; 10] = [
    "\\", "\t", "\n", "\r", " ", "\0", "\u{7f}", "\u{ff0f}", "\u{3002}", "\u{ad}",
];

/// Texts of what hosts, schemes and slashes are made of, mostly with one piece of noise at least.
fn hostile() -> impl Strategy<Value = String> {
    let noise = prop::sample::select(&NOISE[..]);
    let start = (prop::sample::select(vec!["", "/", "//"]), noise)
        .prop_map(|(start, noise)| format!("{start}{noise}"));
    let start = prop_oneof![Just("/".to_owned()), Just(String::new()), start];
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "evil.example",
        "@",
        ":",
        "http:",
        "javascript:",
        "?",
        "#",
        "[::1]",
        "80",
        ".",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "%09",
        "%",
        "a",
    ]);
    let pieces = prop::collection::vec(piece, 0..5);
    (start, pieces).prop_map(|(start, pieces)| start + &pieces.concat())
}

#[test]
fn a_local_path_stays_on_the_site() {
    let site = Url::parse(SITE).expect("a URL");
    let texts = prop_oneof![4 => hostile(), 1 => "/[ -~]{0,8}", 1 => any::<String>()];
    for_all(&texts, |text| {
        let Ok(path) = text.parse::<LocalPath>() else {
            return;
        };
        assert_eq!(path.as_str(), text);
        let target: Cow<'static, str> = path.into();
        HeaderValue::from_str(&target).expect("a value for `Location`");
        let joined = site.join(&target).expect("a URL");
        assert_eq!(
            joined[..Position::BeforePath],
            site[..Position::BeforePath],
            "{text:?}"
        );
    });
}

#[test]
fn what_a_browser_asks_the_site_for_is_a_local_path() {
    let site = Url::parse(SITE).expect("a URL");
    let texts = prop_oneof![hostile(), "/[ -~]{0,12}", any::<String>()];
    for_all(&texts, |text| {
        let Ok(url) = site.join(&text) else { return };
        let asked = &url[Position::BeforePath..];
        if !asked.starts_with('/') || asked.starts_with("//") || asked.contains('\\') {
            return;
        }
        let path: LocalPath = asked.parse().expect(asked);
        assert_eq!(
            &site.join(path.as_str()).expect("a URL")[Position::BeforePath..],
            asked
        );
    });
}
