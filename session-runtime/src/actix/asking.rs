//! The kind of client that asks, and the page that it asks from.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, REFERER};

use super::csrf::SEC_FETCH_SITE;
use super::host::authority;
use crate::local_path::LocalPath;
use crate::origin::Origin;

/// The media type of the answers to forms that Turbo sends.
const TURBO_STREAM: &str = "text/vnd.turbo-stream.html";

fn header<'r>(req: &'r HttpRequest, name: &str) -> Option<&'r str> {
    Some(req.headers().get(name)?.to_str().unwrap_or_default())
}

/// True for htmx, which follows `HX-Redirect` and shows no answer with an error.
pub(super) fn is_htmx(req: &HttpRequest) -> bool {
    header(req, "hx-request") == Some("true")
}

/// True if the response will be shown as a page. A redirect to a login page is useful only then: a script can do nothing
/// with it.
pub(super) fn is_navigation(req: &HttpRequest) -> bool {
    if is_htmx(req) {
        return false;
    }
    let accept = header(req, ACCEPT.as_str()).unwrap_or_default();
    match header(req, "sec-fetch-mode") {
        Some("navigate") => true,
        Some(_) => is_turbo(req, accept),
        None => accept.contains("text/html"),
    }
}

/// True for Turbo. It fetches pages in place of the browser, follows redirects, and shows where they end.
fn is_turbo(req: &HttpRequest, accept: &str) -> bool {
    let has = |name: &str| req.headers().contains_key(name);
    has("x-turbo-request-id") || has("turbo-frame") || accept.contains(TURBO_STREAM)
}

/// The page to come back to after a login.
pub(super) enum Page {
    /// Something within this page was asked for. The client names its page as the browser shows it.
    Around(LocalPath),
    /// The page itself was asked for, as the server sees it.
    Asked(LocalPath),
}

/// Returns the page to come back to. Returns `None` if the client does not name it, or if the request changes something
/// and so cannot be repeated.
///
/// `base` is put before a path as the server sees it.
pub(super) fn page(req: &HttpRequest, base: &str) -> Option<Page> {
    let around = |name: &str| local(header(req, name)?, req).map(Page::Around);
    if is_htmx(req) && !asks_for_page(req) {
        return around("hx-current-url");
    }
    let is_part = req.headers().contains_key("turbo-frame") || !shows_page(req);
    let around = is_part.then(|| around(REFERER.as_str())).flatten();
    around.or_else(|| asked(req, base).map(Page::Asked))
}

/// True if the response is shown as a page in place of the one before.
fn shows_page(req: &HttpRequest) -> bool {
    is_navigation(req) || is_htmx(req)
}

/// Returns the path and query of a request that can be repeated, below `base`.
fn asked(req: &HttpRequest, base: &str) -> Option<LocalPath> {
    let asked = req.uri().path_and_query();
    let asked = asked.filter(|_| req.method().is_safe())?;
    LocalPath::try_from(format!("{base}{asked}")).ok()
}

/// True if htmx asks for a whole page: for a boosted link, and for the back button.
fn asks_for_page(req: &HttpRequest) -> bool {
    ["hx-boosted", "hx-history-restore-request"]
        .iter()
        .any(|name| header(req, name) == Some("true"))
}

/// Returns the path of a URL of this site.
fn local(url: &str, req: &HttpRequest) -> Option<LocalPath> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (origin, path) = url.split_at(scheme.len() + 3 + end);
    let origin = Origin::parse(origin)?;
    // Behind a proxy that rewrites `Host`, the browser knows it better than we do.
    let is_ours = header(req, SEC_FETCH_SITE.as_str()) == Some("same-origin")
        || authority(req).is_some_and(|authority| origin.is_at(authority));
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    is_ours.then(|| path.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn request(method: Method, headers: Headers<'_>) -> HttpRequest {
        let request = TestRequest::with_uri("/part?of=it").method(method);
        let request = request.insert_header(("host", "shop.example"));
        headers
            .iter()
            .fold(request, |request, header| request.insert_header(*header))
            .to_http_request()
    }

    fn page_of(method: Method, headers: Headers<'_>) -> Option<String> {
        match page(&request(method, headers), "")? {
            Page::Around(page) => Some(format!("around {page}")),
            Page::Asked(page) => Some(page.to_string()),
        }
    }

    #[test]
    fn only_what_shows_a_page_is_a_navigation() {
        for (headers, navigation) in [
            (&[("sec-fetch-mode", "navigate")][..], true),
            (
                &[("sec-fetch-mode", "navigate"), ("hx-request", "true")],
                false,
            ),
            (
                &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
                false,
            ),
            (&[("accept", "text/html,*/*;q=0.8")], true),
            (&[("accept", "text/html"), ("hx-request", "true")], false),
            (&[("accept", "*/*")], false),
            (&[], false),
            (
                &[("sec-fetch-mode", "cors"), ("x-turbo-request-id", "1-2")],
                true,
            ),
            (&[("sec-fetch-mode", "cors"), ("turbo-frame", "cart")], true),
            (
                &[
                    ("sec-fetch-mode", "cors"),
                    ("accept", "text/vnd.turbo-stream.html, text/html"),
                ],
                true,
            ),
        ] {
            let navigation_is = is_navigation(&request(Method::GET, headers));
            assert_eq!(navigation_is, navigation, "{headers:?}");
        }
    }

    #[test]
    fn the_page_to_come_back_to_is_the_one_that_the_visitor_sees() {
        let htmx = ("hx-request", "true");
        let at = |url| ("hx-current-url", url);
        let page = "http://shop.example/cart?a=1#b";
        for method in [Method::GET, Method::POST] {
            let page_of = |headers: Headers<'_>| page_of(method.clone(), headers);
            let asked = method.is_safe().then(|| "/part?of=it".to_owned());
            assert_eq!(page_of(&[]), asked);
            let around = Some("around /cart?a=1#b".to_owned());
            assert_eq!(page_of(&[htmx, at(page)]), around);
            assert_eq!(page_of(&[at(page)]), asked, "not of htmx");
            assert_eq!(page_of(&[htmx, at(page), ("hx-boosted", "true")]), asked);
            let restored = ("hx-history-restore-request", "true");
            assert_eq!(page_of(&[htmx, at(page), restored]), asked);
            assert_eq!(page_of(&[htmx]), None);
            let referer = ("referer", page);
            assert_eq!(page_of(&[("turbo-frame", "cart"), referer]), around);
            assert_eq!(page_of(&[("turbo-frame", "cart")]), asked);
            assert_eq!(page_of(&[referer]), around, "a script");
            let shown = ("sec-fetch-mode", "navigate");
            assert_eq!(page_of(&[referer, shown]), asked);
            let by_turbo = ("x-turbo-request-id", "1");
            assert_eq!(
                page_of(&[referer, by_turbo, ("sec-fetch-mode", "cors")]),
                asked
            );
            assert_eq!(page_of(&[("referer", "http://evil.example/cart")]), asked);
        }
    }

    #[test]
    fn no_page_of_another_site_is_come_back_to() {
        let local = |url, site| {
            let headers = [("sec-fetch-site", site)];
            local(url, &request(Method::GET, &headers)).map(String::from)
        };
        let some = |path: &str| Some(path.to_owned());
        for (url, path) in [
            ("http://shop.example", some("/")),
            ("https://SHOP.example:443/a", some("/a")),
            ("http://shop.example?a", some("/?a")),
            ("http://shop.example//evil.example", None),
            ("http://shop.example/\\evil.example", None),
            ("http://evil.example/a", None),
            ("http://shop.example.evil.example/a", None),
            ("http://shop.example@evil.example/a", None),
            ("http://evil.example/http://shop.example/a", None),
            ("javascript://shop.example/a", None),
            ("/a", None),
            ("//shop.example/a", None),
            ("", None),
        ] {
            assert_eq!(local(url, "cross-site"), path, "{url}");
        }
        assert_eq!(
            local("https://proxied.example/a", "same-origin"),
            some("/a")
        );
        assert_eq!(local("https://proxied.example//a", "same-origin"), None);
        assert_eq!(local("data:text/html,a", "same-origin"), None);
    }
}
