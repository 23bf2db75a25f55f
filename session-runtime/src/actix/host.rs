//! The host that a request was sent to, as far as the server can know it.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::{
    FORWARDED, HOST, ORIGIN, REFERER, VIA, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
};

use crate::origin::split;
use crate::service::Sessions;

/// True if the request came over plain http to a name or address of this machine, as in development.
pub(super) fn is_plain_loopback(req: &HttpRequest) -> bool {
    !req.app_config().secure() && host(req).is_some_and(is_loopback)
}

/// Returns the host and port that the request was sent to, as the client states them.
///
/// HTTP/2 states them in `:authority`, and HTTP/1 in a request target that is a whole URL. Both are here in the URI, and
/// count before `Host` (RFC 9113 §8.3.1, RFC 9112 §3.2.2).
pub(super) fn authority(req: &HttpRequest) -> Option<&str> {
    if let Some(authority) = req.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = req.headers().get_all(HOST);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

fn host(req: &HttpRequest) -> Option<&str> {
    let (host, _) = split(authority(req)?)?;
    Some(host)
}

/// True for the `localhost` names of RFC 6761 §6.3 and for loopback addresses.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Logs, once for each service, that a secure cookie goes out over plain http, where browsers drop it.
pub(super) fn warn_of_plain_http(sessions: &Sessions, req: &HttpRequest) {
    let warned = &sessions.0.warned_of_plain_http;
    if warned.load(Ordering::Relaxed) {
        return;
    }
    let is_local = host(req).is_some_and(is_loopback);
    if !is_seen_as_plain(req, is_local) || warned.swap(true, Ordering::Relaxed) {
        return;
    }
    let hint = if is_local {
        "Safari and most clients that are no browsers drop it on this machine, too: use a debug build and no prefix in \
         `cookie_name`, or `secure(Secure::Never)` while you develop; if a proxy with https is in front, let it say \
         `X-Forwarded-Proto`"
    } else {
        "browsers will not keep it: serve https, or let the proxy in front say `X-Forwarded-Proto`, or for a network you \
         trust set `secure(Secure::Never)`"
    };
    tracing::warn!(
        target: "bsession",
        cookie = sessions.cookie_name(),
        hint,
        "secure_cookie_over_plain_http"
    );
}

/// True if the request came over plain http, and nothing says that there is https between the browser and a proxy.
///
/// A proxy that says nothing usually rewrites `Host` to the address that it asks. So a request to this machine counts only if
/// nothing at all looks like a proxy. Proxies also use HTTP/1.0, as nginx does by default, and browsers do not.
fn is_seen_as_plain(req: &HttpRequest, is_local: bool) -> bool {
    let headers = req.headers();
    if req.app_config().secure() || headers.contains_key(FORWARDED) {
        return false;
    }
    if let Some(scheme) = headers.get(X_FORWARDED_PROTO) {
        return scheme.as_bytes().eq_ignore_ascii_case(b"http");
    }
    let by_proxy = [VIA, X_FORWARDED_FOR, X_FORWARDED_HOST];
    let by_proxy = || by_proxy.iter().any(|name| headers.contains_key(name));
    if is_local && (req.version() < Version::HTTP_11 || by_proxy()) {
        return false;
    }
    // The browser names the page that it comes from, with the scheme that it sees.
    let names_https = |name| {
        let url = headers.get(name).map(|url| url.as_bytes());
        url.is_some_and(|url| url.starts_with(b"https://"))
    };
    !names_https(ORIGIN) && !names_https(REFERER)
}
