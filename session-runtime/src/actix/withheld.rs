//! Requests with which a browser does not send the cookie that it may have.

use actix_web::HttpRequest;
use cookie::SameSite;

use super::csrf::SEC_FETCH_SITE;
use crate::cookie::is_below;
use crate::service::{Sessions, Withheld};
use crate::visit::Visit;

/// Returns the reason why a browser withholds the cookie of this service from a request, if there is one.
///
/// A cookie that is shown all the same is not the service's: a sibling domain can plant one with another `SameSite`. The path of
/// the request counts only with `base_path`, because else a proxy may have stripped a prefix, and if no cookie is shown.
pub(super) fn withheld(req: &HttpRequest, sessions: &Sessions, is_shown: bool) -> Option<Withheld> {
    let cookies = &sessions.0.cookies;
    if is_of_another_site(req, cookies.same_site()) {
        return Some(Withheld::AnotherSite);
    }
    let base = &sessions.0.config.base_path;
    let is_outside = !is_shown && !base.is_empty() && cookies.path() != "/" && {
        let path = format!("{base}{}", req.uri().path());
        !is_below(&path, cookies.path())
    };
    is_outside.then_some(Withheld::AnotherPath)
}

/// Warns if a response sets a cookie that the browser will not send with such a request, and perhaps overwrites another one
/// with it.
pub(super) fn warn_of_another_path(visit: &Visit, req: &HttpRequest) {
    let service = &visit.sessions.0;
    let path = service.cookies.path();
    let is_unknown = path != "/" && service.config.base_path.is_empty() && !visit.shows_cookie();
    if is_unknown && !is_below(req.uri().path(), path) {
        service.warn_of_another_path(req.uri().path());
    }
}

/// True if the browser withholds a cookie with this `SameSite` from a request, so that nobody knows if it has one
/// (RFC 6265bis §5.6.7). Without `Sec-Fetch-Site` nothing is known of the request, and it counts as the site's own.
fn is_of_another_site(req: &HttpRequest, same_site: SameSite) -> bool {
    let is_cross_site = || {
        let site = req.headers().get(SEC_FETCH_SITE);
        site.is_some_and(|site| site == "cross-site")
    };
    match same_site {
        SameSite::Strict => is_cross_site(),
        SameSite::Lax => is_cross_site() && !(req.method().is_safe() && opens_page(req)),
        SameSite::None => false,
    }
}

/// True if the response is shown in a tab, and not in a frame or to a script.
fn opens_page(req: &HttpRequest) -> bool {
    let is = |name, value| req.headers().get(name).is_none_or(|given| given == value);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}
