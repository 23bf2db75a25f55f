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
use crate::slot::Slot;

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
            && matches!(told(req), Told::Nothing)
            && !req.headers().contains_key(X_CSRF_TOKEN)
            && csrf::is_form(req.content_type());
        ready(Ok(Self(needs_form.then(|| Tee::around(payload)))))
    }
}

/// Refuses what may come from another site, before the body of a `#[session(csrf)]` handler and when
/// the other extractors are done.
pub(super) async fn check_csrf(req: &HttpRequest, slot: &Slot, csrf: Csrf) -> Result<()> {
    ours(req, slot, csrf)
        .await
        .map_err(|rule| refused(slot, rule, hint(rule, req)))
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
pub(super) fn check_purge(req: &HttpRequest, slot: &Slot) -> Result<()> {
    let hint = "for a logout that another site may begin, write a `#[session]` that calls `session.purge()`";
    not_foreign(req, slot).map_err(|rule| refused(slot, rule, hint))
}

fn refused(slot: &Slot, rule: &'static str, hint: &str) -> Error {
    slot.sessions.0.counters.cross_site.count();
    tracing::info!(target: "bsession", rule, hint, "cross_site_refused");
    Error::CrossSite { rule }
}

/// A refusal, by the name of what led to it.
type Checked = Result<(), &'static str>;

const SITE: &str = "Sec-Fetch-Site";
const FROM: &str = "Origin";

/// What the browser tells of where a request comes from.
enum Told<'r> {
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

fn told(req: &HttpRequest) -> Told<'_> {
    match sole(req, SEC_FETCH_SITE).map(|site| site.map(HeaderValue::as_bytes)) {
        Ok(Some(b"same-origin" | b"none")) => return Told::Ours,
        Ok(Some(b"same-site")) => return Told::Sibling,
        Ok(Some(_)) | Err(Several) => return Told::Foreign(SITE),
        Ok(None) => {}
    }
    match sole(req, ORIGIN) {
        // Privacy settings send this from everywhere, so it says nothing.
        Ok(Some(origin)) if origin == "null" => Told::Nothing,
        Ok(Some(origin)) => Told::Origin(origin),
        Ok(None) => Told::Nothing,
        Err(Several) => Told::Foreign(FROM),
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
async fn ours(req: &HttpRequest, slot: &Slot, csrf: Csrf) -> Checked {
    if is_safe(req) {
        return Ok(());
    }
    match told(req) {
        Told::Ours => Ok(()),
        Told::Nothing if shows_token(req, slot, csrf).await => Ok(()),
        Told::Nothing => Err("token"),
        other => not_other(&other, req, slot),
    }
}

/// Passes a method that is not safe, and of the others what no browser says comes from another site.
fn not_foreign(req: &HttpRequest, slot: &Slot) -> Checked {
    match told(req) {
        Told::Ours | Told::Sibling | Told::Nothing => Ok(()),
        _ if !req.method().is_safe() => Ok(()),
        other => not_other(&other, req, slot),
    }
}

/// Passes an origin that is the service's own, or trusted.
fn not_other(told: &Told<'_>, req: &HttpRequest, slot: &Slot) -> Checked {
    match told {
        _ if is_trusted(req, slot) => Ok(()),
        Told::Origin(origin) if is_own(origin, req) => Ok(()),
        Told::Origin(_) => Err(FROM),
        Told::Foreign(header) => Err(header),
        _ => Err(SITE),
    }
}

/// Whether the request comes from an origin that the service was told to trust.
fn is_trusted(req: &HttpRequest, slot: &Slot) -> bool {
    let trusted = &slot.sessions.0.config.trusted_origins;
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

async fn shows_token(req: &HttpRequest, slot: &Slot, csrf: Csrf) -> bool {
    match (sole(req, X_CSRF_TOKEN), csrf.0) {
        (Ok(Some(token)), _) => slot.fits_csrf(token.as_bytes()),
        (Ok(None), Some(tee)) => {
            let (body, is_whole) = tee.read().await;
            csrf::form_field(&body, is_whole).is_some_and(|token| slot.fits_csrf(token.as_bytes()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use actix_web::cookie::Cookie;
    use actix_web::http::Method;
    use actix_web::test::TestRequest;
    use actix_web::web::{Bytes, Form};
    use futures_core::Stream;

    use super::*;
    use crate::actix::tee::MOST;
    use crate::{Connection, Sessions};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const FORM: &str = "content-type: application/x-www-form-urlencoded";
    const OK: Checked = Ok(());

    fn sessions() -> Sessions {
        Sessions::builder(SECRET)
            .trusted_origin("https://sso.example")
            .trusted_origin("http://[2001:db8::1]:8080")
            .build()
            .expect("a service")
    }

    /// A request to `shop.example` with these headers, a line each.
    fn request(method: &str, lines: &str) -> TestRequest {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let lines = lines
            .lines()
            .map(|line| line.split_once(": ").expect("a header"));
        lines.fold(
            TestRequest::default().method(method).uri("/"),
            |request, line| request.append_header(line),
        )
    }

    async fn slot(req: &HttpRequest) -> std::sync::Arc<Slot> {
        let connection = Connection::from_request(req, &mut Payload::None).await;
        connection.expect("a connection").close()
    }

    async fn checked(request: TestRequest) -> Checked {
        let (req, mut payload) = request.app_data(sessions()).to_http_parts();
        let csrf = Csrf::from_request(&req, &mut payload).await.expect("ready");
        ours(&req, &*slot(&req).await, csrf).await
    }

    #[actix_web::test]
    async fn the_browsers_word_decides_where_a_request_may_come_from() {
        let own = "host: shop.example\norigin: ";
        let cases = [
            ("sec-fetch-site: same-origin", OK),
            ("sec-fetch-site: none", OK),
            ("sec-fetch-site: same-site", Err(SITE)),
            ("sec-fetch-site: cross-site", Err(SITE)),
            ("sec-fetch-site: Same-Origin", Err(SITE)),
            ("sec-fetch-site: ", Err(SITE)),
            ("sec-fetch-site: whatever", Err(SITE)),
            (
                "sec-fetch-site: same-origin\nsec-fetch-site: same-origin",
                Err(SITE),
            ),
            (
                "sec-fetch-site: same-origin\nhost: shop.example\norigin: https://evil.example",
                OK,
            ),
            (
                "sec-fetch-site: cross-site\nhost: shop.example\norigin: https://shop.example",
                Err(SITE),
            ),
            (
                "sec-fetch-site: cross-site\norigin: https://sso.example",
                OK,
            ),
            (
                "sec-fetch-site: same-site\norigin: https://SSO.example:443",
                OK,
            ),
            (
                "sec-fetch-site: same-site\norigin: https://sso.example\norigin: https://sso.example",
                Err(SITE),
            ),
            (
                "sec-fetch-site: same-site\nsec-fetch-site: same-site\norigin: https://sso.example",
                Err(SITE),
            ),
            ("sec-fetch-site: cross-site\norigin: null", Err(SITE)),
            ("origin: https://sso.example", OK),
            ("origin: http://sso.example", Err(FROM)),
            ("origin: http://[2001:DB8::1]:8080", OK),
            ("origin: http://[2001:db8::1]", Err(FROM)),
            ("origin: https://shop.example", Err(FROM)), // there is no host
            ("origin: ", Err(FROM)),
            ("origin: null", Err("token")),
            (
                "origin: https://shop.example\nhost: shop.example\nhost: shop.example",
                Err(FROM),
            ),
            (
                "origin: https://evil.example\nhost: shop.example\nx-forwarded-host: evil.example",
                Err(FROM),
            ),
            (
                "origin: https://evil.example\nhost: shop.example\nforwarded: host=evil.example",
                Err(FROM),
            ),
            (
                "origin: https://shop.example\norigin: https://shop.example\nhost: shop.example",
                Err(FROM),
            ),
            ("host: shop.example", Err("token")),
            (
                "host: shop.example\nreferer: https://shop.example/",
                Err("token"),
            ),
        ];
        for (lines, expected) in cases {
            for method in [
                "POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "MADE-UP",
            ] {
                assert_eq!(
                    checked(request(method, lines)).await,
                    expected,
                    "{method} {lines:?}"
                );
            }
            for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
                assert_eq!(
                    checked(request(method, lines)).await,
                    OK,
                    "{method} {lines:?}"
                );
            }
        }
        for (origin, expected) in [
            ("https://shop.example", OK),
            ("http://shop.example", OK),
            ("https://SHOP.example", OK),
            ("https://shop.example:8443", Err(FROM)),
            ("https://pay.shop.example", Err(FROM)),
            ("https://evil.example", Err(FROM)),
            ("file://", Err(FROM)),
        ] {
            let lines = format!("{own}{origin}");
            assert_eq!(
                checked(request("POST", &lines)).await,
                expected,
                "{lines:?}"
            );
        }
    }

    #[actix_web::test]
    async fn over_http_2_the_host_is_the_authority() {
        let request = |origin| {
            TestRequest::post()
                .uri("https://shop.example/")
                .append_header((ORIGIN, origin))
        };
        assert_eq!(checked(request("https://shop.example")).await, OK);
        assert_eq!(checked(request("https://evil.example")).await, Err(FROM));
    }

    #[actix_web::test]
    async fn only_another_sites_get_is_refused_by_a_purge() {
        let cases = [
            ("sec-fetch-site: same-origin", OK),
            ("sec-fetch-site: same-site", OK),
            ("sec-fetch-site: none", OK),
            ("host: shop.example", OK),
            ("origin: null", OK),
            ("sec-fetch-site: cross-site", Err(SITE)),
            ("sec-fetch-site: whatever", Err(SITE)),
            ("sec-fetch-site: none\nsec-fetch-site: none", Err(SITE)),
            (
                "sec-fetch-site: cross-site\norigin: https://sso.example",
                OK,
            ),
            (
                "host: shop.example\norigin: https://evil.example",
                Err(FROM),
            ),
            ("host: shop.example\norigin: https://shop.example", OK),
        ];
        for (lines, expected) in cases {
            for (method, expected) in [("GET", expected), ("HEAD", expected), ("POST", OK)] {
                let req = request(method, lines)
                    .app_data(sessions())
                    .to_http_request();
                let checked = not_foreign(&req, &*slot(&req).await);
                assert_eq!(checked, expected, "{method} {lines:?}");
            }
        }
    }

    /// A visitor without a session: the cookie and a token that fits it.
    async fn visitor(sessions: &Sessions) -> (Cookie<'static>, String) {
        let req = TestRequest::default()
            .app_data(sessions.clone())
            .to_http_request();
        let mut connection = crate::connect(&req).await.expect("a connection");
        let token = connection.session().csrf_token();
        let response = connection.save(&req, "a form").await.into_response();
        let cookie = response.cookies().next().expect("a cookie").into_owned();
        (cookie, token)
    }

    /// How a handler's extractors and its check come out for a body that comes in these pieces.
    async fn posted(lines: &str, pieces: Vec<Bytes>, read: Read) -> (Checked, Option<usize>) {
        let sessions = sessions();
        let (cookie, token) = visitor(&sessions).await;
        let lines = lines.replace("{token}", &token);
        let req = request("POST", &lines)
            .cookie(cookie)
            .app_data(sessions)
            .to_http_request();
        let put = |piece: Bytes| {
            String::from_utf8_lossy(&piece)
                .replace("{token}", &token)
                .into()
        };
        let pieces = pieces.into_iter().map(put).collect();
        let mut payload = payload_of(pieces);

        let csrf = Csrf::from_request(&req, &mut payload).await.expect("ready");
        let mut length = match read {
            Read::Before => Some(read_all(&mut payload).await),
            Read::Form => {
                let form = Form::<Vec<(String, String)>>::from_request(&req, &mut payload).await;
                Some(form.expect("a form").len())
            }
            Read::After | Read::Never => None,
        };
        let checked = ours(&req, &*slot(&req).await, csrf).await;
        if let Read::After = read {
            length = Some(read_all(&mut payload).await);
        }
        (checked, length)
    }

    #[derive(Clone, Copy)]
    enum Read {
        Before,
        Form,
        After,
        Never,
    }

    /// A body that comes piece by piece, each after one that makes wait.
    struct Pieces(std::collections::VecDeque<Bytes>, bool);

    impl Stream for Pieces {
        type Item = Result<Bytes, actix_web::error::PayloadError>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            self.1 = !self.1;
            if self.1 {
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn payload_of(pieces: Vec<Bytes>) -> Payload {
        Payload::Stream {
            payload: Box::pin(Pieces(pieces.into(), false)),
        }
    }

    async fn read_all(payload: &mut Payload) -> usize {
        let mut length = 0;
        while let Some(chunk) = poll_fn(|cx| Pin::new(&mut *payload).poll_next(cx)).await {
            length += chunk.expect("a chunk").len();
        }
        length
    }

    fn pieces(body: &str, size: usize) -> Vec<Bytes> {
        body.as_bytes()
            .chunks(size)
            .map(Bytes::copy_from_slice)
            .collect()
    }

    #[actix_web::test]
    async fn the_token_in_a_form_counts_whoever_reads_the_form() {
        let body = "amount=1&csrf_token={token}&to=eve";
        let whole = || vec![Bytes::from(body)];
        for read in [Read::Before, Read::Form, Read::After, Read::Never] {
            assert_eq!(posted(FORM, whole(), read).await.0, OK);
        }
        assert_eq!(posted(FORM, whole(), Read::Form).await.1, Some(3));
        let length = body.len() - "{token}".len() + 86;
        assert_eq!(posted(FORM, whole(), Read::Before).await.1, Some(length));
        assert_eq!(posted(FORM, whole(), Read::After).await.1, Some(length));
        let charset = "content-type: Application/X-WWW-Form-URLEncoded; charset=utf-8";
        assert_eq!(posted(charset, whole(), Read::Never).await.0, OK);
        let empty = posted(FORM, Vec::new(), Read::After).await;
        assert_eq!(empty, (Err("token"), Some(0)));
    }

    #[actix_web::test]
    async fn a_form_in_many_pieces_is_read_as_one() {
        let sessions = sessions();
        let (cookie, token) = visitor(&sessions).await;
        for size in [1, 2, 7, 40] {
            let req = request("POST", FORM)
                .cookie(cookie.clone())
                .app_data(sessions.clone())
                .to_http_request();
            let body = pieces(&format!("a=1&csrf_token={token}&b=2"), size);
            let mut payload = payload_of(body);
            let csrf = Csrf::from_request(&req, &mut payload).await.expect("ready");
            let form = Form::<Vec<(String, String)>>::from_request(&req, &mut payload).await;
            assert_eq!(form.expect("a form").len(), 3);
            assert_eq!(ours(&req, &*slot(&req).await, csrf).await, OK, "{size}");
        }
    }

    #[actix_web::test]
    async fn of_a_large_form_the_beginning_counts_and_its_reader_gets_all() {
        let filler = "x".repeat(MOST);
        for read in [Read::Before, Read::After] {
            let early = pieces(&format!("csrf_token={{token}}&a={filler}{filler}"), 50_000);
            let (checked, length) = posted(FORM, early, read).await;
            assert_eq!(checked, OK);
            assert_eq!(length, Some(2 * MOST + "csrf_token=&a=".len() + 86));
            let late = vec![Bytes::from(format!("a={filler}&csrf_token={{token}}"))];
            let (checked, length) = posted(FORM, late, read).await;
            assert_eq!(checked, Err("token"));
            assert_eq!(length, Some(MOST + "csrf_token=&a=".len() + 86));
        }
        // To the last byte: what ends there counts, what may go on does not.
        let fill = "x".repeat(MOST - "a=&csrf_token=".len() - 86);
        let fits = vec![Bytes::from(format!("a={fill}&csrf_token={{token}}"))];
        assert_eq!(posted(FORM, fits, Read::Never).await.0, OK);
        let goes_on = vec![Bytes::from(format!("a={fill}&csrf_token={{token}}A"))];
        for read in [Read::Before, Read::Never] {
            let (checked, _) = posted(FORM, goes_on.clone(), read).await;
            assert_eq!(checked, Err("token"));
        }
    }

    #[actix_web::test]
    async fn a_token_elsewhere_does_not_count() {
        let body = || vec![Bytes::from("csrf_token={token}")];
        for lines in [
            "host: shop.example",
            "content-type: text/plain",
            "content-type: multipart/form-data; boundary=x",
            "content-type: application/json",
        ] {
            let (checked, length) = posted(lines, body(), Read::After).await;
            assert_eq!(checked, Err("token"), "{lines}");
            assert_eq!(length, Some("csrf_token=".len() + 86), "{lines}");
        }
        let twice = vec![Bytes::from("csrf_token={token}&csrf_token={token}")];
        assert_eq!(posted(FORM, twice, Read::Never).await.0, Err("token"));
        // A header that is wrong is not made good by the form.
        let lines = format!("x-csrf-token: wrong\n{FORM}");
        assert_eq!(posted(&lines, body(), Read::Never).await.0, Err("token"));
    }

    #[actix_web::test]
    async fn the_token_in_the_header_counts_once() {
        let none = Vec::new;
        assert_eq!(
            posted("x-csrf-token: {token}", none(), Read::Never).await.0,
            OK
        );
        assert_eq!(
            posted("origin: null\nx-csrf-token: {token}", none(), Read::Never)
                .await
                .0,
            OK
        );
        let twice = "x-csrf-token: {token}\nx-csrf-token: {token}";
        assert_eq!(posted(twice, none(), Read::Never).await.0, Err("token"));
        // It is asked for where the browser says nothing, and helps against nothing that it says.
        let foreign = "sec-fetch-site: cross-site\nx-csrf-token: {token}";
        assert_eq!(posted(foreign, none(), Read::Never).await.0, Err(SITE));
        let other = "host: shop.example\norigin: https://evil.example\nx-csrf-token: {token}";
        assert_eq!(posted(other, none(), Read::Never).await.0, Err(FROM));
    }
}
