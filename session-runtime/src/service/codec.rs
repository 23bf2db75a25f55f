//! The codec: turns a session into the record that a store keeps, and back.

use std::sync::Arc;

use super::standing::Live;
use crate::clock::Timestamp;
use crate::contents::Contents;
use crate::error::Result;
use crate::id::Id;
use crate::lifetime::Lifetime;
use crate::record::{Body, Head, Inner, Key, Record, Summary, UserKey};
use crate::seal::{self, SummaryContents};
use crate::secret::KeyRing;
use crate::stats::Counters;
use crate::store::Listing;

/// Seals and opens records. For a store in this process it passes the contents on unsealed.
pub(super) struct Codec {
    pub(super) ring: Arc<KeyRing>,
    pub(super) lifetime: Lifetime,
    pub(super) in_process: bool,
    pub(super) counters: Arc<Counters>,
}

/// The circumstances in which a session is written again.
#[derive(Clone, Copy)]
pub(super) struct Rewrite<'r> {
    /// The new id of a session that is renewed.
    pub(super) renewal: Option<&'r Id>,
    pub(super) now: Timestamp,
    /// True if the request is no visit, so that the expiry stays. A renewal and a new idle timeout move it all the same.
    pub(super) quiet: bool,
}

impl Codec {
    /// The key under which a session is stored.
    pub(super) fn key(&self, id: &Id) -> Key {
        self.ring.store_key(id)
    }

    /// The key of a user in the store, under the current secret.
    pub(super) fn user_key(&self, user: &str) -> UserKey {
        self.ring.current().user_key(user)
    }

    /// The key of a session's user in the store.
    pub(super) fn user_of(&self, contents: &Contents) -> Option<UserKey> {
        contents.user.as_deref().map(|user| self.user_key(user))
    }

    /// The keys of a user in the store: one for each secret.
    pub(super) fn user_keys(&self, user: &str) -> Vec<UserKey> {
        self.ring.user_keys(user).collect()
    }

    /// The session `live` with new contents, as it is written again.
    pub(super) fn rewritten(
        &self,
        live: &Live,
        contents: Arc<Contents>,
        rewrite: Rewrite<'_>,
    ) -> Result<Live> {
        let Rewrite {
            renewal,
            now,
            quiet,
        } = rewrite;
        let base = &*live.contents;
        let (seen, expires) = if quiet && renewal.is_none() && contents.idle == base.idle {
            (live.head.seen, live.ends)
        } else {
            (now, self.lifetime.expiry(&contents, now))
        };
        // A user's key depends on the secret. Under a new secret the session moves to another list.
        let user = if contents.user == base.user && !live.previous {
            live.head.user
        } else {
            self.user_of(&contents)
        };
        let head = Head {
            revision: live.head.revision.next(),
            expires,
            seen,
            user,
            ..live.head
        };
        let keeps_summary = live.summary.is_some()
            // Under another secret the summary has to be sealed again.
            && live.head.user == user
            && (base.authenticated, &base.note) == (contents.authenticated, &contents.note);
        let summary = if keeps_summary && user.is_some() {
            live.summary.clone()
        } else {
            self.summary(&head, &contents)?
        };
        let (id, key) = match renewal {
            Some(id) => (id.clone(), self.key(id)),
            None => (live.id.clone(), live.key),
        };
        Ok(Live {
            id,
            key,
            head,
            contents,
            ends: expires,
            summary,
            previous: live.previous,
            due: live.due,
            looked: now,
            tried: Box::default(),
        })
    }

    /// The summary of a user's session, for lists.
    pub(super) fn summary(&self, head: &Head, contents: &Contents) -> Result<Option<Summary>> {
        // In this process, `record` puts the contents themselves in its place.
        let Some(user) = head.user.filter(|_| !self.in_process) else {
            return Ok(None);
        };
        let sealed = seal::seal_summary(&self.ring, head.handle, user, contents)?;
        Ok(Some(Summary(Inner::Sealed(sealed))))
    }

    /// The record of a session.
    pub(super) fn record(&self, live: &Live) -> Result<Record> {
        let Live { head, contents, .. } = live;
        let (body, summary) = if self.in_process {
            let plain = || Inner::Plain(Arc::clone(contents));
            (plain(), head.user.map(|_| Summary(plain())))
        } else {
            let sealed = seal::seal(&self.ring, &live.id, live.key, head, contents)?;
            (Inner::Sealed(sealed), live.summary.clone())
        };
        Ok(Record {
            head: *head,
            summary,
            body: Body(body),
        })
    }

    /// Opens a record. A record that does not open is logged and counted.
    pub(super) fn open(&self, id: &Id, key: Key, record: Record) -> Option<Live> {
        let Record {
            head,
            summary,
            body,
        } = record;
        let (contents, previous) = match body.0 {
            Inner::Plain(contents) => (contents, false),
            Inner::Sealed(bytes) => {
                let Some((contents, previous)) = seal::open(&self.ring, id, key, &head, &bytes)
                else {
                    if seal::is_of_newer_format(&bytes) {
                        self.of_newer_version(&head);
                    } else {
                        self.counters.unreadable.count();
                        let Head { handle, user, .. } = head;
                        tracing::warn!(target: "bsession", %handle, user = user.map(tracing::field::display), "record_unreadable");
                    }
                    return None;
                };
                (Arc::new(contents), previous)
            }
            Inner::Absent => {
                self.of_newer_version(&head);
                return None;
            }
        };
        Some(Live {
            id: id.clone(),
            key,
            head,
            contents,
            ends: head.expires,
            summary: summary.filter(Summary::is_sealed),
            previous,
            due: false,
            looked: Timestamp::default(),
            tried: Box::default(),
        })
    }

    /// Opens the summary of a listed session.
    pub(super) fn open_summary(&self, listing: &Listing) -> Option<SummaryContents> {
        let Head { handle, user, .. } = listing.head;
        match &listing.summary.as_ref()?.0 {
            Inner::Plain(contents) => Some(SummaryContents::from(&**contents)),
            Inner::Sealed(bytes) => seal::open_summary(&self.ring, handle, user?, bytes),
            Inner::Absent => None,
        }
    }

    fn of_newer_version(&self, head: &Head) {
        self.counters.unreadable.count();
        tracing::warn!(
            target: "bsession",
            handle = %head.handle,
            user = head.user.map(tracing::field::display),
            hint = "its visitor has no session here, and it stays as it is; bring this process up to the newer version",
            "record_of_newer_version"
        );
    }
}
