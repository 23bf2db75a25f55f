//! A visit that changed nothing: it still moves the session's expiry and the cookie.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::codec::Rewrite;
use super::save::Outcome;
use super::service::Service;
use super::standing::{Live, Standing};
use super::write::WriteResult;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::one_line::OneLine;
use crate::record::Head;

impl Service {
    /// True if a visit that changes nothing still has something to write.
    pub(super) fn is_keeping_due(&self, live: &Live, now: Timestamp) -> bool {
        self.is_move_due(live, now) || self.is_touch_due(live, now)
    }

    /// True if the record must move to the current secret, or the cookie must be sent again.
    fn is_move_due(&self, live: &Live, now: Timestamp) -> bool {
        live.previous || self.lifetime.is_cookie_due(&live.contents, now)
    }

    fn is_touch_due(&self, live: &Live, now: Timestamp) -> bool {
        let lifetime = &self.lifetime;
        lifetime.is_touch_due(live.head.seen, &live.contents, now)
    }

    /// Writes the new expiry and, if due, the cookie. A failure does not fail the request.
    pub(super) async fn keep(&self, outcome: &mut Outcome) {
        let now = self.storage.now();
        let Standing::Live(live) = &mut outcome.standing else {
            return;
        };
        if self.is_move_due(live, now) {
            let head = live.head;
            if let Err(error) = self.move_on(outcome, now).await {
                let Head { handle, user, .. } = head;
                let user = user.map(tracing::field::display);
                tracing::warn!(target: "bsession", %handle, user, error = %OneLine(&error), "cookie_not_moved");
            }
        } else if let Some(head) = self.touched(live, now).await {
            (live.head, live.ends, live.due) = (head, head.expires, false);
        }
    }

    /// Writes the new expiry of a session whose response the library does not see.
    pub(crate) async fn touch(&self, live: &Live) {
        self.touched(live, self.storage.now()).await;
    }

    /// Writes the new expiry if it is due, and returns the head as it is then.
    async fn touched(&self, live: &Live, now: Timestamp) -> Option<Head> {
        if !self.is_touch_due(live, now) {
            return None;
        }
        let head = Head {
            expires: self.lifetime.expiry(&live.contents, now),
            seen: now,
            ..live.head
        };
        let touch = self.storage.ledger.touch(live.key, head, now);
        self.storage.deadline().wait(pin!(touch)).await.ok()?;
        self.storage.counters.touches.count();
        Some(head)
    }

    /// Warns, once, of visits for which no cookie can be sent: the store keeps these sessions, and browsers drop their
    /// cookies.
    pub(crate) fn warn_of_unanswered_visits(&self, live: &Live) {
        let Some(max_age) = self.lifetime.max_age(&live.contents, self.storage.now()) else {
            return;
        };
        if !self
            .warned_of_unanswered_visits
            .swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                target: "bsession",
                days = max_age.as_secs() / (24 * 60 * 60),
                hint = "only an extractor or a middleware function connected, and nothing could send the cookie again: \
                        these visitors lose it after as many days, however often they come; wrap the application in \
                        `bsession::Hooks`, or the scope in a `bsession::Gate`",
                "cookie_not_renewed"
            );
        }
    }

    /// Writes the record again under the current secret, and sends the cookie. If another request has saved
    /// meanwhile, both are already done.
    async fn move_on(&self, outcome: &mut Outcome, now: Timestamp) -> Result<()> {
        let Standing::Live(live) = &mut outcome.standing else {
            return Ok(());
        };
        let mut deadline = self.storage.deadline();
        let rewrite = Rewrite {
            renewal: None,
            now,
            quiet: false,
        };
        let written = self.write(live, rewrite, &mut deadline, |live| {
            if !self.is_move_due(live, now) {
                return Ok(None);
            }
            let mut contents = Arc::clone(&live.contents);
            Arc::make_mut(&mut contents).cookie_sent = now;
            Ok(Some(contents))
        });
        if let WriteResult::Saved = written.await? {
            live.was_kept();
            outcome.cookie = Some(self.cookies.of_session(live, now));
        }
        Ok(())
    }
}
