//! What comes in as a cookie: only our own tokens under our own name are anything at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bsession::testing::Fault;
use bsession::{AtLimit, Secure, Sessions};

use crate::support::{Faults, SECRET, Setup, Site, for_each_store};

/// A session with a value in it, and its token.
fn begin(site: &Site) -> String {
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    reply
        .token()
        .expect("the first change sets a cookie")
        .to_owned()
}

fn reads_joe(site: &Site, headers: &[&[u8]]) -> bool {
    let reply = site.with_cookies("GET", "/get/name", headers);
    assert_eq!(reply.status, 200);
    match &*reply.body {
        "\"joe\"" => true,
        "null" => false,
        other => panic!("neither joe nor nobody: {other}"),
    }
}

/// The request goes on as a visitor without a session: answered, nothing set, the store not asked.
fn is_anonymous(site: &Site, headers: &[&[u8]]) {
    let before = site.sessions.stats();
    assert!(!reads_joe(site, headers), "{headers:?}");
    let reply = site.with_cookies("GET", "/all", headers);
    assert_eq!(
        (reply.status, reply.set_cookies()),
        (200, vec![]),
        "{headers:?}"
    );
    assert_eq!(
        site.sessions.stats().loads,
        before.loads,
        "the store was asked: {headers:?}"
    );
}

for_each_store! {
    fn without_one_of_ours_a_visitor_has_no_session(setup) {
        let site = setup.site();
        let good = begin(&site);
        let [long, endless] = [4 << 10, 64 << 10].map(|length| format!("bsession={}", "A".repeat(length)));
        let garbage: &[&[u8]] = &[
            b"", b"bsession=", b"bsession", b"=x", b";", b";;;", b"bsession=x", b"bsession=\"\"",
            b"bsession=\x80\xff", b"bsession=a\tb", long.as_bytes(), endless.as_bytes(),
        ];
        is_anonymous(&site, &[]);
        for value in garbage {
            is_anonymous(&site, &[value]);
        }
        // The server itself refuses what HTTP does not allow in a header.
        for refused in [b"bsession=\x7f", b"bsession=\0"] {
            assert_eq!(site.with_cookies("GET", "/get/name", &[refused]).status, 400);
        }
        for spoiled in [
            good[1..].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}A"),
            format!("{good}="),
            format!("\"{good}\""),
            format!("{}%3D", &good[..61]),
            format!("%{:02X}{}", good.as_bytes()[0], &good[1..]),
            good.to_lowercase(),
            good.replace(|c: char| c.is_ascii_alphanumeric(), "-"),
        ] {
            is_anonymous(&site, &[format!("bsession={spoiled}").as_bytes()]);
        }
    }

    fn a_token_is_good_under_its_very_name_alone(setup) {
        let site = setup.site();
        let good = begin(&site);
        for name in ["Bsession", "bsession2", "xbsession", "%62session", "bsessio", "__Host-bsession"] {
            is_anonymous(&site, &[format!("{name}={good}").as_bytes()]);
        }
        let reply = site.with_cookies("GET", &format!("/get/name?bsession={good}"), &[]);
        assert_eq!(reply.body, "null", "an id in the query is none");
        let header = format!("GET /get/name HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Bsession: {good}\r\nAuthorization: {good}\r\n\r\n");
        assert_eq!(site.raw(header.as_bytes()).body, "null", "an id in another header is none");
        let form = format!("bsession={good}");
        let length = form.len();
        let form = format!("POST /add/n HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}");
        let begun = site.raw(form.as_bytes());
        assert!(begun.token().is_some_and(|token| token != good), "an id in a form is none");
        assert_eq!(site.with_token("GET", "/get/n", &good).body, "null");
    }

    fn broken_neighbours_hide_nothing(setup) {
        let site = setup.site();
        let good = begin(&site);
        let ours = format!("bsession={good}");
        for neighbour in [&b"x=\xff\xfe"[..], b"broken", b"=", b"a=b=c", b"x=\"un;closed", b"%zz=%zz"] {
            let before = [neighbour, b"; ", ours.as_bytes()].concat();
            let after = [ours.as_bytes(), b"; ", neighbour].concat();
            assert!(reads_joe(&site, &[&before]), "{neighbour:?} before");
            assert!(reads_joe(&site, &[&after]), "{neighbour:?} after");
            assert!(reads_joe(&site, &[neighbour, ours.as_bytes()]), "{neighbour:?} in a line before");
        }
        for spelling in [format!("  {ours}  "), format!("a=1;{ours}"), format!("a=1;\t{ours}\t;b=2")] {
            assert!(reads_joe(&site, &[spelling.as_bytes()]), "{spelling:?}");
        }
    }

    fn garbage_of_our_name_before_the_good_one_hides_nothing(setup) {
        let site = setup.site();
        let good = begin(&site);
        let forged = "A".repeat(64);
        for many in [1, 2, 50] {
            let line = format!("{}bsession={good}", format!("bsession={forged}; ").repeat(many));
            assert!(reads_joe(&site, &[line.as_bytes()]), "{many} before it");
        }
        let before = site.sessions.stats().bad_cookies;
        let flood = "bsession=A; ".repeat(2_001);
        is_anonymous(&site, &[flood.as_bytes()]);
        let looked_at = site.sessions.stats().bad_cookies - before;
        assert_eq!(looked_at, 2 * 2_000, "of a flood only so many are looked at, in each of two requests");
    }

    fn of_many_sessions_four_are_loaded_and_a_logout_ends_all(setup) {
        let site = setup.site();
        let tokens: Vec<_> = (0..180).map(|_| begin(&site)).collect();
        let pairs: Vec<_> = tokens.iter().map(|token| format!("bsession={token}")).collect();
        let all = pairs.join("; ");
        let before = site.sessions.stats();
        site.with_cookies("GET", "/get/name", &[all.as_bytes()]);
        let loads = site.sessions.stats().loads - before.loads;
        assert_eq!(loads, 4);
        let reply = site.with_cookies("POST", "/logout", &[all.as_bytes()]);
        assert!(reply.removes_cookie());
        let ends = site.sessions.stats().removals - before.removals;
        assert_eq!(ends, 180);
    }

    fn every_bit_of_a_token_counts(setup) {
        let site = setup.site();
        let good = begin(&site);
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut spoiled = good.clone().into_bytes();
                spoiled[place] ^= 1 << bit;
                // What cannot stand in a header is refused by the server before anybody reads it.
                if !spoiled[place].is_ascii_control() && spoiled[place] != b';' && spoiled[place] != b' ' {
                    is_anonymous(&site, &[&[b"bsession=", &*spoiled].concat()]);
                }
            }
        }
    }

    fn the_mac_of_one_id_is_worth_nothing_beside_another(setup) {
        let site = setup.site();
        let (one, other) = (begin(&site), begin(&site));
        // 33 characters hold the key id and the id of 24 bytes, but for two bits.
        is_anonymous(&site, &[format!("bsession={}{}", &one[..33], &other[33..]).as_bytes()]);
        is_anonymous(&site, &[format!("bsession={}{}", &one[..36], &other[36..]).as_bytes()]);
    }

    fn a_hundred_thousand_forgeries_reach_no_store(setup) {
        use actix_web::FromRequest;
        let sessions = setup.sessions();
        actix_web::rt::System::new().block_on(async {
            for number in 0..100_000_u64 {
                let token = format!("{number:064}");
                let request = actix_web::test::TestRequest::default()
                    .app_data(sessions.clone())
                    .insert_header(("cookie", format!("bsession={token}")))
                    .to_http_request();
                let mut connection = bsession::Connection::extract(&request).await.expect("a visitor");
                assert!(connection.session().is_new());
            }
        });
        let stats = sessions.stats();
        assert_eq!((stats.loads, stats.creates, stats.bad_cookies), (0, 0, 100_000));
    }

    fn of_two_sessions_the_only_live_one_counts(setup) {
        let site = setup.site();
        let (live, dead) = (begin(&site), begin(&site));
        site.with_token("POST", "/logout", &dead);
        setup.clock.advance(std::time::Duration::from_secs(61));
        for line in [format!("bsession={dead}; bsession={live}"), format!("bsession={live}; bsession={dead}")] {
            assert!(reads_joe(&site, &[line.as_bytes()]));
        }
        let twice = format!("bsession={live}; bsession={live}");
        assert!(reads_joe(&site, &[twice.as_bytes()]), "one cookie twice is one cookie");
    }

    fn purge_removes_all_that_were_shown(setup) {
        let site = setup.site();
        let (one, other) = (begin(&site), begin(&site));
        let both = format!("bsession={one}; bsession={other}");
        let reply = site.with_cookies("POST", "/logout", &[both.as_bytes()]);
        assert!(reply.removes_cookie());
        for token in [one, other] {
            assert_eq!(site.with_token("GET", "/get/name", &token).body, "null");
        }
        assert!(site.with_cookies("POST", "/logout", &[b"bsession=garbage"]).removes_cookie());
        assert_eq!(site.with_cookies("POST", "/logout", &[]).set_cookies(), Vec::<&str>::new());
    }
}

#[test]
fn the_cookie_has_the_promised_attributes() {
    use bsession::{Mode, SameSite, Secure, Sessions};
    let set_cookie = |builder: bsession::Builder, host: &str| {
        let site = Site::open(builder.mode(Mode::Memory).build().expect("a service"));
        let request = format!(
            "POST /set/a/b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let reply = site.raw(request.as_bytes());
        assert_eq!(reply.header("cache-control"), ["no-store"]);
        assert_eq!(reply.header("vary"), ["Cookie"]);
        let [cookie] = reply.header("set-cookie")[..] else {
            panic!("one cookie: {reply:?}")
        };
        let (pair, attributes) = cookie.split_once("; ").expect("attributes");
        let mut attributes: Vec<_> = attributes.split("; ").map(str::to_owned).collect();
        attributes.sort();
        (
            pair.split('=').next().expect("a name").to_owned(),
            attributes,
        )
    };
    let builder = || Sessions::builder(crate::support::SECRET);
    let secure = [
        "HttpOnly",
        "Max-Age=2851200",
        "Path=/",
        "SameSite=Lax",
        "Secure",
    ];
    let name = if cfg!(debug_assertions) {
        "bsession"
    } else {
        "__Host-Http-bsession"
    };
    assert_eq!(
        set_cookie(builder(), "example.org"),
        (name.to_owned(), secure.map(String::from).to_vec())
    );
    let plain: Vec<_> = secure[..4].iter().map(|text| text.to_string()).collect();
    for loopback in [
        "localhost",
        "localhost:8080",
        "a.localhost",
        "127.0.0.1:80",
        "127.9.9.9",
        "[::1]:8080",
        "LOCALHOST",
    ] {
        let expected = if cfg!(debug_assertions) {
            plain.clone()
        } else {
            secure.map(String::from).to_vec()
        };
        assert_eq!(set_cookie(builder(), loopback).1, expected, "{loopback}");
        assert_eq!(
            set_cookie(builder().secure(Secure::Always), loopback).1,
            secure
        );
        assert_eq!(
            set_cookie(builder().cookie_name("__Host-s"), loopback).1,
            secure,
            "its name says so"
        );
    }
    for far in [
        "localhost.example.org",
        "127.0.0.1.example.org",
        "notlocalhost",
        "192.0.2.1",
        "[2001:db8::1]",
    ] {
        assert_eq!(set_cookie(builder(), far).1, secure, "{far}");
    }
    assert_eq!(
        set_cookie(builder().secure(Secure::Never), "example.org").1,
        plain
    );
    let loose = set_cookie(
        builder()
            .same_site(SameSite::None)
            .idle(std::time::Duration::from_secs(5)),
        "localhost",
    )
    .1;
    assert_eq!(
        loose,
        ["HttpOnly", "Max-Age=6", "Path=/", "SameSite=None", "Secure"],
        "browsers ask for it, and 5.5 is rounded up"
    );
    let (name, attributes) = set_cookie(
        builder()
            .cookie_name("shop")
            .path("/shop")
            .domain("example.org")
            .same_site(SameSite::Strict)
            .days(400),
        "example.org",
    );
    assert_eq!(name, "shop");
    assert_eq!(
        attributes,
        [
            "Domain=example.org",
            "HttpOnly",
            "Max-Age=34560000",
            "Path=/shop",
            "SameSite=Strict",
            "Secure"
        ]
    );
    let session_cookie = set_cookie(builder().browser_session(true), "example.org").1;
    assert_eq!(
        session_cookie,
        ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
    );
}

#[test]
fn the_removal_cookie_is_of_one_kind_with_the_one_that_was_set() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let sessions = setup
        .builder()
        .path("/shop")
        .domain("example.org")
        .build()
        .expect("a service");
    let site = Site::open(sessions);
    let set = site.with_cookies("POST", "/set/a/b", &[]);
    let removed = site.with_token("POST", "/logout", set.token().expect("a token"));
    let attributes = |cookie: &str| {
        let mut attributes: Vec<_> = cookie
            .split("; ")
            .skip(1)
            .filter(|text| !text.starts_with("Max-Age"))
            .map(str::to_owned)
            .collect();
        attributes.sort();
        attributes
    };
    assert!(removed.removes_cookie());
    assert_eq!(
        attributes(set.set_cookies()[0]),
        attributes(removed.set_cookies()[0])
    );
}

/// The store is asked for all of them before it has answered for one.
#[test]
fn the_sessions_of_several_cookies_are_loaded_at_once() {
    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let sessions = sessions.store_timeout(Duration::from_millis(50));
    let site = Site::open(sessions.build().expect("a service"));
    let pairs: Vec<_> = (0..6)
        .map(|_| format!("bsession={}", begin(&site)))
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    faults.say(move |operation| {
        assert_eq!(operation, "load");
        counter.fetch_add(1, Ordering::Relaxed);
        Fault::Hangs
    });
    let reply = site.with_cookies("GET", "/get/name", &[pairs.join("; ").as_bytes()]);
    assert_eq!((reply.status, asked.load(Ordering::Relaxed)), (503, 4));
}

/// The operations on the store that a request with these cookies takes.
fn operations(site: &Site, faults: &Faults, path: &str, tokens: &[String]) -> usize {
    let pairs = tokens.iter().map(|token| format!("bsession={token}"));
    let all = pairs.collect::<Vec<_>>().join("; ");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    faults.say(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Fault::None
    });
    let reply = site.with_cookies("POST", path, &[all.as_bytes()]);
    assert_eq!(reply.status, 200, "{path}");
    faults.always(Fault::None);
    count.load(Ordering::Relaxed)
}

/// A visitor can collect the ids of a session that was renewed often, and each leads to the next one.
#[test]
fn ids_that_lead_to_each_other_are_followed_once() {
    const RENEWALS: usize = 100;
    for (path, at_most) in [("/logout", 2), ("/login/joe", 4)] {
        let (mode, faults) = Faults::mode();
        let sessions = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
        let sessions = sessions.max_per_user(9, AtLimit::RefuseNewest);
        let site = Site::open(sessions.build().expect("a service"));
        let mut tokens = vec![begin(&site)];
        for place in 0..RENEWALS {
            let reply = site.with_token("POST", "/renew", &tokens[place]);
            tokens.push(reply.token().expect("a new id").to_owned());
        }
        let live = tokens.pop().expect("the last one");
        let every_third: Vec<_> = tokens.iter().step_by(3).cloned().collect();
        for shown in [every_third, tokens] {
            let asked = operations(&site, &faults, path, &shown);
            assert!(asked <= at_most * RENEWALS, "{path} asks {asked} times");
        }
        assert!(
            !reads_joe(&site, &[format!("bsession={live}").as_bytes()]),
            "it is over"
        );
    }
}
