//! The sweeper: it deletes what has expired and puts back what lists lack, in slices.

use std::io;
use std::time::Duration;

use super::buffer::Buffer;
use super::dir::FileId;
use super::dir::Names;
use super::file_name::{DAMAGED, FileName, HEALING, LOCKS, Named, USERS, WHOLE};
use super::files::Files;
use super::layout::Content;
use super::listing::{heal, unlist_if_stale};
use super::locked_file::{LockedFile, ONCE, peek};
use super::operations::ended;
use super::stop::{Doing, Stop, Try};
use super::{index, lease};
use crate::clock::Timestamp;
use crate::record::{Key, UserKey};
use crate::store::{Cursor, StoreError, Swept};

/// The age, by the clock of the file system, from which on nobody is still writing a new file.
pub(super) const ABANDONED: Duration = Duration::from_secs(60);

/// The number of damaged files that are kept for people to look into: enough to find a cause, and few enough for any
/// disk.
pub(super) const DAMAGED_KEPT: usize = 100;

/// A deletion takes as long as a look at so many files that stay, and counts as much. So every slice takes some
/// milliseconds.
pub(super) const DELETION: usize = 16;

/// The place where the last slice stopped. It keeps open directories and no lists of names, since a million names would
/// take a hundred megabytes.
#[derive(Default)]
pub(super) struct Round {
    opened: Option<OpenListing>,
    next: Stage,
    /// The mark of this round, if the lists were not known to be whole when it began.
    healing: Option<FileId>,
    /// True if a session could not be looked at.
    missed: bool,
}

enum OpenListing {
    Sessions {
        names: Names,
    },
    Users {
        users: Names,
    },
    User {
        users: Names,
        user: UserKey,
        entries: Names,
    },
    Locks {
        names: Names,
    },
}

/// The directory that is opened next.
#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Start,
    Sessions(u8),
    Users(u8),
    Locks,
    Damaged,
    End,
}

impl Stage {
    fn next(self) -> Self {
        match self {
            Self::Start => Self::Sessions(0),
            Self::Sessions(bucket) => bucket.checked_add(1).map_or(Self::Users(0), Self::Sessions),
            Self::Users(bucket) => bucket.checked_add(1).map_or(Self::Locks, Self::Users),
            Self::Locks => Self::Damaged,
            Self::Damaged | Self::End => Self::End,
        }
    }
}

/// Looks at about `budget` files. If one cannot be looked at, the sweeper goes on with the others.
pub(super) fn slice(
    round: &mut Round,
    files: Files<'_>,
    now: Timestamp,
    budget: usize,
) -> Result<Swept, StoreError> {
    let mut deleted = 0;
    let mut next = Some(Cursor::default());
    let mut failed = None;
    let mut spent = 0;
    while spent < budget {
        spent += 1;
        match round.step(files, now) {
            Ok(Some(here)) => {
                deleted += here;
                spent += here * (DELETION - 1);
            }
            Ok(None) => {
                let round = std::mem::take(round);
                failed = failed.or(round.end(files).err());
                next = None;
                break;
            }
            // It is gone already.
            Err(Stop::Missing) => {}
            Err(Stop::Busy) => round.missed = true,
            Err(Stop::Failed(error)) => {
                round.missed = true;
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or(Ok(Swept { deleted, next }), Err)
}

impl Round {
    /// Marks the beginning, if the lists are not known to be whole. The mark is dated 1970, so that a program which
    /// deletes by age deletes it first: then it is not there at the end.
    fn begin(&mut self, files: Files<'_>) -> Result<(), StoreError> {
        const MARKING: &str = "marking the lists of the users";
        if files.dir.identify(WHOLE).doing(MARKING)?.is_none() {
            mark(files, HEALING).doing(MARKING)?;
            self.healing = files.dir.identify(HEALING).doing(MARKING)?;
        }
        Ok(())
    }

    /// Marks the lists as whole: every live session was seen, and is on the list of its user.
    fn end(self, files: Files<'_>) -> Result<(), StoreError> {
        const MARKING: &str = "marking the lists of the users as whole";
        let Some(mark) = self.healing.filter(|_| !self.missed) else {
            return Ok(());
        };
        if files.dir.identify(HEALING).doing(MARKING)? != Some(mark) {
            return Ok(());
        }
        match files.dir.rename(HEALING, WHOLE) {
            // Another sweeper has just done the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => {
                tracing::info!(target: "bsession", "lists_whole");
                renamed.doing(MARKING)
            }
        }
    }

    /// Looks at one file and returns the number of deletions. Answers `None` at the end of a pass.
    fn step(&mut self, files: Files<'_>, now: Timestamp) -> Try<Option<usize>> {
        const LISTING: &str = "listing a directory of the sessions";
        loop {
            // The open directory is put back below, so that after an error the pass goes on behind it.
            match self.opened.take() {
                Some(OpenListing::Sessions { mut names }) => {
                    let Some(name) = names.next() else { continue };
                    self.opened = Some(OpenListing::Sessions { names });
                    return sweep_file(files, &name.doing(LISTING)?, now).map(Some);
                }
                Some(OpenListing::Users { mut users }) => {
                    let Some(name) = users.next() else { continue };
                    let user = name.doing(LISTING)?.parse::<UserKey>();
                    let entries =
                        user.map(|user| (user, files.dir.list(FileName::user(user).as_str())));
                    self.opened = Some(match entries {
                        Ok((user, Ok(Some(entries)))) => OpenListing::User {
                            users,
                            user,
                            entries,
                        },
                        _ => OpenListing::Users { users },
                    });
                }
                Some(OpenListing::User {
                    users,
                    user,
                    mut entries,
                }) => {
                    let Some(name) = entries.next() else {
                        // The system refuses it if there is an entry, even one that was made a moment ago.
                        let _ = files.dir.remove_dir(FileName::user(user).as_str());
                        self.opened = Some(OpenListing::Users { users });
                        continue;
                    };
                    self.opened = Some(OpenListing::User {
                        users,
                        user,
                        entries,
                    });
                    return match name.doing(LISTING)?.parse::<Key>() {
                        Ok(key) => {
                            unlist_if_stale(files, user, key).map(|stale| Some(usize::from(stale)))
                        }
                        Err(_) => Ok(Some(0)),
                    };
                }
                Some(OpenListing::Locks { mut names }) => {
                    let Some(name) = names.next() else { continue };
                    self.opened = Some(OpenListing::Locks { names });
                    return match name.doing(LISTING)?.parse::<Key>() {
                        Ok(key) => lease::sweep(files, key).map(|left| Some(usize::from(left))),
                        Err(_) => Ok(Some(0)),
                    };
                }
                None => {
                    self.next = self.next.next();
                    match self.next {
                        Stage::Sessions(bucket) => {
                            if bucket == 0 {
                                self.begin(files)?;
                            }
                            let names = files
                                .dir
                                .list(FileName::bucket(bucket).as_str())
                                .doing(LISTING)?;
                            self.opened = names.map(|names| OpenListing::Sessions { names });
                        }
                        Stage::Users(bucket) => {
                            let users = files
                                .dir
                                .list(FileName::users_bucket(bucket).as_str())
                                .doing(LISTING)?;
                            self.opened = users.map(|users| OpenListing::Users { users });
                        }
                        Stage::Locks => {
                            let names = files.dir.list(LOCKS).doing(LISTING)?;
                            self.opened = names.map(|names| OpenListing::Locks { names });
                        }
                        Stage::Damaged => {
                            return Ok(Some(
                                prune_damaged(files).doing("deleting old damaged files")?,
                            ));
                        }
                        Stage::Start | Stage::End => return Ok(None),
                    }
                }
            }
        }
    }
}

fn sweep_file(files: Files<'_>, name: &str, now: Timestamp) -> Try<usize> {
    match Named::parse(name) {
        Some(Named::Session(key)) => sweep_session(files, key, now),
        Some(Named::Moving(key, tag)) => sweep_moving(files, key, tag),
        _ => Ok(0),
    }
}

/// Deletes a session's file if the session is over. Else puts it on the list of its user, if that lacks it.
fn sweep_session(files: Files<'_>, key: Key, now: Timestamp) -> Try<usize> {
    // Without the lock at first: nearly all sessions stay, and no request should find one locked.
    let (over, user) = peek(files, key, |content| {
        let user = match &content {
            Content::Live(live) => live.head.user,
            _ => None,
        };
        (is_over(&content, now), user)
    })?;
    if !over {
        if let Some(user) = user {
            heal(files, user, key)?;
        }
        return Ok(0);
    }
    let locked = LockedFile::hold(files, key, ONCE)?;
    let mut buffer = Buffer::take();
    let content = locked.content(&mut buffer)?;
    // Again, under the lock: it may have been touched.
    if !is_over(&content, now) || (matches!(content, Content::Empty) && locked.age()? < ABANDONED) {
        return Ok(0);
    }
    locked.delete()?;
    if let Content::Live(live) = content
        && let Some(user) = live.head.user
    {
        index::remove(files, user, key);
    }
    Ok(1)
}

fn is_over(content: &Content<'_>, now: Timestamp) -> bool {
    match content {
        Content::Live(live) => !live.head.is_live(now),
        Content::Tombstone(tombstone) => ended(tombstone).is_over(now),
        Content::Empty => true,
        Content::Doubtful => false,
    }
}

/// Makes a mark, which is an empty file dated 1970, unless it is there.
pub(super) fn mark(files: Files<'_>, name: &str) -> io::Result<()> {
    files.dir.make_dir(USERS)?;
    match files.dir.create_file(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made?.set_modified(std::time::SystemTime::UNIX_EPOCH),
    }
}

/// Deletes the file that a program left when it was stopped while it moved a session into another file.
fn sweep_moving(files: Files<'_>, key: Key, tag: u64) -> Try<usize> {
    // A program that moves a session locks the new file a moment after it has made it, and for as long as it needs it.
    LockedFile::hold_moving(files, key, tag, ONCE).and_then(|file| {
        if file.age()? < ABANDONED {
            return Ok(0);
        }
        file.delete()?;
        Ok(1)
    })
}

/// Deletes all damaged files but those set aside last.
fn prune_damaged(files: Files<'_>) -> io::Result<usize> {
    let mut kept = std::collections::BinaryHeap::new();
    let mut deleted = 0;
    for name in files.dir.list(DAMAGED)?.into_iter().flatten() {
        let name = format!("{DAMAGED}/{}", name?);
        // The time at which it was renamed is the time at which it came here.
        let Ok(changed) = files.dir.changed(&name) else {
            continue;
        };
        kept.push(std::cmp::Reverse((changed, name)));
        if kept.len() > DAMAGED_KEPT
            && let Some(std::cmp::Reverse((_, oldest))) = kept.pop()
        {
            deleted += usize::from(files.dir.remove_file(&oldest).is_ok());
        }
    }
    Ok(deleted)
}
