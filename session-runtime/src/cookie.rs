//! The cookie: found among the bytes of the request, and built for the response.

use std::iter;
use std::time::Duration;

use cookie::{Cookie, SameSite};

use crate::error::InitError;
use crate::token;

/// The number of cookies with our name that are verified: more than fit into the 128 KiB that actix accepts as the head of
/// an HTTP/1 request, and ten times what Chromium keeps for a domain. It is a limit for HTTP/2, where a few
/// compressed bytes can stand for 16 MiB of headers.
const MAX_LOOKED_AT: usize = 2_000;

/// Browsers drop a cookie whose name and value together have more bytes, and ignore an attribute with a longer
/// value than `MAX_ATTRIBUTE_LEN` (RFC 6265bis §5.6).
const MAX_PAIR_LEN: usize = 4096;
const MAX_ATTRIBUTE_LEN: usize = 1024;

/// The default name without a prefix.
const BASE_NAME: &str = "bsession";

/// The prefixes that promise browsers something about a cookie (RFC 6265bis §4.1.3). `__Host-Http-` is not listed,
/// because it begins with `__Host-`.
const PREFIXES: [&str; 3] = ["__Secure-", "__Host-", "__Http-"];

/// The values of all cookies called `name`, exactly as they are in the `Cookie` headers.
///
/// Works on bytes and decodes nothing, so that no other cookie can hide ours, not even a malformed one
/// (RFC 6265 §5.4 lets a server read the header as it likes).
pub(crate) fn values<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
    name: &[u8],
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .flat_map(pairs)
        .filter_map(move |pair| {
            let pair = pair.trim_ascii_start();
            let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
            Some(value.trim_ascii_end())
        })
        .take(MAX_LOOKED_AT)
}

/// The parts of a header between its semicolons.
fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let begun = rest?;
        let end = memchr::memchr(b';', begun);
        rest = end.map(|end| &begun[end + 1..]);
        Some(&begun[..end.unwrap_or(begun.len())])
    })
}

/// True if a browser sends a cookie with `cookie_path` to `path` (RFC 6265bis §5.1.4): `/a` matches `/a` and `/a/b`, but
/// not `/ab`.
pub(crate) fn is_below(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

/// The rule for sending the cookie over https only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secure {
    /// Always, except in a debug build that serves plain http on a loopback host, so that
    /// development works without certificates. A cookie with a prefix such as `__Host-`, or with `SameSite::None`,
    /// is sent over https only even there: browsers accept it in no other way.
    ///
    /// Some browsers, Safari among them, drop a secure cookie over plain http even on a loopback host. When one goes out
    /// over plain http, the event `secure_cookie_over_plain_http` says so once.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    ///
    /// # Warning
    /// Anybody on the network path can read the cookie, and with it take over the session.
    Never,
}

/// The settings of the cookie, which are the same for all visitors.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) secure: Secure,
    pub(crate) same_site: SameSite,
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) partitioned: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: BASE_NAME.to_owned(),
            secure: Secure::Auto,
            same_site: SameSite::Lax,
            domain: None,
            path: "/".to_owned(),
            partitioned: false,
        }
    }
}

impl Settings {
    /// Builds every `Set-Cookie` of the service, so that a removal has the same attributes as the cookie it removes.
    pub(crate) fn cookie(
        &self,
        value: String,
        max_age: Option<Duration>,
        secure: bool,
    ) -> Cookie<'static> {
        let mut cookie = Cookie::build(self.name.clone(), value)
            .path(self.path.clone())
            .http_only(true)
            .same_site(self.same_site)
            .secure(secure);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.clone());
        }
        let mut cookie = cookie.finish();
        // Rounded up: a cookie may outlast its session, but a session must not outlast its cookie.
        let seconds = max_age.map(|span| span.as_secs() + u64::from(span.subsec_nanos() > 0));
        let seconds = seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        cookie.set_max_age(seconds.map(cookie::time::Duration::seconds));
        cookie
    }

    /// The removal: the same cookie, but empty and expired at once.
    pub(crate) fn removal(&self, secure: bool) -> Cookie<'static> {
        self.cookie(String::new(), Some(Duration::ZERO), secure)
    }

    /// The value of the `Set-Cookie` header for a cookie.
    pub(crate) fn header(&self, cookie: &Cookie<'_>) -> String {
        let mut header = cookie.to_string();
        if self.partitioned {
            // The version of `cookie` that actix-web uses does not know it.
            header.push_str("; Partitioned");
        }
        header
    }

    /// True if the cookie is `Secure`. The connection may be plain http to a loopback host.
    pub(crate) fn is_secure(&self, is_plain_loopback: bool) -> bool {
        match self.secure {
            Secure::Never => false,
            Secure::Auto => {
                !is_plain_loopback
                    || !cfg!(debug_assertions)
                    // Without `Secure`, browsers drop these even on a loopback host.
                    || self.has_secure_prefix()
                    || self.same_site == SameSite::None
            }
            Secure::Always => true,
        }
    }

    /// The default name for these settings, with the strongest prefix that they permit.
    ///
    /// A debug build serves plain http, where some browsers refuse every prefix, so its name has no prefix.
    pub(crate) fn default_name(&self, is_debug_build: bool) -> String {
        let prefix = if is_debug_build || self.secure == Secure::Never {
            ""
        } else if self.domain.is_some() || self.path != "/" {
            // Not `__Http-`: a browser that does not know this prefix gives no protection.
            "__Secure-"
        } else {
            // A browser that does not know this prefix treats it as `__Host-`.
            "__Host-Http-"
        };
        format!("{prefix}{BASE_NAME}")
    }

    /// The name without its prefix.
    pub(crate) fn base_name(&self) -> &str {
        let name = &self.name;
        let longest = iter::once("__Host-Http-").chain(PREFIXES);
        let prefix = longest.into_iter().find(|prefix| has_prefix(name, prefix));
        let base = &name[prefix.map_or(0, str::len)..];
        if base.is_empty() { name } else { base }
    }

    fn has_secure_prefix(&self) -> bool {
        PREFIXES.iter().any(|prefix| has_prefix(&self.name, prefix))
    }

    /// Refuses settings with which browsers would refuse the cookie, or drop it silently.
    pub(crate) fn check(&self) -> Result<(), InitError> {
        self.check_name()?;
        self.check_path()?;
        if let Some(domain) = &self.domain
            && !is_host_name(domain.strip_prefix('.').unwrap_or(domain))
        {
            return refuse(format!(
                "`domain({domain:?})` is no host name: write it as in `example.org`"
            ));
        }
        self.check_together()
    }

    fn check_name(&self) -> Result<(), InitError> {
        let name = &self.name;
        if name.is_empty() || !name.bytes().all(is_token) {
            return refuse(format!(
                "`cookie_name({name:?})` is no cookie name: use letters, digits and any of !#$%&'*+-.^_`|~"
            ));
        }
        let (len, most) = (name.len(), MAX_PAIR_LEN - token::CHARACTERS);
        if len > most {
            return refuse(format!(
                "a `cookie_name` of {len} bytes is too long for browsers: give it at most {most}"
            ));
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), InitError> {
        let path = &self.path;
        let allowed = |byte: u8| byte != b';' && (0x20..0x7f).contains(&byte);
        // Browsers do not count a space at the end as a part of the path.
        if !path.starts_with('/') || path.ends_with(' ') || !path.bytes().all(allowed) {
            return refuse(format!(
                "`path({path:?})` is no cookie path: begin it with `/`, without `;`, in ASCII, with no space at its end"
            ));
        }
        let len = path.len();
        if len > MAX_ATTRIBUTE_LEN {
            return refuse(format!(
                "a `path` of {len} bytes is too long for browsers: give it at most {MAX_ATTRIBUTE_LEN}"
            ));
        }
        Ok(())
    }

    fn check_together(&self) -> Result<(), InitError> {
        let name = &self.name;
        if self.secure == Secure::Never {
            if self.partitioned {
                return refuse(
                    "`partitioned(true)` needs a secure cookie: leave out `secure(Secure::Never)`"
                        .into(),
                );
            }
            if self.same_site == SameSite::None {
                return refuse("`same_site(SameSite::None)` needs a secure cookie: leave out `secure(Secure::Never)`".into());
            }
            if self.has_secure_prefix() {
                return refuse(format!(
                    "a cookie called `{name}` must be secure: leave out `secure(Secure::Never)`"
                ));
            }
        }
        if self.partitioned && self.same_site != SameSite::None {
            return refuse(
                "`partitioned(true)` is for a page in a frame of another site, which sends no other cookie than that of \
                 `same_site(SameSite::None)`: set that, too, or leave out `partitioned`"
                    .into(),
            );
        }
        if has_prefix(&self.name, "__Host-") && (self.path != "/" || self.domain.is_some()) {
            return refuse(format!(
                "a cookie called `{name}` has the path `/` and no domain: leave out `path` and `domain`"
            ));
        }
        Ok(())
    }
}

/// True if a name begins with a prefix. Browsers ignore the case (RFC 6265bis §4.1.3).
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn refuse(text: String) -> Result<(), InitError> {
    Err(InitError::Setting(text))
}

/// True if `text` can be the name of a host: letters, digits and hyphens between dots, in labels of at most 63
/// bytes (RFC 1034 §3.5). Unlike the RFC, it lets a label begin or end with a hyphen.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// True if a cookie's name may contain `byte`: the characters of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    fn found(headers: &[&[u8]]) -> Vec<Vec<u8>> {
        values(headers.iter().copied(), b"s")
            .map(<[u8]>::to_vec)
            .collect()
    }

    #[test]
    fn values_are_found_by_their_very_name() {
        assert_eq!(found(&[b"a=1; s=2; b=3"]), [b"2"]);
        assert_eq!(found(&[b"s=1", b"x=y;s=2"]), [b"1", b"2"]);
        assert_eq!(
            found(&[b"s=a=b; s=; s=\"q\""]),
            [&b"a=b"[..], b"", b"\"q\""]
        );
        assert_eq!(found(&[b"  s=1 ;\ts=2\t"]), [b"1", b"2"]);
        for none in [
            &b""[..],
            b"s",
            b"S=1",
            b"ss=1",
            b"xs=1",
            b"s =1",
            b"=s",
            b";;",
            b"\xff=\xfe",
            b"%73=1",
        ] {
            assert_eq!(found(&[none]), Vec::<Vec<u8>>::new(), "{none:?}");
        }
    }

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    }

    /// OWASP ASVS 5.0: 3.3.1 asks for `Secure` and one of the prefixes; 3.3.3 asks for `__Host-` unless other hosts
    /// need the cookie.
    #[test]
    fn the_default_cookie_of_a_release_build_has_the_strongest_prefix() {
        let mut settings = Settings::default();
        settings.name = settings.default_name(false);
        settings.check().unwrap();
        for is_plain_loopback in [false, true] {
            let secure = settings.is_secure(is_plain_loopback);
            let cookie = settings.cookie("token".to_owned(), None, secure);
            assert_eq!(
                cookie.to_string(),
                "__Host-Http-bsession=token; HttpOnly; SameSite=Lax; Secure; Path=/"
            );
        }
    }

    #[test]
    fn a_default_name_is_one_that_browsers_take() {
        let domain = settings(|it| it.domain = Some("example.org".to_owned()));
        let path = settings(|it| it.path = "/shop".to_owned());
        let never = settings(|it| it.secure = Secure::Never);
        let everywhere = settings(|it| it.same_site = SameSite::None);
        for (mut settings, release, debug) in [
            (domain, "__Secure-bsession", "bsession"),
            (path, "__Secure-bsession", "bsession"),
            (never, "bsession", "bsession"),
            (everywhere, "__Host-Http-bsession", "bsession"),
        ] {
            assert_eq!(settings.default_name(true), debug);
            settings.name = settings.default_name(false);
            assert_eq!(settings.name, release);
            settings.check().unwrap();
            assert_eq!(settings.base_name(), "bsession");
        }
    }

    #[test]
    fn a_base_name_has_no_prefix_and_is_never_empty() {
        for (name, base) in [
            ("shop", "shop"),
            ("__Host-shop", "shop"),
            ("__host-http-shop", "shop"),
            ("__Secure-shop", "shop"),
            ("__Http-shop", "shop"),
            ("__Host-", "__Host-"),
            ("__Hostshop", "__Hostshop"),
        ] {
            assert_eq!(settings(|it| it.name = name.to_owned()).base_name(), base);
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let flood = b"s=1; ".repeat(10_000);
        assert_eq!(found(&[&flood]).len(), MAX_LOOKED_AT);
    }
}
