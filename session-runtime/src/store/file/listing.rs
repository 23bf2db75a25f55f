//! The sessions of a user: which they are, and the removal of them all.

use super::buffer::Buffer;
use super::layout::{Content, Live, Tombstone};
use super::operations::{RENEWALS, remove};
use super::session::{ONCE, Session, peek};
use super::stop::{Stop, Try};
use super::{Files, index};
use crate::clock::Timestamp;
use crate::record::{Key, UserKey};
use crate::store::{Listing, Which};

/// How often a user's list is read until no session is in it; who logs in faster is let go on.
const LISTINGS: usize = 8;

pub(super) fn of_user(files: Files<'_>, user: UserKey, now: Timestamp) -> Try<Vec<Listing>> {
    let mut listings = Vec::new();
    for key in index::keys(files, user)? {
        let mut entry = look_up(files, user, key)?;
        if matches!(entry, Entry::Stale { .. }) {
            unlist(files, user, key)?;
        }
        // The new key of a session that is renewed meanwhile may not be on the list that was read.
        for _ in 0..RENEWALS {
            let Entry::Stale {
                successor: Some(successor),
            } = entry
            else {
                break;
            };
            entry = look_up(files, user, successor)?;
        }
        if let Entry::Of(listing) = entry
            && listing.expires > now
        {
            listings.push(listing);
        }
    }
    Ok(listings)
}

pub(super) fn remove_user(
    files: Files<'_>,
    user: UserKey,
    which: Which,
    now: Timestamp,
    count: &mut usize,
) -> Try<()> {
    let goes = |live: &Live<'_>| live.user == Some(user) && which.includes(live.handle);
    // Again if there were any: a session that is renewed while its user's list is read may be
    // seen neither under its old key nor under its new one.
    for _ in 0..LISTINGS {
        let before = *count;
        for key in index::keys(files, user)? {
            match remove(files, key, now, goes) {
                Ok(was_live) => *count += usize::from(was_live),
                Err(Stop::Missing) => {}
                Err(stop) => return Err(stop),
            }
        }
        if *count == before {
            break;
        }
    }
    Ok(())
}

/// What an entry in a user's list is worth.
enum Entry {
    Of(Listing),
    /// The file is there and says otherwise, or it is not there.
    Stale {
        /// Where the session went, if it was renewed.
        successor: Option<Key>,
    },
    /// The session is being created, or is too new to be read.
    Unclear,
}

fn look_up(files: Files<'_>, user: UserKey, key: Key) -> Try<Entry> {
    match peek(files, key, |content| judge(&content, user, key)) {
        Err(Stop::Missing) => Ok(Entry::Stale { successor: None }),
        result => result,
    }
}

fn judge(content: &Content<'_>, user: UserKey, key: Key) -> Entry {
    match content {
        Content::Live(live) if live.user == Some(user) => Entry::Of(Listing {
            key,
            handle: live.handle,
            created: live.created,
            expires: live.expires,
            seen: live.seen,
            summary: live.summary(),
        }),
        Content::Live(_) => Entry::Stale { successor: None },
        Content::Tombstone(Tombstone { successor, .. }) => Entry::Stale {
            successor: *successor,
        },
        Content::Empty | Content::Newer | Content::Doubtful => Entry::Unclear,
    }
}

/// Removes an entry from a user's list if it is stale, and answers whether it did.
pub(super) fn unlist_if_stale(files: Files<'_>, user: UserKey, key: Key) -> Try<bool> {
    match look_up(files, user, key)? {
        Entry::Stale { .. } => unlist(files, user, key),
        Entry::Of(_) | Entry::Unclear => Ok(false),
    }
}

/// Removes an entry that seems to be stale. Under the lock, since it is made under the lock a
/// moment before the record says the same.
fn unlist(files: Files<'_>, user: UserKey, key: Key) -> Try<bool> {
    // Kept until the entry is gone.
    let _session = match Session::hold(files, key, ONCE) {
        Ok(session) => match session.content(&mut Buffer::take()) {
            Ok(content) if matches!(judge(&content, user, key), Entry::Stale { .. }) => {
                Some(session)
            }
            Ok(_) => return Ok(false),
            Err(Stop::Missing) => None,
            Err(stop) => return Err(stop),
        },
        // The file is made before the entry, and its key is never used again.
        Err(Stop::Missing) => None,
        Err(Stop::Busy) => return Ok(false),
        Err(stop) => return Err(stop),
    };
    index::remove(files, user, key);
    Ok(true)
}
