//! Prefetches: requests that a browser sends before the visitor opens the page.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::error::{Error, Result};

/// The headers that mark a prefetch (<https://fetch.spec.whatwg.org/#sec-purpose-header>).
/// Older ones send the second header alone.
const PURPOSES: [HeaderName; 2] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
];

/// Refuses a request for a page that may never be shown. The browser drops the answer, and asks again when the visitor
/// opens the page.
pub(super) fn check(req: &HttpRequest) -> Result<()> {
    let mut purposes = PURPOSES
        .into_iter()
        .flat_map(|name| req.headers().get_all(name));
    if purposes.any(is_ahead) {
        Err(Error::Prefetch)
    } else {
        Ok(())
    }
}

/// True if one of the tokens is `prefetch` or `prerender`. Parameters do not count: browsers send
/// `prefetch;prerender` and `prefetch;anonymous-client-ip`.
fn is_ahead(purpose: &HeaderValue) -> bool {
    let mut tokens = purpose.as_bytes().split(|&byte| byte == b',');
    tokens.any(|token| {
        let token = token.split(|&byte| byte == b';').next().unwrap_or_default();
        let token = token.trim_ascii();
        token.eq_ignore_ascii_case(b"prefetch") || token.eq_ignore_ascii_case(b"prerender")
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn is_refused(headers: &[(&'static str, &'static [u8])]) -> bool {
        let request = headers
            .iter()
            .fold(TestRequest::get(), |request, &(name, value)| {
                let value = HeaderValue::from_bytes(value).expect("a header");
                request.append_header((name, value))
            });
        matches!(check(&request.to_http_request()), Err(Error::Prefetch))
    }

    #[test]
    fn what_browsers_send_ahead_is_known() {
        for purpose in [
            &b"prefetch"[..],
            b"prefetch;prerender",
            b"prefetch; anonymous-client-ip",
            b" Prefetch ;prerender",
            b"prerender",
            b"other, prefetch",
            b"other;a=1,prefetch;b=2",
            b"prefetch;\xff",
        ] {
            for name in ["sec-purpose", "Purpose"] {
                assert!(is_refused(&[(name, purpose)]), "{name}: {purpose:?}");
                assert!(is_refused(&[(name, b"other"), (name, purpose)]));
            }
        }
    }

    #[test]
    fn a_request_for_another_purpose_or_for_none_passes() {
        assert!(!is_refused(&[]));
        for purpose in [
            &b""[..],
            b"navigate",
            b"other;prefetch",
            b"prefetching",
            b"\xff",
            b"fictitious-purpose",
        ] {
            assert!(!is_refused(&[("sec-purpose", purpose)]), "{purpose:?}");
        }
        assert!(!is_refused(&[("x-purpose", b"prefetch")]));
    }
}
