//! Claims: a value, or the waiting flashes, for exactly one of the requests that race for it.

use std::sync::Arc;

use serde_json::Value;

use super::{Visit, VisitState};
use crate::changes::{Changes, Update};
use crate::contents::Contents;
use crate::error::Result;
use crate::flash::{Flash, Waiting};

impl Visit {
    /// Removes `key` from the stored session, and returns its value.
    pub(super) async fn claim_key(&self, key: &str) -> Result<Option<Value>> {
        let _turn = self.turn.lock().await;
        self.end_doubts().await?;
        let mut outcome = {
            let mut state = self.state();
            let stored = state.standing.contents();
            let mut pending = state.pending.clone();
            take_updates(&mut pending, key);
            let rest = self.apply(&pending, Arc::clone(&stored));
            let is_set =
                |changes: &Changes| changes.before.data.get(key) != changes.after.data.get(key);
            if pending.iter().any(is_set)
                || pending.iter().any(Changes::empties)
                || rest.data.get(key) != stored.data.get(key)
            {
                // Another connection of this request has set or removed the key, perhaps back to the stored
                // value, or has ended what is stored. No other request can claim this value, so no commit is needed.
                return Ok(state.take_pending(key));
            }
            state.start()
        };
        let take = |contents: &mut Contents| contents.data.remove(key);
        let value = self.sessions.0.claim(&mut outcome, take).await?;
        // Pending `update`s of other connections are applied to the claimed value.
        let updates = take_updates(&mut self.state().pending, key);
        self.adopt(outcome, 0);
        let replay =
            |value: Option<Value>, update: &Update| update.replay(value.as_ref()).map(Some);
        updates.iter().try_fold(value, replay)
    }

    /// Removes the waiting flashes from the stored session, and returns them, with those of other connections of this
    /// request behind them.
    pub(super) async fn claim_waiting(&self) -> Result<Waiting> {
        let _turn = self.turn.lock().await;
        self.end_doubts().await?;
        let mut outcome = {
            let mut state = self.state();
            let stored = state.standing.contents();
            let mut pending = state.pending.clone();
            take_flashes(&mut pending);
            let rest = self.apply(&pending, Arc::clone(&stored));
            if stored.flashes.is_empty() || rest.flashes != stored.flashes {
                // All that wait are of this request: the stored ones end with a purge or with the login of another user.
                let waiting = state.view().flashes.clone();
                if !waiting.is_empty() {
                    state.pending = pending;
                    state.view = Some(rest);
                }
                return Ok(waiting);
            }
            state.start()
        };
        let take = |contents: &mut Contents| {
            let waiting = std::mem::take(&mut contents.flashes);
            (!waiting.is_empty()).then_some(waiting)
        };
        let mut waiting = self
            .sessions
            .0
            .claim(&mut outcome, take)
            .await?
            .unwrap_or_default();
        waiting.add(take_flashes(&mut self.state().pending));
        self.adopt(outcome, 0);
        Ok(waiting)
    }
}

impl VisitState {
    /// Takes a value that only this request has.
    fn take_pending(&mut self, key: &str) -> Option<Value> {
        let before = self.view();
        let mut after = Arc::clone(&before);
        let value = Arc::make_mut(&mut after).data.remove(key)?;
        self.pending
            .push(Changes::between(before, Arc::clone(&after)));
        self.view = Some(after);
        Some(value)
    }
}

fn take_updates(pending: &mut [Changes], key: &str) -> Vec<Update> {
    let take = |changes: &mut Changes| changes.take_update(key);
    pending.iter_mut().filter_map(take).collect()
}

fn take_flashes(pending: &mut [Changes]) -> Vec<Flash> {
    pending.iter_mut().flat_map(Changes::take_flashes).collect()
}
