//! Requests that a page of another site began, and with which the browser does not send the cookie.

use actix_web::HttpRequest;
use cookie::SameSite;

/// True if the browser withholds a cookie with this `SameSite` from a request, so that nobody knows if it has one
/// (RFC 6265bis §5.6.7). Without `Sec-Fetch-Site` nothing is known of the request, and it counts as the site's own.
pub(super) fn is_withheld(req: &HttpRequest, same_site: SameSite) -> bool {
    if header(req, "sec-fetch-site") != Some(b"cross-site") {
        return false;
    }
    match same_site {
        SameSite::Strict => true,
        SameSite::Lax => !(req.method().is_safe() && opens_page(req)),
        SameSite::None => false,
    }
}

/// True if the response is shown in a tab, and not in a frame or to a script.
fn opens_page(req: &HttpRequest) -> bool {
    let is = |name, value: &[u8]| header(req, name).is_none_or(|given| given == value);
    is("sec-fetch-mode", b"navigate") && is("sec-fetch-dest", b"document")
}

fn header<'r>(req: &'r HttpRequest, name: &str) -> Option<&'r [u8]> {
    Some(req.headers().get(name)?.as_bytes())
}
