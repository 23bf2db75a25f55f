//! A visit that changed nothing: it still moves the session's expiry and the cookie.

use std::pin::pin;
use std::sync::Arc;

use super::save::Outcome;
use super::service::Service;
use super::standing::{Live, Standing};
use super::write::WriteResult;
use crate::clock::Timestamp;
use crate::error::Result;
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
            if let Err(error) = self.move_on(outcome, now).await {
                tracing::warn!(target: "bsession", %error, "cookie_not_moved");
            }
        } else if self.is_touch_due(live, now) {
            let expires = self.lifetime.expiry(&live.contents, now);
            let head = Head {
                expires,
                seen: now,
                ..live.head
            };
            let touch = self.storage.ledger.touch(live.key, head, now);
            if self.storage.deadline().wait(pin!(touch)).await.is_ok() {
                self.storage.counters.touches.count();
                (live.head, live.ends, live.due) = (head, expires, false);
            }
        }
    }

    /// Writes the record again under the current secret, and sends the cookie. If another request has saved
    /// meanwhile, both are already done.
    async fn move_on(&self, outcome: &mut Outcome, now: Timestamp) -> Result<()> {
        let Standing::Live(live) = &mut outcome.standing else {
            return Ok(());
        };
        let mut deadline = self.storage.deadline();
        let written = self.write(live, None, now, &mut deadline, |live| {
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
