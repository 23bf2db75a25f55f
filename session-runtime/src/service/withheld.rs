//! Cookies that a browser withholds: it may have one, and does not send it with this request.

use super::service::Service;

/// The reason why a browser withholds the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// A page of another site began the request.
    AnotherSite,
    /// The request is outside the path of the cookie.
    AnotherPath,
}

impl Service {
    /// Counts changes that are dropped because the browser withholds the cookie, and logs them once a minute.
    pub(super) fn withheld(&self, why: Withheld) {
        self.storage.counters.withheld.count();
        if !self.withheld_warnings.lets_through(self.storage.now()) {
            return;
        }
        let hint = match why {
            Withheld::AnotherSite => {
                "a page of another site sent the visitor's browser here, and with `same_site` as it is the browser does \
                 not send the cookie: redirect to a page of your own that changes the session, or set \
                 `same_site(SameSite::None)` with `csrf` on all handlers"
            }
            Withheld::AnotherPath => {
                "the request is outside `path`, so the browser does not send the cookie: change the session below `path` \
                 only, or set a `path` that has this request below it"
            }
        };
        tracing::warn!(target: "bsession", hint, "cookie_withheld");
    }

    /// Warns, once a minute, that a cookie is set for a path to which this request does not belong, as far as is known.
    pub(crate) fn warn_of_another_path(&self, path: &str) {
        if !self.path_warnings.lets_through(self.storage.now()) {
            return;
        }
        tracing::warn!(
            target: "bsession",
            path,
            cookie_path = self.cookies.path(),
            hint = "a browser sends the cookie only below `path`, so a request outside it overwrites the session that the \
                    visitor may have there: change the session below `path` only; or, if a proxy strips a prefix, name \
                    it with `base_path`",
            "cookie_of_another_path"
        );
    }
}
