//! The cookie jar: keeps cookies as a browser does, for tests.

use std::time::Duration;

use cookie::Cookie;

use crate::clock::Timestamp;
use crate::cookie::is_below;

/// The cookies of one site, the oldest first.
///
/// `Secure` is ignored, because there is neither http nor https within a process. The jar keeps such cookies, as a
/// browser does over https and on `localhost`. `Domain` is ignored, because there is only one host. `SameSite` is left
/// to the code that sends the cookies.
#[derive(Debug, Default)]
pub(crate) struct Jar(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    path: String,
    /// `None` if the cookie ends with the browser.
    ends: Option<Timestamp>,
}

impl Jar {
    /// Stores the cookie of a `Set-Cookie` header in the answer to a request for `path` (RFC 6265bis §5.7).
    pub(crate) fn set(&mut self, header: &str, path: &str, now: Timestamp) {
        // Not the parser's name and value, because it removes quotes from the value.
        let pair = header
            .split(';')
            .next()
            .and_then(|pair| pair.split_once('='));
        let (Some((name, value)), Ok(cookie)) = (pair, Cookie::parse(header)) else {
            return;
        };
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path,
            _ => directory(path),
        };
        let new = Kept {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: path.to_owned(),
            ends: end(&cookie, now),
        };
        let old = self
            .0
            .iter()
            .position(|old| old.name == new.name && old.path == new.path);
        if new.is_over(now) {
            old.map(|place| self.0.remove(place));
        } else if let Some(place) = old {
            self.0[place] = new;
        } else {
            self.0.push(new);
        }
    }

    /// The `Cookie` header of a request for `path`. Cookies with longer paths come first.
    pub(crate) fn header(&self, path: &str, now: Timestamp) -> Option<String> {
        let mut sent: Vec<_> = self
            .live(now)
            .filter(|kept| is_below(path, &kept.path))
            .collect();
        sent.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<_> = sent.into_iter().map(Kept::pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// A `Cookie` header with all cookies, whatever their paths.
    pub(crate) fn everything(&self, now: Timestamp) -> String {
        self.live(now)
            .map(Kept::pair)
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The value of a cookie.
    pub(crate) fn get(&self, name: &str, now: Timestamp) -> Option<&str> {
        let kept = self.live(now).find(|kept| kept.name == name)?;
        Some(&kept.value)
    }

    /// Closes the browser: removes the cookies that have no expiry.
    pub(crate) fn end_browser(&mut self) {
        self.0.retain(|kept| kept.ends.is_some());
    }

    fn live(&self, now: Timestamp) -> impl Iterator<Item = &Kept> {
        self.0.iter().filter(move |kept| !kept.is_over(now))
    }
}

impl Kept {
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|end| end <= now)
    }

    fn pair(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// The end of a cookie. `Max-Age` wins over `Expires`.
fn end(cookie: &Cookie<'_>, now: Timestamp) -> Option<Timestamp> {
    let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let age = cookie
        .max_age()
        .map(|age| now + seconds(age.whole_seconds()));
    age.or_else(|| {
        let expires = cookie.expires_datetime()?;
        Some(Timestamp::default() + seconds(expires.unix_timestamp()))
    })
}

/// The path of a cookie without a `Path`.
fn directory(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000); // 9 September 2001

    fn jar(headers: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for header in headers {
            jar.set(header, "/", NOW);
        }
        jar
    }

    fn sent(headers: &[&str]) -> Option<String> {
        jar(headers).header("/", NOW)
    }

    #[test]
    fn cookies_are_set_and_replaced() {
        assert_eq!(sent(&[]), None);
        assert_eq!(
            sent(&["a=1; Secure; HttpOnly", "b=\"q\"", " a = 2 "]).as_deref(),
            Some("a=2; b=\"q\"")
        );
        assert_eq!(sent(&["none", "=x", ""]), None);
        assert_eq!(jar(&["a=1", "a=b=c"]).get("a", NOW), Some("b=c"));
    }

    #[test]
    fn cookies_are_removed_by_their_end() {
        for over in [
            "a=; Max-Age=0",
            "a=; Max-Age=-1",
            "a=; Max-Age=0; Expires=Sun, 09 Sep 2040 01:46:40 GMT",
            "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=; Expires=Sun, 09 Sep 2001 01:46:40 GMT",
        ] {
            assert_eq!(
                sent(&["a=1", "b=1", over]).as_deref(),
                Some("b=1"),
                "{over}"
            );
            assert_eq!(sent(&[over]), None);
        }
    }

    #[test]
    fn cookies_end_when_they_say_and_with_the_browser() {
        let mut jar = jar(&[
            "a=1; Max-Age=60",
            "b=1; Expires=Sun, 09 Sep 2001 01:48:40 GMT",
            "c=1",
        ]);
        let after = |jar: &Jar, seconds| jar.header("/", NOW + Duration::from_secs(seconds));
        for (seconds, left) in [
            (59, "a=1; b=1; c=1"),
            (60, "b=1; c=1"),
            (119, "b=1; c=1"),
            (120, "c=1"),
        ] {
            assert_eq!(after(&jar, seconds).as_deref(), Some(left));
        }
        jar.end_browser();
        assert_eq!(after(&jar, 0).as_deref(), Some("a=1; b=1"));
        assert_eq!(jar.get("a", NOW + Duration::from_secs(60)), None);
    }

    #[test]
    fn cookies_are_sent_below_their_path_alone() {
        let mut jar = jar(&[
            "all=1",
            "admin=1; Path=/admin",
            "slash=1; Path=/admin/",
            "no=1; Path=admin",
        ]);
        jar.set("own=1", "/shop/cart/add", NOW);
        jar.set("top=1; Path=", "/login", NOW);
        let header = |path| jar.header(path, NOW).unwrap_or_default();
        assert_eq!(header("/"), "all=1; no=1; top=1");
        assert_eq!(header("/admin"), "admin=1; all=1; no=1; top=1");
        assert_eq!(
            header("/admin/users"),
            "slash=1; admin=1; all=1; no=1; top=1"
        );
        assert_eq!(header("/administrator"), "all=1; no=1; top=1");
        assert_eq!(header("/shop/cart"), "own=1; all=1; no=1; top=1");
        assert_eq!(header("/shop"), "all=1; no=1; top=1");
        let everything = jar.everything(NOW);
        assert_eq!(everything, "all=1; admin=1; slash=1; no=1; own=1; top=1");
    }

    #[test]
    fn one_name_at_two_paths_is_two_cookies() {
        let mut jar = jar(&["a=top", "a=deep; Path=/x"]);
        assert_eq!(jar.header("/x", NOW).as_deref(), Some("a=deep; a=top"));
        jar.set("a=; Path=/x; Max-Age=0", "/", NOW);
        assert_eq!(jar.header("/x", NOW).as_deref(), Some("a=top"));
    }
}
