//! From a session to the record that a store keeps of it.

use std::sync::Arc;

use super::{Live, Service};
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Result;
use crate::record::{Body, Head, Inner, Record, Summary, UserKey};
use crate::seal;

impl Service {
    /// How the store is to know the user.
    pub(super) fn user_key(&self, contents: &Contents) -> Option<UserKey> {
        let user = contents.user.as_deref()?;
        Some(self.ring.current().user_key(user))
    }

    /// What lists tell of a session: as it was before, as long as none of it changes.
    pub(super) fn summary(
        &self,
        before: Option<(&Live, &Contents)>,
        head: &Head,
        contents: &Contents,
    ) -> Result<Option<Summary>> {
        // In this process it is the contents.
        let Some(user) = head.user.filter(|_| !self.ledger.in_process()) else {
            return Ok(None);
        };
        if let Some((live, base)) = before
            && live.summary.is_some()
            // Of another secret it is another one.
            && live.head.user == Some(user)
            && (base.authenticated, &base.note) == (contents.authenticated, &contents.note)
        {
            return Ok(live.summary.clone());
        }
        let sealed = seal::seal_summary(&self.ring, head.handle, user, contents)?;
        Ok(Some(Summary(Inner::Sealed(sealed))))
    }

    /// A session that held `base` as it is when it is written once more, now.
    pub(super) fn rewritten(
        &self,
        live: &Live,
        base: &Contents,
        contents: &Contents,
        now: Timestamp,
    ) -> Result<Live> {
        let expires = self.config.lifetime.expiry(contents, now);
        // Under another secret it is on another list.
        let user = if contents.user == base.user && !live.previous {
            live.head.user
        } else {
            self.user_key(contents)
        };
        let head = Head {
            revision: live.head.revision.next(),
            expires,
            seen: now,
            user,
            ..live.head
        };
        let summary = self.summary(Some((live, base)), &head, contents)?;
        Ok(Live {
            head,
            ends: expires,
            summary,
            ..live.clone()
        })
    }

    pub(super) fn record(&self, live: &Live, contents: &Arc<Contents>) -> Result<Record> {
        let head = live.head;
        let (body, summary) = if self.ledger.in_process() {
            let plain = || Inner::Plain(Arc::clone(contents));
            (plain(), head.user.map(|_| Summary(plain())))
        } else {
            let sealed = seal::seal(&self.ring, &live.id, live.key, &head, contents)?;
            (Inner::Sealed(sealed), live.summary.clone())
        };
        Ok(Record {
            head,
            summary,
            body: Body(body),
        })
    }
}
