//! The conflict loop: applies the change of a session on top of the changes that other requests write meanwhile.

use std::pin::pin;
use std::sync::Arc;

use super::codec::Rewrite;
use super::deadline::Deadline;
use super::locks::Turn;
use super::service::Service;
use super::standing::Live;
use crate::contents::Contents;
use crate::error::Result;
use crate::record::{Head, Key, Record};
use crate::store::{Commit, StoreError};

/// The result of [`Service::write`].
pub(super) enum WriteResult {
    /// The change is stored.
    Saved,
    /// There was nothing to change.
    Unchanged,
    /// The session has ended, or its record no longer opens.
    Gone,
}

impl Service {
    /// Writes a change of a session; a renewal puts it under a new id. Afterwards `live` is the session as it is stored.
    ///
    /// `change` makes the new contents from the present session. After a conflict it is called again, with the session
    /// that the other request has written. It returns `None` if there is nothing to change.
    ///
    /// # Errors
    /// The store fails, or conflicts go on until the deadline.
    pub(super) async fn write(
        &self,
        live: &mut Live,
        rewrite: Rewrite<'_>,
        deadline: &mut Deadline<'_>,
        mut change: impl FnMut(&Live) -> Result<Option<Arc<Contents>>>,
    ) -> Result<WriteResult> {
        let Rewrite { renewal, now, .. } = rewrite;
        let (ledger, counters) = (&self.storage.ledger, &self.storage.counters);
        let mut turn = None;
        loop {
            let Some(contents) = change(live)? else {
                return Ok(WriteResult::Unchanged);
            };
            let next = self.codec.rewritten(live, contents, rewrite)?;
            let record = self.codec.record(&next)?;
            let (key, over) = (live.key, live.head.revision);
            let commit = if renewal.is_some() {
                let renewed = ledger.renew(key, over, next.key, record, now);
                deadline.wait(pin!(renewed)).await?
            } else {
                let committed = ledger.commit(key, over, record, now);
                let committed = deadline.wait(pin!(committed)).await;
                if committed.is_err() {
                    let tried = live.tried.iter().copied();
                    live.tried = tried.chain([next.head.revision]).collect();
                }
                committed?
            };
            match commit {
                Commit::Saved => {
                    counters.commits.count();
                    if renewal.is_some() {
                        counters.renewals.count();
                        let Head { handle, user, .. } = next.head;
                        tracing::debug!(target: "bsession", %handle, user = user.map(tracing::field::display), "renewed");
                    }
                    *live = next;
                    return Ok(WriteResult::Saved);
                }
                Commit::Conflict(latest) if live.tried.contains(&latest.head.revision) => {
                    let text = "a save that had failed was done late, and would be done twice";
                    return Err(StoreError::Other(text.into()).into());
                }
                Commit::Conflict(latest) => {
                    counters.conflicts.count();
                    self.take_turn(&mut turn, key, deadline).await?;
                    match self.reopened(live, latest) {
                        Some(latest) => *live = latest,
                        None => return Ok(WriteResult::Gone),
                    }
                }
                Commit::Gone => return Ok(WriteResult::Gone),
            }
            deadline.check()?;
        }
    }

    /// Waits, at the first conflict, for a turn among the requests of this process that had a conflict, too. A store in
    /// this process answers at once and needs no turns.
    async fn take_turn(
        &self,
        turn: &mut Option<Turn>,
        key: Key,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        if turn.is_none() && !self.storage.ledger.in_process() {
            *turn = Some(deadline.turn(&self.savers, key).await?);
        }
        Ok(())
    }

    /// The session as another request committed it; `None` if it does not open.
    fn reopened(&self, live: &Live, latest: Record) -> Option<Live> {
        let mut latest = self.codec.open(&live.id, live.key, latest)?;
        latest.previous |= live.previous;
        latest.tried.clone_from(&live.tried);
        latest.looked = self.storage.now();
        latest.due = self.is_keeping_due(&latest, latest.looked);
        Some(latest)
    }
}
