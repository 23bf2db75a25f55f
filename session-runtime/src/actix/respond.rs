//! From a saved session to the headers of its response.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderValue, SET_COOKIE, VARY, X_FORWARDED_PROTO,
};
use actix_web::{HttpRequest, HttpResponse, Responder};

use crate::errand;
use crate::error::{Error, Result};
use crate::service::CookieChange;
use crate::slot::Slot;

/// A response whose session is saved.
///
/// What `#[session]` makes of a handler's return value `R`, and [`Connection::save`] of the
/// response it is given.
///
/// [`Connection::save`]: crate::Connection::save
#[must_use = "a response does nothing unless it is returned"]
pub struct Saved<R> {
    response: HttpResponse,
    of: PhantomData<fn(R)>,
}

impl<R> Saved<R> {
    /// The finished response.
    pub fn into_response(self) -> HttpResponse {
        self.response
    }

    pub(super) fn of(response: HttpResponse) -> Self {
        Self {
            response,
            of: PhantomData,
        }
    }

    /// The response to a request whose session failed before its handler.
    pub(super) fn failed(error: Error) -> Self {
        let mut response = HttpResponse::from_error(error);
        vary(response.headers_mut());
        Self::of(response)
    }
}

/// The status alone: the headers may carry the session's cookie.
impl<R> fmt::Debug for Saved<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("status", &self.response.status())
            .finish_non_exhaustive()
    }
}

impl<R: Responder> Responder for Saved<R> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

/// A response whose session is being saved: it becomes that response, or the error of the save.
///
/// A future by hand, for each handler has one: `async` would keep, and move, everything twice.
#[must_use = "futures do nothing unless polled"]
pub struct Saving<R> {
    slot: Arc<Slot>,
    request: HttpRequest,
    response: Option<HttpResponse>,
    save: Option<Save>,
    of: PhantomData<fn(R)>,
}

impl<R> Saving<R> {
    pub(super) fn new(slot: Arc<Slot>, request: HttpRequest, response: HttpResponse) -> Self {
        Self {
            slot,
            request,
            response: Some(response),
            save: None,
            of: PhantomData,
        }
    }
}

impl<R> Future for Saving<R> {
    type Output = Saved<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Saved<R>> {
        let this = self.get_mut();
        let Some(response) = &mut this.response else {
            return Poll::Pending;
        };
        let told = if this.save.is_none() && this.slot.is_settled() {
            Ok(None)
        } else {
            let failed = failure(response.status());
            let save = this.save.get_or_insert_with(|| save(&this.slot, failed));
            ready!(Pin::new(save).poll(cx))
        };
        match told {
            Ok(change) => tell(&this.slot, change, &this.request, response.headers_mut()),
            Err(error) => {
                *response = HttpResponse::from_error(error);
                vary(response.headers_mut());
            }
        }
        let saved = this.response.take().map(Saved::of);
        saved.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<R> fmt::Debug for Saving<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saving(..)")
    }
}

/// The status, if it says that the request failed.
pub(super) fn failure(status: StatusCode) -> Option<u16> {
    status.is_server_error().then(|| status.as_u16())
}

type Save = Lasting<Result<Option<CookieChange>>>;

/// Saves a slot, and gives what there is to tell. Once begun it comes to its end, even if the
/// request is dropped meanwhile.
fn save(slot: &Arc<Slot>, failed: Option<u16>) -> Save {
    let slot = Arc::clone(slot);
    Lasting(Some(Box::pin(async move { slot.save(failed).await })))
}

/// The same, if there is anything to save.
pub(super) async fn settle(slot: &Arc<Slot>, failed: Option<u16>) -> Result<Option<CookieChange>> {
    if slot.is_settled() {
        return Ok(None);
    }
    save(slot, failed).await
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
            errand::finish(Box::pin(async move { drop(future.await) }));
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

/// Where the request went, as the client says: host and port.
pub(super) fn authority(req: &HttpRequest) -> Option<&str> {
    let mut hosts = req.headers().get_all(HOST);
    match (hosts.next(), hosts.next()) {
        (None, _) => Some(req.uri().authority()?.as_str()),
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

fn host(req: &HttpRequest) -> Option<&str> {
    let authority = authority(req)?;
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
pub(super) fn failed<B: MessageBody>(error: Error) -> HttpResponse<EitherBody<B>> {
    let mut response = HttpResponse::from_error(error).map_into_right_body();
    vary(response.headers_mut());
    response
}
