//! A visit that changed nothing: the session's time slides, and its cookie with it.

use std::sync::Arc;
use std::time::Duration;

use super::save::Outcome;
use super::{Live, Service, Standing};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Result;
use crate::store::Commit;

/// How far the expiry may lag behind the last visit: so often at most a touch is written.
const TOUCH_LAG: Duration = Duration::from_secs(60);

impl Service {
    /// Whether a visit that changes nothing has anything to write.
    pub(super) fn is_keeping_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        self.is_move_due(live, contents, now) || self.is_touch_due(live, contents, now)
    }

    /// Whether the record or the cookie must be written anew.
    fn is_move_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        live.previous || self.is_cookie_due(contents, now)
    }

    fn is_touch_due(&self, live: &Live, contents: &Contents, now: Timestamp) -> bool {
        let target = self.expiry(contents, now);
        let lag = TOUCH_LAG.min(self.idle(contents) / 10);
        // Backwards too: a clock that was wrong must not make a session immortal.
        target.since(live.expires).max(live.expires.since(target)) >= lag
    }

    /// Writes what a mere visit moves. The visit is none the worse if that fails.
    pub(super) async fn keep(&self, live: Live, contents: Arc<Contents>) -> Outcome {
        let now = self.now();
        let unchanged = |live, contents| Outcome {
            standing: Standing::Live(live),
            contents,
            cookie: None,
        };
        if self.is_move_due(&live, &contents, now) {
            return match self.move_on(&live, &contents, now).await {
                Ok(Some(outcome)) => outcome,
                Ok(None) => unchanged(live, contents),
                Err(error) => {
                    tracing::warn!(target: "bsession", %error, "cookie_not_moved");
                    unchanged(live, contents)
                }
            };
        }
        if self.is_touch_due(&live, &contents, now) {
            let expires = self.expiry(&contents, now);
            let touch = self.store.touch(live.key, live.revision, expires, now);
            if self.deadline().wait(touch).await.is_ok() {
                self.counters.touches.count();
                return unchanged(
                    Live {
                        expires,
                        ends: expires,
                        due: false,
                        ..live
                    },
                    contents,
                );
            }
        }
        unchanged(live, contents)
    }

    /// Writes the record anew, under the current secret, and sends the cookie again. If somebody
    /// else saved meanwhile, they did so.
    async fn move_on(
        &self,
        live: &Live,
        contents: &Arc<Contents>,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        let mut contents = Contents::clone(contents);
        contents.cookie_sent = now;
        let contents = Arc::new(contents);
        let next = Live {
            revision: live.revision.next(),
            expires: self.expiry(&contents, now),
            user: contents
                .user
                .as_deref()
                .map(|name| self.ring.current().user_key(name)),
            previous: false,
            due: false,
            ..live.clone()
        };
        let record = self.record(&next, &contents)?;
        let answer = self.store.commit(live.key, live.revision, record, now);
        Ok(match self.deadline().wait(answer).await? {
            Commit::Saved => {
                self.counters.commits.count();
                let cookie = Some(self.set_cookie(&next.id, &contents, now));
                Some(Outcome {
                    standing: Standing::Live(next),
                    contents,
                    cookie,
                })
            }
            Commit::Conflict(_) | Commit::Gone => None,
        })
    }
}
