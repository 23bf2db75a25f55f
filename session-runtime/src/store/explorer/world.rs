//! The world of a scene: the contents of the store, and the messages on their way to it.

use super::cell::{Cell, CompactSession, KEYS, Set, USERS, handle, has, members, moment};
use super::manner::{Flaw, Manner, Unlists};
use super::wire::{StoreCall, StoreReply};
use crate::record::Revision;
use crate::store::{Expected, Which};

/// A message on its way to the store, which may arrive at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Message {
    /// A call, by its number. The actor got an error for it.
    Call { actor: u8, play: u32, call: u8 },
    /// The removal of a key from the list of a user.
    Unlist { user: u8, key: u8 },
}

/// The entries and lists of the store, and the messages on their way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) cells: [Option<Cell>; KEYS],
    /// The keys on the list of each user.
    pub(super) lists: [Set; USERS],
    pub(super) flight: Vec<Message>,
    /// True if the lists were lost. The store knows it.
    pub(super) lost: bool,
    /// True if the store has no room for another entry.
    pub(super) full: bool,
}

impl World {
    /// Does a call. The only time that counts is that of the call.
    pub(super) fn apply(&mut self, call: &StoreCall, manner: &Manner) -> StoreReply {
        match *call {
            StoreCall::Clock => unreachable!("the clock is no part of the store"),
            StoreCall::Load(key) => StoreReply::Found(self.cells[usize::from(key)]),
            StoreCall::Swap {
                key,
                expected,
                cell,
                now,
            } => self.swap(key, expected, cell, now, manner),
            StoreCall::Renew {
                old,
                over,
                new,
                session,
                now,
            } => self.renew(old, over, new, session, now, manner),
            StoreCall::End {
                key,
                users,
                which,
                now,
            } => self.end(key, users, which, now, manner),
            StoreCall::Touch {
                key,
                over,
                expires,
                seen,
                now,
            } => {
                if let Some(Cell::Live(session)) = &mut self.cells[usize::from(key)]
                    && Expected::At(over).is_met_by_head(&session.head(), moment(now))
                {
                    (session.expires, session.seen) = (expires, seen);
                }
                StoreReply::Done
            }
            StoreCall::List { users, among } => {
                if manner.is_flawed(Flaw::ShortTombstones) {
                    for cell in &mut self.cells {
                        *cell = cell.filter(|cell| cell.session().is_some());
                    }
                }
                let on_lists = members(users).fold(0, |set, user| set | self.lists[user as usize]);
                StoreReply::Listed {
                    names: on_lists & among,
                    entries: self.entries(on_lists & among),
                    whole: !self.lost,
                }
            }
            StoreCall::Enlist { user, key } => {
                self.lists[usize::from(user)] |= 1 << key;
                StoreReply::Done
            }
            StoreCall::Scan { among } => StoreReply::Listed {
                names: among,
                entries: self.entries(among),
                whole: true,
            },
        }
    }

    fn entries(&self, keys: Set) -> Vec<(u8, Cell)> {
        members(keys)
            .filter_map(|key| Some((key, self.cells[usize::from(key)]?)))
            .collect()
    }

    fn meets(&self, key: u8, expected: Expected, now: u32, manner: &Manner) -> bool {
        let found = self.cells[usize::from(key)];
        match (expected, found) {
            (Expected::At(_), Some(Cell::Live(_))) if manner.is_flawed(Flaw::AnyRevision) => true,
            (Expected::At(over), Some(Cell::Live(session))) if manner.is_flawed(Flaw::Expired) => {
                session.revision() == over
            }
            (Expected::Nothing, Some(Cell::Ended { .. }))
                if manner.is_flawed(Flaw::OverTombstone) =>
            {
                true
            }
            (Expected::Over, Some(_)) if manner.is_flawed(Flaw::BlindSweep) => true,
            _ => {
                let found = found.map(|cell| cell.entry(true));
                expected.is_met_by(found.as_ref(), moment(now))
            }
        }
    }

    fn swap(
        &mut self,
        key: u8,
        expected: Expected,
        mut cell: Option<Cell>,
        now: u32,
        manner: &Manner,
    ) -> StoreReply {
        if !self.meets(key, expected, now, manner) {
            return StoreReply::Found(self.cells[usize::from(key)]);
        }
        match cell {
            Some(Cell::Ended { successor, .. }) if self.full => {
                if successor.is_some() && !manner.is_flawed(Flaw::FullForgets) {
                    return StoreReply::Full;
                }
                cell = None;
            }
            Some(Cell::Live(_)) if self.full => return StoreReply::Full,
            _ => {}
        }
        self.put(key, cell, now, manner);
        StoreReply::Done
    }

    fn renew(
        &mut self,
        old: u8,
        over: Revision,
        new: u8,
        session: CompactSession,
        now: u32,
        manner: &Manner,
    ) -> StoreReply {
        let written = self.cells[usize::from(new)];
        if written
            .is_some_and(|cell| cell.session().map(|it| it.revision()) != Some(session.revision()))
        {
            return StoreReply::Taken;
        }
        let at = Expected::At(over);
        if !self.meets(old, at, now, manner) {
            let found = self.cells[usize::from(old)];
            if written.is_some()
                && !matches!(found, Some(Cell::Ended { successor, .. }) if successor == Some(new))
            {
                self.put(new, None, now, manner);
            }
            return StoreReply::Found(found);
        }
        self.put(new, Some(Cell::Live(session)), now, manner);
        let successor = Some(new);
        self.put(old, Some(Cell::Ended { at: now, successor }), now, manner);
        StoreReply::Done
    }

    fn end(
        &mut self,
        key: u8,
        users: Option<Set>,
        which: Which,
        now: u32,
        manner: &Manner,
    ) -> StoreReply {
        let session = match self.cells[usize::from(key)] {
            Some(Cell::Live(session)) => session,
            Some(Cell::Ended {
                successor: Some(successor),
                ..
            }) => return StoreReply::Renewed(successor),
            _ => return StoreReply::Nothing,
        };
        let is_meant = users.is_none_or(|users| {
            has(users, session.user) && which.includes(handle(session.session))
        });
        if !is_meant && !manner.is_flawed(Flaw::AnybodysEnd) {
            return StoreReply::Nothing;
        }
        let successor = None;
        let ended = Cell::Ended { at: now, successor };
        self.put(key, Some(ended).filter(|_| !self.full), now, manner);
        StoreReply::Ended(session)
    }

    /// Puts a cell or nothing under a key, and updates the lists.
    fn put(&mut self, key: u8, cell: Option<Cell>, now: u32, manner: &Manner) {
        let old = std::mem::replace(&mut self.cells[usize::from(key)], cell);
        let user = |cell: Option<Cell>| cell.and_then(Cell::session).map_or(0, |it| it.user);
        let (from, to) = (user(old), user(cell));
        if to != 0 && !manner.apart {
            self.lists[usize::from(to)] |= 1 << key;
        }
        match manner.unlists {
            Unlists::AtOnce if from != 0 && from != to => {
                self.lists[usize::from(from)] &= !(1 << key);
            }
            Unlists::Late if from != 0 && matches!(cell, Some(Cell::Ended { .. })) => {
                self.send(Message::Unlist { user: from, key });
            }
            Unlists::WithTombstone
                if cell.is_none()
                    && old.is_some_and(|old| old.entry(true).is_over(moment(now))) =>
            {
                self.lists.iter_mut().for_each(|list| *list &= !(1 << key));
            }
            _ => {}
        }
        if manner.is_flawed(Flaw::UnlistsUndone) && from != 0 && cell.is_none() {
            self.send(Message::Unlist { user: from, key });
        }
    }

    /// Sends a message. The messages are sorted, so that equal worlds compare as equal.
    pub(super) fn send(&mut self, message: Message) {
        self.flight.push(message);
        self.flight.sort_unstable();
    }

    /// Returns the session under a key, if it is live at this second.
    pub(super) fn live(&self, key: u8, second: u32) -> Option<CompactSession> {
        self.cells[usize::from(key)]?
            .session()
            .filter(|session| session.expires > second)
    }
}

/// Returns the sessions that are live at this second, each with its key.
pub(super) fn lives(world: &World, second: u32) -> impl Iterator<Item = (u8, CompactSession)> + '_ {
    (0..)
        .take(KEYS)
        .filter_map(move |key| Some((key, world.live(key, second)?)))
}

pub(super) fn keys_of(sessions: impl Iterator<Item = (u8, CompactSession)>) -> Set {
    sessions.fold(0, |keys, (key, _)| keys | 1 << key)
}

pub(super) fn sessions_of(sessions: impl Iterator<Item = (u8, CompactSession)>) -> Set {
    sessions.fold(0, |all, (_, session)| all | 1 << session.session)
}
