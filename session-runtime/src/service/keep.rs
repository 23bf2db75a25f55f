//! A visit that changed nothing: the session's time slides, and its cookie with it.

use std::pin::pin;
use std::sync::Arc;

use super::save::Outcome;
use super::{Live, Service, Standing};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Result;
use crate::record::Head;
use crate::store::Commit;

impl Service {
    /// Whether a visit that changes nothing has anything to write.
    pub(super) fn is_keeping_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        self.is_move_due(live, contents, now) || self.is_touch_due(live, contents, now)
    }

    /// Whether the record or the cookie must be written anew.
    fn is_move_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        live.previous || self.config.lifetime.is_cookie_due(contents, now)
    }

    fn is_touch_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        let lifetime = &self.config.lifetime;
        lifetime.is_touch_due(live.head.seen, contents, now)
    }

    /// Writes what a mere visit moves. The visit is none the worse if that fails.
    pub(super) async fn keep(&self, outcome: &mut Outcome) {
        let now = self.now();
        let Standing::Live(live) = &mut outcome.stored.standing else {
            return;
        };
        if self.is_move_due(live, &outcome.stored.contents, now) {
            if let Err(error) = self.move_on(outcome, now).await {
                tracing::warn!(target: "bsession", %error, "cookie_not_moved");
            }
        } else if self.is_touch_due(live, &outcome.stored.contents, now) {
            let expires = self.config.lifetime.expiry(&outcome.stored.contents, now);
            let head = Head {
                expires,
                seen: now,
                ..live.head
            };
            let touch = self.ledger.touch(live.key, head, now);
            if self.deadline().wait(pin!(touch)).await.is_ok() {
                self.counters.touches.count();
                (live.head, live.ends, live.due) = (head, expires, false);
            }
        }
    }

    /// Writes the record anew, under the current secret, and sends the cookie again. If somebody
    /// else saved meanwhile, they did so.
    async fn move_on(&self, outcome: &mut Outcome, now: Timestamp) -> Result<()> {
        let Standing::Live(live) = &mut outcome.stored.standing else {
            return Ok(());
        };
        let mut contents = Contents::clone(&outcome.stored.contents);
        contents.cookie_sent = now;
        let contents = Arc::new(contents);
        let next = Live {
            previous: false,
            due: false,
            ..self.rewritten(live, &outcome.stored.contents, &contents, now)?
        };
        let record = self.record(&next, &contents)?;
        let answer = self
            .ledger
            .commit(live.key, live.head.revision, record, now);
        if let Commit::Saved = self.deadline().wait(pin!(answer)).await? {
            self.counters.commits.count();
            *live = next;
            outcome.cookie = Some(self.set_cookie(&live.id, &contents, now));
            outcome.stored.contents = contents;
        }
        Ok(())
    }
}
