//! The origin: the scheme, host and port with which a browser names the page that sent a request.

/// An origin as RFC 6454 defines it, normalised so that two of them can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host`, with or without a port. Returns `None` for anything else, also for `null`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then(|| Self::of(scheme, authority)).flatten()
    }

    fn of(scheme: &str, authority: &str) -> Option<Self> {
        let (host, port) = split(authority)?;
        let scheme = scheme.to_ascii_lowercase();
        // Browsers leave out the default port of a scheme, and `Host` may still name it.
        let port = port.or(match &*scheme {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        });
        Some(Self {
            host: host.to_ascii_lowercase(),
            scheme,
            port,
        })
    }

    /// True if a request to this authority (its `Host`) went to this origin. Behind a proxy the server does not know
    /// the scheme of the request, so http and https only differ in their default port.
    pub(crate) fn is_at(&self, authority: &str) -> bool {
        self.is_web() && Self::of(&self.scheme, authority).as_ref() == Some(self)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    fn is_web(&self) -> bool {
        self.is_https() || self.scheme == "http"
    }
}

/// Splits an authority into host and port. Returns `None` if it is malformed.
pub(crate) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    let is_host = match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')?
            .parse::<std::net::Ipv6Addr>()
            .is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(allowed)
        }
    };
    if !is_host {
        return None;
    }
    let port = match rest.strip_prefix(':') {
        // `parse` alone would accept a `+`.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_at(origin: &str, authority: &str) -> bool {
        Origin::parse(origin).is_some_and(|origin| origin.is_at(authority))
    }

    #[test]
    fn an_origin_is_at_its_own_host_in_any_spelling() {
        for (origin, authority) in [
            ("https://shop.example", "shop.example"),
            ("https://shop.example", "SHOP.example"),
            ("HTTPS://Shop.Example", "shop.example"),
            ("https://shop.example", "shop.example:443"),
            ("http://shop.example", "shop.example:80"),
            ("https://shop.example:8443", "shop.example:8443"),
            ("http://shop.example:443", "shop.example:443"),
            ("http://my_host", "my_host"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://[2001:DB8::1]", "[2001:db8::1]:443"),
        ] {
            assert!(is_at(origin, authority), "{origin} at {authority}");
        }
    }

    #[test]
    fn an_origin_is_at_no_other_host() {
        for (origin, authority) in [
            ("https://evil.example", "shop.example"),
            ("https://shop.example.evil.example", "shop.example"),
            ("https://evilshop.example", "shop.example"),
            ("https://pay.shop.example", "shop.example"),
            ("https://shop.example.", "shop.example"),
            ("https://shop.example:8443", "shop.example"),
            ("https://shop.example", "shop.example:8443"),
            ("https://shop.example", "shop.example:80"),
            ("http://shop.example", "shop.example:443"),
            ("http://[::1]", "[::2]"),
            ("http://[::1]:80", "[::1]:8080"),
            ("chrome-extension://shop.example", "shop.example"),
            ("https://shop.example", ""),
            ("https://shop.example", "shop.example:"),
            ("https://shop.example", "user@shop.example"),
            ("https://shop.example", "shop.example, shop.example"),
        ] {
            assert!(!is_at(origin, authority), "{origin} at {authority}");
        }
    }

    #[test]
    fn what_is_no_origin_is_not_read() {
        for text in [
            "",
            "null",
            "*",
            "shop.example",
            "//shop.example",
            "://shop.example",
            "1https://shop.example",
            "ht tps://shop.example",
            "https:/shop.example",
            "https://",
            "https://:443",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example?query",
            "https://shop.example#part",
            "https://user@shop.example",
            "https://shop.example:",
            "https://shop.example:+443",
            "https://shop.example:65536",
            "https://shop.example:443:443",
            "https://shop example",
            " https://shop.example",
            "https://shop.example ",
            "https://shop.example https://evil.example",
            "https://*.example",
            "https://bücher.example",
            "https://[::1",
            "https://[]",
            "https://[shop.example]",
            "https://[::1]evil.example",
            "https://::1",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn origins_are_compared_in_all_three_parts() {
        let same =
            |one, other| Origin::parse(one).expect("one") == Origin::parse(other).expect("other");
        assert!(same("https://sso.example", "HTTPS://SSO.example:443"));
        assert!(!same("https://sso.example", "http://sso.example"));
        assert!(!same("https://sso.example", "https://sso.example:8443"));
        assert!(same("app://one", "app://one"));
    }
}
