//! Checks that a request comes from a page of this service, and not from another site's page.

use actix_web::http::header::{HeaderName, HeaderValue, ORIGIN, UPGRADE};
use actix_web::{HttpMessage, HttpRequest};

use super::host::authority;
use super::unread_body::UnreadBody;
use crate::csrf;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::visit::Visit;

/// The browser's word on how the page that sent the request relates to this server. No page can set this header
/// (W3C Fetch Metadata).
pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Refuses a request that may come from another site. The token may be in the form that the body brings. Then its
/// beginning is read, and stays for the extractors.
pub(super) async fn check_csrf(
    req: &HttpRequest,
    visit: &Visit,
    body: &mut UnreadBody,
) -> Result<()> {
    ours(req, visit, body)
        .await
        .map_err(|rule| refused(visit, rule, hint(rule, req)))
}

/// True if the check may read a token from the form in the body.
pub(super) fn may_need_form(req: &HttpRequest) -> bool {
    !is_safe(req)
        && matches!(source(req), RequestSource::Nothing)
        && !req.headers().contains_key(X_CSRF_TOKEN)
        && csrf::is_form(req.content_type())
}

/// Returns the log's hint for a refusal: the remedy if the request was not an attack.
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
             theirs as the field `csrf_token`; to try it by hand, send the service's own origin as the header `Origin`"
        }
        _ => {
            "no browser says where it comes from, and only a urlencoded form has a field for the token: send the \
             visitor's cookie, and `session.csrf_token()` as the header `X-CSRF-Token`; to try it by hand, send the service's \
             own origin as the header `Origin`"
        }
    }
}

/// True if the method changes nothing (RFC 9110 §9.2.1): such a request may come from anywhere. A `GET` that opens a
/// WebSocket is not safe: a browser lets any page send it, and that page then sends all messages on the socket.
fn is_safe(req: &HttpRequest) -> bool {
    req.method().is_safe() && !req.headers().get_all(UPGRADE).any(names_web_socket)
}

/// Compares as loosely as the libraries that open WebSockets.
fn names_web_socket(upgrade: &HeaderValue) -> bool {
    let name = b"websocket";
    let mut parts = upgrade.as_bytes().windows(name.len());
    parts.any(|part| part.eq_ignore_ascii_case(name))
}

/// Refuses a `GET` of another site before the purge of a `#[session(purge)]` handler, so that a link or an image there
/// logs nobody out. A request passes if the browser does not say where it comes from.
pub(super) fn check_purge(req: &HttpRequest, visit: &Visit) -> Result<()> {
    let hint = "for a logout that another site may begin, write a `#[session]` that calls `session.purge()`";
    not_foreign(req, visit).map_err(|rule| refused(visit, rule, hint))
}

fn refused(visit: &Visit, rule: &'static str, hint: &str) -> Error {
    visit.sessions.0.storage.counters.cross_site.count();
    let head = visit.head();
    tracing::info!(
        target: "bsession",
        rule,
        handle = head.map(|head| tracing::field::display(head.handle)),
        user = head.and_then(|head| head.user).map(tracing::field::display),
        hint,
        "cross_site_refused"
    );
    Error::CrossSite { rule }
}

/// `Ok`, or the name of the rule that refuses the request.
type Checked = Result<(), &'static str>;

const SITE: &str = "Sec-Fetch-Site";
const FROM: &str = "Origin";

/// The source of a request, as the browser states it.
enum RequestSource<'r> {
    /// This origin, or no page at all: the user typed the address.
    Ours,
    /// Another origin of the same site.
    Sibling,
    /// Another site, or a value that no browser sends. Holds the name of the header that says so.
    Foreign(&'static str),
    /// The origin that the browser names. It is not compared with this server yet.
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
        // Some privacy settings make a browser send `null` from every page, so it says nothing.
        Ok(Some(origin)) if origin == "null" => RequestSource::Nothing,
        Ok(Some(origin)) => RequestSource::Origin(origin),
        Ok(None) => RequestSource::Nothing,
        Err(Several) => RequestSource::Foreign(FROM),
    }
}

struct Several;

/// Returns a header that may be sent once at most. A repeated header is an error.
fn sole(req: &HttpRequest, name: HeaderName) -> Result<Option<&HeaderValue>, Several> {
    let mut values = req.headers().get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Several),
    }
}

/// Accepts a request that a page of this service sent. The rules are those of Go's `net/http.CrossOriginProtection`,
/// with one difference: if the browser does not say where a request comes from, the request must carry a token.
async fn ours(req: &HttpRequest, visit: &Visit, body: &mut UnreadBody) -> Checked {
    if is_safe(req) {
        return Ok(());
    }
    match source(req) {
        RequestSource::Ours => Ok(()),
        RequestSource::Nothing if shows_token(req, visit, body).await => Ok(()),
        RequestSource::Nothing => Err("token"),
        other => not_other(&other, req, visit),
    }
}

/// Accepts every method that is not safe. Accepts a safe method unless the browser says that another site sent it.
fn not_foreign(req: &HttpRequest, visit: &Visit) -> Checked {
    match source(req) {
        RequestSource::Ours | RequestSource::Sibling | RequestSource::Nothing => Ok(()),
        _ if !req.method().is_safe() => Ok(()),
        other => not_other(&other, req, visit),
    }
}

/// Accepts the origin of this server, and trusted origins.
fn not_other(source: &RequestSource<'_>, req: &HttpRequest, visit: &Visit) -> Checked {
    match source {
        _ if is_trusted(req, visit) => Ok(()),
        RequestSource::Origin(origin) if is_own(origin, req) => Ok(()),
        RequestSource::Origin(_) => Err(FROM),
        RequestSource::Foreign(header) => Err(header),
        _ => Err(SITE),
    }
}

/// True if the request comes from one of the service's trusted origins.
fn is_trusted(req: &HttpRequest, visit: &Visit) -> bool {
    let trusted = &visit.sessions.0.config.trusted_origins;
    // No browser repeats this header, so nothing else in such a request is trusted.
    if trusted.is_empty() || sole(req, SEC_FETCH_SITE).is_err() {
        return false;
    }
    let origin = sole(req, ORIGIN).ok().flatten();
    origin
        .and_then(parse)
        .is_some_and(|origin| trusted.contains(&origin))
}

/// True if the origin is the server that the request was sent to.
fn is_own(origin: &HeaderValue, req: &HttpRequest) -> bool {
    let (Some(origin), Some(authority)) = (parse(origin), authority(req)) else {
        return false;
    };
    // A server with TLS does not accept a page that was loaded over plain http: an attacker on the network may have
    // made it.
    let downgraded = req.app_config().secure() && !origin.is_https();
    !downgraded && origin.is_at(authority)
}

fn parse(origin: &HeaderValue) -> Option<Origin> {
    Origin::parse(origin.to_str().ok()?)
}

async fn shows_token(req: &HttpRequest, visit: &Visit, body: &mut UnreadBody) -> bool {
    match sole(req, X_CSRF_TOKEN) {
        Ok(Some(token)) => visit.fits_csrf(token.as_bytes()),
        // A visitor who shows no id cannot have a token, and so need not send the body.
        Ok(None) if csrf::is_form(req.content_type()) && visit.shows_id() => {
            let form = body.beginning().await;
            let token = csrf::form_field(&form.bytes, form.is_whole);
            token.is_some_and(|token| visit.fits_csrf(token.as_bytes()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
