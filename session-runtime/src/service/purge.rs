//! The purge: ends every session that a request shows.

use std::pin::pin;

use futures_util::future::join_all;

use super::cookies::{CookieChange, Presented};
use super::load::MAX_LOADED;
use super::save::Outcome;
use super::service::Service;
use super::standing::Standing;
use crate::changes::Changes;
use crate::error::Result;
use crate::record::{Handle, Head, Key};
use crate::store::StoreError;

impl Service {
    /// Ends every session that a request shows, unless these changes have a login that is refused.
    pub(super) async fn begin_anew(
        &self,
        presented: &Presented,
        outcome: &mut Outcome,
        changes: &[Changes],
    ) -> Result<()> {
        let keys = self.shown_keys(presented, outcome);
        if self.config.max_per_user.is_some() && changes.iter().any(|changes| changes.login) {
            let mut deadline = self.storage.deadline();
            let ending = deadline.wait(pin!(self.handles_under(&keys))).await?;
            let now = self.storage.now();
            self.admit(changes, None, &ending, now, &mut deadline)
                .await?;
        }
        self.purge(presented, keys, outcome).await
    }

    /// Returns the keys of the sessions that a request shows, and of its own session, to which an earlier save of the request
    /// may have given another id. Its own session is among the first, which end even if another one cannot be ended.
    fn shown_keys(&self, presented: &Presented, outcome: &Outcome) -> Vec<Key> {
        let tokens = presented.of_sessions();
        let mut keys: Vec<Key> = tokens.map(|token| self.codec.key(&token.id)).collect();
        if let Standing::Live(live) = &outcome.standing
            && !keys.contains(&live.key)
        {
            keys.insert(0, live.key);
        }
        keys
    }

    /// Returns the handles of the sessions that are under these keys, or that they lead to.
    async fn handles_under(&self, keys: &[Key]) -> Result<Vec<Handle>, StoreError> {
        let mut handles = Vec::new();
        let others = sorted(keys);
        for some in keys.chunks(MAX_LOADED) {
            let found = some
                .iter()
                .map(|&key| self.storage.ledger.session_under(key, &others));
            for session in join_all(found).await {
                handles.extend(session?.map(|(_, head)| head.handle));
            }
        }
        Ok(handles)
    }

    async fn purge(
        &self,
        presented: &Presented,
        keys: Vec<Key>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let shown = presented.any || outcome.standing.live().is_some();
        let mut deadline = self.storage.deadline();
        let others = sorted(&keys);
        for some in keys.chunks(MAX_LOADED) {
            deadline.wait(pin!(self.end_under(some, &others))).await?;
        }
        outcome.standing = Standing::NoSession;
        outcome.cookie = shown.then_some(CookieChange::Remove);
        Ok(())
    }

    /// Ends the sessions under some keys, at once. After an error it still tries all the others.
    async fn end_under(&self, keys: &[Key], others: &[Key]) -> Result<(), StoreError> {
        let ledger = &self.storage.ledger;
        let now = self.storage.now();
        let ends = keys.iter().map(|&key| ledger.remove(key, others, now));
        let mut result = Ok(());
        for end in join_all(ends).await {
            match end {
                Ok(head) => head.iter().for_each(|head| self.purged(head)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Counts and logs a session that a request has ended, and ends its watches.
    pub(super) fn purged(&self, head: &Head) {
        self.watches.end(head.handle);
        self.storage.counters.removals.count();
        tracing::debug!(target: "bsession", handle = %head.handle, user = head.user.map(tracing::field::display), "purged");
    }
}

/// Returns the keys as the ledger needs them, so that it follows each renewal once where several of them lead to each other: a
/// visitor can collect two thousand ids of one session that was renewed ten thousand times. A key alone leads to none of them.
fn sorted(keys: &[Key]) -> Vec<Key> {
    if keys.len() < 2 {
        return Vec::new();
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::error::Error;
    use crate::record::UserKey;
    use crate::service::Sessions;
    use crate::store::memory::OpenMemory;
    use crate::store::{
        Answer, Cursor, Ending, Entry, Expected, Listed, Scanned, Store, Swap, Whose,
    };

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// A store that takes more than half of the time-out to end a session.
    struct Slow(OpenMemory);

    impl Store for Slow {
        fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
            self.0.load(key)
        }

        fn swap(
            &self,
            key: Key,
            expected: Expected,
            entry: Option<Entry>,
            now: Timestamp,
        ) -> Answer<'_, Swap> {
            self.0.swap(key, expected, entry, now)
        }

        fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
            self.0.list(users)
        }

        fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
            self.0.scan(cursor, budget)
        }

        fn end<'a>(
            &'a self,
            key: Key,
            whose: Option<Whose<'a>>,
            now: Timestamp,
        ) -> Answer<'a, Ending> {
            Answer::later(async move {
                tokio::time::sleep(TIMEOUT / 10 * 6).await;
                self.0.end(key, whose, now).await
            })
        }
    }

    /// However many sessions a request shows, it waits no longer for the store than any other.
    #[test]
    fn a_purge_of_many_sessions_has_one_time_out() {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef").store_timeout(TIMEOUT);
        let builder = builder.mode(Arc::new(Slow(OpenMemory::default())));
        let sessions = builder.build().unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            for (number, is_in_time) in [(MAX_LOADED, true), (2 * MAX_LOADED, false)] {
                let mut header = String::new();
                for _ in 0..number {
                    let cookie = sessions.cookie_for(|session| session["a"] = 1.into());
                    header.push_str(&format!("{}; ", cookie.await.unwrap().stripped()));
                }
                let Sessions(service) = &sessions;
                let presented = service.cookies.presented([header.as_bytes()].into_iter());
                assert_eq!(presented.tokens.len(), number);
                let begin = tokio::time::Instant::now();
                let mut outcome = Outcome::default();
                let purge = [Changes::purge()];
                let saved = service.save(&presented, &mut outcome, &purge).await;
                let is_late = matches!(saved, Err(Error::Store(StoreError::TimedOut)));
                assert_eq!((saved.is_ok(), is_late), (is_in_time, !is_in_time));
                assert!(begin.elapsed() <= TIMEOUT + Duration::from_millis(1));
            }
        });
    }
}
