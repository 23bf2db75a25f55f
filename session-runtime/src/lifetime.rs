//! The lifetime of a session and of its cookie, computed from the settings, the contents and the time.

use std::time::Duration;

use crate::clock::{Timestamp, days};
use crate::contents::Contents;
use crate::error::InitError;

/// The longest idle timeout: browsers keep a cookie for 400 days at most (RFC 6265bis §5.5).
pub(crate) const MAX_IDLE: Duration = days(400);
/// The shortest idle timeout: a cookie counts its `Max-Age` in seconds.
pub(crate) const MIN_IDLE: Duration = Duration::from_secs(1);

/// The shortest time between two writes of the last visit, unless a tenth of the idle timeout is shorter.
pub(crate) const TOUCH_LAG: Duration = Duration::from_secs(60);

/// The settings that decide when a session and its cookie end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) idle: Duration,
    /// The idle timeout of sessions without a user, if it is not the same as `idle`.
    pub(crate) anonymous_idle: Option<Duration>,
    /// The absolute timeout, counted from the creation or the last login. Visits do not move it.
    pub(crate) absolute: Option<Duration>,
    /// True if the cookie ends with the browser.
    pub(crate) browser_session: bool,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            idle: days(30),
            anonymous_idle: None,
            absolute: None,
            browser_session: false,
        }
    }
}

impl Lifetime {
    /// The idle timeout of a session: its own timeout, or else the timeout of the service.
    pub(crate) fn idle(&self, contents: &Contents) -> Duration {
        let of_service = || match contents.user {
            Some(_) => self.idle,
            None => self.anonymous_idle.unwrap_or(self.idle),
        };
        contents.idle.unwrap_or_else(of_service)
    }

    /// The end of a session that is visited now.
    pub(crate) fn expiry(&self, contents: &Contents, now: Timestamp) -> Timestamp {
        let idle = now + self.idle(contents);
        self.deadline(contents).map_or(idle, |end| end.min(idle))
    }

    /// The current end of a session. It is never later than the end of a session visited now, so that a clock that
    /// was wrong cannot make a session immortal.
    pub(crate) fn end(&self, stored: Timestamp, contents: &Contents, now: Timestamp) -> Timestamp {
        stored.min(self.expiry(contents, now))
    }

    /// The end of the absolute timeout if it begins now.
    pub(crate) fn deadline_from(&self, now: Timestamp) -> Option<Timestamp> {
        self.absolute.map(|span| now + span)
    }

    /// The end of a session's absolute timeout: the end stored with it, or an earlier one by the current settings.
    fn deadline(&self, contents: &Contents) -> Option<Timestamp> {
        let begun = contents.authenticated.unwrap_or(contents.created);
        let by_settings = self.deadline_from(begun);
        contents.deadline.into_iter().chain(by_settings).min()
    }

    /// The `Max-Age` of a cookie that is sent now; `None` if the cookie ends with the browser.
    ///
    /// The cookie outlasts the session by a tenth of the idle timeout. For that long it need not be sent again.
    pub(crate) fn max_age(&self, contents: &Contents, now: Timestamp) -> Option<Duration> {
        if !self.outlasts_browser(contents) {
            return None;
        }
        let idle = self.idle(contents);
        let age = (idle + idle / 10).min(MAX_IDLE);
        let deadline = self.deadline(contents);
        Some(deadline.map_or(age, |end| age.min(end.since(now))))
    }

    /// True if the cookie must be sent again with a new `Max-Age`.
    pub(crate) fn is_cookie_due(&self, contents: &Contents, now: Timestamp) -> bool {
        // `apart`, not `since`: a cookie sent by a clock that was ahead is due, too, or it would be sent too late.
        self.outlasts_browser(contents)
            && now.apart(contents.cookie_sent) >= self.idle(contents) / 10
    }

    /// True if the last visit must be written.
    pub(crate) fn is_touch_due(
        &self,
        seen: Timestamp,
        contents: &Contents,
        now: Timestamp,
    ) -> bool {
        // `apart`, not `since`: a visit in the future is due, too. A wrong clock must not make a session immortal.
        now.apart(seen) >= TOUCH_LAG.min(self.idle(contents) / 10)
    }

    fn outlasts_browser(&self, contents: &Contents) -> bool {
        !self.browser_session || contents.idle.is_some()
    }

    /// Refuses impossible spans.
    pub(crate) fn check(&self) -> Result<(), InitError> {
        let spans = MIN_IDLE..=MAX_IDLE;
        let text = if !spans.contains(&self.idle) {
            "the idle expiry is between a second and 400 days: write `days(30)`, or `idle` with such a span"
        } else if self
            .anonymous_idle
            .is_some_and(|idle| !spans.contains(&idle))
        {
            "`anonymous_idle` is between a second and 400 days: leave it out for the same as `idle`"
        } else if self.absolute.is_some_and(|span| span < MIN_IDLE) {
            "`lifetime` is at least a second: leave it out for no limit"
        } else {
            return Ok(());
        };
        Err(InitError::Setting(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn anonymous() -> Contents {
        Contents {
            created: NOW,
            cookie_sent: NOW,
            ..Contents::default()
        }
    }

    fn logged_in() -> Contents {
        Contents {
            user: Some("joe".into()),
            authenticated: Some(NOW),
            ..anonymous()
        }
    }

    #[test]
    fn an_idle_expiry_is_the_sessions_then_the_anonymous_then_the_services() {
        let lifetime = Lifetime {
            anonymous_idle: Some(HOUR),
            ..Lifetime::default()
        };
        assert_eq!(lifetime.expiry(&anonymous(), NOW), NOW + HOUR);
        assert_eq!(lifetime.expiry(&logged_in(), NOW), NOW + days(30));
        for contents in [anonymous(), logged_in()] {
            let own = Contents {
                idle: Some(HOUR * 2),
                ..contents
            };
            assert_eq!(lifetime.expiry(&own, NOW), NOW + HOUR * 2);
        }
        let without = Lifetime::default();
        assert_eq!(without.expiry(&anonymous(), NOW), NOW + days(30));
    }

    #[test]
    fn a_cookie_outlasts_its_session_by_a_tenth_and_no_deadline() {
        let lifetime = Lifetime {
            idle: HOUR * 10,
            absolute: Some(HOUR * 24),
            ..Lifetime::default()
        };
        let contents = logged_in();
        assert_eq!(lifetime.max_age(&contents, NOW), Some(HOUR * 11));
        let late = NOW + HOUR * 20;
        assert_eq!(lifetime.max_age(&contents, late), Some(HOUR * 4));
        assert_eq!(lifetime.expiry(&contents, late), NOW + HOUR * 24);
        assert!(!lifetime.is_cookie_due(&contents, NOW + Duration::from_secs(3599)));
        assert!(lifetime.is_cookie_due(&contents, NOW + HOUR));
    }

    #[test]
    fn what_a_wrong_clock_stored_ends_no_later_than_a_visit_would() {
        let lifetime = Lifetime::default();
        let contents = anonymous();
        let wrong = NOW + days(3000);
        assert_eq!(lifetime.end(wrong, &contents, NOW), NOW + days(30));
        assert_eq!(lifetime.end(NOW + HOUR, &contents, NOW), NOW + HOUR);
        assert!(lifetime.is_touch_due(NOW + days(300), &contents, NOW));
        assert!(!lifetime.is_touch_due(NOW, &contents, NOW + Duration::from_secs(59)));
    }
}
