//! Tests of the origins that requests may come from, and of the token in a form.

use std::future::poll_fn;
use std::pin::Pin;

use actix_web::FromRequest;
use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::web::{Bytes, Form};
use futures_core::Stream;

use super::*;
use crate::actix::unread_body::MAX_BEGINNING;
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

/// Returns a request with these headers, one per line.
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

async fn visit(req: &HttpRequest) -> std::sync::Arc<Visit> {
    let connection = Connection::from_request(req, &mut Payload::None).await;
    connection.expect("a connection").close()
}

async fn checked(request: TestRequest) -> Checked {
    let (req, mut payload) = request.app_data(sessions()).to_http_parts();
    let mut body = UnreadBody::take(&mut payload);
    ours(&req, &*visit(&req).await, &mut body).await
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
        ("origin: https://shop.example", Err(FROM)), // no `Host` to compare with
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
async fn an_authority_in_the_request_target_counts_before_the_host() {
    let request = |origin| {
        TestRequest::post()
            .uri("https://shop.example/")
            .append_header((ORIGIN, origin))
    };
    for host in [None, Some("shop.example"), Some("evil.example")] {
        for (origin, expected) in [
            ("https://shop.example", OK),
            ("https://evil.example", Err(FROM)),
        ] {
            let request = match host {
                Some(host) => request(origin).append_header(("host", host)),
                None => request(origin),
            };
            assert_eq!(checked(request).await, expected, "{origin} {host:?}");
        }
    }
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
            let checked = not_foreign(&req, &*visit(&req).await);
            assert_eq!(checked, expected, "{method} {lines:?}");
        }
    }
}

/// Returns the cookie of a visitor without a session, and a token that fits it.
async fn visitor(sessions: &Sessions) -> (Cookie<'static>, String) {
    let req = TestRequest::default()
        .app_data(sessions.clone())
        .to_http_request();
    let mut connection = crate::connect(&req).await.expect("a connection");
    let token = connection.session().csrf_token();
    let response = connection.respond(&req, "a form").await.into_response();
    let cookie = response.cookies().next().expect("a cookie").into_owned();
    (cookie, token)
}

/// Runs the check and a handler's extractors on a body that arrives in these pieces. Returns the result of the check,
/// and the length of the body (for a form, the number of its fields) if it was read.
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

    let visit = visit(&req).await;
    let mut body = UnreadBody::take(&mut payload);
    let mut length = None;
    if let Read::Before = read {
        body.look_ahead().await;
        length = Some(read_all(&mut body.payload).await);
    }
    let checked = ours(&req, &visit, &mut body).await;
    match read {
        Read::After => length = Some(read_all(&mut body.payload).await),
        Read::Form => {
            let form = Form::<Vec<(String, String)>>::from_request(&req, &mut body.payload).await;
            length = Some(form.expect("a form").len());
        }
        Read::Before | Read::Never => {}
    }
    (checked, length)
}

/// The moment at which a handler's extractors read the body: before the check, if they name the service, or after it.
#[derive(Clone, Copy)]
enum Read {
    Before,
    Form,
    After,
    Never,
}

/// A body that arrives piece by piece. The stream is pending once before each piece.
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
        let mut body = UnreadBody::take(&mut payload);
        let checked = ours(&req, &*visit(&req).await, &mut body).await;
        assert_eq!(checked, OK, "{size}");
        let form = Form::<Vec<(String, String)>>::from_request(&req, &mut body.payload).await;
        assert_eq!(form.expect("a form").len(), 3);
    }
}

#[actix_web::test]
async fn of_a_large_form_the_beginning_counts_and_its_reader_gets_all() {
    let filler = "x".repeat(MAX_BEGINNING);
    for read in [Read::Before, Read::After] {
        let early = pieces(&format!("csrf_token={{token}}&a={filler}{filler}"), 50_000);
        let (checked, length) = posted(FORM, early, read).await;
        assert_eq!(checked, OK);
        assert_eq!(
            length,
            Some(2 * MAX_BEGINNING + "csrf_token=&a=".len() + 86)
        );
        let late = vec![Bytes::from(format!("a={filler}&csrf_token={{token}}"))];
        let (checked, length) = posted(FORM, late, read).await;
        assert_eq!(checked, Err("token"));
        assert_eq!(length, Some(MAX_BEGINNING + "csrf_token=&a=".len() + 86));
    }
    // Exact to the last byte: a token that ends at the limit counts, and one that may continue does not.
    let fill = "x".repeat(MAX_BEGINNING - "a=&csrf_token=".len() - 86);
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
    // A good token in the form does not help if the header is wrong.
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
    // A token is only asked for if the browser says nothing. It does not overrule anything that the browser says.
    let foreign = "sec-fetch-site: cross-site\nx-csrf-token: {token}";
    assert_eq!(posted(foreign, none(), Read::Never).await.0, Err(SITE));
    let other = "host: shop.example\norigin: https://evil.example\nx-csrf-token: {token}";
    assert_eq!(posted(other, none(), Read::Never).await.0, Err(FROM));
}
