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
        let others = sorted(&keys);
        for some in keys.chunks(MAX_LOADED) {
            let ends = join_all(some.iter().map(|&key| self.end_under(key, &others))).await;
            for end in ends {
                end?;
            }
        }
        outcome.standing = Standing::NoSession;
        outcome.cookie = shown.then_some(CookieChange::Remove);
        Ok(())
    }

    async fn end_under(&self, key: Key, others: &[Key]) -> Result<()> {
        let storage = &self.storage;
        let removal = storage.ledger.remove(key, others, storage.now());
        if let Some(head) = storage.deadline().wait(pin!(removal)).await? {
            self.purged(&head);
        }
        Ok(())
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
