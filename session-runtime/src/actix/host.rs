//! The host that a request was sent to, as far as the server can know it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, X_FORWARDED_PROTO};

use crate::origin::split;

/// True if the request came over plain http to a name or address of this machine, as in development.
pub(super) fn is_plain_loopback(req: &HttpRequest) -> bool {
    !req.app_config().secure() && host(req).is_some_and(is_loopback)
}

/// Returns the host and port that the request was sent to, as the client states them.
pub(super) fn authority(req: &HttpRequest) -> Option<&str> {
    let mut hosts = req.headers().get_all(HOST);
    match (hosts.next(), hosts.next()) {
        (None, _) => Some(req.uri().authority()?.as_str()),
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

/// Logs once that a secure cookie goes out over plain http, where browsers drop it.
pub(super) fn warn_of_plain_http(req: &HttpRequest) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let by_proxy =
        req.headers().contains_key(X_FORWARDED_PROTO) || req.headers().contains_key("forwarded");
    if req.app_config().secure() || by_proxy || host(req).is_some_and(is_loopback) {
        return;
    }
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "bsession",
            "secure_cookie_over_plain_http: browsers will not keep it; serve https, or let the proxy in front say \
             `X-Forwarded-Proto`, or for a network you trust set `secure(Secure::Never)`"
        );
    }
}
