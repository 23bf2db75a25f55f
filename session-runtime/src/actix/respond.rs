//! From a saved session to the headers of its response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderValue, SET_COOKIE, VARY, X_FORWARDED_PROTO,
};
use actix_web::{HttpRequest, HttpResponse, Responder};

use crate::error::Result;
use crate::service::CookieChange;
use crate::slot::{self, Slot};

/// A response whose session is saved.
///
/// What `#[session]` makes of a handler's return value `R`, and [`Connection::save`] of the
/// response it is given.
///
/// [`Connection::save`]: crate::Connection::save
#[must_use = "a response does nothing unless it is returned"]
pub struct Saved<R: Responder> {
    response: HttpResponse<EitherBody<R::Body>>,
}

impl<R: Responder> Saved<R> {
    /// The finished response.
    pub fn into_response(self) -> HttpResponse<EitherBody<R::Body>> {
        self.response
    }
}

/// The status alone: the headers may carry the session's cookie.
impl<R: Responder> fmt::Debug for Saved<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("status", &self.response.status())
            .finish_non_exhaustive()
    }
}

impl<R: Responder> Responder for Saved<R> {
    type Body = EitherBody<R::Body>;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse<Self::Body> {
        self.response
    }
}

/// Saves, then answers: with the response, or with the error of the save in its place.
pub(super) async fn save<R: Responder>(
    slot: Arc<Slot>,
    req: &HttpRequest,
    response: HttpResponse<R::Body>,
) -> Saved<R> {
    let response = match settle(&slot, failure(response.status())).await {
        Ok(change) => {
            let mut response = response.map_into_left_body();
            tell(&slot, change, req, response.headers_mut());
            response
        }
        Err(error) => {
            let mut response = HttpResponse::from_error(error).map_into_right_body();
            vary(response.headers_mut());
            response
        }
    };
    Saved { response }
}

/// The status, if it says that the request failed.
pub(super) fn failure(status: StatusCode) -> Option<u16> {
    status.is_server_error().then(|| status.as_u16())
}

/// Saves a slot, and gives what there is to tell. Once begun it comes to its end, even if the
/// request is dropped meanwhile.
pub(super) async fn settle(slot: &Arc<Slot>, failed: Option<u16>) -> Result<Option<CookieChange>> {
    if slot.is_settled() {
        return Ok(None);
    }
    let slot = Arc::clone(slot);
    Lasting(Some(Box::pin(async move { slot.save(failed).await }))).await
}

/// A future that goes on as a task when it is dropped before its end.
struct Lasting<T: 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Future for Lasting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let poll = future.as_mut().poll(cx);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<T> Drop for Lasting<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && !std::thread::panicking()
        {
            slot::finish(Box::pin(async move { drop(future.await) }));
        }
    }
}

/// Adds the headers of a session to its response: the cookie, if there is something to tell, and
/// what keeps caches from giving it to somebody else.
pub(super) fn tell(
    slot: &Slot,
    change: Option<CookieChange>,
    req: &HttpRequest,
    headers: &mut HeaderMap,
) {
    vary(headers);
    let Some(change) = change else { return };
    let cookie = slot.sessions.0.cookie(change, is_plain_loopback(req));
    if cookie.secure() == Some(true) {
        warn_of_plain_http(req);
    }
    set_cookie(headers, cookie.name(), &cookie.to_string());
}

/// Appends a `Set-Cookie`; an earlier one of the same name goes.
pub(super) fn set_cookie(headers: &mut HeaderMap, name: &str, cookie: &str) {
    // Its parts were checked when the service was built.
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
    // RFC 6265bis §7.5: a cookie is not to be cached.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Merges `Cookie` into `Vary`: the response hangs on it.
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

/// Whether the browser spoke plain http to this very machine, as in development.
pub(super) fn is_plain_loopback(req: &HttpRequest) -> bool {
    !req.app_config().secure() && host(req).is_some_and(is_loopback)
}

fn host(req: &HttpRequest) -> Option<&str> {
    let authority = match req.headers().get(HOST) {
        Some(host) => host.to_str().ok()?,
        None => req.uri().authority()?.as_str(),
    };
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end)
}

/// The names of RFC 6761 §6.3 and the addresses of this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A browser drops a secure cookie that comes over plain http: the log says so, once.
fn warn_of_plain_http(req: &HttpRequest) {
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

/// Whether a body may be replaced is the type's business: a middleware's bodies are of two kinds.
pub(super) fn failed<B: MessageBody>(error: crate::Error) -> HttpResponse<EitherBody<B>> {
    let mut response = HttpResponse::from_error(error).map_into_right_body();
    vary(response.headers_mut());
    response
}
