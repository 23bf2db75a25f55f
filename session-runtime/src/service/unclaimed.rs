//! Unclaimed sessions: those whose cookie the browser may never have kept.
//!
//! Two logins that begin with one cookie and overlap make two sessions, and nobody knows which of the two responses comes last.
//! The browser visits one of the sessions. The other one would stay until it expires.

use std::pin::pin;
use std::time::Duration;

use super::service::Service;
use crate::clock::Timestamp;
use crate::lifetime::TOUCH_LAG;
use crate::record::{Head, Key, TOMBSTONE};
use crate::store::StoreError;

/// The time to visit an unclaimed session: as long as its old id is remembered.
const CLAIMED_WITHIN: Duration = TOMBSTONE;

impl Service {
    /// Lets the session that an id was renewed to end soon, unless it is visited.
    ///
    /// If the store fails, the session lasts as any other.
    pub(super) async fn expect_a_visit(&self, old: Key) {
        let storage = &self.storage;
        let shorten = async {
            let Some((key, head)) = storage.ledger.session_under(old, &[]).await? else {
                return Ok(());
            };
            let now = storage.now();
            storage.ledger.touch(key, unclaimed(head, now), now).await
        };
        let _: Result<(), StoreError> = storage.deadline().wait(pin!(shorten)).await;
    }
}

/// Returns the head of a session that ends soon. Its last visit is moved back, so that the next one counts at once and gives the
/// session its whole time.
fn unclaimed(head: Head, now: Timestamp) -> Head {
    let seen = head.seen.as_millis();
    let lag = u64::try_from(TOUCH_LAG.as_millis()).unwrap_or(u64::MAX);
    Head {
        expires: head.expires.min(now + CLAIMED_WITHIN),
        seen: Timestamp::from_millis(seen.saturating_sub(lag)),
        ..head
    }
}
