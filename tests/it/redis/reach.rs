//! A service, one visitor, and whether it is within reach of its Redis.

use std::time::{Duration, Instant};

use bsession::{Builder, RedisStore, Secure, Sessions};

use crate::support::sentences::UNAVAILABLE;
use crate::support::{Reply, SECRET, Site};

/// How long requests wait here: long enough for a busy machine, and short enough for a test.
pub(super) const TIMEOUT: Duration = Duration::from_millis(800);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(4);

pub(super) fn builder(url: &str) -> Builder {
    on_redis(url).store_timeout(TIMEOUT)
}

/// The same, with the time-out that there is unless told otherwise.
pub(super) fn on_redis(url: &str) -> Builder {
    on(RedisStore::at(url))
}

pub(super) fn on(settings: RedisStore) -> Builder {
    Sessions::builder(SECRET)
        .mode(settings)
        .secure(Secure::Never)
}

pub(super) fn site(url: &str) -> Site {
    Site::open(builder(url).build().expect("a service"))
}

/// A refusal within the time-out that leaves the browser's cookie alone.
pub(super) fn assert_refused(what: &str, ask: impl FnOnce() -> Reply) {
    let begun = Instant::now();
    let reply = ask();
    assert_eq!(
        (reply.status, &*reply.body, reply.set_cookies()),
        (503, UNAVAILABLE, vec![]),
        "{what}"
    );
    assert!(
        begun.elapsed() < TIMEOUT + SLACK,
        "{what}: {:?}",
        begun.elapsed()
    );
}

/// All that asks for the store is refused; all that does not is served.
pub(super) fn assert_out_of_reach(site: &Site, token: &str) {
    for (method, path) in [
        ("GET", "/all"),
        ("POST", "/add/n"),
        ("POST", "/login/joe"),
        ("POST", "/logout"),
        ("POST", "/renew"),
    ] {
        assert_refused(path, || site.with_token(method, path, token));
    }
    assert_refused("a first write", || {
        site.with_cookies("POST", "/set/a/b", &[])
    });
    assert_eq!(site.with_cookies("GET", "/all", &[]).status, 200);
    assert_eq!(site.with_token("GET", "/bare", token).status, 200);
    assert_eq!(
        site.with_cookies("GET", "/all", &[b"bsession=garbage"])
            .status,
        200
    );
}

/// A site with one session in it, of a visitor by name of joe.
pub(super) fn with_joe(url: &str) -> (Site, String) {
    let site = site(url);
    let reply = site.with_cookies("POST", "/set/name/joe", &[]);
    let token = reply.token().expect("a session").to_owned();
    (site, token)
}

/// The value of a key, or the status that there was instead.
pub(super) fn read(site: &Site, token: &str, key: &str) -> Result<String, u16> {
    let reply = site.with_token("GET", &format!("/get/{key}"), token);
    match reply.status {
        200 => Ok(reply.body),
        status => Err(status),
    }
}

/// Waits until the session is read again, by either worker; all that there is until then is a 503.
pub(super) fn await_joe(site: &Site, token: &str) {
    eventually_all("it recovers by itself", || {
        match read(site, token, "name") {
            Ok(name) => {
                assert_eq!(name, "\"joe\"", "nobody is logged out");
                true
            }
            Err(status) => {
                assert_eq!(status, 503);
                false
            }
        }
    });
}

/// Waits until so many requests in a row went well that both workers were asked.
pub(super) fn eventually_all(what: &str, mut is_well: impl FnMut() -> bool) {
    crate::support::eventually(what, || (0..10).all(|_| is_well()));
}
