//! Whether a request comes from a page of the service's own, or may come from another site's.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue, ORIGIN, UPGRADE};
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::host::authority;
use super::tee::Tee;
use crate::csrf;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::visit::Visit;

/// What the page that sent the request is to this server, says the browser: a header that no page
/// can set (W3C Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Stands before the other extractors of a handler that asks where a request comes from: the form
/// that they read may carry the token.
#[derive(Debug)]
pub struct Csrf(Option<Tee>);

impl FromRequest for Csrf {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let needs_form = !is_safe(req)
            && matches!(source(req), RequestSource::Nothing)
            && !req.headers().contains_key(X_CSRF_TOKEN)
            && csrf::is_form(req.content_type());
        ready(Ok(Self(needs_form.then(|| Tee::around(payload)))))
    }
}

/// Refuses what may come from another site, before the body of a `#[session(csrf)]` handler and when
/// the other extractors are done.
pub(super) async fn check_csrf(req: &HttpRequest, visit: &Visit, csrf: Csrf) -> Result<()> {
    ours(req, visit, csrf)
        .await
        .map_err(|rule| refused(visit, rule, hint(rule, req)))
}

/// What to do about a refusal, where it is none of an attack.
fn hint(rule: &str, req: &HttpRequest) -> &'static str {
    match rule {
        SITE => {
            "a page of another origin sent it: if it may, name that origin with `trusted_origin`"
        }
        FROM => {
            "`Origin` is not what `Host` says: if a proxy rewrites `Host`, or that origin may send it, name the \
             origin with `trusted_origin`"
        }
        _ if csrf::is_form(req.content_type()) => {
            "no browser says where it comes from: send the visitor's cookie, and `session.csrf_token()` of a page of \
             theirs as the field `csrf_token`"
        }
        _ => {
            "no browser says where it comes from, and only a urlencoded form has a field for the token: send the \
             visitor's cookie, and `session.csrf_token()` as the header `X-CSRF-Token`"
        }
    }
}

/// What changes nothing (RFC 9110 §9.2.1) may come from anywhere. The `GET` that opens a WebSocket is
/// no such thing: a browser lets any page send it, and whatever comes over it comes from there.
fn is_safe(req: &HttpRequest) -> bool {
    req.method().is_safe() && !req.headers().get_all(UPGRADE).any(names_web_socket)
}

/// Read as loosely as by those who open them.
fn names_web_socket(upgrade: &HeaderValue) -> bool {
    let name = b"websocket";
    let mut parts = upgrade.as_bytes().windows(name.len());
    parts.any(|part| part.eq_ignore_ascii_case(name))
}

/// Refuses the `GET` of another site before the purge of a `#[session(purge)]` handler: a link or an image
/// there logs nobody out. A request about which the browser says nothing passes.
pub(super) fn check_purge(req: &HttpRequest, visit: &Visit) -> Result<()> {
    let hint = "for a logout that another site may begin, write a `#[session]` that calls `session.purge()`";
    not_foreign(req, visit).map_err(|rule| refused(visit, rule, hint))
}

fn refused(visit: &Visit, rule: &'static str, hint: &str) -> Error {
    visit.sessions.0.storage.counters.cross_site.count();
    tracing::info!(target: "bsession", rule, hint, "cross_site_refused");
    Error::CrossSite { rule }
}

/// A refusal, by the name of what led to it.
type Checked = Result<(), &'static str>;

const SITE: &str = "Sec-Fetch-Site";
const FROM: &str = "Origin";

/// What the browser tells of where a request comes from.
enum RequestSource<'r> {
    /// From this very origin, or from nowhere: the user typed it.
    Ours,
    /// From another origin, of the same site.
    Sibling,
    /// From another site, or something that no browser says, by this header.
    Foreign(&'static str),
    /// From this origin, which has yet to be compared.
    Origin(&'r HeaderValue),
    Nothing,
}

fn source(req: &HttpRequest) -> RequestSource<'_> {
    match sole(req, SEC_FETCH_SITE).map(|site| site.map(HeaderValue::as_bytes)) {
        Ok(Some(b"same-origin" | b"none")) => return RequestSource::Ours,
        Ok(Some(b"same-site")) => return RequestSource::Sibling,
        Ok(Some(_)) | Err(Several) => return RequestSource::Foreign(SITE),
        Ok(None) => {}
    }
    match sole(req, ORIGIN) {
        // Privacy settings send this from everywhere, so it says nothing.
        Ok(Some(origin)) if origin == "null" => RequestSource::Nothing,
        Ok(Some(origin)) => RequestSource::Origin(origin),
        Ok(None) => RequestSource::Nothing,
        Err(Several) => RequestSource::Foreign(FROM),
    }
}

struct Several;

/// A header that is sent once, if at all.
fn sole(req: &HttpRequest, name: HeaderName) -> Result<Option<&HeaderValue>, Several> {
    let mut values = req.headers().get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Several),
    }
}

/// Passes what a page of ours has sent. As Go's `net/http.CrossOriginProtection` does, but that a
/// request about which the browser says nothing has to show a token.
async fn ours(req: &HttpRequest, visit: &Visit, csrf: Csrf) -> Checked {
    if is_safe(req) {
        return Ok(());
    }
    match source(req) {
        RequestSource::Ours => Ok(()),
        RequestSource::Nothing if shows_token(req, visit, csrf).await => Ok(()),
        RequestSource::Nothing => Err("token"),
        other => not_other(&other, req, visit),
    }
}

/// Passes a method that is not safe, and of the others what no browser says comes from another site.
fn not_foreign(req: &HttpRequest, visit: &Visit) -> Checked {
    match source(req) {
        RequestSource::Ours | RequestSource::Sibling | RequestSource::Nothing => Ok(()),
        _ if !req.method().is_safe() => Ok(()),
        other => not_other(&other, req, visit),
    }
}

/// Passes an origin that is the service's own, or trusted.
fn not_other(source: &RequestSource<'_>, req: &HttpRequest, visit: &Visit) -> Checked {
    match source {
        _ if is_trusted(req, visit) => Ok(()),
        RequestSource::Origin(origin) if is_own(origin, req) => Ok(()),
        RequestSource::Origin(_) => Err(FROM),
        RequestSource::Foreign(header) => Err(header),
        _ => Err(SITE),
    }
}

/// Whether the request comes from an origin that the service was told to trust.
fn is_trusted(req: &HttpRequest, visit: &Visit) -> bool {
    let trusted = &visit.sessions.0.config.trusted_origins;
    // What no browser sends is not to be read.
    if trusted.is_empty() || sole(req, SEC_FETCH_SITE).is_err() {
        return false;
    }
    let origin = sole(req, ORIGIN).ok().flatten();
    origin
        .and_then(parse)
        .is_some_and(|origin| trusted.contains(&origin))
}

/// Whether the origin is where the request went.
fn is_own(origin: &HeaderValue, req: &HttpRequest) -> bool {
    let (Some(origin), Some(authority)) = (parse(origin), authority(req)) else {
        return false;
    };
    // What comes over plain http to a server with TLS, somebody on the way may have made.
    let downgraded = req.app_config().secure() && !origin.is_https();
    !downgraded && origin.is_at(authority)
}

fn parse(origin: &HeaderValue) -> Option<Origin> {
    Origin::parse(origin.to_str().ok()?)
}

async fn shows_token(req: &HttpRequest, visit: &Visit, csrf: Csrf) -> bool {
    match (sole(req, X_CSRF_TOKEN), csrf.0) {
        (Ok(Some(token)), _) => visit.fits_csrf(token.as_bytes()),
        (Ok(None), Some(tee)) => {
            let (body, is_whole) = tee.read().await;
            csrf::form_field(&body, is_whole).is_some_and(|token| visit.fits_csrf(token.as_bytes()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
