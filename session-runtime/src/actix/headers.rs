//! The headers that a session adds to a response.

use actix_web::http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderValue, SET_COOKIE, VARY};
use actix_web::{HttpRequest, HttpResponse};

use super::host::{is_plain_loopback, warn_of_plain_http};
use super::withheld::warn_of_another_path;
use super::wording::word;
use crate::error::Error;
use crate::visit::{Told, Visit};

/// Adds the headers of a session to its response: the cookie, if this request changed it, and the headers that keep
/// caches from giving the response to another visitor.
///
/// Every response gets the cookie, also one that replaces another. Only the last one reaches the browser, and without the
/// cookie the visitor would keep a dead one.
pub(super) fn tell(visit: &Visit, req: &HttpRequest, headers: &mut HeaderMap) {
    tell_change(visit, visit.told(), req, headers);
}

/// The same with a cookie change that is known already.
pub(super) fn tell_change(visit: &Visit, told: Told, req: &HttpRequest, headers: &mut HeaderMap) {
    vary(headers);
    let Some(change) = told else { return };
    let cookies = &visit.sessions.0.cookies;
    let is_plain_loopback = is_plain_loopback(req);
    if cookies.is_secure(is_plain_loopback) {
        warn_of_plain_http(&visit.sessions, req);
    }
    warn_of_another_path(visit, req);
    set_cookie(headers, &cookies.header(change, is_plain_loopback));
}

/// Returns the response to a request whose session failed. It has the error in it, where other middleware can find it.
pub(super) fn failed_response(error: Error, req: &HttpRequest) -> HttpResponse {
    let is_prefetch = matches!(error, Error::Prefetch);
    let mut response = HttpResponse::from_error(error);
    word(&mut response, req);
    vary(response.headers_mut());
    if is_prefetch {
        // The visitor's click must ask again.
        no_store(response.headers_mut());
    }
    response
}

/// Appends a `Set-Cookie`, and removes an earlier one for the same name.
pub(super) fn set_cookie(headers: &mut HeaderMap, cookie: &str) {
    let name = cookie.split('=').next().unwrap_or_default();
    // Never returns here: the parts of the cookie were checked when the service was built.
    let Ok(cookie) = HeaderValue::from_str(cookie) else {
        return;
    };
    let ours = |value: &HeaderValue| {
        value
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    };
    if headers.get_all(SET_COOKIE).any(ours) {
        let others: Vec<_> = headers
            .get_all(SET_COOKIE)
            .filter(|value| !ours(value))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        others
            .into_iter()
            .for_each(|other| headers.append(SET_COOKIE, other));
    }
    headers.append(SET_COOKIE, cookie);
    // RFC 6265bis §7.5: a cookie must not be cached.
    no_store(headers);
}

/// Keeps every cache from storing a response, whatever the handler says to caches.
fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let outranking: Vec<_> = headers
        .keys()
        .filter(|name| outranks_cache_control(name.as_str()))
        .cloned()
        .collect();
    for name in outranking {
        headers.remove(name);
    }
}

/// True for a header that some caches obey in place of `Cache-Control`: the targeted fields of RFC 9213, such as
/// `CDN-Cache-Control`, and what Fastly, Akamai and nginx read.
fn outranks_cache_control(name: &str) -> bool {
    name.ends_with("-cache-control")
        || ["surrogate-control", "edge-control", "x-accel-expires"].contains(&name)
}

/// Merges `Cookie` into `Vary`, because the response depends on the cookie.
pub(super) fn vary(headers: &mut HeaderMap) {
    let mut fields = headers
        .get_all(VARY)
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if fields.peek().is_none() {
        headers.insert(VARY, HeaderValue::from_static("Cookie"));
        return;
    }
    let all = fields.collect::<Vec<_>>().join(", ");
    let named = |field: &str| field == "*" || field.eq_ignore_ascii_case(COOKIE.as_str());
    if all.split(',').map(str::trim).any(named) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{all}, Cookie")) {
        headers.insert(VARY, value);
    }
}
