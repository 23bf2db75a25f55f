//! The removal of what has expired, in slices.

use std::io;
use std::time::Duration;

use super::buffer::Buffer;
use super::dir::FileId;
use super::dir::Names;
use super::layout::Content;
use super::listing::{heal, unlist_if_stale};
use super::name::{DAMAGED, HEALING, LOCKS, Name, Named, USERS, WHOLE};
use super::operations::ended;
use super::session::{ONCE, Session, peek};
use super::stop::{Doing, Stop, Try};
use super::{Files, index, lease};
use crate::clock::Timestamp;
use crate::record::{Key, UserKey};
use crate::store::{Cursor, StoreError, Swept};

/// How old, by the clock that stamps files, is a file that its maker cannot still be at.
pub(super) const ABANDONED: Duration = Duration::from_secs(60);

/// How many damaged files are kept to be looked into: enough to find a cause, and few enough for
/// any disk.
pub(super) const DAMAGED_KEPT: usize = 100;

/// A deletion takes as long as looking at so many files that stay, and is counted so: a slice takes
/// some milliseconds whatever it finds.
pub(super) const DELETION: usize = 16;

/// Where the last slice stopped: open directories rather than lists of names, since a million
/// names would take a hundred megabytes.
#[derive(Default)]
pub(super) struct Round {
    opened: Option<Opened>,
    next: Stage,
    /// The mark of this round, if the lists were not known to be whole when it began.
    healing: Option<FileId>,
    /// True if a session could not be looked at.
    missed: bool,
}

enum Opened {
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

/// Which directory is to be opened next.
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

/// Looks at about `budget` files. One that cannot be looked at does not keep the others.
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
            // It is gone, and so is nobody's any more.
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
    /// Marks the beginning, if the lists are not known to be whole. The mark is dated 1970, so that whoever deletes
    /// by age takes it first: then it is not there at the end.
    fn begin(&mut self, files: Files<'_>) -> Result<(), StoreError> {
        const MARKING: &str = "marking the lists of the users";
        if files.dir.identify(WHOLE).doing(MARKING)?.is_none() {
            mark(files, HEALING).doing(MARKING)?;
            self.healing = files.dir.identify(HEALING).doing(MARKING)?;
        }
        Ok(())
    }

    /// Every session that is live was seen, and is on the list of its user.
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

    /// Looks at one file and says how many were deleted; `None` at the end of a pass.
    fn step(&mut self, files: Files<'_>, now: Timestamp) -> Try<Option<usize>> {
        const LISTING: &str = "listing a directory of the sessions";
        loop {
            // What stays open is put back below, so that an error means going on behind it.
            match self.opened.take() {
                Some(Opened::Sessions { mut names }) => {
                    let Some(name) = names.next() else { continue };
                    self.opened = Some(Opened::Sessions { names });
                    return sweep_file(files, &name.doing(LISTING)?, now).map(Some);
                }
                Some(Opened::Users { mut users }) => {
                    let Some(name) = users.next() else { continue };
                    let user = name.doing(LISTING)?.parse::<UserKey>();
                    let entries =
                        user.map(|user| (user, files.dir.list(Name::user(user).as_str())));
                    self.opened = Some(match entries {
                        Ok((user, Ok(Some(entries)))) => Opened::User {
                            users,
                            user,
                            entries,
                        },
                        _ => Opened::Users { users },
                    });
                }
                Some(Opened::User {
                    users,
                    user,
                    mut entries,
                }) => {
                    let Some(name) = entries.next() else {
                        // Refused if there is an entry, be it one made a moment ago.
                        let _ = files.dir.remove_dir(Name::user(user).as_str());
                        self.opened = Some(Opened::Users { users });
                        continue;
                    };
                    self.opened = Some(Opened::User {
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
                Some(Opened::Locks { mut names }) => {
                    let Some(name) = names.next() else { continue };
                    self.opened = Some(Opened::Locks { names });
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
                                .list(Name::bucket(bucket).as_str())
                                .doing(LISTING)?;
                            self.opened = names.map(|names| Opened::Sessions { names });
                        }
                        Stage::Users(bucket) => {
                            let users = files
                                .dir
                                .list(Name::users_bucket(bucket).as_str())
                                .doing(LISTING)?;
                            self.opened = users.map(|users| Opened::Users { users });
                        }
                        Stage::Locks => {
                            let names = files.dir.list(LOCKS).doing(LISTING)?;
                            self.opened = names.map(|names| Opened::Locks { names });
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

/// Deletes a session's file if it is of no use any more; else puts it on the list that lacks it.
fn sweep_session(files: Files<'_>, key: Key, now: Timestamp) -> Try<usize> {
    // Without its lock first: nearly all of them stay, and nobody is to find them locked.
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
    let session = Session::hold(files, key, ONCE)?;
    let mut buffer = Buffer::take();
    let content = session.content(&mut buffer)?;
    // Again, under the lock: it may have been touched.
    if !is_over(&content, now) || (matches!(content, Content::Empty) && session.age()? < ABANDONED)
    {
        return Ok(0);
    }
    session.delete()?;
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

/// Makes a mark, an empty file dated 1970, unless it is there.
pub(super) fn mark(files: Files<'_>, name: &str) -> io::Result<()> {
    files.dir.make_dir(USERS)?;
    match files.dir.create_file(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made?.set_modified(std::time::SystemTime::UNIX_EPOCH),
    }
}

/// Deletes what a program left that was stopped while it moved a session into another file.
fn sweep_moving(files: Files<'_>, key: Key, tag: u64) -> Try<usize> {
    // Its maker holds the lock as long as it needs the file, from a moment after it was made.
    Session::hold_moving(files, key, tag, ONCE).and_then(|file| {
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
        // By when it was renamed, which is when it came here.
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
