//! The sessions of a user: which they are, and the removal of them all.

use super::buffer::Buffer;
use super::layout::Content;
use super::operations::{Only, peek, remove};
use super::session::{ONCE, Session};
use super::stop::{Stop, Try};
use super::{Files, index};
use crate::clock::Timestamp;
use crate::record::{Key, UserKey};
use crate::store::Listing;

/// How often a user's list is read until no session is in it; who logs in faster is let go on.
const LISTINGS: usize = 8;

pub(super) fn of_user(files: Files<'_>, user: UserKey, now: Timestamp) -> Try<Vec<Listing>> {
    let mut listings = Vec::new();
    for key in index::keys(files, user)? {
        match look_up(files, user, key)? {
            Entry::Of(listing) if listing.expires > now => listings.push(listing),
            Entry::Of(_) | Entry::Unclear => {}
            Entry::Stale => drop(unlist(files, user, key)?),
        }
    }
    Ok(listings)
}

pub(super) fn remove_user(
    files: Files<'_>,
    user: UserKey,
    but: Option<Key>,
    now: Timestamp,
    count: &mut usize,
) -> Try<()> {
    let only = Only {
        user: Some(user),
        but,
    };
    // Again if there were any: a session that is renewed while its user's list is read may be
    // seen neither under its old key nor under its new one.
    for _ in 0..LISTINGS {
        let before = *count;
        for key in index::keys(files, user)? {
            match remove(files, key, now, only) {
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
    Stale,
    /// The session is being created, or is too new to be read.
    Unclear,
}

fn look_up(files: Files<'_>, user: UserKey, key: Key) -> Try<Entry> {
    match peek(files, key, |content| judge(&content, user, key)) {
        Err(Stop::Missing) => Ok(Entry::Stale),
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
        Content::Live(_) | Content::Tombstone(_) => Entry::Stale,
        Content::Empty | Content::Newer | Content::Doubtful => Entry::Unclear,
    }
}

/// Removes an entry from a user's list if it is stale, and answers whether it did.
pub(super) fn unlist_if_stale(files: Files<'_>, user: UserKey, key: Key) -> Try<bool> {
    match look_up(files, user, key)? {
        Entry::Stale => unlist(files, user, key),
        Entry::Of(_) | Entry::Unclear => Ok(false),
    }
}

/// Removes an entry that seems to be stale. Under the lock, since it is made under the lock a
/// moment before the record says the same.
fn unlist(files: Files<'_>, user: UserKey, key: Key) -> Try<bool> {
    // Kept until the entry is gone.
    let _session = match Session::hold(files, key, ONCE) {
        Ok(session) => match session.content(&mut Buffer::take()) {
            Ok(content) if matches!(judge(&content, user, key), Entry::Stale) => Some(session),
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
